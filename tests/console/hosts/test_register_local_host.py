"""`manage.py register_local_host`, as often as `./pilothouse up` is run."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from console.audit.models import AuditEvent
from console.hosts.models import Host, HostState
from tests.console.hosts.conftest import CA, CLIENT

pytestmark = pytest.mark.django_db


def register(**options: Any) -> str:
    said = StringIO()
    call_command("register_local_host", stdout=said, **{"url": "unix:///run/a.sock", "driver": "docker", **options})
    return said.getvalue()


def test_the_first_time_it_adds_the_host() -> None:
    assert "(added)" in register(note="private engine")
    host = Host.objects.get()
    assert (host.name, host.url, host.is_local, host.note) == ("local", "unix:///run/a.sock", True, "private engine")
    assert AuditEvent.objects.get().actor_name == "system:up"


def test_the_second_time_it_changes_nothing() -> None:
    register()
    Host.objects.update(state=HostState.REACHABLE, engine_id="KNOWN")
    assert "(unchanged)" in register()
    host = Host.objects.get()
    assert (host.state, host.engine_id, host.revision) == (HostState.REACHABLE, "KNOWN", 0)
    assert AuditEvent.objects.count() == 1


def test_another_address_is_written_to_the_same_host() -> None:
    register()
    before = Host.objects.get()
    assert "(updated)" in register(url="unix:///run/podman/podman.sock", driver="podman")
    host = Host.objects.get()
    assert (host.id, host.url, host.driver, host.revision) == (before.id, "unix:///run/podman/podman.sock", "podman", 1)


def test_a_host_that_people_renamed_stays_the_local_one() -> None:
    register()
    Host.objects.update(name="my laptop")
    register(url="unix:///run/b.sock")
    assert Host.objects.get().name == "my laptop"


def test_a_host_that_people_registered_before_becomes_the_local_one() -> None:
    mine = Host.objects.create(name="mine", url="unix:///run/a.sock")
    register()
    host = Host.objects.get()
    assert (host.id, host.name, host.is_local) == (mine.id, "mine", True)


def test_a_taken_name_gets_a_number() -> None:
    Host.objects.create(name="Local", url="tcp://10.0.0.5:2376")
    register()
    assert Host.objects.get(is_local=True).name == "local-2"


def test_the_engine_it_names_is_accepted_even_if_it_is_another_one() -> None:
    register()
    Host.objects.update(cause="other_engine", state=HostState.FAILING, engine_id="OLD")
    register()
    host = Host.objects.get()
    assert (host.cause, host.engine_id, host.revision) == ("", "", 1)


def test_certificates_come_from_a_folder(tmp_path: Path) -> None:
    for name, text in (("ca.pem", CA.certificate), ("cert.pem", CLIENT.certificate), ("key.pem", CLIENT.key)):
        (tmp_path / name).write_text(text)
    register(url="tcp://127.0.0.1:2376", certificates=tmp_path)
    assert Host.objects.get().has_credentials
    assert "(unchanged)" in register(url="tcp://127.0.0.1:2376", certificates=tmp_path)
    (tmp_path / "key.pem").unlink()
    with pytest.raises(CommandError, match=r"key\.pem"):
        register(url="tcp://127.0.0.1:2376", certificates=tmp_path)


@pytest.mark.parametrize("options", [{"url": "http://x"}, {"name": "-x"}])
def test_what_makes_no_sense_is_said(options: dict[str, str]) -> None:
    with pytest.raises(CommandError):
        register(**options)
    assert not Host.objects.exists()
