"""Redis stops, freezes and forgets: what was accepted runs when it is back, and nobody waits for it meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_client
from asgiref.sync import sync_to_async
from celery import Celery
from channels.testing import WebsocketCommunicator
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.test import Client

from console.accounts.models import Role, User
from console.asgi import application
from console.celery import app
from console.hosts.models import Host
from console.lib import health, live, rechecks
from console.operations import consumers, dispatch
from console.operations.models import Operation, OperationState
from console.operations.services import enqueue
from tests.live.crash import Redis, Worker, private_redis, run_scheduler, run_worker, wait_until, wait_until_ended

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("redis-trouble")]

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


@pytest.fixture
def layer(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> RedisPubSubChannelLayer:
    """The layer of the console's own settings, on that Redis."""
    made = RedisPubSubChannelLayer(hosts=[{"address": redis.url, "socket_connect_timeout": 1}], prefix="pilothouse")
    monkeypatch.setattr(live, "get_channel_layer", lambda: made)
    # The process's own ear, which stays, is not what is looked at.
    monkeypatch.setattr(rechecks, "_listen", lambda _streams: asyncio.Event().wait())
    return made


async def _open_and_close_live_socket(user: User) -> dict[str, Any]:
    """Open the socket of an open page, and return the first thing that it was told once it has gone."""
    client = Client()
    await sync_to_async(client.force_login)(user)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    headers = [(b"origin", b"http://testserver"), (b"cookie", cookie.encode())]
    socket = WebsocketCommunicator(application, "/ws/live/", headers=headers)
    await socket.connect()
    first: dict[str, Any] = await socket.receive_json_from(timeout=_LIMIT)
    await socket.disconnect(timeout=_LIMIT)
    return first


def _channels(redis: Redis) -> list[bytes]:
    """What anybody is subscribed to."""
    with redis_client.Redis.from_url(redis.url) as client:
        channels: list[bytes] = client.pubsub_channels()
        return channels


async def test_while_redis_is_away_a_live_socket_is_refused_and_leaves_nothing(
    redis: Redis, layer: RedisPubSubChannelLayer, admin: User
) -> None:
    redis.stop()
    assert (await _open_and_close_live_socket(admin))["code"] == "signals"
    assert (layer.channels, layer.groups) == ({}, {})


async def test_a_live_socket_that_cannot_join_leaves_nothing(
    redis: Redis, layer: RedisPubSubChannelLayer, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_group: str, _channel: str) -> None:
        raise redis_client.ConnectionError

    monkeypatch.setattr(layer, "group_add", fail, raising=False)
    assert (await _open_and_close_live_socket(admin))["code"] == "signals"
    assert (layer.channels, layer.groups) == ({}, {})
    assert await asyncio.to_thread(_channels, redis) == []


async def test_a_live_socket_that_ends_while_it_is_not_waiting_for_signals_leaves_nothing(
    redis: Redis, layer: RedisPubSubChannelLayer, admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work_for_ever(_consumer: consumers.LiveConsumer) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(consumers.LiveConsumer, "pump", work_for_ever)
    assert (await _open_and_close_live_socket(admin))["type"] == "listening"
    assert (layer.channels, layer.groups) == ({}, {})
    assert await asyncio.to_thread(_channels, redis) == []


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
    for process, words in ((worker, "Cannot connect"), (scheduler, "Trying again")):
        wait_until(lambda: process.said(words) >= 2, what=f"it says “{words}” twice", timeout=30)  # noqa: B023 (called here)
    operation.refresh_from_db()
    assert operation.state == OperationState.QUEUED

    redis.start()
    _assert_ran(operation, worker)
    assert worker.is_alive
    assert scheduler.is_alive
    _assert_ran(_ask(admin, host), worker)


def test_redis_freezes_and_thaws(
    processes: tuple[Worker, Worker],
    redis: Redis,
    admin: User,
    host: Host,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker, scheduler = processes
    given_up = threading.Event()
    monkeypatch.setattr(dispatch, "warn_rarely", lambda _event, **_facts: given_up.set())
    with redis.frozen():
        operation = _ask(admin, host)
        _assert_pages_answer(client)
        assert _health()["redis"] == "dead"
        assert given_up.wait(30), "it is frozen for longer than its clients wait for an answer"
    _assert_ran(operation, worker)
    assert worker.is_alive
    assert scheduler.is_alive
    _assert_ran(_ask(admin, host), worker)
