"""A quota of disk holds on a real engine that stores containers on btrfs: the kernel refuses what goes beyond."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict

import pytest
from django.test import Client

from console import gateway
from console.accounts.models import Membership, Team, TeamRole, User
from console.gateway import ExecSpec
from console.hosts.models import Host, HostState
from console.inventory.services import observe_images
from console.lib.amounts import MIB
from console.operations.models import Operation
from console.policies.models import Reservation
from console.rbac.models import HostGrant
from tests.console.policies.teams import policy
from tests.engines import (
    EngineTrouble,
    PrivateEngine,
    busybox_image_tar,
    private_btrfs,
    private_dockerd,
    short_directory,
)

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.xdist_group("disk-quota")]
IMAGE = "live-box:latest"


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    """A real engine on btrfs."""
    with short_directory() as directory, ExitStack() as stack:
        try:
            stack.enter_context(private_btrfs(directory))
        except EngineTrouble as trouble:
            pytest.skip(str(trouble))
        found = stack.enter_context(private_dockerd(directory, arguments=["--storage-driver=btrfs"]))
        found.import_image(busybox_image_tar(), reference=IMAGE)
        yield found
        gateway.submit(lambda: gateway.close_engine(found.endpoint)).result()


@pytest.fixture
def harbour(engine: PrivateEngine, db: None) -> Host:
    """The host as the inventory knows it: what its engine tells of itself, and that it has the image."""
    info = gateway.call(Host(url=engine.endpoint.url).endpoint, lambda opened: opened.info())
    host = Host.objects.create(name="harbour", url=engine.endpoint.url, state=HostState.REACHABLE, info=asdict(info))
    observe_images(host)
    return host


@pytest.fixture
def red(harbour: Host, bob: User) -> Team:
    """The team red with 40 MB of the host's disk, which bob is in."""
    team = Team.objects.create(name="Red")
    HostGrant.objects.create(team=team, host=harbour, containers=5, disk_bytes=40 * MIB)
    Membership.objects.create(team=team, person=bob, role=TeamRole.MEMBER)
    policy(team, images=["*live-box:*"], disk_bytes=30 * MIB)
    return team


def test_what_goes_beyond_the_limit_cannot_be_written(
    harbour: Host, red: Team, bob: User, client_of: Callable[[User], Client], run_operations: Callable[[], None]
) -> None:
    assert (harbour.storage, harbour.limits_disk) == ("btrfs", True)
    form = {
        "team": str(red.pk),
        "host": str(harbour.pk),
        "name": "writer",
        "image": IMAGE,
        "pull": "never",
        "command": "sleep 1000",
        "restart_policy": "no",
        "health": "image",
        "init": "on",
        "submit": "start",
    }
    browser = client_of(bob)
    assert browser.post("/containers/create/", {**form, "disk": "20 MB"}).status_code == 302
    run_operations()
    operation = Operation.objects.get()
    assert operation.state == "succeeded", f"{operation.error}\n{operation.output}"
    assert Reservation.objects.get().disk_bytes == 20 * MIB

    write = ExecSpec(command=("dd", "if=/dev/zero", "of=/big", "bs=1M", "count=40"), tty=False)
    beyond = gateway.call(harbour.endpoint, lambda engine: engine.run_exec(operation.object_id, write))
    assert beyond.exit_code == 1
    assert b"Disk quota exceeded" in beyond.stderr
    detail = gateway.call(harbour.endpoint, lambda engine: engine.inspect_container(operation.object_id))
    assert detail.disk_bytes == 20 * MIB

    refused = browser.post("/containers/create/", {**form, "name": "second"})
    assert refused.status_code == 403
    assert "has 40 MB here, 20 MB are taken, and this asks for 30 MB" in refused.content.decode()
    assert browser.post("/containers/create/", {**form, "name": "second", "disk": "20 MB"}).status_code == 302
