"""A viewer's place at a terminal: what it was sent, what it has rendered, what it typed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from runtime.hub.messages import WINDOW, Ended, Skipped, Viewer
from runtime.hub.ring import Ring
from runtime.hub.wire import Link


@dataclass(slots=True)
class Typed:
    """The input of one viewer, by offset; it outlives the viewer's connections."""

    #: Has arrived here; was taken by the engine (or dropped); the viewer was told of.
    received: int = 0
    taken: int = 0
    told: int = 0


@dataclass(slots=True, eq=False)
class Seat:
    """One connection to one terminal. Output goes to it as far as its window reaches, from the ring when it is late."""

    viewer: Viewer
    link: Link
    typed: Typed
    columns: int
    rows: int
    #: The offset of the next byte to send, and of the first one that is not known to be rendered.
    cursor: int
    acknowledged: int
    typed_at: float = 0.0

    def feed(self, ring: Ring) -> None:
        """Send what there is and the window allows."""
        while self.cursor < ring.end and not self.link.is_full:
            room = WINDOW - (self.cursor - self.acknowledged)
            if room <= 0:
                return
            if self.cursor < ring.start:
                self._skip(ring)
                continue
            data = ring.read(self.cursor, room)
            self.link.send_output(self.cursor, data)
            self.cursor += len(data)

    def follow(self, offset: int, data: bytes, ring: Ring) -> None:
        """Send ``data``, which has just come, without a copy when nothing stands before it."""
        room = WINDOW - (self.cursor - self.acknowledged)
        if self.cursor == offset and len(data) <= room and not self.link.is_full:
            self.link.send_output(offset, data)
            self.cursor += len(data)
        else:
            self.feed(ring)

    def _skip(self, ring: Ring) -> None:
        offset, preamble = ring.entry()
        self.link.send(Skipped(offset=offset, lost=offset - self.cursor, preamble=preamble))
        self.cursor = self.acknowledged = offset

    def acknowledge(self, offset: int) -> bool:
        """Take what the viewer has rendered; return whether that can be. Older words than a skip are no news."""
        if offset > self.cursor:
            return False
        self.acknowledged = max(self.acknowledged, offset)
        return True

    def part(self, ended: Ended) -> None:
        """Say that the terminal has ended, and close."""
        self.link.send(ended)
        self.link.close()

    def allow(self, *, types: bool, owns: bool) -> None:
        """Change what the viewer may do."""
        self.viewer = replace(self.viewer, types=types, owns=owns)

    def as_json(self) -> dict[str, Any]:
        """What others see of the viewer."""
        now = time.monotonic()
        return {
            "id": self.viewer.id,
            "person": self.viewer.person,
            "name": self.viewer.name,
            "types": self.viewer.types,
            "owns": self.viewer.owns,
            "typed": round(now - self.typed_at, 1) if self.typed_at else None,
        }
