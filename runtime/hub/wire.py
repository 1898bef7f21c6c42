"""Frames on a unix socket, without a task per frame: the hub and its viewers stand straight on the transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from runtime.hub import messages
from runtime.hub.messages import FRAME_LIMIT, INPUT, JSON, OUTPUT, BadMessage, Message

_HEAD: Final = 5
_OFFSET: Final = 8
#: What the other end has not taken: from here on the link calls itself full.
_WRITE_LIMIT: Final = 512 * 1024


class Link(asyncio.Protocol):
    """One end of a connection. Who holds it sets the callbacks; they are called from the loop and must not block."""

    def __init__(self, *, on_connected: Callable[[Link], None] | None = None) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._on_connected = on_connected
        #: A message, or data with its offset.
        self.on_message: Callable[[Message], None] = _ignore
        self.on_data: Callable[[int, bytes], None] = _ignore_data
        #: The other end takes again what is written.
        self.on_room: Callable[[], None] = _nothing
        #: The connection is over, once; with why, when the other end sent something that is no frame.
        self.on_lost: Callable[[str], None] = _ignore_loss
        self.is_full = False
        self.is_closed = False
        self._problem = ""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        # A stream's transport is one; uvloop's is no subclass.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_LIMIT)
        if self._on_connected is not None:
            self._on_connected(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell the holder, once."""
        self.is_closed = True
        self._buffer.clear()
        on_lost, self.on_lost = self.on_lost, _ignore_loss
        on_lost(self._problem)

    def pause_writing(self) -> None:
        """The other end does not read."""
        self.is_full = True

    def resume_writing(self) -> None:
        """It reads again."""
        self.is_full = False
        self.on_room()

    def data_received(self, data: bytes) -> None:
        """Cut what has arrived into frames."""
        buffer = self._buffer
        buffer += data
        at = 0
        try:
            while len(buffer) - at >= _HEAD:
                size = int.from_bytes(buffer[at : at + 4], "big")
                if not 1 <= size <= FRAME_LIMIT:
                    raise BadMessage(f"a frame of {size} bytes")
                end = at + 4 + size
                if len(buffer) < end:
                    break
                kind = buffer[at + 4]
                with memoryview(buffer) as whole:
                    body = bytes(whole[at + _HEAD : end])
                at = end
                self._take(kind, body)
                if self.is_closed:
                    return
        except BadMessage as error:
            self._problem = str(error)
            self.abort()
            return
        del buffer[:at]

    def _take(self, kind: int, body: bytes) -> None:
        if kind == JSON:
            self.on_message(messages.unpack(body))
        elif kind in (OUTPUT, INPUT) and len(body) >= _OFFSET:
            self.on_data(int.from_bytes(body[:_OFFSET], "big"), body[_OFFSET:])
        else:
            raise BadMessage(f"a frame of kind {kind}")

    # For who holds it

    def send(self, message: Message) -> None:
        """Send a message."""
        self._write(JSON, messages.pack(message))

    def send_output(self, offset: int, data: bytes) -> None:
        """Send output."""
        self._write(OUTPUT, offset.to_bytes(_OFFSET, "big") + data)

    def send_input(self, offset: int, data: bytes) -> None:
        """Send input."""
        self._write(INPUT, offset.to_bytes(_OFFSET, "big") + data)

    def _write(self, kind: int, body: bytes) -> None:
        if self._transport is not None and not self.is_closed:
            self._transport.write((len(body) + 1).to_bytes(4, "big") + bytes((kind,)) + body)

    @property
    def peer(self) -> asyncio.Transport | None:
        """The transport, to ask who is at its other end."""
        return self._transport

    def close(self) -> None:
        """Close after what was sent has gone. Idempotent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()


def _ignore(_message: Message) -> None:
    pass


def _ignore_data(_offset: int, _data: bytes) -> None:
    pass


def _ignore_loss(_problem: str) -> None:
    pass


def _nothing() -> None:
    pass
