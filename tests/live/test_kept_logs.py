"""A log that outlives its container, on real engines: crash, remove, replace, read as one, the hub killed between."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
from django.test import Client

from console import gateway
from console.accounts.models import Membership, Team, TeamRole, User
from console.containers.services import assign_container
from console.gateway import Channel, ContainerEngine, ContainerSpec
from console.hosts.models import DriverChoice, Host, HostState
from console.inventory.models import ObservedContainer
from console.inventory.services import observe_container
from console.logs import services
from console.logs.files import files_of
from console.logs.models import KeptLog, KeptState
from console.policies.rules import Rules
from console.policies.services import save_policy
from tests.engines import busybox_image_tar, private_dockerd, private_podman, short_directory
from tests.live.crash import start_hub

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.xdist_group("kept-logs")]
IMAGE = "live-box:latest"
COUNT = "printf 'no end'; i=0; while true; do i=$((i+1)); echo line $i; echo err $i >&2; usleep 2000; done"


@pytest.fixture(params=["docker", "podman"])
def harbour(request: pytest.FixtureRequest, db: None) -> Iterator[Host]:
    """A host with a real engine."""
    private = private_dockerd if request.param == "docker" else private_podman
    with short_directory() as directory, private(directory) as engine:
        engine.import_image(busybox_image_tar(), reference=IMAGE)
        host = Host.objects.create(
            name="harbour",
            url=f"unix://{engine.socket}",
            driver=DriverChoice(request.param),
            state=HostState.REACHABLE,
        )
        yield host
        gateway.submit(lambda: gateway.close_engine(host.endpoint)).result()


Hub = Callable[[], None]


@pytest.fixture
def kill_hub(tmp_path: Path) -> Iterator[Hub]:
    """A stream hub; called, it is killed and another comes."""
    running: list[subprocess.Popen[bytes]] = [start_hub(tmp_path / "hub.log")]

    def kill() -> None:
        running[-1].kill()
        running[-1].wait()
        running.append(start_hub(tmp_path / "hub.log"))

    yield kill
    running[-1].kill()
    running[-1].wait()


def keep_until(condition: Callable[[], object], *, what: str) -> None:
    """Send the list as the scheduler does, until what it brings is there."""
    limit = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < limit, f"{what}: {list(KeptLog.objects.values())}"
        services.keep_logs()
        time.sleep(0.1)


def run(host: Host, team: Team, *, actor: User, script: str) -> str:
    """Start a container of the team's called web-1, behind the console's back."""

    async def make(engine: ContainerEngine) -> str:
        spec = ContainerSpec(name="web-1", image=IMAGE, command=("sh", "-c", script))
        container_id = await engine.create_container(spec)
        await engine.start_container(container_id)
        return container_id

    container_id = gateway.call(host.endpoint, make)
    observe_container(host, container_id)
    container = ObservedContainer.objects.select_related("host").get(container_id=container_id)
    assign_container(actor=actor, container=container, team=team)
    return container_id


def kill(host: Host, container_id: str) -> None:
    """Have the container crash."""
    gateway.call(host.endpoint, lambda engine: engine.kill_container(container_id))
    observe_container(host, container_id)


def told(host: Host, container_id: str, channel: Channel) -> bytes:
    """What the engine itself has of one channel."""

    async def read(engine: ContainerEngine) -> bytes:
        chunks = engine.logs(container_id, tty=False)
        return b"".join([chunk.data async for chunk in chunks if chunk.channel == channel])

    return gateway.call(host.endpoint, read)


def kept(log: KeptLog, channel: Channel) -> bytes:
    lines = files_of(host_id=log.host_id, container_id=log.container_id).read()
    return b"".join(line.text for _position, line in lines if line.channel == channel)


def test_a_container_that_crashed_was_removed_and_replaced_is_read_as_one(
    harbour: Host, kill_hub: Hub, alice: User, bob: User, client_of: Callable[[User], Client]
) -> None:
    team = Team.objects.create(name="red")
    Membership.objects.create(person=bob, team=team, role=TeamRole.VIEWER)
    save_policy(actor=alice, team=team, rules=Rules(log_days=7), note="", based_on=0)
    first = run(harbour, team, actor=alice, script=COUNT)

    # The hub is killed while it writes, again and again.
    for number in range(2):
        size = KeptLog.objects.values_list("bytes", flat=True).first() or 0
        keep_until(
            lambda size=size: KeptLog.objects.filter(bytes__gt=size + 500).exists(),  # type: ignore[misc]
            what=f"it goes on after {number} kills",
        )
        kill_hub()

    # It crashes, and is started again in the middle of a line.
    kill(harbour, first)
    keep_until(lambda: KeptLog.objects.filter(exit_code=137, ended_at__isnull=False).exists(), what="its end")
    gateway.call(harbour.endpoint, lambda engine: engine.start_container(first))
    observe_container(harbour, first)
    keep_until(lambda: KeptLog.objects.filter(exit_code=None).exists(), what="its next life")
    kill(harbour, first)
    keep_until(lambda: KeptLog.objects.filter(exit_code=137, ended_at__isnull=False).exists(), what="its last end")

    # Everything, once.
    log = KeptLog.objects.get()
    for channel in (Channel.STDOUT, Channel.STDERR):
        assert kept(log, channel) == told(harbour, first, channel)

    # It is removed and replaced, by others than us.
    gateway.call(harbour.endpoint, lambda engine: engine.remove_container(first))
    observe_container(harbour, first)
    run(harbour, team, actor=alice, script="echo new life; exit 0")
    keep_until(lambda: KeptLog.objects.filter(state=KeptState.GONE).exists(), what="it is gone")
    keep_until(lambda: KeptLog.objects.filter(exit_code=0, bytes=9).exists(), what="the new one's end")

    browser = client_of(bob)
    gone = browser.get(f"/containers/{harbour.pk}/{first}/").content.decode()
    assert f'href="/logs/{log.pk}/"' in gone
    page = unescape(browser.get(f"/logs/{log.pk}/").content.decode())
    assert "It was killed by SIGKILL" in page
    last = kept(log, Channel.STDERR).splitlines()[-1].decode()
    assert f">{last}</span>" in page
    assert "new life" not in page
    page = unescape(browser.get(f"/logs/{log.pk}/?edge=last").content.decode())
    assert re.search(rf">{last}</span>.*Container replaced.*exit code 137.*>new life</span>", page, re.DOTALL)
