"""Volumes and networks in the fake engine, as the inventory has seen them, and people with every kind of role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from console import gateway
from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.containers import network_views, volume_views
from console.containers.ownership import give
from console.gateway import ContainerEngine, ContainerSpec
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedNetwork, ObservedVolume
from console.inventory.services import observe_container, observe_networks, observe_volumes
from console.operations.models import Operation
from console.rbac.models import HostGrant, OwnedKind
from runtime import NetworkSpec
from runtime.testing import FakeEngine

AskEngine = Callable[..., Any]
Sign = Callable[[str], Client]
MakeVolume = Callable[..., ObservedVolume]
MakeNetwork = Callable[..., ObservedNetwork]

#: Whoever there is, and how far they may go with what the team red owns.
REACH = {
    "admin": {"look", "edit", "admin"},
    "owner": {"look", "edit"},
    "member": {"look", "edit"},
    "viewer": {"look"},
    "auditor": {"look"},
    "stranger": set(),
    "other team": set(),
}


@pytest.fixture
def ask(host: Host) -> Iterator[AskEngine]:
    """Call a method of the fake engine where it lives: on the gateway's loop."""

    def call(method: str, *arguments: Any, **options: Any) -> Any:
        async def work(engine: ContainerEngine) -> Any:
            return await getattr(engine, method)(*arguments, **options)

        return gateway.call(host.endpoint, work)

    yield call
    call("shut_down")


@pytest.fixture
def make_volume(host: Host, engine: FakeEngine) -> MakeVolume:
    """Make a volume behind the console's back; the inventory has seen it."""

    def make(name: str = "data", **fields: Any) -> ObservedVolume:
        engine.add_volume(name, **fields)
        observe_volumes(host)
        engine.calls.clear()
        return ObservedVolume.objects.select_related("host").get(name=name)

    return make


@pytest.fixture
def make_network(host: Host, engine: FakeEngine, ask: AskEngine) -> MakeNetwork:
    """Make a network behind the console's back; the inventory has seen it."""

    def make(name: str = "blue", **fields: Any) -> ObservedNetwork:
        ask("create_network", NetworkSpec(name=name, **fields))
        observe_networks(host)
        engine.calls.clear()
        return ObservedNetwork.objects.select_related("host").get(name=name)

    return make


@pytest.fixture
def make_container(host: Host, engine: FakeEngine, ask: AskEngine) -> Callable[..., ObservedContainer]:
    """Make a container; the inventory has seen it."""

    def make(name: str = "web-1", **fields: Any) -> ObservedContainer:
        container_id = ask("create_container", ContainerSpec(name=name, image="starter:latest", **fields))
        observe_container(host, container_id)
        engine.calls.clear()
        seen: ObservedContainer = ObservedContainer.objects.select_related("host").get(container_id=container_id)
        return seen

    return make


@pytest.fixture
def red(db: None, host: Host) -> Team:
    team = Team.objects.create(name="red")
    HostGrant.objects.create(team=team, host=host)
    return team


@pytest.fixture
def blue(db: None, host: Host) -> Team:
    team = Team.objects.create(name="blue")
    HostGrant.objects.create(team=team, host=host)
    return team


@pytest.fixture
def as_(red: Team, blue: Team, client_of: Callable[..., Client]) -> Sign:
    """The browser of somebody with a role."""

    def sign_in(who: str) -> Client:
        return client_of(person(who, red=red, blue=blue))

    return sign_in


def person(who: str, *, red: Team, blue: Team) -> User:
    """Return somebody with a role."""
    role = {"admin": Role.ADMIN, "auditor": Role.AUDITOR}.get(who, Role.USER)
    user = User.objects.create_user(who.replace(" ", "-"), "correct horse battery", role=role)
    if who in TeamRole.values:
        Membership.objects.create(team=red, person=user, role=who)
    if who == "other team":
        Membership.objects.create(team=blue, person=user, role=TeamRole.OWNER)
    return User.objects.get(pk=user.pk)


def give_volume(volume: ObservedVolume, team: Team, *, by: User) -> None:
    """Let a team own a volume."""
    give(
        actor=by,
        kind=OwnedKind.VOLUME,
        host=volume.host,
        object_id=volume.name,
        object_name=volume.name,
        team=team,
        topics=("volumes",),
    )


def give_network(network: ObservedNetwork, team: Team, *, by: User) -> None:
    """Let a team own a network."""
    give(
        actor=by,
        kind=OwnedKind.NETWORK,
        host=network.host,
        object_id=network.network_id,
        object_name=network.name,
        team=team,
        topics=("networks",),
    )


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, run_operations: Callable[[], None]) -> None:
    """A worker that does at once what a view waits for."""

    def run_and_read(operation: Operation) -> Operation:
        run_operations()
        operation.refresh_from_db()
        return operation

    monkeypatch.setattr(volume_views, "wait_for", run_and_read)
    monkeypatch.setattr(network_views, "wait_for", run_and_read)


def url_of(resource: ObservedVolume | ObservedNetwork, part: str = "") -> str:
    """Return the address of a volume's or a network's page, or of a part of it."""
    if isinstance(resource, ObservedVolume):
        return f"/volumes/{resource.host_id}/{resource.name}/{part}"
    return f"/networks/{resource.host_id}/{resource.network_id}/{part}"


CHANGES = frozenset({"create_volume", "remove_volume", "create_network", "remove_network"})


def changes(engine: FakeEngine) -> list[str]:
    """Return what the engine was asked to change."""
    return [call for call in engine.calls if call in CHANGES]
