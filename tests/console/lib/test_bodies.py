"""No request fills the disk: what is too large is thrown away as it comes, whoever sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from console.lib.bodies import LIMIT, BoundedBody

pytestmark = pytest.mark.django_db(transaction=True)
CHUNK = b"x" * 65536


class Sender:
    """Sends a body in chunks and counts how many of them were asked for."""

    def __init__(self, size: int) -> None:
        self.chunks: Iterator[bytes] = iter([CHUNK] * (size // len(CHUNK)) + [b"x" * (size % len(CHUNK))])
        self.left = size
        self.answer: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        chunk = next(self.chunks, None)
        if chunk is None:
            await asyncio.Event().wait()  # the connection stays open
            raise AssertionError
        self.left -= len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": self.left > 0}

    async def send(self, message: Any) -> None:
        self.answer.append(message)


def scope_of(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": "/accounts/login/",
        "raw_path": b"/accounts/login/",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-type", b"text/plain"), *headers],
        "client": ("192.0.2.7", 40000),
        "server": ("testserver", 80),
        "http_version": "1.1",
    }


async def status_of(sender: Sender, *headers: tuple[bytes, bytes]) -> int:
    from console.asgi import application

    await application(scope_of(*headers), sender.receive, sender.send)
    starts = [message["status"] for message in sender.answer if message["type"] == "http.response.start"]
    return int(starts[0])


async def handed_on(size: int, *headers: tuple[bytes, bytes]) -> int:
    """Return how many bytes reach the application behind."""
    kept = 0

    async def application(_scope: Any, receive: Any, _send: Any) -> None:
        nonlocal kept
        more = True
        while more:
            message = await receive()
            kept += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)

    sender = Sender(size)
    await BoundedBody(application)(scope_of(*headers), sender.receive, sender.send)
    return kept


@pytest.mark.parametrize("size", [0, 1, LIMIT - 1, LIMIT])
async def test_what_fits_is_handed_on_whole(size: int) -> None:
    assert await handed_on(size, (b"content-length", str(size).encode())) == size
    assert await handed_on(size) == size


@pytest.mark.parametrize("size", [LIMIT + 1, 100 * LIMIT])
async def test_of_what_is_too_large_no_more_is_kept_than_fits(size: int) -> None:
    assert await handed_on(size, (b"content-length", str(size).encode())) == 0
    assert await handed_on(size) <= LIMIT


@pytest.mark.parametrize("claim", [b"0", b"-1", b"x", b"5"])
async def test_a_false_claim_does_not_help(claim: bytes) -> None:
    assert await handed_on(LIMIT + 1, (b"content-length", claim)) <= LIMIT


async def test_a_stranger_who_sends_too_much_is_told_so() -> None:
    sender = Sender(2 * LIMIT)
    assert await status_of(sender, (b"content-length", str(2 * LIMIT).encode())) == 413
    assert b"4 MiB" in b"".join(message.get("body", b"") for message in sender.answer)


async def test_it_helps_nobody_to_say_nothing_of_the_size() -> None:
    assert await status_of(Sender(2 * LIMIT)) == 413


async def test_a_body_that_fits_is_looked_at_as_ever() -> None:
    # No form's token: refused by another rule.
    assert await status_of(Sender(1000), (b"content-length", b"1000")) == 403
