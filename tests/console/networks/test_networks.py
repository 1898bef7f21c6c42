"""Making, giving and removing networks; the list has what that of volumes has."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.containers.made_by import labels_of
from console.containers.network_services import create_network, remove_network
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedNetwork
from console.inventory.services import observe_networks
from console.lib import faults
from console.operations.models import Operation, OperationState
from console.operations.worker import run
from console.rbac.models import OwnedKind, Ownership
from runtime import Conflict, NetworkSpec
from runtime.testing import FakeEngine
from tests.console.volumes.conftest import AskEngine, MakeNetwork, Sign, changes, give_network, url_of

pytestmark = pytest.mark.django_db
MakeContainer = Callable[..., ObservedContainer]


def finish(operation: Operation) -> Operation:
    run(operation.pk)
    operation.refresh_from_db()
    return operation


def crash(operation: Operation, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run it until it dies at ``fault``, and queue it again."""

    def reach(name: str) -> None:
        if name == fault:
            raise RuntimeError(name)

    with monkeypatch.context() as patch:
        patch.setattr(faults, "reach", reach)
        run(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(state=OperationState.QUEUED, ended_at=None)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("internal", ["", "on"])
def test_one_is_made_as_asked(internal: str, host: Host, as_: Sign, ask: AskEngine) -> None:
    answer = as_("admin").post(
        "/networks/create/", {"name": "blue", "host": host.pk, "internal": internal}, follow=True
    )
    made = ask("inspect_network", "blue")
    assert answer.redirect_chain == [(f"/networks/{host.pk}/{made.network_id}/", 302)]
    operation = Operation.objects.get()
    assert (operation.state, operation.object_id) == (OperationState.SUCCEEDED, made.network_id)
    assert (made.driver, made.internal, dict(made.options)) == ("bridge", bool(internal), {})
    assert dict(made.labels) == dict(labels_of(operation.pk, kind="network"))
    assert AuditEvent.objects.get(outcome="succeeded").object_id == made.network_id


@pytest.mark.parametrize("name", ["", "x", "host", "bridge", "none", "a b", "../x", "a" * 256])
def test_a_name_that_none_can_have_is_named(name: str, host: Host, as_: Sign, alice: User, engine: FakeEngine) -> None:
    answer = as_("admin").post("/networks/create/", {"name": name, "host": host.pk})
    assert (answer.status_code, Operation.objects.count()) == (422, 0)
    assert finish(create_network(actor=alice, host=host, name=name, internal=False)).error_code == "invalid"
    assert changes(engine) == []


def test_a_taken_name_makes_nothing(make_network: MakeNetwork, host: Host, as_: Sign, alice: User) -> None:
    make_network("blue")
    answer = as_("admin").post("/networks/create/", {"name": "blue", "host": host.pk})
    assert answer.status_code == 422
    operation = finish(create_network(actor=alice, host=host, name="blue", internal=False))
    assert (operation.error_code, operation.error) == ("name_taken", "Another network on this host is named blue.")


@pytest.mark.parametrize("fault", ["network.create.before", "network.create.created", "network.create.owned"])
def test_a_second_create_goes_on_with_what_the_first_one_made(
    fault: str, host: Host, alice: User, ask: AskEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = create_network(actor=alice, host=host, name="blue", internal=True)
    crash(operation, fault, monkeypatch)
    assert finish(operation).state == OperationState.SUCCEEDED
    assert [network.name for network in ask("list_networks")].count("blue") == 1


@pytest.mark.usefixtures("worker")
def test_its_typed_name_removes_it(make_network: MakeNetwork, red: Team, alice: User, as_: Sign) -> None:
    network, admin = make_network(), as_("admin")
    give_network(network, red, by=alice)
    assert admin.post(url_of(network, "remove/"), {"confirmation": "green"}).status_code == 422
    answer = admin.post(url_of(network, "remove/"), {"confirmation": "blue"}, follow=True)
    assert answer.redirect_chain == [("/networks/", 302)]
    assert "The network blue is removed" in answer.content.decode()
    assert not ObservedNetwork.objects.filter(name="blue").exists()
    assert not Ownership.objects.exists()


@pytest.mark.parametrize("fault", ["network.remove.before", "network.remove.removed"])
def test_a_second_removal_ends_what_the_first_one_began(
    fault: str, make_network: MakeNetwork, alice: User, ask: AskEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = remove_network(actor=alice, network=make_network())
    crash(operation, fault, monkeypatch)
    assert finish(operation).state == OperationState.SUCCEEDED
    assert "blue" not in [network.name for network in ask("list_networks")]


@pytest.mark.parametrize("by_id", [False, True])
def test_one_with_containers_that_do_not_even_run_stays(
    by_id: bool, make_network: MakeNetwork, make_container: MakeContainer, alice: User, as_: Sign, engine: FakeEngine
) -> None:
    network, admin = make_network(), as_("admin")
    operation = remove_network(actor=alice, network=network)
    make_container("web-1", network=network.network_id if by_id else network.name)
    answer = admin.post(url_of(network, "remove/"), {"confirmation": "blue"})
    assert answer.status_code == 422
    assert "Used by web-1." in answer.content.decode()
    assert finish(operation).error == "Used by web-1."
    assert changes(engine) == []
    assert "web-1" in admin.get(url_of(network)).content.decode()


def test_a_container_that_comes_in_between_is_named(
    make_network: MakeNetwork, make_container: MakeContainer, alice: User, engine: FakeEngine
) -> None:
    network = make_network()
    engine.fail_next("remove_network", Conflict("has active endpoints", reason="in_use"))
    operation = finish(remove_network(actor=alice, network=network))
    assert (operation.state, operation.error_code) == (OperationState.FAILED, "in_use")
    assert operation.error.startswith("blue is in use.")


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
def test_the_engines_own_are_neither_removed_nor_given(
    name: str, host: Host, red: Team, alice: User, as_: Sign, engine: FakeEngine
) -> None:
    observe_networks(host)
    network, admin = ObservedNetwork.objects.select_related("host").get(name=name), as_("admin")
    for part, data in (("assign/", {"team": str(red.pk)}), ("remove/", {"confirmation": name})):
        answer = admin.post(url_of(network, part), data)
        assert answer.status_code == 422, part
        assert "one of the engine&#x27;s own" in answer.content.decode()
    assert not Ownership.objects.exists()
    assert finish(remove_network(actor=alice, network=network)).error_code == "predefined"
    assert changes(engine) == []


def test_giving_and_taking_are_recorded(make_network: MakeNetwork, red: Team, as_: Sign) -> None:
    network, admin, member = make_network(), as_("admin"), as_("member")
    for team in (red, None):
        assert admin.post(url_of(network, "assign/"), {"team": str(team.pk) if team else ""}).status_code == 302
        assert member.get(url_of(network)).status_code == (200 if team else 404)
    events = AuditEvent.objects.filter(action="network.assign").order_by("sequence")
    assert [(event.details["before"], event.details["team"]) for event in events] == [("", "red"), ("red", "")]


def test_the_list_narrows_like_that_of_volumes(
    make_network: MakeNetwork, make_container: MakeContainer, red: Team, alice: User, as_: Sign
) -> None:
    blue = make_network("blue", internal=True)
    make_network("green", labels=(("tier", "gold"),))
    make_container("web-1", network="blue")
    give_network(blue, red, by=alice)

    def names(who: object, query: str = "") -> list[str]:
        rows = who.get(f"/networks/{query}").context["page"].rows  # type: ignore[attr-defined]
        return [row.name for row in rows]

    admin, member = as_("admin"), as_("member")
    assert names(admin) == ["blue", "bridge", "green", "host", "none"]
    assert names(admin, "?use=used") == ["blue"]
    assert names(admin, "?q=gold") == ["green"]
    assert names(admin, f"?q={blue.network_id[:20]}") == ["blue"]
    assert names(admin, f"?team={red.pk}") == ["blue"]
    assert names(member) == ["blue"]
    assert "internal" in member.get("/networks/").content.decode()
    assert "network-" in member.get("/search/?q=blue").content.decode()
    assert Ownership.objects.get().kind == OwnedKind.NETWORK


def test_a_network_whose_id_begins_like_the_name_is_another(host: Host, alice: User, ask: AskEngine) -> None:
    network_id = ask("create_network", NetworkSpec(name="other"))
    operation = finish(create_network(actor=alice, host=host, name=network_id[:12], internal=False))
    assert operation.state == OperationState.SUCCEEDED
