"""A worker dies at each named step of a create and a remove: exactly one container, or none; nothing is orphaned."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from console import gateway
from console.accounts.models import Role, User
from console.audit.models import AuditEvent
from console.containers.services import create_container, remove_container, stop_container
from console.containers.specs import OPERATION_LABEL
from console.gateway import Container, ContainerEngine, ContainerSpec, ContainerState
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.inventory.services import observe_container
from console.operations.models import Operation, OperationState
from console.operations.services import cancel_operation
from tests.engines import PrivateEngine, busybox_image_tar, private_dockerd, short_directory
from tests.live.crash import Redis, hand_over, private_redis, run_scheduler, run_worker, wait_until, wait_until_ended

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("container-crashes")]
IMAGE = "crash-box:latest"


@pytest.fixture(scope="module")
def site() -> Iterator[PrivateEngine]:
    with short_directory() as directory, private_dockerd(directory) as engine:

        async def load(opened: ContainerEngine) -> None:
            async def tar() -> object:
                yield busybox_image_tar()

            await opened.import_image(tar(), reference=IMAGE)  # type: ignore[arg-type]

        gateway.call(engine.endpoint, load)
        yield engine
        gateway.submit(lambda: gateway.close_engine(engine.endpoint)).result()


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with private_redis() as running:
        yield running


@pytest.fixture
def admin(transactional_db: None) -> User:
    return User.objects.create_user("alice", "correct horse battery", role=Role.ADMIN)


@pytest.fixture
def harbour(site: PrivateEngine, transactional_db: None) -> Iterator[Host]:
    host = Host.objects.create(name="harbour", url=site.endpoint.url)
    yield host

    async def clear(engine: ContainerEngine) -> None:
        for container in await engine.list_containers():
            await engine.remove_container(container.container_id, force=True, volumes=True)

    gateway.call(host.endpoint, clear)


def _containers(host: Host) -> list[Container]:
    return gateway.call(host.endpoint, lambda engine: engine.list_containers())


def _spec(*, name: str = "web-1", command: tuple[str, ...] = ("sleep", "1000")) -> ContainerSpec:
    return ContainerSpec(name=name, image=IMAGE, command=command)


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
    assert ended.attempts == 2
    return ended


@pytest.mark.parametrize("fault", [f"container.create.{step}" for step in ("before", "created", "started")])
def test_a_create_whose_worker_dies_makes_exactly_one(admin: User, harbour: Host, redis: Redis, fault: str) -> None:
    operation = create_container(actor=admin, host=harbour, spec=_spec(), pull="never", start=True)

    ended = _crash(operation, redis, fault=fault)

    assert ended.state == OperationState.SUCCEEDED, ended.error
    (container,) = _containers(harbour)
    assert (container.name, container.state) == ("web-1", ContainerState.RUNNING)
    assert container.labels[OPERATION_LABEL] == str(operation.pk)
    assert ended.object_id == container.container_id
    assert ObservedContainer.objects.get().container_id == container.container_id


@pytest.mark.parametrize("fault", ["container.remove.before", "container.remove.removed"])
def test_a_removal_whose_worker_dies_is_done_by_the_next(admin: User, harbour: Host, redis: Redis, fault: str) -> None:
    container_id = gateway.call(harbour.endpoint, lambda engine: engine.create_container(_spec()))
    gateway.call(harbour.endpoint, lambda engine: engine.start_container(container_id))
    observe_container(harbour, container_id)
    container = ObservedContainer.objects.select_related("host").get()
    operation = remove_container(actor=admin, container=container, force=True, volumes=True)

    ended = _crash(operation, redis, fault=fault)

    assert ended.state == OperationState.SUCCEEDED, ended.error
    assert _containers(harbour) == []
    assert not ObservedContainer.objects.exists()


def test_a_cancelled_create_leaves_what_runs_and_says_so(admin: User, harbour: Host, redis: Redis) -> None:
    """Once it runs it is somebody's; cancelling only stops the waiting for its health."""
    spec = ContainerSpec(
        name="web-1",
        image=IMAGE,
        command=("sleep", "1000"),
        healthcheck=gateway.Healthcheck(test="false", interval=60, timeout=1, retries=3, start_period=600),
    )
    operation = create_container(actor=admin, host=harbour, spec=spec, pull="never", start=True)
    hand_over()
    with run_worker(redis) as worker:

        def is_waiting() -> bool:
            operation.refresh_from_db()
            return operation.phase == "healthy"

        wait_until(is_waiting, what="it waits for health", timeout=30)
        cancel_operation(actor=admin, operation=operation)
        ended = wait_until_ended(operation.pk, worker=worker, timeout=10)

    assert ended.state == OperationState.CANCELLED
    assert "kept" in ended.error
    assert [container.state for container in _containers(harbour)] == [ContainerState.RUNNING]


def test_a_container_can_be_stopped_while_its_create_waits_for_health(admin: User, harbour: Host, redis: Redis) -> None:
    spec = ContainerSpec(
        name="web-1",
        image=IMAGE,
        command=("sleep", "1000"),
        stop_timeout=0,
        healthcheck=gateway.Healthcheck(test="false", interval=60, timeout=1, retries=3, start_period=600),
    )
    creating = create_container(actor=admin, host=harbour, spec=spec, pull="never", start=True)
    hand_over()
    with run_worker(redis) as worker, run_scheduler(redis):

        def is_waiting() -> bool:
            creating.refresh_from_db()
            return creating.watches

        wait_until(is_waiting, what="it waits for health", timeout=30)
        observe_container(harbour, creating.object_id)
        container = ObservedContainer.objects.select_related("host").get()
        stopping = stop_container(actor=admin, container=container)
        Operation.objects.filter(pk=stopping.pk).update(dispatched_at=None)
        assert wait_until_ended(stopping.pk, worker=worker).state == OperationState.SUCCEEDED
        ended = wait_until_ended(creating.pk, worker=worker, timeout=10)

    assert (ended.state, ended.error_code) == (OperationState.CANCELLED, "overtaken"), ended.error
    assert [container.state for container in _containers(harbour)] == [ContainerState.EXITED]


def test_the_signature_on_the_label_is_ours(admin: User, harbour: Host, redis: Redis) -> None:
    operation = create_container(actor=admin, host=harbour, spec=_spec(), pull="never", start=False)
    forged = ContainerSpec(
        name="web-1", image=IMAGE, command=("sleep", "1"), labels=((OPERATION_LABEL, str(operation.pk)),)
    )
    theirs = gateway.call(harbour.endpoint, lambda engine: engine.create_container(forged))
    hand_over()
    with run_worker(redis) as worker:
        ended = wait_until_ended(operation.pk, worker=worker)

    assert (ended.state, ended.error_code) == (OperationState.FAILED, "name_taken")
    assert [container.container_id for container in _containers(harbour)] == [theirs]
    assert "web-1" in ended.error
    assert json.dumps(ended.result) == "{}"
