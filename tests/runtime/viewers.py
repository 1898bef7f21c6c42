"""Somebody who reads a log at the hub, as a web process does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from runtime.hub.logs import LogHub
from runtime.hub.messages import Ack, Ended, FollowLog, FromHub, Leave, Message
from runtime.streams import Channel

PATIENCE = 20.0


class LogViewer:
    """Reads at once and acknowledges, unless it is not to."""

    def __init__(self, hub: LogHub, order: FollowLog, *, acknowledges: bool = True) -> None:
        self.acknowledges = acknowledges
        self.messages: list[FromHub] = []
        #: Every block: its channel and its data.
        self.blocks: list[tuple[Channel, bytes]] = []
        self.size = 0
        self._said: asyncio.Queue[Message | None] = asyncio.Queue()
        self._news = asyncio.Event()
        self.task = asyncio.create_task(hub.serve(order, self))

    # What the hub calls

    async def send_output(self, offset: int, data: bytes) -> None:
        """Take whole blocks."""
        assert offset == self.size
        self.size += len(data)
        at = 0
        while at < len(data):
            end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
            self.blocks.append((Channel(data[at]), data[at + 5 : end]))
            at = end
        assert at == len(data), "a block was cut"
        if self.acknowledges:
            self.acknowledge()
        self._news.set()

    async def send(self, message: FromHub) -> None:
        """Take a message."""
        self.messages.append(message)
        self._news.set()

    async def receive(self) -> Message | None:
        """Say what the test said."""
        return await self._said.get()

    # What tests call

    def say(self, message: Message | None) -> None:
        """Send a message; ``None`` is the end of the connection."""
        self._said.put_nowait(message)

    def acknowledge(self) -> None:
        """Everything so far is on the screen."""
        self.say(Ack(offset=self.size))

    async def leave(self) -> None:
        """Go, and wait until the hub knows."""
        self.say(Leave(how="closed"))
        await asyncio.wait_for(self.task, PATIENCE)

    @property
    def text(self) -> bytes:
        """Everything so far."""
        return b"".join(data for _channel, data in self.blocks)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for what the hub sends."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def lines(self, count: int) -> list[bytes]:
        """Return all lines so far, once there are at least so many."""
        await self.until(lambda: self.text.count(b"\n") >= count)
        return self.text.split(b"\n")[:-1]

    async def ended(self) -> Ended:
        """Wait for the end and return how it came."""
        await self.until(lambda: self.messages and isinstance(self.messages[-1], Ended))
        ended = self.messages[-1]
        assert isinstance(ended, Ended)
        await asyncio.wait_for(self.task, PATIENCE)
        return ended
