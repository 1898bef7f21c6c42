"""Making a volume, for a team to own."""

from __future__ import annotations

import pytest

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.containers.made_by import labels_of
from console.containers.volume_services import create_volume
from console.hosts.models import Host
from console.inventory.models import ObservedVolume
from console.lib import faults
from console.operations.models import Operation, OperationState
from console.operations.services import retry_operation
from console.operations.worker import run
from console.rbac.models import HostGrant, OwnedKind, Ownership, owner_of
from runtime import Conflict, VolumeSpec
from runtime.testing import FakeEngine
from tests.console.volumes.conftest import AskEngine, MakeVolume, Sign, changes, person

pytestmark = pytest.mark.django_db


def owner(host: Host, name: str = "red-data") -> object:
    return owner_of(host_id=host.pk, kind=OwnedKind.VOLUME, object_id=name)


def finish(operation: Operation) -> Operation:
    run(operation.pk)
    operation.refresh_from_db()
    return operation


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("who", ["member", "owner", "admin"])
def test_it_is_made_and_belongs_to_the_team(
    who: str, host: Host, red: Team, as_: Sign, ask: AskEngine, engine: FakeEngine
) -> None:
    answer = as_(who).post("/volumes/create/", {"name": "data", "host": host.pk, "team": red.pk}, follow=True)
    assert answer.redirect_chain == [(f"/volumes/{host.pk}/red-data/", 302)]
    assert "The volume red-data is there" in answer.content.decode()
    operation = Operation.objects.get()
    assert (operation.state, operation.team, operation.object_id) == (OperationState.SUCCEEDED, red, "red-data")
    made = ask("inspect_volume", "red-data")
    assert dict(made.labels) == dict(labels_of(operation.pk, kind="volume"))
    assert (made.driver, dict(made.options)) == ("local", {})
    assert owner(host) == red.pk
    given_by = Ownership.objects.get().given_by
    assert given_by is not None
    assert given_by.username == who
    assert ObservedVolume.objects.get().name == "red-data"
    rows = AuditEvent.objects.filter(action="volume.create").order_by("sequence").values_list("outcome", "object_id")
    assert list(rows) == [("accepted", ""), ("succeeded", "red-data")]


@pytest.mark.usefixtures("worker")
def test_an_admin_makes_one_for_nobody(host: Host, as_: Sign, engine: FakeEngine) -> None:
    as_("admin").post("/volumes/create/", {"name": "data", "host": host.pk, "team": ""})
    assert changes(engine) == ["create_volume"]
    assert owner(host) is None


@pytest.mark.parametrize("who", ["viewer", "auditor", "stranger"])
def test_who_may_not_is_refused(who: str, host: Host, red: Team, as_: Sign, engine: FakeEngine) -> None:
    browser = as_(who)
    assert browser.get("/volumes/create/").status_code == 403
    answer = browser.post("/volumes/create/", {"name": "data", "host": host.pk, "team": red.pk})
    assert answer.status_code == 403
    assert (engine.calls, Operation.objects.count()) == ([], 0)
    assert AuditEvent.objects.filter(action="volume.create", outcome="denied").count() == 2


def test_nobody_makes_one_for_a_team_that_is_not_theirs_nor_for_nobody(
    host: Host, red: Team, as_: Sign, engine: FakeEngine
) -> None:
    browser = as_("other team")
    for team in (str(red.pk), "", "nonsense"):
        answer = browser.post("/volumes/create/", {"name": "data", "host": host.pk, "team": team})
        assert answer.status_code == 422, team
    assert ">red<" not in browser.get("/volumes/create/").content.decode()
    assert (engine.calls, Operation.objects.count()) == ([], 0)


def test_a_host_that_the_team_does_not_have_is_no_choice(host: Host, red: Team, as_: Sign) -> None:
    HostGrant.objects.filter(team=red).delete()
    member = as_("member").post("/volumes/create/", {"name": "data", "host": host.pk, "team": red.pk})
    assert member.status_code == 422
    assert "harbour" not in member.content.decode(), "hosts of others are not told"
    admin = as_("admin").post("/volumes/create/", {"name": "data", "host": host.pk, "team": red.pk})
    assert admin.status_code == 422
    assert "The team red may not work on this host" in admin.content.decode()
    assert not Operation.objects.exists()


@pytest.mark.parametrize("name", ["", "x", "/etc", "../data", "-rf", "a b", "data;", "d\0", "a" * 256, "데이터"])
def test_a_name_that_is_none_is_named(name: str, host: Host, red: Team, as_: Sign, engine: FakeEngine) -> None:
    answer = as_("member").post("/volumes/create/", {"name": name, "host": host.pk, "team": red.pk})
    assert answer.status_code == 422
    assert (engine.calls, Operation.objects.count()) == ([], 0)


def test_a_name_that_is_taken_is_named(make_volume: MakeVolume, red: Team, as_: Sign, host: Host) -> None:
    make_volume("red-data")
    answer = as_("member").post("/volumes/create/", {"name": "data", "host": host.pk, "team": red.pk})
    assert answer.status_code == 422
    assert "This name is taken on this host" in answer.content.decode()


def test_one_that_the_inventory_has_not_seen_stays_whose_it_is(
    host: Host, red: Team, alice: User, engine: FakeEngine
) -> None:
    engine.add_volume("red-data", labels={"pilothouse.operation": "1"})
    operation = finish(create_volume(actor=alice, host=host, name="red-data", team=red))
    assert (operation.state, operation.error_code) == (OperationState.FAILED, "name_taken")
    assert owner(host) is None


def test_the_engines_own_no_is_put_in_words(host: Host, red: Team, alice: User, engine: FakeEngine) -> None:
    engine.fail_next("create_volume", Conflict("exists with the nfs driver", reason="name_taken"))
    operation = finish(create_volume(actor=alice, host=host, name="red-data", team=red))
    assert operation.error == "Another volume on this host is named red-data."


def test_the_worker_asks_again_whether_one_may(host: Host, red: Team, blue: Team, engine: FakeEngine) -> None:
    bob = person("member", red=red, blue=blue)
    operation = create_volume(actor=bob, host=host, name="red-data", team=red)
    bob.memberships.all().delete()
    assert finish(operation).error_code == "policy"
    carol = person("owner", red=red, blue=blue)
    operation = create_volume(actor=carol, host=host, name="red-data", team=red)
    HostGrant.objects.filter(team=red).delete()
    operation = finish(operation)
    assert (operation.error_code, operation.error) == ("policy", "The team red may not work on harbour.")
    assert changes(engine) == []


def test_a_volume_of_a_team_begins_with_its_prefix(host: Host, red: Team, alice: User, engine: FakeEngine) -> None:
    operation = finish(create_volume(actor=alice, host=host, name="data", team=red))
    assert operation.error == "The names of what the team red makes begin with “red-”."
    assert changes(engine) == []


def test_arguments_that_no_form_sent_make_nothing(host: Host, alice: User, engine: FakeEngine) -> None:
    operation = create_volume(actor=alice, host=host, name="/etc")
    assert finish(operation).error_code == "invalid"
    assert changes(engine) == []


def test_an_earlier_volume_of_the_name_gave_no_rights(host: Host, red: Team, blue: Team, alice: User) -> None:
    Ownership.objects.create(host=host, kind=OwnedKind.VOLUME, object_id="red-data", team=blue)
    Ownership.objects.create(host=host, kind=OwnedKind.VOLUME, object_id="logs", team=blue)
    finish(create_volume(actor=alice, host=host, name="red-data", team=red))
    finish(create_volume(actor=alice, host=host, name="logs"))
    assert (owner(host), owner(host, "logs")) == (red.pk, None)


@pytest.mark.parametrize("fault", ["volume.create.before", "volume.create.created", "volume.create.owned"])
def test_a_second_run_goes_on_with_what_the_first_one_made(
    fault: str, host: Host, red: Team, alice: User, engine: FakeEngine, ask: AskEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = create_volume(actor=alice, host=host, name="red-data", team=red)

    def reach(name: str) -> None:
        if name == fault:
            raise RuntimeError(name)

    with monkeypatch.context() as patch:
        patch.setattr(faults, "reach", reach)
        run(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(state=OperationState.QUEUED, ended_at=None)
    assert finish(operation).state == OperationState.SUCCEEDED
    assert [volume.name for volume in ask("list_volumes")] == ["red-data"]
    assert owner(host) == red.pk


def test_a_retry_knows_what_the_failed_one_made(host: Host, red: Team, alice: User, ask: AskEngine) -> None:
    first = create_volume(actor=alice, host=host, name="red-data", team=red)
    Operation.objects.filter(pk=first.pk).update(state=OperationState.FAILED)
    first.refresh_from_db()
    ask("create_volume", VolumeSpec(name="red-data", labels=labels_of(first.pk, kind="volume")))
    again = finish(retry_operation(actor=alice, operation=first))
    assert (again.state, again.team) == (OperationState.SUCCEEDED, red)
    assert owner(host) == red.pk


def test_what_was_decided_since_stays(host: Host, red: Team, blue: Team, alice: User) -> None:
    operation = create_volume(actor=alice, host=host, name="red-data", team=red)
    Ownership.objects.create(host=host, kind=OwnedKind.VOLUME, object_id="red-data", team=blue)
    finish(operation)
    assert owner(host) == blue.pk
