"""Changing how a host is called and reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.hosts.models import Host, HostState
from tests.console.hosts.conftest import CLIENT, make_pair

Sign = Callable[..., Client]


@pytest.fixture
def far(alice: User, client_of: Sign, tls_form: dict[str, Any]) -> Host:
    """A host with TLS."""
    client_of(alice).post("/hosts/add/", tls_form)
    Host.objects.update(state=HostState.REACHABLE, engine_id="KNOWN")
    return Host.objects.get(name="far")


@pytest.fixture
def kept(tls_form: dict[str, Any]) -> dict[str, Any]:
    """The form of `far` with its PEM fields left empty."""
    return {**tls_form, "ca_pem": "", "certificate_pem": "", "key_pem": ""}


def url(host: Host) -> str:
    return reverse("host-edit", args=[host.id])


def test_a_new_name_changes_nothing_else(alice: User, client_of: Sign, far: Host, kept: dict[str, Any]) -> None:
    client_of(alice).post(url(far), {**kept, "name": "near"})
    after = Host.objects.get()
    assert (after.name, after.revision, after.state, after.engine_id) == ("near", 0, HostState.REACHABLE, "KNOWN")
    assert after.credentials == far.credentials
    assert AuditEvent.objects.get(action="host.edit").details["changed"] == ["name"]


def test_empty_fields_keep_the_certificates(alice: User, client_of: Sign, far: Host, kept: dict[str, Any]) -> None:
    answer = client_of(alice).post(url(far), {**kept, "driver": "podman"})
    assert answer.status_code == 302
    after = Host.objects.get()
    assert (after.driver, after.revision, after.state) == ("podman", 1, HostState.UNKNOWN)
    assert after.credentials == far.credentials


def test_another_address_asks_for_the_certificates_again(
    alice: User, client_of: Sign, far: Host, kept: dict[str, Any]
) -> None:
    answer = client_of(alice).post(url(far), {**kept, "url": "tcp://evil.example:2376"})
    assert answer.status_code == 422
    assert "enter the certificates and the key again" in str(answer.context["form"].errors["key_pem"])
    assert Host.objects.get().url == far.url


def test_another_address_with_its_certificates_is_asked_anew(
    alice: User, client_of: Sign, far: Host, tls_form: dict[str, Any]
) -> None:
    other = make_pair()
    form = {**tls_form, "url": "tcp://127.0.0.1:2377", "certificate_pem": other.certificate, "key_pem": other.key}
    client_of(alice).post(url(far), form)
    after = Host.objects.get()
    assert (after.url, after.revision, after.state, after.engine_id) == (
        "tcp://127.0.0.1:2377",
        1,
        HostState.UNKNOWN,
        "",
    )
    assert after.credentials["key_pem"] == other.key
    assert AuditEvent.objects.get(action="host.edit").details["changed"] == ["address", "credentials"]


def test_without_tls_the_certificates_are_removed(
    alice: User, client_of: Sign, far: Host, kept: dict[str, Any]
) -> None:
    client_of(alice).post(url(far), {**kept, "security": "plain", "plain_confirmed": "on"})
    after = Host.objects.get()
    assert after.credentials is None
    assert after.certificate_expires_at is None


def test_saving_accepts_the_engine_that_answers_now(
    alice: User, client_of: Sign, far: Host, kept: dict[str, Any]
) -> None:
    Host.objects.update(state=HostState.FAILING, cause="other_engine")
    assert "Saving this form accepts it" in client_of(alice).get(url(far)).content.decode()
    client_of(alice).post(url(far), kept)
    after = Host.objects.get()
    assert (after.engine_id, after.cause, after.revision) == ("", "", 1)


def test_the_page_holds_no_secret(alice: User, client_of: Sign, far: Host) -> None:
    page = client_of(alice).get(url(far)).content.decode()
    assert CLIENT.key.splitlines()[1] not in page
    assert CLIENT.certificate.splitlines()[1] not in page
    assert 'value="tcp://127.0.0.1:2376"' in page


def test_the_stranger_does_not_learn_that_it_exists(charlie: User, client_of: Sign, far: Host) -> None:
    client = client_of(charlie)
    there = client.get(url(far))
    nowhere = client.get("/hosts/00000000-0000-4000-8000-000000000000/edit/")
    assert there.status_code == nowhere.status_code == 404
    assert client.post(url(far), {"name": "mine"}).status_code == 404
    assert Host.objects.get().name == "far"
