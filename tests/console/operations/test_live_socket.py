"""The socket that tells an open page what changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.lib.live import GROUP
from console.operations import consumers
from console.operations.consumers import LiveConsumer, _known

pytestmark = pytest.mark.django_db(transaction=True)
Connect = Callable[..., Any]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights are asked for again without waiting seconds."""
    monkeypatch.setattr(LiveConsumer, "lease_interval", 0.1)


async def _person(name: str, *, role: str) -> tuple[User, Client]:
    def make() -> tuple[User, Client]:
        user = User.objects.create_user(name, "correct horse battery", role=role)
        client = Client()
        client.force_login(user)
        return user, client

    return await sync_to_async(make)()


@asynccontextmanager
async def _socket(
    client: Client | None, *, origin: str = "http://testserver"
) -> AsyncIterator[tuple[WebsocketCommunicator, bool]]:
    from console.asgi import application

    headers = [(b"origin", origin.encode())]
    if client is not None:
        key = client.cookies[settings.SESSION_COOKIE_NAME].value
        headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={key}".encode()))
    communicator = WebsocketCommunicator(application, "/ws/live/", headers=headers)
    connected, _code = await communicator.connect()
    if connected:
        assert await communicator.receive_json_from(timeout=3) == {"type": "listening"}
    try:
        yield communicator, connected
    finally:
        await communicator.disconnect()


async def _tell(*topics: str) -> None:
    await get_channel_layer().group_send(GROUP, {"type": "changed", "topics": list(topics)})


async def test_topics_reach_the_page_and_nothing_else_does() -> None:
    _alice, client = await _person("alice", role=Role.ADMIN)
    async with _socket(client) as (socket, connected):
        assert connected
        await _tell("containers", "operation:6f1c", "invented:topic")
        assert await socket.receive_json_from() == {"type": "changed", "topics": ["containers", "operation:6f1c"]}


async def test_a_member_is_told_of_lists_without_a_question_to_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    bob, client = await _person("bob", role=Role.USER)
    team = await Team.objects.acreate(name="red")
    await Membership.objects.acreate(team=team, person=bob, role=TeamRole.MEMBER)
    asked: list[list[str]] = []

    def known(user: User, topics: list[str]) -> list[str]:
        asked.append(topics)
        return _known(user, topics)

    monkeypatch.setattr(consumers, "_known", known)
    async with _socket(client) as (socket, connected):
        assert connected
        await _tell("containers", "operations", f"notifications:{bob.pk}", "hosts")
        told = await socket.receive_json_from()
        assert set(told["topics"]) == {"containers", "operations", f"notifications:{bob.pk}"}
        assert asked == []

        await _tell("containers", f"operation:{uuid4()}")
        assert (await socket.receive_json_from())["topics"] == ["containers"]
        assert len(asked) == 1


async def test_who_may_see_nothing_is_told_nothing() -> None:
    _charlie, client = await _person("charlie", role=Role.USER)
    async with _socket(client) as (socket, connected):
        assert connected
        await _tell("containers", "operations", "audit")
        assert await socket.receive_nothing(timeout=0.3)


async def test_rights_gained_or_lost_count_at_once() -> None:
    alice, client = await _person("alice", role=Role.ADMIN)
    async with _socket(client) as (socket, _connected):
        await _tell("containers")
        await socket.receive_json_from()
        await User.objects.filter(pk=alice.pk).aupdate(role=Role.USER)
        await asyncio.sleep(0.5)
        await _tell("containers")
        assert await socket.receive_nothing(timeout=0.3)


async def test_a_revoked_session_closes_the_socket() -> None:
    _alice, client = await _person("alice", role=Role.ADMIN)
    async with _socket(client) as (socket, _connected):
        await sync_to_async(client.logout)()
        error = await socket.receive_json_from(timeout=3)
        assert error["code"] == "revoked"
        assert (await socket.receive_output(timeout=3))["type"] == "websocket.close"


@pytest.mark.parametrize("origin", ["http://evil.example", "http://testserver:81", "null", "https://testserver"])
async def test_another_sites_page_is_refused(origin: str) -> None:
    _alice, client = await _person("alice", role=Role.ADMIN)
    async with _socket(client, origin=origin) as (_communicator, connected):
        assert not connected


async def test_the_signed_out_are_refused() -> None:
    async with _socket(None) as (_communicator, connected):
        assert not connected


async def test_a_page_has_nothing_to_say() -> None:
    _alice, client = await _person("alice", role=Role.ADMIN)
    async with _socket(client) as (socket, _connected):
        await socket.send_to(text_data='{"type": "changed", "topics": ["containers"]}')
        assert (await socket.receive_json_from())["code"] == "bad_frame"


async def test_when_signals_are_lost_the_socket_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    _alice, client = await _person("alice", role=Role.ADMIN)

    async def lose(_channel: str, _message: dict[str, Any]) -> None:
        return

    async with _socket(client) as (socket, _connected):
        monkeypatch.setattr(get_channel_layer(), "send", lose)
        assert (await socket.receive_json_from(timeout=3))["code"] == "signals"
