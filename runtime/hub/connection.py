"""A link as something to wait for: for streams that are read by tasks, as logs are."""

from __future__ import annotations

import asyncio
from collections import deque

from runtime.hub.messages import FromHub, Message
from runtime.hub.wire import Link


class Connection:
    """The hub's end of a viewer's connection. One task sends, one receives."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._messages: deque[Message | None] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        link.on_message = self._put
        link.on_room = self._room.set
        link.on_lost = lambda _problem: self._lose()
        if link.is_closed:
            self._lose()

    def _put(self, message: Message | None) -> None:
        self._messages.append(message)
        self._arrived.set()

    def _lose(self) -> None:
        self._put(None)
        self._room.set()

    async def send_output(self, offset: int, data: bytes) -> None:
        """Send output whose first byte is the stream's ``offset``-th; waits while the viewer's process takes none."""
        self._link.send_output(offset, data)
        await self._wait_for_room()

    async def send(self, message: FromHub) -> None:
        """Send a message."""
        self._link.send(message)
        await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        while self._link.is_full and not self._link.is_closed:
            self._room.clear()
            await self._room.wait()

    async def receive(self) -> Message | None:
        """Return the viewer's next message; ``None`` once it has gone."""
        while not self._messages:
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        if message is None:
            self._messages.append(None)  # it stays gone
        return message
