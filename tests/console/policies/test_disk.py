"""Disk is bounded where the host can: elsewhere nobody is promised what nobody keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import Team, User
from console.containers.services import assign_container, create_container
from console.gateway import ContainerSpec
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.lib.amounts import MIB
from console.operations.models import Operation
from console.policies.models import Reservation
from console.policies.refusals import Denied
from console.policies.rules import complete, decide
from console.rbac.models import HostGrant
from runtime.testing import FakeEngine
from tests.console.containers.conftest import MakeContainer, ask, make_container
from tests.console.containers.test_team_create import form
from tests.console.policies.teams import SetPolicy, bob_in_red, red, set_policy
from tests.console.policies.test_rules import BOUNDS, SPEC

__all__ = ["ask", "bob_in_red", "make_container", "red", "set_policy"]

pytestmark = pytest.mark.django_db
GIB = 1024 * MIB
WEB = ContainerSpec(name="web", image="starter:latest", command=("sleep", "1000"))
Create = Callable[..., Operation]


@pytest.fixture
def limiting(host: Host, engine: FakeEngine) -> Host:
    """The host, which stores containers on btrfs and has told so."""
    engine.storage_driver, engine.backing_filesystem = "btrfs", ""
    return told(host, storage_driver="btrfs", limits_disk=True)


def told(host: Host, **info: Any) -> Host:
    host.info = info
    host.save(update_fields=["info"])
    return host


@pytest.fixture
def unlimiting(host: Host) -> Host:
    """The host, which stores containers on ext4 and has told so."""
    return told(host, storage_driver="overlay2", backing_filesystem="extfs", limits_disk=False)


@pytest.fixture
def create(bob_in_red: User, host: Host, red: Team, run_operations: Callable[[], None]) -> Create:
    """Let bob make a container for the team, and the worker do it."""

    def make(*, actor: User = bob_in_red, team: Team | None = red, **fields: Any) -> Operation:
        spec = dataclasses.replace(WEB, **fields)
        operation = create_container(actor=actor, host=host, spec=spec, pull="never", start=False, team=team)
        run_operations()
        operation.refresh_from_db()
        return operation

    return make


# The rule


def test_each_container_gets_what_the_policy_says_where_the_host_limits_it() -> None:
    limiting = dataclasses.replace(BOUNDS, limits_disk=True)
    assert complete(SPEC, limiting).disk_bytes == 10 * GIB
    assert complete(dataclasses.replace(SPEC, disk_bytes=GIB), limiting).disk_bytes == GIB
    assert complete(SPEC, BOUNDS).disk_bytes == 0


@pytest.mark.parametrize("disk_bytes", [0, 10 * GIB + 1])
def test_more_than_the_policy_says_or_no_limit_at_all_is_denied(disk_bytes: int) -> None:
    limiting = dataclasses.replace(BOUNDS, limits_disk=True)
    spec = dataclasses.replace(complete(SPEC, limiting), disk_bytes=disk_bytes)
    [denial] = decide(spec, limiting)
    assert (denial.code, "10 GB" in denial.message) == ("policy.disk", True)


def test_a_limit_that_the_host_does_not_keep_is_denied_by_its_reason() -> None:
    bounds = dataclasses.replace(BOUNDS, storage="overlay2 on extfs")
    [denial] = decide(dataclasses.replace(complete(SPEC, bounds), disk_bytes=GIB), bounds)
    assert denial.code == "disk_not_limited"
    assert denial.message == "The host's storage driver (overlay2 on extfs) limits nothing."


def test_without_a_quota_of_disk_nobody_asks_for_a_limit_that_cannot_be() -> None:
    assert decide(complete(SPEC, BOUNDS), BOUNDS) == []


# What a team has


def test_a_share_of_disk_is_taken_and_the_quota_holds(create: Create, limiting: Host, engine: FakeEngine) -> None:
    HostGrant.objects.update(disk_bytes=12 * GIB)
    assert create().state == "succeeded"
    assert Reservation.objects.get().disk_bytes == 10 * GIB
    assert engine.specs[-1].disk_bytes == 10 * GIB
    with pytest.raises(Denied) as refused:
        create(name="second")
    assert refused.value.code == "quota.disk"
    assert "has 12 GB here, 10 GB are taken" in str(refused.value)
    assert create(name="second", disk_bytes=2 * GIB).state == "succeeded"


def test_with_a_quota_that_cannot_be_kept_nothing_is_made(create: Create, unlimiting: Host, engine: FakeEngine) -> None:
    HostGrant.objects.update(disk_bytes=12 * GIB)
    with pytest.raises(Denied) as refused:
        create()
    assert refused.value.code == "disk_not_limited"
    assert "overlay2 on extfs" in str(refused.value)
    assert refused.value.next_step == "Choose another host, or ask an admin to take the quota of disk away."
    assert engine.specs == []
    assert not Reservation.objects.exists()


def test_the_worker_asks_the_engine_of_now(create: Create, limiting: Host, engine: FakeEngine) -> None:
    engine.storage_driver, engine.backing_filesystem = "overlay2", "extfs"
    operation = create()
    assert (operation.state, operation.error_code) == ("failed", "disk_not_limited")
    assert "overlay2 on extfs" in operation.error
    assert "create_container" not in engine.calls
    assert not Reservation.objects.exists()


def test_what_the_engine_forgot_is_removed_before_it_runs(
    create: Create, limiting: Host, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = engine.create_container
    monkeypatch.setattr(engine, "create_container", lambda spec: make(dataclasses.replace(spec, disk_bytes=0)))
    operation = create()
    assert (operation.state, operation.error_code) == ("failed", "mismatch")
    assert "disk limit" in operation.error
    assert "remove_container" in engine.calls


def test_a_container_that_is_given_counts_with_its_disk(
    alice: User, limiting: Host, red: Team, make_container: MakeContainer, client_of: Callable[..., Client]
) -> None:
    container = make_container(disk_bytes=GIB)
    client_of(alice).post(f"/containers/{limiting.pk}/{container.container_id}/assign/", {"team": str(red.pk)})
    assert Reservation.objects.get().disk_bytes == GIB
    assign_container(actor=alice, container=ObservedContainer.objects.get(), team=None)
    assert not Reservation.objects.exists()


# The pages


def test_an_admin_gives_a_quota_of_disk(
    alice: User, red: Team, limiting: Host, client_of: Callable[..., Client]
) -> None:
    browser = client_of(alice)
    url = f"/people/teams/{red.pk}/hosts/{limiting.pk}/quota/"
    assert browser.post(url, {"containers": "3", "disk": "20 GB"}).status_code == 302
    assert HostGrant.objects.get().disk_bytes == 20 * GIB
    assert "0 B of 20 GB" in browser.get(f"/people/teams/{red.pk}/").content.decode()
    assert 'value="20 GB"' in browser.get(url).content.decode()


def test_an_admin_is_told_that_the_host_keeps_no_quota_of_disk(
    alice: User, red: Team, unlimiting: Host, client_of: Callable[..., Client]
) -> None:
    browser = client_of(alice)
    url = f"/people/teams/{red.pk}/hosts/{unlimiting.pk}/quota/"
    assert "(overlay2 on extfs) limits nothing" in browser.get(url).content.decode()
    answer = browser.post(url, {"containers": "3", "disk": "20 GB"})
    assert answer.status_code == 422
    assert "(overlay2 on extfs) limits nothing" in answer.content.decode()

    HostGrant.objects.all().delete()
    answer = browser.post(f"/people/teams/{red.pk}/hosts/grant/", {"host": str(unlimiting.pk), "disk": "20 GB"})
    assert answer.status_code == 422
    assert not HostGrant.objects.exists()


def test_the_teams_page_says_when_the_quota_cannot_be_kept_any_more(
    bob_in_red: User, red: Team, unlimiting: Host, client_of: Callable[..., Client]
) -> None:
    HostGrant.objects.update(disk_bytes=GIB)
    page = client_of(bob_in_red).get(f"/people/teams/{red.pk}/").content.decode()
    assert "(overlay2 on extfs) limits nothing" in page
    assert "nothing is created here" in page


def test_the_form_has_the_field_where_the_host_limits_disk(
    bob_in_red: User, red: Team, limiting: Host, client_of: Callable[..., Client]
) -> None:
    HostGrant.objects.update(disk_bytes=12 * GIB)
    browser = client_of(bob_in_red)
    asked = {"host": str(limiting.pk), "team": str(red.pk), "disk": "2 GB"}
    assert 'id="f-disk"' in browser.get("/containers/create/", asked).content.decode()
    choices = browser.get("/containers/create/choices/", asked).content.decode()
    assert 'name="disk" value="2 GB"' in choices
    preview = browser.post("/containers/create/preview/", form(limiting, red, disk="3 GB")).content.decode()
    assert "3 GB of disk" in preview
    assert "0 B + 3 GB of 12 GB" in preview
    assert "--storage-opt size=3g" in preview


@pytest.mark.parametrize("is_admin", [False, True])
def test_the_form_says_why_a_host_limits_no_disk(
    bob_in_red: User, alice: User, red: Team, unlimiting: Host, client_of: Callable[..., Client], is_admin: bool
) -> None:
    browser, team = (client_of(alice), None) if is_admin else (client_of(bob_in_red), red)
    page = browser.get("/containers/create/", {"host": str(unlimiting.pk)}).content.decode()
    assert 'id="f-disk"' not in page
    assert "(overlay2 on extfs) limits nothing" in page
    answer = browser.post("/containers/create/", form(unlimiting, team, disk="3 GB"))
    assert answer.status_code == (422 if is_admin else 403)
    assert "(overlay2 on extfs) limits nothing" in answer.content.decode()
    assert not Operation.objects.exists()


def test_an_admin_limits_the_disk_of_a_container_that_is_nobodys(
    create: Create, alice: User, limiting: Host, engine: FakeEngine
) -> None:
    assert create(actor=alice, team=None, disk_bytes=GIB).state == "succeeded"
    assert engine.specs[-1].disk_bytes == GIB
    assert create(actor=alice, team=None, name="free").state == "succeeded"
    assert engine.specs[-1].disk_bytes == 0


def test_a_policy_says_how_much_disk_one_container_has(
    bob_in_red: User, red: Team, limiting: Host, set_policy: SetPolicy, client_of: Callable[..., Client]
) -> None:
    set_policy(disk_bytes=GIB)
    answer = client_of(bob_in_red).post("/containers/create/", form(limiting, red, disk="2 GB"))
    assert answer.status_code == 403
    assert "has at most: 1 GB" in answer.content.decode()
    assert (
        "1 GB, where the host limits it"
        in client_of(bob_in_red).get(f"/people/teams/{red.pk}/policy/").content.decode()
    )
