"""The shapes of byte streams, and the window that keeps a fast writer from drowning a slow reader."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Channel(IntEnum):
    """Which of a container's streams a chunk came from (the first byte of the Engine API's 8-byte frame header)."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes as they came, with their channel. A TTY has one channel: everything is ``STDOUT``."""

    channel: Channel
    data: bytes


class ByteParts(Protocol):
    """Bytes as they come, held open until they end or somebody closes them."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts; none is empty. Not reading is back-pressure."""

    async def aclose(self) -> None:
        """Stop: what is not read yet is given up. Idempotent."""


class Terminal(Protocol):
    """An open interactive stream: an exec or an attach, straight on the engine's hijacked socket.

    One reader and one writer at a time. Not reading is back-pressure: the socket's buffer fills and the engine waits.
    """

    @property
    def exec_id(self) -> str | None:
        """The exec's id; ``None`` for an attach."""

    @property
    def tty(self) -> bool:
        """Whether the far end is a PTY (one raw channel) or two multiplexed pipes."""

    async def read(self) -> bytes:
        """Return the next output, at most 256 KiB, at least one byte; ``b""`` once the stream has ended.

        A non-TTY stream is demultiplexed; stdout and stderr arrive in the engine's order. Raises ``Terminated``.
        """

    async def read_chunk(self) -> Chunk | None:
        """Like :meth:`read`, keeping the channel; ``None`` once the stream has ended."""

    def read_nowait(self, limit: int) -> bytes:
        """Return what has already arrived, at most ``limit`` bytes, possibly nothing; never waits."""

    async def write(self, data: bytes) -> None:
        """Send input; waits while the engine does not take it. Raises ``Terminated``."""

    async def write_eof(self) -> None:
        """Close our direction (standard input ends); output goes on."""

    async def resize(self, *, columns: int, rows: int) -> None:
        """Set the PTY's size in character cells (1 to 10,000 each). Raises ``Invalid``, ``NotFound``."""

    async def exit_code(self) -> int | None:
        """The exit code once the process has ended, else ``None``."""

    async def kill(self) -> bool:
        """End the process and its children in the container, then verify; ``True`` when nothing is left behind."""

    async def close(self) -> None:
        """Close our socket. The process in the container goes on: use :meth:`kill` first. Idempotent."""


@dataclass(slots=True)
class Window:
    """Flow control towards one viewer: how many bytes are sent and not yet acknowledged. Pure; does no I/O.

    ``limit`` is the number of bytes in flight at which the sender stops (256 KiB: xterm.js gets sluggish past 500 KB).
    """

    limit: int = 256 * 1024
    sent: int = 0
    acknowledged: int = 0

    @property
    def in_flight(self) -> int:
        """Bytes sent and not yet acknowledged."""
        return self.sent - self.acknowledged

    @property
    def room(self) -> int:
        """Bytes that may be sent now; 0 when the window is closed."""
        return max(0, self.limit - self.in_flight)

    def send(self, size: int) -> None:
        """Count ``size`` bytes as sent."""
        self.sent += size

    def acknowledge(self, total: int) -> None:
        """Take the viewer's running total of rendered bytes. Raises ``ValueError`` if never sent, or falling."""
        if total > self.sent or total < self.acknowledged:
            raise ValueError(f"acknowledged {total} of {self.sent} bytes sent, after {self.acknowledged}")
        self.acknowledged = total
