"""A log as a file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from console.accounts.models import ApiToken, User
from console.gateway import Channel, Chunk
from console.inventory.models import ObservedContainer
from console.lib.websocket import in_database
from runtime.testing import FakeEngine
from tests.console.streamed import ENDINGS, browser_of, content, end_rights
from tests.console.tokens import issue

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/terminals/logs/download/"
Run = Callable[..., Any]


def query(container: ObservedContainer, **more: Any) -> dict[str, Any]:
    return {"host": str(container.host_id), "container": container.container_id, **more}


async def test_it_streams_as_an_attachment(alice: User, run: Run) -> None:
    container = await run("sh", "-c", "echo one; echo two >&2; sleep 1000", name="web-1")
    client = await browser_of(alice)
    answer = await client.get(URL, query(container))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="web-1-')
    assert answer.streaming
    assert await content(answer) == b"one\ntwo\n"


async def test_timestamps_and_tail_are_choices(alice: User, run: Run) -> None:
    container = await run("sh", "-c", "echo one; echo two; sleep 1000")
    client = await browser_of(alice)
    text = await content(await client.get(URL, query(container, timestamps="1", tail="1")))
    assert text.endswith(b" two\n")
    assert text.startswith(b"20")
    assert text.count(b"\n") == 1


async def test_a_beginning_and_an_end_are_choices(alice: User, run: Run) -> None:
    container = await run("sh", "-c", "echo one; sleep 1000")
    client = await browser_of(alice)
    now = time.time()
    for since, until, expected in (
        (now - 60, now + 60, b"one\n"),
        (now - 90, now - 60, b""),
        (now + 60, now + 90, b""),
    ):
        assert await content(await client.get(URL, query(container, since=since, until=until))) == expected


async def test_the_name_of_a_container_cannot_forge_headers(alice: User, run: Run) -> None:
    container = await run("true")
    await in_database(lambda: ObservedContainer.objects.update(name='a"; filename="../../x\r\nX: y'))
    client = await browser_of(alice)
    answer = await client.get(URL, query(container))
    assert answer.headers["Content-Disposition"].count('"') == 2
    assert "/" not in answer.headers["Content-Disposition"]
    assert "\r" not in answer.headers["Content-Disposition"]


async def test_a_stranger_is_refused(charlie: User, run: Run, engine: FakeEngine) -> None:
    container = await run("true")
    client = await browser_of(charlie)
    answer = await client.get(URL, query(container))
    assert answer.status_code in (403, 404)
    assert engine.calls == []


@pytest.mark.parametrize(
    "change", [{"tail": "-1"}, {"container": "web-1"}, {"host": ""}, {"since": "yesterday"}, {"until": "0"}]
)
async def test_wrong_parameters_are_named(change: dict[str, str], alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("true")
    client = await browser_of(alice)
    answer = await client.get(URL, {**query(container, since="1"), **change})
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == set(change)
    assert engine.calls == []


async def test_it_cannot_be_posted(alice: User, run: Run) -> None:
    container = await run("true")
    client = await browser_of(alice)
    assert (await client.post(URL, query(container))).status_code == 405


@pytest.mark.parametrize("how", ENDINGS)
async def test_it_ends_when_the_rights_do(how: str, alice: User, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.lib.websocket.StreamConsumer.lease_interval", 0.0)
    container = await run("sh", "-c", "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; done; sleep 1000")
    client = await browser_of(alice)
    answer: Any = await client.get(URL, query(container))
    parts = aiter(answer)
    await anext(parts)

    await end_rights(how)
    rest = b"".join([chunk async for chunk in parts])
    assert b"rights ended" in rest
    assert b"line 50" not in rest


@pytest.mark.parametrize("revoked", [False, True])
async def test_a_token_reads_it_for_as_long_as_it_works(
    revoked: bool, alice: User, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.lib.websocket.StreamConsumer.lease_interval", 0.0)
    container = await run("sh", "-c", "echo one; echo two; echo three; sleep 1000")
    issued = await in_database(lambda: issue(alice, scope="read"))
    bearer = {"Authorization": f"Bearer {issued.text}"}
    answer: Any = await AsyncClient().get(URL, query(container), headers=bearer)
    parts = aiter(answer)
    await anext(parts)
    if revoked:
        await in_database(lambda: ApiToken.objects.update(revoked_at="2026-01-01T00:00:00Z"))
    rest = b"".join([chunk async for chunk in parts])
    assert (b"rights ended" in rest) == revoked
    assert (b"three" in rest) == (not revoked)


async def test_a_large_log_is_never_held_here(
    alice: User,
    run: Run,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chunk = Chunk(Channel.STDOUT, b"x" * 65535 + b"\n")
    given = 0
    is_closed = False

    async def gigabyte(*_arguments: object, **_options: object) -> AsyncIterator[Chunk]:
        nonlocal given, is_closed
        try:
            for _ in range(16 * 1024):
                given += 1
                yield chunk
        finally:
            is_closed = True

    container = await run("true")
    monkeypatch.setattr(engine, "logs", gigabyte)
    client = await browser_of(alice)
    answer: Any = await client.get(URL, query(container))
    parts = aiter(answer)
    for taken in range(1, 1000):
        assert len(await anext(parts)) == 65536
        assert given <= taken + 1, "the engine is read ahead of the browser"
    # A browser that goes lets go of the engine, without waiting for what nobody holds to be collected.
    await sync_to_async(answer.close)()
    async with asyncio.timeout(10):
        while not is_closed:  # noqa: ASYNC110  the loop has no event for it
            await asyncio.sleep(0)
