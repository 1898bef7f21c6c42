"""Removing a volume, with all that is in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.containers.services import assign_container
from console.containers.volume_services import remove_volume
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedVolume
from console.inventory.services import observe_volumes
from console.lib import faults
from console.operations.models import Operation, OperationState
from console.operations.worker import run
from console.rbac.models import Ownership
from runtime import VolumeMount
from runtime.testing import FakeEngine
from tests.console.volumes.conftest import AskEngine, MakeVolume, Sign, changes, give_volume, person, url_of

pytestmark = pytest.mark.django_db
MakeContainer = Callable[..., ObservedContainer]
MOUNT = (VolumeMount(volume="data", target="/data"),)


@pytest.fixture
def owned(make_volume: MakeVolume, red: Team, alice: User) -> ObservedVolume:
    """A volume of the team red."""
    volume = make_volume()
    give_volume(volume, red, by=alice)
    return volume


def finish(operation: Operation) -> Operation:
    run(operation.pk)
    operation.refresh_from_db()
    return operation


@pytest.mark.usefixtures("worker")
def test_its_typed_name_removes_it_and_its_owner(owned: ObservedVolume, as_: Sign, ask: AskEngine) -> None:
    browser = as_("member")
    assert "Lost for good" in browser.get(url_of(owned, "remove/")).content.decode()
    answer = browser.post(url_of(owned, "remove/"), {"confirmation": "data"}, follow=True)
    assert answer.redirect_chain == [("/volumes/", 302)]
    assert "The volume data is removed" in answer.content.decode()
    assert ask("list_volumes") == []
    assert (ObservedVolume.objects.count(), Ownership.objects.count()) == (0, 0)
    rows = AuditEvent.objects.filter(action="volume.remove").order_by("sequence").values_list("outcome", "object_id")
    assert list(rows) == [("accepted", "data"), ("succeeded", "data")]


def test_another_name_removes_nothing(owned: ObservedVolume, as_: Sign, engine: FakeEngine) -> None:
    answer = as_("member").post(url_of(owned, "remove/"), {"confirmation": "Data"})
    assert answer.status_code == 422
    assert (engine.calls, Operation.objects.count()) == ([], 0)


def test_one_in_use_stays_and_it_says_by_what(
    owned: ObservedVolume, make_container: MakeContainer, as_: Sign, red: Team, alice: User, engine: FakeEngine
) -> None:
    mine = make_container("web-1", volumes=MOUNT)
    make_container("hidden-1", volumes=MOUNT)
    assign_container(actor=alice, container=mine, team=red)
    browser = as_("member")
    shown = browser.get(url_of(owned, "remove/")).content.decode()
    assert "Used by web-1 and by 1 container that you may not see." in shown
    answer = browser.post(url_of(owned, "remove/"), {"confirmation": "data"})
    assert answer.status_code == 422
    assert "Used by web-1 and by 1 container that you may not see." in answer.content.decode()
    assert "hidden-1" not in answer.content.decode()
    assert (engine.calls, Operation.objects.count()) == ([], 0)


def test_the_worker_asks_the_engine_who_uses_it(
    owned: ObservedVolume, make_container: MakeContainer, red: Team, blue: Team, alice: User, engine: FakeEngine
) -> None:
    bob = person("member", red=red, blue=blue)
    operation = remove_volume(actor=bob, volume=owned)
    mine = make_container("web-1", volumes=MOUNT)
    make_container("hidden-1", volumes=MOUNT)
    assign_container(actor=alice, container=mine, team=red)
    operation = finish(operation)
    assert (operation.state, operation.error_code) == (OperationState.FAILED, "in_use")
    assert operation.error == "Used by web-1 and by 1 container that you may not see."
    assert changes(engine) == []
    assert Ownership.objects.filter(object_id="data").exists()


def test_what_is_gone_already_is_done(owned: ObservedVolume, alice: User, ask: AskEngine) -> None:
    operation = remove_volume(actor=alice, volume=owned)
    ask("remove_volume", "data")
    assert finish(operation).state == OperationState.SUCCEEDED
    assert not Ownership.objects.exists()


def test_whoever_lost_it_removes_nothing_any_more(
    owned: ObservedVolume, red: Team, blue: Team, alice: User, engine: FakeEngine
) -> None:
    operation = remove_volume(actor=person("member", red=red, blue=blue), volume=owned)
    give_volume(owned, blue, by=alice)
    assert finish(operation).error_code == "policy"
    assert changes(engine) == []


@pytest.mark.parametrize("fault", ["volume.remove.before", "volume.remove.removed", "volume.remove.forgotten"])
def test_a_second_run_ends_what_the_first_one_began(
    fault: str,
    owned: ObservedVolume,
    host: Host,
    red: Team,
    blue: Team,
    ask: AskEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operation = remove_volume(actor=person("member", red=red, blue=blue), volume=owned)

    def reach(name: str) -> None:
        if name == fault:
            raise RuntimeError(name)

    with monkeypatch.context() as patch:
        patch.setattr(faults, "reach", reach)
        run(operation.pk)
    observe_volumes(host)  # watch has seen it as well
    Operation.objects.filter(pk=operation.pk).update(state=OperationState.QUEUED, ended_at=None)
    assert finish(operation).state == OperationState.SUCCEEDED
    assert ask("list_volumes") == []
    assert not Ownership.objects.exists()


def test_a_second_run_does_not_reach_what_came_in_its_place(
    owned: ObservedVolume, make_volume: MakeVolume, red: Team, blue: Team, engine: FakeEngine
) -> None:
    operation = remove_volume(actor=person("member", red=red, blue=blue), volume=owned)
    Operation.objects.filter(pk=operation.pk).update(attempts=1)
    Ownership.objects.all().delete()
    make_volume("data")
    assert finish(operation).error_code == "policy"
    assert changes(engine) == []
