"""Volumes and networks of teams on a real engine: what a member does, what an admin gives, and what reaches it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from console import gateway
from console.accounts.models import Membership, Team, TeamRole, User
from console.containers import network_views, volume_views
from console.containers.network_services import remove_network
from console.containers.services import create_container
from console.gateway import ContainerEngine, ContainerSpec, VolumeMount
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedNetwork, ObservedVolume
from console.inventory.services import apply_volumes, observe_networks, observe_volumes
from console.operations.models import Operation, OperationState
from console.operations.worker import run
from console.rbac.models import HostGrant, OwnedKind, Ownership, owner_of
from runtime.testing import EngineTap
from tests.engines import UnixConnection, busybox_image_tar, private_dockerd, short_directory

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.xdist_group("container-actions")]
IMAGE = "live-box:latest"


@pytest.fixture(scope="module")
def tap() -> Iterator[EngineTap]:
    """A real engine, and the tap in front of it that records what reaches it."""
    with short_directory() as directory, private_dockerd(directory) as engine:

        async def load(opened: ContainerEngine) -> None:
            async def tar() -> object:
                yield busybox_image_tar()

            await opened.import_image(tar(), reference=IMAGE)  # type: ignore[arg-type]

        gateway.call(engine.endpoint, load)
        with EngineTap(engine.socket, listen=directory / "tap.sock") as found:
            yield found
            gateway.submit(lambda: gateway.close_engine(found.endpoint)).result()
        gateway.submit(lambda: gateway.close_engine(engine.endpoint)).result()


@pytest.fixture
def harbour(tap: EngineTap, db: None) -> Iterator[Host]:
    host = Host.objects.create(name="harbour", url=tap.endpoint.url, state=HostState.REACHABLE)
    tap.clear()
    yield host

    async def clear(engine: ContainerEngine) -> None:
        for container in await engine.list_containers():
            await engine.remove_container(container.container_id, force=True, volumes=True)
        for volume in await engine.list_volumes():
            await engine.remove_volume(volume.name)
        for network in await engine.list_networks():
            if network.name not in ("bridge", "host", "none"):
                await engine.remove_network(network.network_id)

    gateway.call(host.endpoint, clear)


@pytest.fixture
def red(harbour: Host) -> Team:
    team = Team.objects.create(name="red")
    HostGrant.objects.create(team=team, host=harbour)
    return team


@pytest.fixture
def browser_of(
    client_of: Callable[[User], Client], run_operations: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Callable[[User], Client]:
    """Somebody's browser, with a worker that does at once what a view waits for."""

    def run_and_read(operation: Operation) -> Operation:
        run_operations()
        operation.refresh_from_db()
        return operation

    monkeypatch.setattr(volume_views, "wait_for", run_and_read)
    monkeypatch.setattr(network_views, "wait_for", run_and_read)
    return client_of


@pytest.fixture
def admin(alice: User, browser_of: Callable[[User], Client]) -> Client:
    return browser_of(alice)


@pytest.fixture
def member(bob: User, red: Team, browser_of: Callable[[User], Client]) -> Client:
    Membership.objects.create(team=red, person=bob, role=TeamRole.MEMBER)
    return browser_of(bob)


def by_hand(tap: EngineTap, path: str, body: dict[str, Any]) -> None:
    """Have the engine make something as its own client would."""
    connection = UnixConnection(Path(tap.endpoint.socket_path or ""))
    connection.request("POST", path, body=json.dumps(body), headers={"Content-Type": "application/json"})
    assert connection.getresponse().status == 201
    connection.close()


def rows(browser: Client, path: str) -> list[str]:
    return [row.name for row in browser.get(path).context["page"].rows]


def test_a_member_makes_a_volume_sees_it_and_removes_it(
    harbour: Host, red: Team, member: Client, tap: EngineTap
) -> None:
    answer = member.post("/volumes/create/", {"name": "data", "host": harbour.pk, "team": red.pk})
    assert answer["Location"] == f"/volumes/{harbour.pk}/red-data/"
    [asked] = [request for request in tap.requests if request.path.endswith("/volumes/create")]
    sent = json.loads(asked.body)
    assert set(sent) == {"Name", "Driver", "Labels"}
    assert (sent["Name"], sent["Driver"]) == ("red-data", "local")
    assert rows(member, "/volumes/") == ["red-data"]
    assert member.get(f"/volumes/{harbour.pk}/red-data/").status_code == 200
    assert (
        member.post(f"/volumes/{harbour.pk}/red-data/remove/", {"confirmation": "red-data"})["Location"] == "/volumes/"
    )
    assert gateway.call(harbour.endpoint, lambda engine: engine.list_volumes()) == []
    assert rows(member, "/volumes/") == []
    assert not Ownership.objects.exists()


def test_what_was_made_by_hand_can_be_given_and_a_bind_in_disguise_cannot(
    harbour: Host, red: Team, admin: Client, member: Client, tap: EngineTap
) -> None:
    by_hand(tap, "/volumes/create", {"Name": "plain"})
    bind = {"type": "none", "o": "bind", "device": "/etc"}
    by_hand(tap, "/volumes/create", {"Name": "disguised", "DriverOpts": bind})
    observe_volumes(harbour)
    assert rows(member, "/volumes/") == []
    for name, status in (("plain", 302), ("disguised", 422)):
        answer = admin.post(f"/volumes/{harbour.pk}/{name}/assign/", {"team": str(red.pk)})
        assert answer.status_code == status, name
    assert rows(member, "/volumes/") == ["plain"]
    assert member.get(f"/volumes/{harbour.pk}/disguised/").status_code == 404


def test_a_volume_in_use_stays_until_its_containers_are_gone(
    harbour: Host, red: Team, alice: User, member: Client
) -> None:
    member.post("/volumes/create/", {"name": "data", "host": harbour.pk, "team": red.pk})
    spec = ContainerSpec(
        name="web-1", image=IMAGE, command=("true",), volumes=(VolumeMount(volume="red-data", target="/data"),)
    )
    run(create_container(actor=alice, host=harbour, spec=spec, pull="never", start=False).pk)
    page = member.post(f"/volumes/{harbour.pk}/red-data/remove/", {"confirmation": "red-data"})
    assert page.status_code == 422
    assert "Used by 1 container that you may not see." in page.content.decode()
    [volume] = gateway.call(harbour.endpoint, lambda engine: engine.list_volumes())
    apply_volumes(harbour, volumes=[volume], asked_at=ObservedVolume.objects.get().observed_at)
    assert owner_of(host_id=harbour.pk, kind=OwnedKind.VOLUME, object_id="red-data") == red.pk


def test_an_admin_makes_a_network_gives_it_and_removes_it(
    harbour: Host, red: Team, admin: Client, member: Client, alice: User, tap: EngineTap
) -> None:
    admin.post("/networks/create/", {"name": "blue", "host": harbour.pk, "internal": "on"})
    [asked] = [request for request in tap.requests if request.path.endswith("/networks/create")]
    assert set(json.loads(asked.body)) == {"Name", "Driver", "Internal", "CheckDuplicate", "Labels"}
    network = ObservedNetwork.objects.select_related("host").get(name="blue")
    address = f"/networks/{harbour.pk}/{network.network_id}/"
    assert network.internal
    assert rows(member, "/networks/") == []
    assert admin.post(f"{address}assign/", {"team": str(red.pk)}).status_code == 302
    assert rows(member, "/networks/") == ["blue"]
    spec = ContainerSpec(name="web-1", image=IMAGE, command=("true",), network=network.network_id)
    run(create_container(actor=alice, host=harbour, spec=spec, pull="never", start=False).pk)
    assert "web-1" in admin.get(address).content.decode()
    assert admin.post(f"{address}remove/", {"confirmation": "blue"}).status_code == 422

    async def clear(engine: ContainerEngine) -> None:
        for container in await engine.list_containers():
            await engine.remove_container(container.container_id, force=True)

    gateway.call(harbour.endpoint, clear)
    ended = remove_network(actor=alice, network=network)
    run(ended.pk)
    ended.refresh_from_db()
    assert ended.state == OperationState.SUCCEEDED, ended.error
    observe_networks(harbour)
    assert rows(member, "/networks/") == []
    assert not Ownership.objects.exists()
