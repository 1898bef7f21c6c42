"""The console's end of the hub's socket."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runtime.hub.messages import Answer, Message, Opened, Order, Refused, Stream, error_from
from runtime.hub.wire import Link

#: Seconds until a connection is there, and until a plain order is answered.
CONNECT_PATIENCE: Final = 3.0
ANSWER_PATIENCE: Final = 10.0


class HubAway(ConnectionError):
    """No hub answers: it is starting, or was ended."""


class HubRefused(Exception):
    """The hub did not do what was ordered. ``error`` is the engine's, where it was the engine that could not."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.message or refused.code)
        self.code = refused.code
        self.message = refused.message
        self.error = None if refused.error is None else error_from(refused.error)
        #: Whether nothing can be left in the container.
        self.clean = refused.clean


@dataclass(frozen=True, slots=True)
class Output:
    """Output of a stream, and the offset of its first byte."""

    offset: int
    data: bytes


class HubStream:
    """One stream, from the viewer's side. One task receives."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._items: deque[Output | Message] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_over = False
        self.opened: Opened = Opened(offset=0)
        link.on_message = self._put
        link.on_data = lambda offset, data: self._put(Output(offset, data))
        link.on_lost = lambda _problem: self._finish()

    def _put(self, item: Output | Message) -> None:
        self._items.append(item)
        self._wake()

    def _finish(self) -> None:
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Output | Message | None:
        """Return what comes next; ``None`` once the connection is over."""
        while not self._items:
            if self._is_over:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.popleft()

    def send(self, message: Message) -> None:
        """Say something; never waits: control is small, and input is bounded by what the hub says it took."""
        self._link.send(message)

    def write(self, offset: int, data: bytes) -> None:
        """Send input; ``offset`` is its first byte's within all that this viewer typed."""
        self._link.send_input(offset, data)

    def close(self) -> None:
        """Let go of the stream, after what was said last. Idempotent."""
        self._link.close()


class HubClient:
    """Orders to the hub behind a unix socket. Every order has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def open(self, order: Stream) -> HubStream:
        """Open a stream. Raises ``HubAway``, ``HubRefused``."""
        link = await self._connected()
        stream = HubStream(link)
        link.send(order)
        try:
            match await stream.receive():
                case Opened() as opened:
                    stream.opened = opened
                    return stream
                case Refused() as refused:
                    raise HubRefused(refused)
                case _:
                    raise HubAway("the hub ended before it answered")
        except BaseException:
            stream.close()
            raise

    async def ask(self, order: Order) -> dict[str, Any]:
        """Have a plain order carried out and return what was asked for. Raises ``HubAway``, ``HubRefused``."""
        link = await self._connected()
        stream = HubStream(link)
        try:
            link.send(order)
            async with asyncio.timeout(ANSWER_PATIENCE):
                match await stream.receive():
                    case Answer(data=data):
                        return data
                    case Refused() as refused:
                        raise HubRefused(refused)
                    case _:
                        raise HubAway("the hub ended before it answered")
        except TimeoutError as error:
            raise HubAway(f"the hub did not answer within {ANSWER_PATIENCE:g} s") from error
        finally:
            stream.close()

    async def _connected(self) -> Link:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_PATIENCE):
                _transport, link = await loop.create_unix_connection(Link, str(self._path))
        except (OSError, TimeoutError) as error:
            raise HubAway(f"no hub answers at {self._path}: {error}") from error
        return link
