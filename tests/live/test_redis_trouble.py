"""Redis stops, freezes and forgets: what was accepted runs when it is back, and nobody waits for it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis as redis_client
from celery import Celery
from django.test import Client

from console.accounts.models import Role, User
from console.celery import app
from console.hosts.models import Host
from console.lib import health
from console.operations import dispatch
from console.operations.models import Operation, OperationState
from console.operations.services import enqueue
from tests.live.crash import Redis, Worker, private_redis, run_scheduler, run_worker, wait_until, wait_until_ended

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("crash")]

#: Seconds from the return of Redis to the end of what was accepted meanwhile.
_LIMIT = 15
#: Seconds that an answer may take on a busy machine; less than anything that waits for Redis takes (its clients' five).
_PATIENCE = 4
_PATHS = ("/activity/", "/operations/running/", "/images/", "/healthz")


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A Redis of our own, to which this process sends its wake-ups too."""
    with private_redis() as running:
        url = running.url.replace("unix://", "redis+socket://")
        sender = Celery("suite", broker=url, set_as_current=False)
        sender.conf.update(
            task_default_queue=app.conf.task_default_queue,
            broker_transport_options=app.conf.broker_transport_options,
        )
        monkeypatch.setattr(dispatch, "app", sender)
        client = redis_client.Redis.from_url(running.url, socket_connect_timeout=0.5, socket_timeout=0.5)
        monkeypatch.setattr(health, "_redis", lambda: client)
        monkeypatch.setattr(health, "_KEPT_FOR", 0.0)
        yield running


@pytest.fixture
def processes(redis: Redis, transactional_db: None) -> Iterator[tuple[Worker, Worker]]:
    """A worker and a scheduler, both at work."""
    with run_worker(redis) as worker, run_scheduler(redis) as scheduler:
        wait_until(lambda: _health()["worker"] == "alive", what="the worker is up", timeout=30)
        wait_until(lambda: _health()["scheduler"] == "alive", what="the scheduler is up", timeout=30)
        yield worker, scheduler


@pytest.fixture
def admin(transactional_db: None) -> User:
    return User.objects.create_user("alice", "correct horse battery", role=Role.ADMIN)


@pytest.fixture
def host(transactional_db: None) -> Host:
    """A host where nobody is: an operation on it ends at once, with a reason."""
    return Host.objects.create(name="nowhere", url="unix:///nowhere/engine.sock")


def _health() -> dict[str, str]:
    parts: dict[str, str] = Client().get("/healthz").json()["parts"]
    return parts


def _ask(admin: User, host: Host) -> Operation:
    begun = time.monotonic()
    operation = enqueue(
        actor=admin, kind="image.pull", host=host, object_id="demo:1", arguments={"reference": "demo:1"}
    )
    assert time.monotonic() - begun < _PATIENCE, "asking must not wait for Redis"
    return operation


@pytest.fixture
def client(admin: User) -> Client:
    """A browser whose pages this process has rendered once before: what follows measures Redis, not templates."""
    signed_in = Client()
    signed_in.force_login(admin)
    for path in _PATHS:
        signed_in.get(path)
    return signed_in


def _assert_pages_answer(client: Client) -> None:
    for path in _PATHS:
        begun = time.monotonic()
        assert client.get(path).status_code in (200, 503)
        assert time.monotonic() - begun < _PATIENCE, path


def _assert_ran(operation: Operation, worker: Worker) -> None:
    ended = wait_until_ended(operation.pk, timeout=_LIMIT, worker=worker)
    assert (ended.state, ended.error_code, ended.attempts) == (OperationState.FAILED, "unreachable", 1)


def test_with_redis_there_a_change_runs_at_once(processes: tuple[Worker, Worker], admin: User, host: Host) -> None:
    operation = _ask(admin, host)
    wait_until_ended(operation.pk, timeout=3, worker=processes[0])


def test_redis_goes_and_comes_back_without_memory(
    processes: tuple[Worker, Worker], redis: Redis, admin: User, host: Host, client: Client
) -> None:
    worker, scheduler = processes
    redis.stop()
    operation = _ask(admin, host)
    _assert_pages_answer(client)
    parts = _health()
    assert parts["redis"] == "dead"
    assert parts["database"] == parts["web"] == "alive"
    time.sleep(4)
    operation.refresh_from_db()
    assert operation.state == OperationState.QUEUED

    redis.start()
    _assert_ran(operation, worker)
    assert worker.is_alive
    assert scheduler.is_alive
    _assert_ran(_ask(admin, host), worker)


def test_redis_freezes_and_thaws(
    processes: tuple[Worker, Worker], redis: Redis, admin: User, host: Host, client: Client
) -> None:
    worker, scheduler = processes
    with redis.frozen():
        operation = _ask(admin, host)
        _assert_pages_answer(client)
        assert _health()["redis"] == "dead"
        time.sleep(6)
    _assert_ran(operation, worker)
    assert worker.is_alive
    assert scheduler.is_alive
    _assert_ran(_ask(admin, host), worker)
