"""A worker dies at each named step of a change to an image: the operation ends, once, and nothing is left behind."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from console import gateway
from console.accounts.models import Role, User
from console.audit.models import AuditEvent
from console.containers.image_services import pull_image, remove_image, tag_image
from console.gateway import Image
from console.hosts.models import Host
from console.inventory.models import ObservedImage
from console.inventory.services import observe_images
from console.operations.models import Operation, OperationState
from tests.engines import Registry, private_dockerd, private_registry, short_directory, throttled
from tests.live.crash import Redis, hand_over, private_redis, run_worker, wait_until, wait_until_ended

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("image-crashes")]


def _layer(name: str, *, size: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return buffer.getvalue()


@dataclass(frozen=True)
class Site:
    """An engine, a registry with one image, and the same registry behind a slow line."""

    url: str
    reference: str
    slow_reference: str


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with (
        short_directory() as directory,
        private_dockerd(directory) as engine,
        private_registry(directory) as registry,
        throttled(registry, bytes_per_second=400_000) as slow,
    ):
        layers = [_layer("one", size=600_000), _layer("two", size=900_000)]
        reference = registry.push("team/app", tag="1", layers=layers)
        slow_reference = Registry(slow.name).name + "/team/app:1"
        yield Site(url=engine.endpoint.url, reference=reference, slow_reference=slow_reference)


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with private_redis() as running:
        yield running


@pytest.fixture
def admin(transactional_db: None) -> User:
    return User.objects.create_user("alice", "correct horse battery", role=Role.ADMIN)


@pytest.fixture
def harbour(site: Site, transactional_db: None) -> Host:
    return Host.objects.create(name="harbour", url=site.url)


def _images(host: Host) -> list[Image]:
    return gateway.call(host.endpoint, lambda engine: engine.list_images())


@pytest.fixture(autouse=True)
def _no_images(harbour: Host) -> None:
    for image in _images(harbour):
        image_id = image.image_id
        gateway.call(harbour.endpoint, lambda engine: engine.remove_image(image_id, force=True))  # noqa: B023


def _crash(operation: Operation, redis: Redis, *, fault: str) -> Operation:
    """Let a worker die at ``fault`` and another one take over."""
    hand_over()
    with run_worker(redis, faults=[fault]) as first:
        first.wait_for_death()
    operation.refresh_from_db()
    assert operation.state == OperationState.RUNNING, "the row must still stand as the dead worker left it"
    hand_over()
    with run_worker(redis) as second:
        ended = wait_until_ended(operation.pk, worker=second)
    outcomes = AuditEvent.objects.filter(operation_id=operation.pk).order_by("sequence")
    assert [event.outcome for event in outcomes] == ["accepted", "succeeded"]
    return ended


@pytest.mark.parametrize("fault", ["image.pull.started", "image.pull.progress", "image.pull.pulled"])
def test_a_pull_whose_worker_dies_is_done_by_the_next(
    admin: User, harbour: Host, site: Site, redis: Redis, fault: str
) -> None:
    reference = site.slow_reference if fault.endswith("progress") else site.reference
    operation = pull_image(actor=admin, host=harbour, reference=reference)

    ended = _crash(operation, redis, fault=fault)

    assert ended.state == OperationState.SUCCEEDED, ended.error
    assert ended.attempts == 2
    assert [image.tags for image in _images(harbour)] == [(reference,)]
    assert ObservedImage.objects.get().tags == [reference]


def test_a_removal_whose_worker_dies_is_done_by_the_next(admin: User, harbour: Host, site: Site, redis: Redis) -> None:
    image = _pulled(harbour, site)
    operation = remove_image(actor=admin, image=image)

    ended = _crash(operation, redis, fault="image.remove.removed")

    assert ended.state == OperationState.SUCCEEDED, ended.error
    assert _images(harbour) == []
    assert not ObservedImage.objects.exists()


def test_a_new_name_whose_worker_dies_is_given_once(admin: User, harbour: Host, site: Site, redis: Redis) -> None:
    image = _pulled(harbour, site)
    operation = tag_image(actor=admin, image=image, repository="team/other", tag="2")

    ended = _crash(operation, redis, fault="image.tag.tagged")

    assert ended.state == OperationState.SUCCEEDED, ended.error
    assert sorted(_images(harbour)[0].tags) == sorted((site.reference, "team/other:2"))


def _pulled(host: Host, site: Site) -> ObservedImage:
    async def pull(engine: gateway.ContainerEngine) -> None:
        async for _step in engine.pull_image(site.reference):
            pass

    gateway.call(host.endpoint, pull)
    observe_images(host)
    return ObservedImage.objects.get()


def test_a_pull_that_kills_every_worker_fails_after_three(admin: User, harbour: Host, site: Site, redis: Redis) -> None:
    operation = pull_image(actor=admin, host=harbour, reference=site.reference)
    for _attempt in range(3):
        hand_over()
        with run_worker(redis, faults=["image.pull.started"]) as worker:
            worker.wait_for_death()
    hand_over()
    with run_worker(redis) as last:
        ended = wait_until_ended(operation.pk, worker=last)

    assert ended.state == OperationState.FAILED
    assert ended.error_code == "crashed"
    assert ended.attempts == 3
    assert ended.next_step
    last_row = AuditEvent.objects.filter(operation_id=operation.pk).latest("sequence")
    assert (last_row.outcome, last_row.actor_name) == ("failed", "system:sweep")


def test_a_pull_is_cancelled_half_way(admin: User, harbour: Host, site: Site, redis: Redis) -> None:
    from console.operations.services import cancel_operation

    operation = pull_image(actor=admin, host=harbour, reference=site.slow_reference)
    hand_over()
    with run_worker(redis) as worker:

        def has_bytes() -> bool:
            operation.refresh_from_db()
            return bool(operation.progress.get("current"))

        wait_until(has_bytes, what="bytes have arrived", timeout=30)
        assert operation.progress["unit"] == "bytes"
        assert operation.progress["current"] < operation.progress["total"]
        cancel_operation(actor=admin, operation=operation)
        ended = wait_until_ended(operation.pk, worker=worker, timeout=10)

    assert ended.state == OperationState.CANCELLED
    assert ended.ended_at is not None
    assert ended.cancel_requested_at is not None
    assert (ended.ended_at - ended.cancel_requested_at).total_seconds() < 2
    assert _images(harbour) == []
