"""A kept log as a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import AsyncClient, Client

from console.accounts.models import Membership, Team, User
from console.lib.websocket import StreamConsumer
from console.logs.models import KeptLog
from runtime.streams import Channel
from tests.console.logs.conftest import MakeLog, line

pytestmark = pytest.mark.django_db(transaction=True)
ClientOf = Callable[[User], Client]


async def download(person: User, log: KeptLog, query: str = "") -> str:
    client = AsyncClient()
    await client.aforce_login(person)
    answer: Any = await client.get(f"/logs/{log.pk}/download/{query}")
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith('attachment; filename="web-1-')
    return b"".join([part async for part in answer.streaming_content]).decode()


@pytest.fixture
def lives(red: Team, make_log: MakeLog) -> list[KeptLog]:
    return [
        make_log(red, [line(1, "a1"), line(2, "\x1b[31ma2", channel=Channel.STDERR)], ended=10),
        make_log(red, [line(21, "b1")], digit="b", started=20),
    ]


@pytest.fixture
def large(red: Team, make_log: MakeLog) -> KeptLog:
    return make_log(red, [line(number, "x" * 999) for number in range(2000)])


async def test_it_is_what_was_written_with_a_mark_where_a_container_was_replaced(
    bob: User, lives: list[KeptLog]
) -> None:
    text = await download(bob, lives[0])

    assert text == (
        "a1\n\x1b[31ma2\n"
        "--- container aaaaaaaaaaaa ended 2026-11-30 12:00:10 UTC, exit code 137, "
        "replaced by bbbbbbbbbbbb (starter:latest) ---\n"
        "b1\n"
    )


async def test_it_can_be_had_alone_and_with_times(bob: User, lives: list[KeptLog]) -> None:
    assert await download(bob, lives[1], "?alone=on&timestamps=on") == "2026-11-30T12:00:21.000000000Z b1\n"


async def test_a_large_one_comes_in_parts(bob: User, large: KeptLog) -> None:
    assert len(await download(bob, large)) == 2_000_000


async def test_who_loses_the_right_meanwhile_gets_no_more(
    bob: User, large: KeptLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamConsumer, "lease_interval", 0.0)
    client = AsyncClient()
    await client.aforce_login(bob)
    answer: Any = await client.get(f"/logs/{large.pk}/download/")

    parts = []
    async for part in answer.streaming_content:
        parts.append(part)
        await Membership.objects.all().adelete()

    text = b"".join(parts).decode()
    assert len(text) < 1_000_000
    assert text.endswith("so the log ends here.\n")


def test_a_stranger_gets_none(charlie: User, client_of: ClientOf, lives: list[KeptLog]) -> None:
    assert client_of(charlie).get(f"/logs/{lives[0].pk}/download/").status_code == 404
    assert client_of(charlie).post(f"/logs/{lives[0].pk}/download/").status_code == 405
