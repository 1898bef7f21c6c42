"""An exec or attach as a terminal, straight on the engine's hijacked socket."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from runtime.errors import BackendError, Invalid, Terminated
from runtime.streams import Channel, Chunk
from runtime.transport.frames import FrameDecoder
from runtime.transport.upgrade import Wire

_LARGEST_SIZE = 10_000
# How input is paced where it must be: bytes at once, seconds between two looks, how many looks must see nothing new
# (a busy machine answers late), and seconds after which the next piece goes whatever they see.
_PIECE = 2048
_REST = 0.003
_QUIET_LOOKS = 3
_LONGEST_REST = 0.25
# Seconds between tries to set the first size. Output waits for it, so the first ones are short: a shell is there
# within some tens of milliseconds.
_SIZE_PAUSES = (*(0.004,) * 30, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalCalls:
    """What a terminal asks of its engine beside its own socket."""

    resize: Callable[[int, int], Awaitable[None]]
    #: The exit code, or ``None`` while the process runs.
    exit_code: Callable[[], Awaitable[int | None]]
    kill: Callable[[], Awaitable[bool]]


class DockerTerminal:
    """See ``runtime.streams.Terminal``."""

    def __init__(
        self,
        wire: Wire,
        *,
        exec_id: str | None,
        tty: bool,
        calls: TerminalCalls,
        first_size: tuple[int, int] | None = None,
        paced: bool = False,
    ) -> None:
        self._wire = wire
        self._exec_id = exec_id
        self._tty = tty
        self._calls = calls
        self._decoder = FrameDecoder()
        self._chunks: deque[Chunk] = deque()
        self._closed = False
        self._verdict: int | Terminated | None = None
        self._paced = paced
        self._first_resize: asyncio.Task[None] | None = None
        if first_size is not None:
            self._first_resize = asyncio.create_task(self._apply_first_size(*first_size))

    @property
    def exec_id(self) -> str | None:
        """The exec's id; ``None`` for an attach."""
        return self._exec_id

    @property
    def tty(self) -> bool:
        """Whether the far end is a PTY."""
        return self._tty

    async def read(self) -> bytes:
        """Return the next output, at most 256 KiB; ``b""`` at the end. Raises ``Terminated``."""
        if self._tty:
            return await self._read_wire()
        if not await self._fill():
            return b""
        if len(self._chunks) == 1:
            return self._chunks.popleft().data
        data = b"".join(chunk.data for chunk in self._chunks)
        self._chunks.clear()
        return data

    async def read_chunk(self) -> Chunk | None:
        """Return the next output with its channel; ``None`` at the end. Raises ``Terminated``."""
        if self._tty:
            data = await self._read_wire()
            return Chunk(Channel.STDOUT, data) if data else None
        return self._chunks.popleft() if await self._fill() else None

    def read_nowait(self, limit: int) -> bytes:
        """Return what has already arrived, at most ``limit`` bytes; never waits."""
        if self._first_resize is not None and not self._first_resize.done():
            return b""
        if self._tty:
            data = self._wire.take()
            if len(data) > limit:
                self._wire.put_back(data[limit:])
                return data[:limit]
            return data
        if not self._chunks:
            self._chunks.extend(self._decoder.feed(self._wire.take()))
        parts: list[bytes] = []
        while self._chunks and limit > 0:
            chunk = self._chunks.popleft()
            parts.append(chunk.data[:limit])
            if len(chunk.data) > limit:
                self._chunks.appendleft(Chunk(chunk.channel, chunk.data[limit:]))
            limit -= len(parts[-1])
        return b"".join(parts)

    async def write(self, data: bytes) -> None:
        """Send input; waits while the engine does not take it. Raises ``Terminated``."""
        if not self._paced or len(data) <= _PIECE:
            await self._wire.write(data)
            return
        for start in range(0, len(data), _PIECE):
            await self._wire.write(data[start : start + _PIECE])
            await self._calm()

    async def _calm(self) -> None:
        """Wait until the far end has digested what it got.

        Podman's monitor writes to the PTY and reads from it in one thread: given more input than the PTY holds, it
        waits for a program that waits for it, for ever.
        """
        limit = time.monotonic() + _LONGEST_REST
        received, quiet = self._wire.received, 0
        while self._wire.stalled or (quiet < _QUIET_LOOKS and time.monotonic() < limit):
            await asyncio.sleep(_REST)
            quiet = quiet + 1 if self._wire.received == received else 0
            received = self._wire.received

    async def write_eof(self) -> None:
        """Close our direction; output goes on."""
        await self._wire.write_eof()

    async def resize(self, *, columns: int, rows: int) -> None:
        """Set the PTY's size. ``POST …/resize``. Raises ``Invalid``, ``NotFound``."""
        if not (1 <= columns <= _LARGEST_SIZE and 1 <= rows <= _LARGEST_SIZE):
            raise Invalid(f"a terminal has 1 to {_LARGEST_SIZE} columns and rows, not {columns} by {rows}")
        if self._first_resize is not None:
            await asyncio.shield(self._first_resize)
        await self._calls.resize(columns, rows)

    async def exit_code(self) -> int | None:
        """Return the exit code once the process has ended, else ``None``."""
        if isinstance(self._verdict, int):
            return self._verdict
        return await self._calls.exit_code()

    async def kill(self) -> bool:
        """End the exec's processes and verify. An attach leaves nothing behind: its process is the container's own."""
        return await self._calls.kill()

    async def close(self) -> None:
        """Close our socket. Idempotent."""
        self._closed = True
        if self._first_resize is not None:
            self._first_resize.cancel()
        self._wire.close()

    async def _apply_first_size(self, columns: int, rows: int) -> None:
        # The start request is answered before the process runs; the engine may need a moment before it takes a size.
        for pause in (0.0, *_SIZE_PAUSES):
            await asyncio.sleep(pause)
            try:
                await self._calls.resize(columns, rows)
            except BackendError:
                if self._wire.ended or self._closed:
                    return
            else:
                return

    async def _read_wire(self) -> bytes:
        if self._first_resize is not None:
            await asyncio.wait((self._first_resize,))
            self._first_resize = None
        data = await self._wire.read()
        if not data and not self._closed:
            await self._conclude()
        return data

    async def _fill(self) -> bool:
        while not self._chunks:
            data = await self._read_wire()
            if not data:
                return False
            self._chunks.extend(self._decoder.feed(data))
        return True

    async def _conclude(self) -> None:
        """Find out why the stream ended: a hijacked socket closes the same way for an exit and for a dying engine."""
        if self._verdict is None:
            self._verdict = await self._find_verdict()
        if isinstance(self._verdict, Terminated):
            raise self._verdict

    async def _find_verdict(self) -> int | Terminated:
        if not self._decoder.complete:
            return Terminated("the engine cut the stream in the middle of a frame")
        # The last output is there a little before the exit is on record.
        for pause in (0.0, 0.005, 0.02, 0.05, 0.1, 0.3, 0.5, 1.0):
            await asyncio.sleep(pause)
            try:
                code = await self._calls.exit_code()
            except BackendError as error:
                return Terminated(f"the stream ended and the engine cannot say why: {error.message}")
            if code is not None:
                return code
        return Terminated("the engine cut the stream while its process was running")
