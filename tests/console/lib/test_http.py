"""A request that does not arrive costs its connection, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn

from console.lib import http
from console.lib.http import BoundedHttp

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_WHOLE = b"GET / HTTP/1.1\r\nHost: console\r\n\r\n"


async def _application(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def connect(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[], Any]]:
    """Connect to a server whose limits are short."""
    monkeypatch.setattr(http, "HEAD_TIMEOUT", 0.2)
    monkeypatch.setattr(http, "BODY_TIMEOUT", 0.2)
    config = uvicorn.Config(_application, port=0, http=BoundedHttp, lifespan="off", log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  (it tells nobody)
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    writers = []

    async def open_one() -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    yield open_one
    for writer in writers:
        writer.close()
    server.should_exit = True
    await serving


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: console\r\n",
        b"POST / HTTP/1.1\r\nHost: console\r\nContent-Length: 10\r\n\r\nhalf",
    ],
)
async def test_a_request_that_does_not_arrive_is_cut(connect: Callable[[], Any], sent: bytes) -> None:
    reader, writer = await connect()
    writer.write(sent)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readuntil(b"an answer"), 10)


async def test_an_answer_may_take_longer_than_its_request(connect: Callable[[], Any]) -> None:
    reader, writer = await connect()
    writer.write(_WHOLE.replace(b"GET /", b"GET /slow"))
    assert (await asyncio.wait_for(reader.readuntil(b"ok"), 10)).startswith(b"HTTP/1.1 200")


async def test_a_connection_carries_one_request_after_the_other(connect: Callable[[], Any]) -> None:
    reader, writer = await connect()
    for _request in range(3):
        writer.write(_WHOLE)
        assert (await asyncio.wait_for(reader.readuntil(b"ok"), 10)).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.3)
