"""What the hub and those who speak to it say to each other. Both ends import this module.

A connection carries frames: four bytes of length (big-endian, of what follows), one byte of kind, and the body.

====  =======  ==================================================================================================
kind  from     body
====  =======  ==================================================================================================
``J``  both    a message of this module as a JSON object with its ``type``
``O``  hub     eight bytes, the offset of the first byte within the stream's output, then output
``I``  viewer  eight bytes, the offset of the first byte within this viewer's input, then input
====  =======  ==================================================================================================

The first frame of a connection is an order. The orders that open a stream (``OpenTerminal``, ``JoinTerminal``,
``FollowLog``) turn the connection into that stream until either end closes it; every other one is answered by one
``Answer`` or ``Refused``, and another order may follow.

Offsets count bytes since the stream began, so both ends can say exactly what they have: a viewer comes back with
``from_offset`` and gets every byte once; it sends again what ``Opened.taken`` does not cover, so nothing is typed
twice.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, get_args

from runtime.errors import BackendError

#: Raised by one whenever a frame changes its meaning; the hub refuses another one's connection by name.
VERSION: Final = 1
#: No frame is longer: a mebibyte of data, and its head.
FRAME_LIMIT: Final = 1024 * 1024 + 64
#: Bytes sent to a viewer and not yet acknowledged, at most.
WINDOW: Final = 256 * 1024
#: Bytes of input that a viewer may have sent before the engine has taken them.
INPUT_WINDOW: Final = 128 * 1024

JSON: Final = ord("J")
OUTPUT: Final = ord("O")
INPUT: Final = ord("I")


class BadMessage(ValueError):
    """A frame that is none, or a message with an unknown type, key or value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Somebody at a terminal: one browser tab of one person."""

    #: Chosen by the browser, kept by it while the tab lives: what was typed is counted by it.
    id: str
    person: str
    name: str
    #: Whether their input reaches the process; who may not type only watches.
    types: bool = True
    #: Whether the terminal is theirs: they may end it.
    owns: bool = False
    #: The offset of the first byte of input that the browser still has.
    typed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How a terminal is recorded: into ``path``, with input only where ``keeps_input``.

    ``required``: no recording, no shell. ``title`` and ``details`` go into the head of the file.
    """

    path: str
    required: bool = False
    keeps_input: bool = False
    title: str = ""
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a terminal ends by itself: seconds; 0 is never."""

    #: Without input from anybody.
    idle: int = 0
    #: In all.
    age: int = 0
    #: Without any viewer, after the last one closed its page, was lost by the network, or was held by a web process
    #: that died.
    closed: int = 20
    lost: int = 8 * 3600
    orphaned: int = 30


# Orders


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTerminal:
    """Run ``spec`` in a container, or attach to its main process (``spec`` is ``None``), and view it."""

    type: ClassVar[str] = "open_terminal"
    session: str
    #: As :func:`runtime.hub.endpoints.to_json` gives it.
    endpoint: dict[str, Any]
    container_id: str
    spec: dict[str, Any] | None
    #: The variable that marks every process of the session; its value holds the session's id and the hub's.
    marker_variable: str
    viewer: Viewer
    columns: int
    rows: int
    limits: Limits = Limits()
    recording: Recording | None = None
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinTerminal:
    """View a terminal that is open. ``from_offset`` is what the viewer has already; ``None`` is nothing."""

    type: ClassVar[str] = "join_terminal"
    session: str
    viewer: Viewer
    columns: int
    rows: int
    from_offset: int | None = None
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowLog:
    """Read a container's log: what is there, as the engine's ``logs`` takes its arguments, then what comes.

    Output is blocks of a log: one byte of channel, four bytes of length, and so many bytes as the engine gave them.
    """

    type: ClassVar[str] = "follow_log"
    endpoint: dict[str, Any]
    container_id: str
    tty: bool
    follow: bool = True
    stdout: bool = True
    stderr: bool = True
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
    until: float | None = None
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTerminals:
    """Say of every terminal how it is, also of those that ended and nobody has asked to forget."""

    type: ClassVar[str] = "list_terminals"
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class EndTerminal:
    """End a terminal and its processes. ``reason`` is a code like ``ended_by_admin``, told to its viewers."""

    type: ClassVar[str] = "end_terminal"
    session: str
    reason: str
    by: str = ""
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetTerminal:
    """What there is to know of a terminal that ended is in the console's database now."""

    type: ClassVar[str] = "forget_terminal"
    session: str
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTerminal:
    """Take no input from anybody (or take it again); output goes on."""

    type: ClassVar[str] = "lock_terminal"
    session: str
    locked: bool
    by: str = ""
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class TellTerminal:
    """Show a message beside a terminal to everybody who views it."""

    type: ClassVar[str] = "tell_terminal"
    session: str
    text: str
    by: str = ""
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPerson:
    """Change what a person may do at a terminal, at once: type, only watch, own it, or be there at all."""

    type: ClassVar[str] = "set_person"
    session: str
    person: str
    views: bool = True
    types: bool = False
    owns: bool = False
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepLogs:
    """Keep the logs of these containers and no others: the whole list, each time.

    ``hosts`` has the endpoint of each host by its id, as :func:`runtime.hub.endpoints.to_json` gives it. Of each
    container: ``host``, ``container`` (full id), ``limit`` (bytes of its log; 0 is none), ``revision``, any text: of a
    container that does not run the log is read again when it changes, and ``is_lost``: nobody sees the container any
    more, so the engine has to be asked whether it is gone. Answered with ``logs``: a :class:`KeptState` for each. A
    list that was made before one that came already says nothing new and is only answered.
    """

    type: ClassVar[str] = "keep_logs"
    #: When the list was made, in seconds since 1970.
    at: float
    hosts: dict[str, dict[str, Any]]
    containers: list[dict[str, Any]]
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishLog:
    """The container will be removed: keep what it wrote until now, within ``patience`` seconds.

    Answered with ``finished``: whether all of it is kept; also ``True`` for a log that is not kept at all.
    """

    type: ClassVar[str] = "finish_log"
    host: str
    container: str
    patience: float = 2.0
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptState:
    """How the keeping of one log goes; crosses the wire as plain values.

    ``state``: ``starting``, ``following`` (it runs), ``resting`` (it does not, and all is kept), ``gone`` (the engine
    does not know it any more, and what came before is kept), or ``failing``, with the ``error``'s code: an engine's,
    ``no_room``, ``storage`` or ``too_many``.
    """

    host: str
    container: str
    state: str
    error: str = ""
    #: Of what is kept; ``None`` while it is not known. Times are nanoseconds since 1970, 0 for none.
    bytes: int | None = None
    first: int = 0
    last: int = 0
    is_cut: bool = False
    #: Of its last life, as the engine said at its end; seconds since 1970.
    exit_code: int | None = None
    oom_killed: bool = False
    started_at: float | None = None
    ended_at: float | None = None


#: What opens a stream.
Stream = OpenTerminal | JoinTerminal | FollowLog
TerminalOrder = ListTerminals | EndTerminal | ForgetTerminal | LockTerminal | TellTerminal | SetPerson
LogOrder = KeepLogs | FinishLog
Order = Stream | TerminalOrder | LogOrder


# From the hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The stream is open; output follows from ``offset``.

    ``reset``: the viewer's own state is worth nothing any more: clear the screen, then show what comes. ``lost``: so
    many bytes before ``offset`` are gone for good. ``taken``: so many bytes of this viewer's input have arrived.
    """

    type: ClassVar[str] = "opened"
    offset: int
    #: Where the output ends now: what a program asked of its terminal before it is not to be answered again.
    end: int = 0
    tty: bool = True
    reset: bool = False
    lost: int = 0
    taken: int = 0
    window: int = WINDOW
    recorded: bool = False
    locked: bool = False
    #: What brings a cleared terminal into the state that the output from ``offset`` on counts upon.
    preamble: str = ""
    #: Which hub holds the stream: another one knows nothing of it.
    hub: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """The viewer was too slow: clear the screen; output goes on from ``offset``, ``lost`` bytes later."""

    type: ClassVar[str] = "skipped"
    offset: int
    lost: int
    preamble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """So many bytes of this viewer's input have been taken by the engine, or dropped because it may not type."""

    type: ClassVar[str] = "taken"
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The PTY has this size now."""

    type: ClassVar[str] = "size"
    columns: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Who is at the terminal now. Of each: id, person, name, types, owns, and ``typed``: seconds since they typed."""

    type: ClassVar[str] = "present"
    viewers: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to show beside the terminal.

    ``code``: ``message``, ``locked``, ``unlocked``, ``unrecorded`` (it is no longer recorded), ``idle`` (it ends in
    ``text`` seconds without input), ``rights`` (``text`` is ``types`` or ``watches``), ``owner`` (it is theirs now).
    """

    type: ClassVar[str] = "notice"
    code: str
    by: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The stream has ended for everybody.

    ``reason``: ``exited``, ``closed`` (by its owner), ``idle``, ``age``, ``abandoned`` (nobody came back),
    ``unrecorded`` (a required recording failed; ``message`` says why), ``engine`` (``error`` says how), or what
    ``EndTerminal`` gave, with ``by``.
    """

    type: ClassVar[str] = "ended"
    reason: str
    exit_code: int | None = None
    by: str = ""
    message: str = ""
    error: dict[str, Any] | None = None
    #: Whether nothing of it is left in the container.
    clean: bool = True
    #: Of its recording, once that is closed: size_bytes, seconds, head (of the chain), complete.
    recorded: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dismissed:
    """The stream goes on, without this viewer.

    ``reason``: ``removed``, ``replaced`` (the same tab came again), ``flood`` (it sends more than is taken).
    """

    type: ClassVar[str] = "dismissed"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The order was not carried out: ``code`` is ``version``, ``bad_message``, ``unknown_session``, ``too_many``,
    ``unrecorded``, or ``engine``, with the ``error``."""

    type: ClassVar[str] = "refused"
    code: str
    message: str = ""
    error: dict[str, Any] | None = None
    #: Whether nothing can be left of it in the container.
    clean: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The order was carried out; ``data`` is what it asked for."""

    type: ClassVar[str] = "answer"
    data: dict[str, Any] = field(default_factory=dict)


FromHub = Opened | Skipped | Taken | Size | Present | Notice | Ended | Dismissed | Refused | Answer


# From a viewer, within a stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Everything before ``offset`` has been rendered."""

    type: ClassVar[str] = "ack"
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """The viewer has room for so many cells. The PTY gets the smallest of those who type."""

    type: ClassVar[str] = "resize"
    columns: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndInput:
    """End of file on standard input, after what was typed."""

    type: ClassVar[str] = "end_input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """The last word of a viewer: ``how`` is ``closed`` (the page), ``lost`` (the network) or ``end`` (end it now)."""

    type: ClassVar[str] = "leave"
    how: str


FromViewer = Ack | Resize | EndInput | Leave

Message = Order | FromHub | FromViewer

_TYPES: Final[Mapping[str, type[Any]]] = {kind.type: kind for kind in get_args(Message)}
_NESTED: Final[Mapping[str, type[Any]]] = {"viewer": Viewer, "limits": Limits, "recording": Recording}


def pack(message: Message) -> bytes:
    """Return the body of a ``J`` frame."""
    return json.dumps({"type": message.type, **dataclasses.asdict(message)}, separators=(",", ":")).encode()


def unpack(body: bytes) -> Message:
    """Return the message of a ``J`` frame. Raises ``BadMessage``."""
    try:
        fields = json.loads(body)
        kind = _TYPES[fields.pop("type")]
        for name, nested in _NESTED.items():
            if isinstance(fields.get(name), dict):
                fields[name] = nested(**fields[name])
        message: Message = kind(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadMessage(str(error)) from error
    return message


def error_from(fields: Mapping[str, Any]) -> BackendError:
    """Return the engine's error that :func:`error_of` told of."""
    kind = next((kind for kind in _errors() if kind.code == fields.get("code")), BackendError)
    return kind(str(fields.get("message", "")), reason=str(fields.get("reason", "")))


def _errors() -> list[type[BackendError]]:
    return BackendError.__subclasses__()


def error_of(error: BackendError) -> dict[str, Any]:
    """Return an engine's error as what crosses the wire."""
    return {"code": error.code, "message": error.message, "reason": error.reason}
