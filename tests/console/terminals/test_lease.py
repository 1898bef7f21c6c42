"""Rights end while a stream is open: the stream ends within five seconds, with the reason, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from redis.exceptions import RedisError

from console.accounts.models import Role, User
from console.gateway import hub_client, hub_messages
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.lib import rechecks
from console.lib.live import GROUP
from console.lib.websocket import StreamConsumer, in_database
from runtime.testing import FakeEngine
from tests.console.terminals.conftest import Connect, Viewer, ended_session, opening, ticket_for

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], str]
Run = Callable[..., Any]


def test_a_revocation_reaches_every_stream_within_five_seconds() -> None:
    assert StreamConsumer.lease_interval < 5
    assert StreamConsumer.lease_patience <= 15


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamConsumer, "lease_interval", 0.05)
    monkeypatch.setattr(StreamConsumer, "lease_patience", 0.4)


@pytest.fixture(params=["terminal", "logs", "stats"])
async def stream(request: pytest.FixtureRequest, alice: User, signed_in: SignIn, connect: Connect, run: Run) -> Viewer:
    """An open stream of each kind, idle."""
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    if request.param == "terminal":
        ticket = await ticket_for(container, actor=alice, session_key=key, command=["cat"])
        viewer: Viewer = await connect("/ws/terminal/", key, first=opening(ticket))
        await viewer.control("opened")
        return viewer
    target = {"type": "open", "host": str(container.host_id), "container": container.container_id}
    if request.param == "logs":
        viewer = await connect("/ws/logs/", key, first={**target, "follow": True})
        await viewer.control("opened")
        return viewer
    viewer = await connect("/ws/stats/", key, first=target)
    await viewer.control("sample")
    return viewer


def _end_session(alice: User) -> None:
    Session.objects.all().delete()


def _deactivate(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


def _demote(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(role=Role.USER)


def _change_password(alice: User) -> None:
    alice.set_password("another horse battery")
    alice.save()


def _remove_person(alice: User) -> None:
    User.objects.filter(pk=alice.pk).delete()


def _remove_host(alice: User) -> None:
    Host.objects.all().delete()


@pytest.mark.parametrize("revoke", [_end_session, _deactivate, _demote, _change_password, _remove_person, _remove_host])
async def test_it_ends_with_the_reason(
    stream: Viewer, revoke: Callable[[User], None], alice: User, engine: FakeEngine
) -> None:
    await asyncio.sleep(0.12)
    await in_database(lambda: revoke(alice))
    code, error = await stream.ending()
    assert code == 4403
    assert error is not None
    assert error["code"] == "revoked"
    assert error["next_step"]
    await asyncio.wait_for(stream.task, 5)
    for container in await in_database(lambda: list(ObservedContainer.objects.all())):
        assert len(engine.processes(container.container_id)) == 1


async def test_it_stays_open_while_nothing_changes(stream: Viewer) -> None:
    await asyncio.sleep(0.4)
    assert not stream.task.done()


async def test_it_stays_open_when_the_inventory_forgets_the_container(stream: Viewer) -> None:
    """The engine is the truth: what ends then ends by itself, with the real reason."""
    await in_database(lambda: ObservedContainer.objects.all().delete())
    await asyncio.sleep(0.3)
    assert not stream.task.done()


@pytest.mark.parametrize("steps", range(6))
async def test_a_look_that_ends_as_the_browser_goes_does_not_go_on_for_ever(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer arrives, and within the same turns of the loop the stream is over."""
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    asked = asyncio.Event()

    async def look(_work: object) -> bool:
        asked.set()
        return await answer

    monkeypatch.setattr("console.lib.websocket.in_database", look)
    scope = {"type": "websocket", "session_key": "", "is_signed_in": lambda: True}
    consumer = StreamConsumer(scope, None, None)  # type: ignore[abstract,arg-type]
    lease = asyncio.create_task(consumer._keep_lease(asyncio.Event()))
    await asked.wait()
    answer.set_result(True)
    for _step in range(steps):
        await asyncio.sleep(0)
    lease.cancel()
    done, _pending = await asyncio.wait({lease}, timeout=0.3)
    lease.cancel()
    assert done


async def test_it_closes_when_rights_cannot_be_read(stream: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object) -> bool:
        raise DatabaseError("the database is away")

    monkeypatch.setattr(StreamConsumer, "_is_allowed", away)
    code, error = await stream.ending()
    assert code == 1011
    assert error is not None
    assert error["code"] == "lease"


async def test_a_hiccup_of_the_database_closes_nothing(stream: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False])
    real = StreamConsumer._is_allowed

    def sometimes(consumer: StreamConsumer) -> bool:
        if next(answers, True):
            return real(consumer)
        raise DatabaseError("locked")

    monkeypatch.setattr(StreamConsumer, "_is_allowed", sometimes)
    await asyncio.sleep(0.5)
    assert not stream.task.done()


async def test_a_revoked_terminal_is_ended_in_the_record(
    alice: User, signed_in: SignIn, connect: Connect, run: Run
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key, command=["cat"])
    viewer = await connect("/ws/terminal/", key, first=opening(ticket))
    await viewer.control("opened")
    await in_database(lambda: _end_session(alice))
    await viewer.ending()
    session = await ended_session()
    assert "rights" in session.end_reason


@pytest.fixture
async def deaf(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> Viewer:
    """A terminal that floods a browser which takes nothing any more."""
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key, command=["yes"])
    viewer: Viewer = await connect("/ws/terminal/", key, first=opening(ticket), room=1)
    await viewer.control("opened")
    return viewer


async def test_a_browser_that_takes_nothing_is_revoked_all_the_same(
    deaf: Viewer, alice: User, engine: FakeEngine
) -> None:
    await in_database(lambda: _end_session(alice))
    session = await ended_session()
    assert "rights" in session.end_reason
    assert len(engine.processes(session.container_id)) == 1
    await asyncio.wait_for(deaf.task, 5)


async def test_a_browser_that_takes_nothing_for_long_is_lost_and_its_terminal_waits_for_it(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamConsumer, "send_patience", 0.2)
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key, command=["yes"])
    viewer = await connect("/ws/terminal/", key, first=opening(ticket), room=1)
    await viewer.control("opened")
    await asyncio.wait_for(viewer.task, 5)
    assert len(engine.processes(container.container_id)) == 2
    answer = await hub_client().ask(hub_messages.ListTerminals())
    assert [(terminal["state"], terminal["viewers"]) for terminal in answer["terminals"]] == [("open", [])]


async def _signal(*topics: str) -> None:
    """Send what the other processes send, until the listener has had time to join."""
    for _attempt in range(20):
        await get_channel_layer().group_send(GROUP, {"type": "changed", "topics": list(topics)})
        await asyncio.sleep(0.02)


async def test_a_signal_ends_it_without_waiting_for_the_next_look(
    alice: User, bob: User, signed_in: SignIn, connect: Connect, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamConsumer, "lease_interval", 3600)
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    target = {"type": "open", "host": str(container.host_id), "container": container.container_id}
    viewer = await connect("/ws/logs/", key, first={**target, "follow": True})
    await viewer.control("opened")
    await _signal(f"person:{alice.pk}")
    assert not viewer.task.done(), "a signal has no authority of its own"
    await in_database(lambda: _end_session(alice))
    await _signal(f"person:{bob.pk}", "person:", "containers")
    assert not viewer.task.done(), "nobody spoke of this person"
    await _signal(f"person:{alice.pk}")
    assert (await viewer.ending())[0] == 4403


async def test_a_channel_layer_that_fails_closes_nothing_and_is_asked_again(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamConsumer, "lease_interval", 3600)
    monkeypatch.setattr(rechecks, "_PAUSE", 0.01)
    troubles = iter([RedisError("away"), OSError("gone")])
    layer = get_channel_layer()
    join = layer.group_add

    async def group_add(group: str, channel: str) -> None:
        trouble = next(troubles, None)
        if trouble is not None:
            raise trouble
        await join(group, channel)

    monkeypatch.setattr(layer, "group_add", group_add)
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    target = {"type": "open", "host": str(container.host_id), "container": container.container_id}
    viewer = await connect("/ws/logs/", key, first={**target, "follow": True})
    await viewer.control("opened")
    await in_database(lambda: _end_session(alice))
    await _signal(f"person:{alice.pk}")
    assert (await viewer.ending())[0] == 4403
