"""A streamed answer for those who send many small pieces: a log comes as one HTTP chunk a line.

The pieces of one read are put together by a parser in C before Python looks at them: half the time of a general client.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httptools

from runtime.errors import ProtocolError, Terminated, TimedOut
from runtime.transport.upgrade import Wire

_HEAD_LIMIT: Final = 64 * 1024


class BulkAnswer:
    """The answer to a ``GET`` on a wire of its own. Make it with :meth:`ask`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._parts: list[bytes] = []
        self._head_size = 0
        self._headed = False
        self._framed = False
        self._complete = False
        #: The parser calls this with every piece of the body.
        self.on_body = self._parts.append
        self.status = 0
        # It looks for its callbacks now.
        self._parser = httptools.HttpResponseParser(self)

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        self._headed = True
        self.status = self._parser.get_status_code()

    def on_message_complete(self) -> None:
        self._complete = True

    # What we call

    async def ask(self, path: str, *, timeout: float) -> None:
        """Send the request and read the answer's head within ``timeout`` seconds. Sets ``status``."""
        await self._wire.send_request("GET", path)
        try:
            async with asyncio.timeout(timeout):
                while not self._headed:
                    await self._advance()
        except TimeoutError as error:
            raise TimedOut(f"{self._wire.where} accepted the connection and did not answer within the limit") from error

    async def read(self, *, timeout: float | None) -> bytes:
        """Return what has arrived, at least one byte; ``b""`` at the end. ``timeout`` bounds the silence."""
        try:
            async with asyncio.timeout(timeout):
                while not self._parts and not self._complete:
                    await self._advance()
        except TimeoutError as error:
            raise TimedOut(f"{self._wire.where} fell silent in the middle of its answer") from error
        data = b"".join(self._parts)
        self._parts.clear()
        return data

    async def read_all(self, *, limit: int, timeout: float) -> bytes:
        """Return the rest of the body. Raises ``ProtocolError`` beyond ``limit`` bytes."""
        body = b""
        while data := await self.read(timeout=timeout):
            body += data
            if len(body) > limit:
                raise ProtocolError(f"{self._wire.where} answered with more than {limit} bytes")
        return body

    async def _advance(self) -> None:
        data = await self._wire.read()
        if not data:
            if self._headed and not self._framed:
                self._complete = True
                return
            raise Terminated(f"{self._wire.where} closed the connection before its answer was complete")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ProtocolError(f"{self._wire.where} does not speak HTTP as we know it") from error
        if not self._headed:
            self._head_size += len(data)
            if self._head_size > 2 * _HEAD_LIMIT:
                raise ProtocolError(f"{self._wire.where} sent an answer that does not begin")
