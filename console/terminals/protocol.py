"""The control frames of a terminal, typed. `static/js/terminal.js` has the same on its end.

Binary frames are bytes of the terminal, both ways. Text frames are JSON objects, one class here each. A frame with an
unknown type, key or a value out of bounds is refused; nothing of it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final

CELLS_MOST: Final = 1000
#: Bytes of input that the browser may send before the engine has taken them.
INPUT_WINDOW: Final = 128 * 1024
#: The server says how much was taken each time that this much was.
TAKEN_EVERY: Final = 32 * 1024


class BadFrame(ValueError):
    """A frame that is not one of the protocol's."""


def _between(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadFrame(f"{value!r} is not a whole number between {low} and {high}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Browser: open the terminal that this ticket was issued for, with this size in cells."""

    type: ClassVar[str] = "open"
    ticket: str
    columns: int
    rows: int

    def __post_init__(self) -> None:
        if not isinstance(self.ticket, str) or not self.ticket.isascii() or not 20 <= len(self.ticket) <= 100:
            raise BadFrame("ticket")
        _between(self.columns, 1, CELLS_MOST)
        _between(self.rows, 1, CELLS_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """Browser: the pane has this size now, in cells."""

    type: ClassVar[str] = "resize"
    columns: int
    rows: int

    def __post_init__(self) -> None:
        _between(self.columns, 1, CELLS_MOST)
        _between(self.rows, 1, CELLS_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Browser: this many bytes have been rendered since the terminal opened."""

    type: ClassVar[str] = "ack"
    bytes: int

    def __post_init__(self) -> None:
        _between(self.bytes, 0, 2**53)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Browser: answer with a pong that carries the same number (its clock), to measure latency."""

    type: ClassVar[str] = "ping"
    at: int

    def __post_init__(self) -> None:
        _between(self.at, 0, 2**53)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Browser: input has ended (end of file on standard input)."""

    type: ClassVar[str] = "end"


BrowserFrame = Open | Resize | Ack | Ping | End


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Server: the terminal is open; bytes follow. Without a TTY, the first byte of a frame names its channel."""

    type: ClassVar[str] = "opened"
    session: str
    tty: bool
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Server: the process ended with this code (null when the engine does not say)."""

    type: ClassVar[str] = "exit"
    code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """Server: the answer to a ping."""

    type: ClassVar[str] = "pong"
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Server: the engine has taken this many bytes of input since the terminal opened.

    The browser keeps at most ``INPUT_WINDOW`` bytes on the way. Else a large paste into a program that echoes would
    stand in front of the acknowledgements that let its echo through, and both ends would wait for ever.
    """

    type: ClassVar[str] = "taken"
    bytes: int


ServerFrame = Opened | Exit | Pong | Taken

_BROWSER_FRAMES: Final[Mapping[str, Callable[..., BrowserFrame]]] = {
    kind.type: kind for kind in (Open, Resize, Ack, Ping, End)
}


def parse(frame: Mapping[str, Any]) -> BrowserFrame:
    """Return the typed frame. Raises ``BadFrame``."""
    kind = _BROWSER_FRAMES.get(frame["type"])
    if kind is None:
        raise BadFrame("unknown type")
    try:
        return kind(**{key: value for key, value in frame.items() if key != "type"})
    except TypeError as error:  # a missing or an unknown key
        raise BadFrame(str(error)) from error


def serialise(frame: ServerFrame) -> dict[str, Any]:
    """Return the frame as what goes into JSON."""
    return {"type": frame.type, **asdict(frame)}


def keys_of(kind: type[BrowserFrame | ServerFrame]) -> set[str]:
    """The keys of a kind of frame beside ``type``, for the test that compares both ends."""
    return {field.name for field in fields(kind)}
