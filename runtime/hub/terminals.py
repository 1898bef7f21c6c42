"""A terminal that lives here: one exec or attach, its ring, its seats, its input, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from runtime.containers import ContainerEngine, ExecSpec
from runtime.errors import BackendError, NotFound, ProtocolError, Terminated, TimedOut, Unreachable
from runtime.hub import messages
from runtime.hub.messages import (
    INPUT_WINDOW,
    WINDOW,
    Ack,
    Dismissed,
    Ended,
    EndInput,
    Leave,
    Message,
    Notice,
    Opened,
    OpenTerminal,
    Present,
    Recording,
    Refused,
    Resize,
    SetPerson,
    Size,
    Taken,
    Viewer,
)
from runtime.hub.ring import CAPACITY, Ring
from runtime.hub.seats import Seat, Typed
from runtime.hub.wire import Link
from runtime.recordings import Recorder, RecordingFailure
from runtime.streams import Terminal

logger = logging.getLogger(__name__)

#: Seconds of rest after a burst's frame, so that the rest of the burst becomes one large frame.
REST: Final = 0.004
#: A smaller piece is a keystroke's echo: the next may follow at once.
BURST: Final = 1024
#: A viewer is told how much of its input was taken each time that this much was.
TAKEN_EVERY: Final = 32 * 1024
#: Input kept for an engine that takes none: more than the console lets through.
_INPUT_LIMIT: Final = 4 * INPUT_WINDOW
#: Seconds for which the engine is not read past what the ring keeps for somebody who was just cut off: then every byte
#: is there when they come back, and no program stands still for long.
AWAITED: Final = 60.0
#: Pieces of input that may wait for the engine. Those of one viewer become one, so only a flood has so many.
_MOST_PIECES: Final = 10_000
MOST_SEATS: Final = 50
#: Tabs that one terminal remembers the input of.
MOST_TYPISTS: Final = 500
#: Seconds between two words about who is typing.
TYPING_EVERY: Final = 1.0
#: Seconds before the end for want of input at which the viewers are warned.
IDLE_WARNING: Final = 60
#: Seconds for one of them. What answers is the container's own shell: it may say and delay what it likes.
KILL_PATIENCE: Final = 30.0

#: Bytes that may wait for the recorder's disk: then the engine waits too.
RECORDER_ROOM: Final = 1024 * 1024
#: Seconds that the end of a recording may take.
RECORDER_PATIENCE: Final = 5.0

_CHANNEL_HEAD: Final = 5
#: Ends after which the last output is still worth reading.
_NATURAL: Final = ("exited", "engine")


class HeldTerminal:
    """One terminal. Everything but :meth:`start` and :meth:`end` happens at once, in the callback that asks for it."""

    def __init__(self, order: OpenTerminal, *, hub_id: str, engine: ContainerEngine, kills: asyncio.Semaphore) -> None:
        self.session = order.session
        self.container_id = order.container_id
        self.person = order.viewer.person
        self.limits = order.limits
        self.marker = f"{order.session}.{hub_id}"
        self.opened_at = time.time()
        self.ended: Ended | None = None
        self.ended_at = 0.0
        self.locked = False
        self._order = order
        self._hub_id = hub_id
        self._engine = engine
        self._kills = kills
        self._terminal: Terminal | None = None
        self._recorder: Recorder | None = None
        #: Why it is not recorded though it should be: a code of ``FailureCode``.
        self._unrecorded = ""
        self._ring = Ring()
        self._seats: dict[str, Seat] = {}
        self._typed: dict[str, Typed] = {}
        self._columns, self._rows = order.columns, order.rows
        #: Whose input comes next, and what it is; nothing is the end of input.
        self._input: deque[tuple[Typed, Seat, bytearray | None]] = deque()
        self._is_input_over = False
        self._input_arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._small_tasks: set[asyncio.Task[None]] = set()
        #: What gives the PTY its size, while it does.
        self._sizing: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        #: By the clock that nobody sets: a machine that slept, or whose time was put right, ends nothing.
        self._begun_at = self._touched_at = time.monotonic()
        self._is_warned = False
        self._typing_told_at = 0.0
        #: What the last who typed had rendered when they went, and until when the ring waits for them with the rest.
        self._awaited: tuple[int, float] | None = None
        #: Until when it waits for somebody to come back, once nobody is here.
        self._alone_until: float | None = None
        #: Until when it waits for its owner at least: who only looked in does not shorten that by going.
        self._owner_until = 0.0
        #: Whether the engine may have begun to run something that an end has to look for.
        self._may_run = False

    # The beginning

    async def start(self) -> None:
        """Run what was ordered. Raises ``BackendError``; :attr:`ended` then says whether something may be left.

        Raises ``RecordingFailure`` when a recording is required and cannot begin: then nothing was run.
        """
        order = self._order
        if order.recording is not None:
            self._begin_recording(order.recording)
        try:
            if order.spec is None:
                detail = await self._engine.inspect_container(self.container_id)
                self._terminal = await self._engine.attach(self.container_id, tty=detail.tty, stdin=detail.open_stdin)
                if detail.tty:
                    await self._set_size(self._columns, self._rows)
            else:
                self._may_run = True
                self._terminal = await self._engine.open_exec(self.container_id, self._spec_of(order.spec))
        except BackendError as error:
            # A definite no means that nothing runs; a silence does not.
            self._may_run = self._may_run and isinstance(error, Unreachable | TimedOut | Terminated | ProtocolError)
            clean = await self._kill()
            recording = await self._close_recording(None)
            ended = Ended(reason="engine", error=messages.error_of(error), clean=clean, recorded=recording)
            self._note(ended)
            raise
        self._tasks = [
            asyncio.create_task(self._read(self._terminal)),
            asyncio.create_task(self._write(self._terminal)),
        ]

    def _begin_recording(self, recording: Recording) -> None:
        try:
            self._recorder = Recorder.start(
                Path(recording.path),
                columns=self._columns,
                rows=self._rows,
                title=recording.title,
                details=recording.details,
                keeps_input=recording.keeps_input,
                on_failure=self._lose_recording,
            )
        except RecordingFailure as failure:
            if recording.required:
                self._note(Ended(reason="unrecorded", message=failure.code.value))
                raise
            self._unrecorded = failure.code.value

    def _lose_recording(self, code: str) -> None:
        """The recording can no longer go on: neither can a terminal that must be recorded."""
        self._unrecorded = code
        if self._order.recording is not None and self._order.recording.required:
            self.end(Ended(reason="unrecorded", message=code))
        else:
            self._tell(Notice(code="unrecorded", text=code))

    async def _close_recording(self, exit_code: int | None) -> dict[str, Any] | None:
        if self._recorder is None:
            return None
        try:
            async with asyncio.timeout(RECORDER_PATIENCE):
                return asdict(await self._recorder.close(exit_code))
        except TimeoutError:
            logger.warning("the recording of terminal %s is not closed yet", self.session)
            return None

    def _spec_of(self, fields: dict[str, Any]) -> ExecSpec:
        environment = tuple((name, value) for name, value in fields.pop("environment", ()))
        return ExecSpec(
            **{**fields, "command": tuple(fields["command"])},
            environment=(*environment, (self._order.marker_variable, self.marker)),
            columns=self._columns,
            rows=self._rows,
        )

    # Seats

    @property
    def is_recorded(self) -> bool:
        """Whether what happens now is written down."""
        return self._recorder is not None and not self._recorder.failed

    @property
    def tty(self) -> bool:
        """Whether the far end is a PTY."""
        return self._terminal is None or self._terminal.tty

    def sit(self, link: Link, viewer: Viewer, *, columns: int, rows: int, from_offset: int | None) -> None:
        """Give a viewer a seat, and everything from ``from_offset`` on that it does not have."""
        if viewer.id not in self._seats and len(self._seats) >= MOST_SEATS:
            link.send(Refused(code="too_many", message=f"{MOST_SEATS} viewers are here already"))
            link.close()
            return
        before = self._seats.pop(viewer.id, None)
        if before is not None:
            self._dismiss(before, "replaced")
        typed = self._typed.get(viewer.id)
        if typed is None:
            if len(self._typed) >= MOST_TYPISTS:
                self._forget_typists()
            typed = self._typed[viewer.id] = Typed(received=viewer.typed, taken=viewer.typed, told=viewer.typed)
        ring = self._ring
        has_all = from_offset is not None and ring.start <= from_offset <= ring.end
        if has_all and from_offset is not None:
            offset, preamble = from_offset, ""
        else:
            offset, preamble = ring.entry()
        seat = Seat(
            viewer=viewer,
            link=link,
            typed=typed,
            columns=columns,
            rows=rows,
            cursor=offset,
            acknowledged=offset,
        )
        link.on_message = lambda message: self._hear(seat, message)
        link.on_data = lambda at, data: self._type(seat, at, data)
        link.on_room = lambda: self._serve(seat)
        link.on_lost = lambda _problem: self._lose(seat)
        link.send(
            Opened(
                offset=offset,
                end=ring.end,
                tty=self.tty,
                reset=from_offset is not None and not has_all,
                lost=offset - from_offset if from_offset is not None and from_offset < offset else 0,
                taken=typed.received,
                recorded=self.is_recorded,
                locked=self.locked,
                preamble=preamble,
                hub=self._hub_id,
            )
        )
        if self._unrecorded:
            link.send(Notice(code="unrecorded", text=self._unrecorded))
        self._seats[viewer.id] = seat
        self._alone_until = None
        if viewer.owns:
            self._owner_until = 0.0
        if viewer.types:
            self._awaited = None
        if self.ended is None:
            self._fit()
            link.send(Size(columns=self._columns, rows=self._rows))
            self._tell_present()
            if offset and not has_all and ring.is_alternate:
                self._redraw()
        self._serve(seat)

    def _forget_typists(self) -> None:
        self._typed = {key: typed for key, typed in self._typed.items() if key in self._seats}

    def _serve(self, seat: Seat) -> None:
        seat.feed(self._ring)
        if self.ended is not None and seat.cursor == self._ring.end and self._seats.get(seat.viewer.id) is seat:
            del self._seats[seat.viewer.id]
            seat.part(self.ended)
        self._room.set()

    def _dismiss(self, seat: Seat, reason: str) -> None:
        if self._seats.get(seat.viewer.id) is seat:
            del self._seats[seat.viewer.id]
        seat.link.send(Dismissed(reason=reason))
        seat.link.close()

    def _lose(self, seat: Seat, *, patience: int | None = None) -> None:
        """A viewer has gone; the terminal waits for it, unless others are here."""
        if self._seats.get(seat.viewer.id) is not seat:
            return
        del self._seats[seat.viewer.id]
        if seat.viewer.types:
            self._awaited = (seat.acknowledged, time.monotonic() + AWAITED)
        self._room.set()
        if self.ended is not None:
            return
        until = time.monotonic() + (self.limits.orphaned if patience is None else patience)
        if seat.viewer.owns:
            self._owner_until = until
        if self._seats:
            self._fit()
            self._tell_present()
        else:
            self._alone_until = max(until, self._owner_until)

    # What viewers say

    def _hear(self, seat: Seat, message: Message) -> None:
        match message:
            case Ack(offset=offset):
                if not seat.acknowledge(offset):
                    self._dismiss(seat, "flood")
                    return
                self._serve(seat)
            case Resize(columns=columns, rows=rows):
                seat.columns, seat.rows = columns, rows
                self._fit()
            case EndInput():
                if seat.viewer.types and not self.locked and not self._is_input_over:
                    self._is_input_over = True
                    self._put(seat, None)
            case Leave(how="end"):
                if seat.viewer.owns:
                    self.end(Ended(reason="closed", by=seat.viewer.name))
                else:
                    self._lose(seat, patience=self.limits.closed)
                    seat.link.close()
            case Leave(how=how):
                patience = {"closed": self.limits.closed, "lost": self.limits.lost}.get(how, self.limits.orphaned)
                self._lose(seat, patience=patience)
                seat.link.close()
            case _:
                self._dismiss(seat, "flood")

    def _type(self, seat: Seat, offset: int, data: bytes) -> None:
        typed = seat.typed
        if offset > typed.received or self._seats.get(seat.viewer.id) is not seat:
            self._dismiss(seat, "flood")
            return
        data = data[typed.received - offset :]
        if not data:
            return
        typed.received += len(data)
        if typed.received - typed.taken > _INPUT_LIMIT or len(self._input) > _MOST_PIECES:
            self._dismiss(seat, "flood")
            return
        if not seat.viewer.types or self.locked or self.ended is not None:
            self._count(seat, typed, len(data))
            return
        now = time.monotonic()
        self._touched_at = seat.typed_at = now
        self._is_warned = False
        if self._recorder is not None:
            self._recorder.typed(data)
        self._put(seat, data)
        if len(self._seats) > 1 and now - self._typing_told_at >= TYPING_EVERY:
            self._typing_told_at = now
            self._tell_present()

    def _put(self, seat: Seat, data: bytes | None) -> None:
        waiting = self._input[-1] if self._input else None
        if data is not None and waiting is not None and waiting[1] is seat and waiting[2] is not None:
            waiting[2].extend(data)  # a piece for each keystroke would take a hundred times its room
        else:
            self._input.append((seat.typed, seat, None if data is None else bytearray(data)))
        self._input_arrived.set()

    def _count(self, seat: Seat, typed: Typed, size: int) -> None:
        typed.taken += size
        if typed.taken - typed.told >= TAKEN_EVERY:
            typed.told = typed.taken
            current = self._seats.get(seat.viewer.id)
            if current is not None:
                current.link.send(Taken(bytes=typed.taken))

    # Pumps

    async def _read(self, terminal: Terminal) -> None:
        """Send at once when idle; rest after a burst's frame, while the next gathers in the transport."""
        try:
            while True:
                while not self._has_room():
                    self._room.clear()
                    await self._room.wait()
                # A thread empties it, and has better things to do than to wake a loop.
                while self._recorder is not None and self._recorder.backlog > RECORDER_ROOM:  # noqa: ASYNC110
                    await asyncio.sleep(REST)
                if terminal.tty:
                    data = await terminal.read()
                else:
                    chunk = await terminal.read_chunk()
                    data = b"" if chunk is None else bytes((chunk.channel,)) + _sized(chunk.data)
                if not data:
                    break
                self._took(data)
                if len(data) >= BURST:
                    await asyncio.sleep(REST)
            code = await self._find_exit_code(terminal)
        except BackendError as error:
            self.end(Ended(reason="engine", error=messages.error_of(error)))
            return
        # The process is gone; only one that threw its output away can have left something.
        self._may_run = self._may_run and code is None
        self.end(Ended(reason="exited", exit_code=code))

    def _has_room(self) -> bool:
        """Who types sets the pace: the fastest of them; who watches, or has gone, does not."""
        rendered = [seat.acknowledged for seat in self._seats.values() if seat.viewer.types]
        if rendered:
            return self._ring.end - max(rendered) < WINDOW
        if self._awaited is None or time.monotonic() >= self._awaited[1]:
            return True
        return self._ring.end - self._awaited[0] < CAPACITY - WINDOW

    def _took(self, data: bytes) -> None:
        offset = self._ring.end
        self._ring.append(data)
        if self._recorder is not None:
            self._recorder.output(data)
        for seat in self._seats.values():
            seat.follow(offset, data, self._ring)

    async def _find_exit_code(self, terminal: Terminal) -> int | None:
        if self._order.spec is None:
            detail = await self._engine.inspect_container(self.container_id)
            return detail.container.exit_code
        return await terminal.exit_code()

    async def _write(self, terminal: Terminal) -> None:
        try:
            while True:
                while not self._input:
                    self._input_arrived.clear()
                    await self._input_arrived.wait()
                typed, seat, data = self._input.popleft()
                if data is None:
                    await terminal.write_eof()
                    continue
                await terminal.write(bytes(data))
                self._count(seat, typed, len(data))
        except BackendError as error:
            # Nobody reads there any more: the reader finds out how it ended.
            logger.info("terminal %s takes no input: %s", self.session, error.message)

    # Size

    def _fit(self) -> None:
        """Give the PTY the size of the smallest who types; without one it stays."""
        sizes = [(seat.columns, seat.rows) for seat in self._seats.values() if seat.viewer.types]
        if not sizes or self._terminal is None or not self._terminal.tty:
            return
        columns, rows = min(size[0] for size in sizes), min(size[1] for size in sizes)
        if (columns, rows) != (self._columns, self._rows):
            self._columns, self._rows = columns, rows
            if self._sizing is None or self._sizing.done():
                self._sizing = self._keep(self._follow_size())
            if self._recorder is not None:
                self._recorder.resized(columns, rows)
            for seat in self._seats.values():
                seat.link.send(Size(columns=columns, rows=rows))

    async def _follow_size(self) -> None:
        """Give the PTY the size of now. One call at a time: a window that is dragged has hundreds."""
        given = None
        while given != (given := (self._columns, self._rows)):
            await self._set_size(*given)

    async def _set_size(self, columns: int, rows: int) -> None:
        if self._terminal is None:
            return
        try:
            await self._terminal.resize(columns=columns, rows=rows)
        except BackendError as error:
            # The process is just ending; the reader says so.
            logger.info("terminal %s not resized: %s", self.session, error.message)

    def _redraw(self) -> None:
        """Have the program on the screen draw it anew: what it drew long ago is kept no more."""

        async def nudge() -> None:
            await self._set_size(self._columns, max(1, self._rows - 1))
            await self._set_size(self._columns, self._rows)

        self._keep(nudge())

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._small_tasks.add(task)
        task.add_done_callback(self._small_tasks.discard)
        return task

    # Orders from the console

    def _tell(self, message: Message) -> None:
        for seat in self._seats.values():
            seat.link.send(message)

    def _tell_present(self) -> None:
        self._tell(Present(viewers=[seat.as_json() for seat in self._seats.values()]))

    def lock(self, *, locked: bool, by: str) -> None:
        """Take no input, or take it again."""
        if locked != self.locked:
            self.locked = locked
            self._tell(Notice(code="locked" if locked else "unlocked", by=by))

    def tell(self, *, text: str, by: str) -> None:
        """Show a message to everybody who is here."""
        self._tell(Notice(code="message", by=by, text=text))

    def set_person(self, order: SetPerson) -> None:
        """Change what a person may do here, at once."""
        for seat in [seat for seat in self._seats.values() if seat.viewer.person == order.person]:
            if not order.views:
                self._dismiss(seat, "removed")
                continue
            if seat.viewer.types != order.types:
                seat.link.send(Notice(code="rights", text="types" if order.types else "watches"))
            if order.owns and not seat.viewer.owns:
                seat.link.send(Notice(code="owner"))
            seat.allow(types=order.types, owns=order.owns)
        if order.owns:
            self.person = order.person
        self._fit()
        self._tell_present()
        self._room.set()
        if not self._seats and self._alone_until is None and self.ended is None:
            self._alone_until = max(time.monotonic() + self.limits.closed, self._owner_until)

    # The end

    def look(self, now: float) -> None:
        """End what has been idle, old or alone for too long; called about once a second."""
        if self.ended is not None or self._ending is not None:
            return
        self._room.set()  # who was awaited may have been for long enough
        limits = self.limits
        idle = now - self._touched_at
        if self._alone_until is not None and now >= self._alone_until:
            self.end(Ended(reason="abandoned"))
        elif limits.age and now - self._begun_at >= limits.age:
            self.end(Ended(reason="age"))
        elif limits.idle and idle >= limits.idle:
            self.end(Ended(reason="idle"))
        elif limits.idle and not self._is_warned and idle >= limits.idle - IDLE_WARNING:
            self._is_warned = True
            self._tell(Notice(code="idle", text=str(max(1, round(limits.idle - idle)))))

    def end(self, ended: Ended) -> asyncio.Task[None]:
        """End it, its processes too, and tell everybody how; the first reason holds."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(ended))
        return self._ending

    async def _end(self, ended: Ended) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        clean = await self._kill()
        if self._terminal is not None:
            await self._terminal.close()
        recording = await self._close_recording(ended.exit_code)
        self._note(replace(ended, clean=clean, recorded=recording))

    def _note(self, ended: Ended) -> None:
        self.ended = ended
        self.ended_at = time.monotonic()
        self._input.clear()
        for seat in list(self._seats.values()):
            if ended.reason not in _NATURAL:
                seat.cursor = self._ring.end  # who was put out need not read to the end first
            self._serve(seat)

    async def _kill(self) -> bool:
        """End what runs or may run, and return whether nothing is left. A main process is never touched."""
        if not self._may_run:
            return True
        try:
            async with self._kills, asyncio.timeout(KILL_PATIENCE):
                return await self._engine.kill_execs(self.container_id, marker=self.marker)
        except NotFound:
            return True  # the container is gone, and with it every process
        except (BackendError, TimeoutError) as error:
            logger.warning("terminal %s not ended: %s", self.session, error)
            return False

    def as_json(self) -> dict[str, Any]:
        """How it is."""
        return {
            "session": self.session,
            "container_id": self.container_id,
            "person": self.person,
            "state": "open" if self.ended is None else "ended",
            "opened_at": self.opened_at,
            "idle": round(time.monotonic() - self._touched_at, 1),
            "viewers": [seat.as_json() for seat in self._seats.values()],
            "columns": self._columns,
            "rows": self._rows,
            "locked": self.locked,
            "recorded": self.is_recorded,
            "bytes_out": self._ring.end,
            "bytes_in": sum(typed.received for typed in self._typed.values()),
            "ended": None if self.ended is None else asdict(self.ended),
        }


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(_CHANNEL_HEAD - 1, "big") + data
