"""The control frames of a terminal, typed. `static/js/terminal-stream.js` has the same on its end.

Binary frames are bytes of the terminal, both ways. Text frames are JSON objects, one class here each. A frame with an
unknown type, key or a value out of bounds is refused; nothing of it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Final, TypeVar

CELLS_MOST: Final = 1000
#: Bytes of input that the browser may send before the engine has taken them.
INPUT_WINDOW: Final = 128 * 1024
#: What a browser counts in exactly.
OFFSET_MOST: Final = 2**53


Kind = TypeVar("Kind")


class BadFrame(ValueError):
    """A frame that is not one of the protocol's."""


def _between(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadFrame(f"{value!r} is not a whole number between {low} and {high}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Browser: open, or come back to, the terminal that this ticket was issued for, with this size in cells.

    ``viewer`` names this tab for as long as it lives. ``from_offset`` (``from``) is how many bytes of output it has, or
    nothing; ``typed`` the offset of the first byte of input that it still keeps.
    """

    type: ClassVar[str] = "open"
    ticket: str
    viewer: str
    columns: int
    rows: int
    from_offset: int | None = None
    typed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.ticket, str) or not self.ticket.isascii() or not 20 <= len(self.ticket) <= 100:
            raise BadFrame("ticket")
        if not isinstance(self.viewer, str) or not self.viewer.isascii() or not 8 <= len(self.viewer) <= 64:
            raise BadFrame("viewer")
        _between(self.columns, 1, CELLS_MOST)
        _between(self.rows, 1, CELLS_MOST)
        _between(self.typed, 0, OFFSET_MOST)
        if self.from_offset is not None:
            _between(self.from_offset, 0, OFFSET_MOST)


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
    """Browser: everything before this offset of the output has been rendered."""

    type: ClassVar[str] = "ack"
    offset: int

    def __post_init__(self) -> None:
        _between(self.offset, 0, OFFSET_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAck:
    """Browser, of a log: this many bytes have been rendered since it opened."""

    type: ClassVar[str] = "ack"
    bytes: int

    def __post_init__(self) -> None:
        _between(self.bytes, 0, OFFSET_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Browser: answer with a pong that carries the same number (its clock), to measure latency."""

    type: ClassVar[str] = "ping"
    at: int

    def __post_init__(self) -> None:
        _between(self.at, 0, OFFSET_MOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Browser: input has ended (end of file on standard input)."""

    type: ClassVar[str] = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Browser: end the terminal now, whoever else is there. Only its owner is listened to."""

    type: ClassVar[str] = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quit:
    """Browser: this viewer leaves for good; the terminal goes on without it."""

    type: ClassVar[str] = "leave"


BrowserFrame = Open | Resize | Ack | Ping | End | Close | Quit
LogFrame = LogAck | Ping


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Server: the terminal is open; its output follows from ``offset`` on.

    ``reset``: clear the screen first, ``lost`` bytes are gone. ``preamble`` comes before the output, uncounted. Input
    goes on from ``taken``. What comes before ``end`` was there already: nothing in it is to be answered. Without a TTY,
    output is blocks: a byte of channel, four of length, and the data.
    """

    type: ClassVar[str] = "opened"
    session: str
    name: str
    tty: bool
    window: int
    offset: int
    end: int
    reset: bool
    lost: int
    preamble: str
    taken: int
    recorded: bool
    locked: bool
    types: bool
    owns: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Server: the browser was too slow. Clear the screen, write ``preamble``; output goes on from ``offset``."""

    type: ClassVar[str] = "skipped"
    offset: int
    lost: int
    preamble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Server: the PTY has this size now; it is the smallest of those who type."""

    type: ClassVar[str] = "size"
    columns: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Server: who is here. Of each: id, person, name, types, owns, and typed: seconds since, or null."""

    type: ClassVar[str] = "present"
    viewers: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Server: something to show beside the terminal; ``code`` as in ``runtime.hub.messages.Notice``."""

    type: ClassVar[str] = "notice"
    code: str
    by: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Server: the terminal has ended, with this code if its process did (null when the engine does not say)."""

    type: ClassVar[str] = "exit"
    code: int | None
    reason: str
    by: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissed:
    """Server: this viewer's part is over: ``removed``, ``replaced`` or ``flood``. The terminal goes on."""

    type: ClassVar[str] = "dismissed"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """Server: the answer to a ping."""

    type: ClassVar[str] = "pong"
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Server: the engine has taken this many bytes of this viewer's input since the terminal opened.

    The browser keeps at most ``INPUT_WINDOW`` bytes on the way. Else a large paste into a program that echoes would
    stand in front of the acknowledgements that let its echo through, and both ends would wait for ever.
    """

    type: ClassVar[str] = "taken"
    bytes: int


ServerFrame = Opened | Skipped | Size | Present | Notice | Exit | Dismissed | Pong | Taken

_BROWSER_FRAMES: Final[Mapping[str, Callable[..., BrowserFrame]]] = {
    kind.type: kind for kind in (Open, Resize, Ack, Ping, End, Close, Quit)
}
_LOG_FRAMES: Final[Mapping[str, Callable[..., LogFrame]]] = {kind.type: kind for kind in (LogAck, Ping)}
#: Words of Python that cannot name a field.
_FIELDS: Final = {"from": "from_offset"}


def parse(frame: Mapping[str, Any]) -> BrowserFrame:
    """Return the typed frame of a terminal. Raises ``BadFrame``."""
    return _parsed(frame, _BROWSER_FRAMES)


def parse_log(frame: Mapping[str, Any]) -> LogFrame:
    """Return the typed frame of a log. Raises ``BadFrame``."""
    return _parsed(frame, _LOG_FRAMES)


def _parsed(frame: Mapping[str, Any], kinds: Mapping[str, Callable[..., Kind]]) -> Kind:
    kind = kinds.get(frame["type"])
    if kind is None:
        raise BadFrame("unknown type")
    try:
        return kind(**{_FIELDS.get(key, key): value for key, value in frame.items() if key != "type"})
    except TypeError as error:  # a missing or an unknown key
        raise BadFrame(str(error)) from error


def serialise(frame: ServerFrame) -> dict[str, Any]:
    """Return the frame as what goes into JSON."""
    return {"type": frame.type, **asdict(frame)}


def keys_of(kind: type[BrowserFrame | ServerFrame]) -> set[str]:
    """The keys of a kind of frame beside ``type``, for the test that compares both ends."""
    names = {value: key for key, value in _FIELDS.items()}
    return {names.get(field.name, field.name) for field in fields(kind)}
