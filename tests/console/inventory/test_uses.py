"""What uses a volume or a network, and what becomes of its owner once it is gone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console.accounts.models import Membership, Team, TeamRole, User
from console.gateway import Driver, Mount, Network, Volume
from console.hosts.models import Host
from console.inventory.models import ObservedNetwork, ObservedUse, ObservedVolume
from console.inventory.services import apply_containers, apply_networks, apply_volumes
from console.inventory.watcher import Marks
from console.rbac.models import OwnedKind, Ownership, owner_of
from tests.console.inventory.conftest import container, event_of, full_id


def volume(name: str) -> Volume:
    return Volume(name=name, driver="local", mountpoint=f"/var/{name}", created_at=None, labels={"Tier": "Gold"})


def network(name: str) -> Network:
    return Network(network_id=full_id(name), name=name, driver="bridge", scope="local", internal=True)


def mounted(*names: str) -> tuple[Mount, ...]:
    return tuple(Mount(kind="volume", source=name, target=f"/{number}") for number, name in enumerate(names))


@pytest.fixture
def red(db: None) -> Team:
    return Team.objects.create(name="red")


def used(rows: type[ObservedVolume | ObservedNetwork]) -> list[str]:
    found = rows.objects.all()
    return sorted(found.filter(found.in_use()).values_list("name", flat=True))


def test_what_containers_use_is_known_and_follows_them(host: Host) -> None:
    now = timezone.now()
    apply_volumes(host, volumes=[volume("data"), volume("other")], asked_at=now)
    apply_networks(host, networks=[network("blue"), network("green")], asked_at=now)
    bind = Mount(kind="bind", source="/srv/other", target="/x")
    web = container("web", mounts=(*mounted("data", "data"), bind), networks=("blue",))
    apply_containers(host, containers=[web], asked_at=now)
    assert ObservedUse.objects.count() == 2, "each once"
    assert (used(ObservedVolume), used(ObservedNetwork)) == (["data"], ["blue"])
    moved = container("web", mounts=mounted("other"), networks=(full_id("green"),))
    apply_containers(host, containers=[moved], asked_at=now)
    assert (used(ObservedVolume), used(ObservedNetwork)) == (["other"], ["green"]), "a network is known by its id too"
    apply_containers(host, containers=[], asked_at=now)
    assert (used(ObservedVolume), used(ObservedNetwork)) == ([], [])


def test_a_use_on_another_host_is_none(host: Host) -> None:
    now = timezone.now()
    other = Host.objects.create(name="quay", url="unix:///nowhere/quay.sock")
    apply_volumes(host, volumes=[volume("data")], asked_at=now)
    apply_containers(other, containers=[container("web", mounts=mounted("data"))], asked_at=now)
    assert used(ObservedVolume) == []


def test_podmans_own_network_is_used_under_the_name_that_its_list_has(host: Host) -> None:
    now = timezone.now()
    host.driver = Driver.PODMAN
    apply_networks(host, networks=[network("bridge"), network("podman")], asked_at=now)
    apply_containers(host, containers=[container("web", networks=("podman",))], asked_at=now)
    assert used(ObservedNetwork) == ["bridge"]


def test_pages_are_told_and_find_it(host: Host, told: list[str]) -> None:
    now = timezone.now()
    assert apply_volumes(host, volumes=[volume("Data")], asked_at=now)
    assert apply_networks(host, networks=[network("Blue")], asked_at=now)
    assert told == ["volumes", f"host:{host.pk}", "networks", f"host:{host.pk}"]
    found = ObservedVolume.objects.get()
    assert (found.search_text, found.mountpoint) == ("data local tier=gold", "/var/Data")
    row = ObservedNetwork.objects.get()
    assert (row.scope, row.internal, row.search_text) == ("local", True, f"blue {full_id('Blue')} bridge")
    told.clear()
    assert not apply_volumes(host, volumes=[volume("Data")], asked_at=now)
    assert told == []


@pytest.mark.parametrize("name", ["", "a/b", "../x", "-x", "a" * 256])
def test_a_name_that_no_address_can_hold_is_left_out(host: Host, name: str) -> None:
    assert not apply_volumes(host, volumes=[volume(name)], asked_at=timezone.now())
    odd = Network(network_id=name, name="x", driver="bridge", scope="local", internal=False)
    assert not apply_networks(host, networks=[odd], asked_at=timezone.now())


def own(host: Host, red: Team, kind: OwnedKind, object_id: str) -> None:
    Ownership.objects.create(host=host, team=red, kind=kind, object_id=object_id)


def owner(host: Host, kind: OwnedKind, object_id: str) -> object:
    return owner_of(host_id=host.pk, kind=kind, object_id=object_id)


def test_the_next_volume_of_a_name_is_another_one(host: Host, red: Team) -> None:
    for name in ("data", "back-again", "away"):
        own(host, red, OwnedKind.VOLUME, name)
    later = timezone.now() + timedelta(seconds=1)
    apply_volumes(host, volumes=[volume("back-again")], asked_at=later, destroyed={"data", "back-again"})
    assert owner(host, OwnedKind.VOLUME, "data") is None
    assert owner(host, OwnedKind.VOLUME, "back-again") == red.pk, "its new owner, if the console made it"
    assert owner(host, OwnedKind.VOLUME, "away") == red.pk, "an engine that starts without its disk destroys nothing"


def test_an_answer_from_before_says_nothing_about_an_owner(host: Host, red: Team) -> None:
    before = timezone.now()
    own(host, red, OwnedKind.VOLUME, "data")
    own(host, red, OwnedKind.NETWORK, full_id("blue"))
    apply_volumes(host, volumes=[], asked_at=before, destroyed={"data"})
    apply_networks(host, networks=[], asked_at=before)
    assert Ownership.objects.count() == 2
    apply_networks(host, networks=[network("blue")], asked_at=timezone.now())
    assert Ownership.objects.count() == 2
    apply_networks(host, networks=[], asked_at=timezone.now())
    assert owner(host, OwnedKind.NETWORK, full_id("blue")) is None


def test_watch_remembers_which_volumes_were_destroyed() -> None:
    marks = Marks(everything=False)
    marks.take_event(event_of("volume", "create", "a"))
    marks.take_event(event_of("volume", "destroy", "b"))
    assert marks.volumes
    assert marks.destroyed_volumes == {"b"}
    for number in range(1000):
        marks.take_event(event_of("volume", "destroy", str(number)))
    assert len(marks.destroyed_volumes) <= 500


@pytest.mark.parametrize("kind", [OwnedKind.VOLUME, OwnedKind.NETWORK])
def test_a_team_sees_what_it_owns_and_nothing_else(
    host: Host, red: Team, kind: OwnedKind, alice: User, bob: User, charlie: User
) -> None:
    now = timezone.now()
    apply_volumes(host, volumes=[volume("mine"), volume("other")], asked_at=now)
    apply_networks(host, networks=[network("mine"), network("other")], asked_at=now)
    other = Host.objects.create(name="quay", url="unix:///nowhere/quay.sock")
    apply_volumes(other, volumes=[volume("mine")], asked_at=now)
    apply_networks(other, networks=[network("mine")], asked_at=now)
    own(host, red, kind, "mine" if kind == OwnedKind.VOLUME else full_id("mine"))
    Membership.objects.create(team=red, person=bob, role=TeamRole.VIEWER)
    rows = ObservedVolume.objects if kind == OwnedKind.VOLUME else ObservedNetwork.objects
    assert [(row.host_id, row.name) for row in rows.visible_to(bob)] == [(host.pk, "mine")]
    assert not rows.visible_to(charlie).exists()
    teams = {(row.host_id, row.name): row.team_id for row in rows.visible_to(alice).with_team()}
    assert teams == {(host.pk, "mine"): red.pk, (host.pk, "other"): None, (other.pk, "mine"): None}
