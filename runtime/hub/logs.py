"""Logs: one engine stream per container, however many follow it.

A reader that asks for history reads it by an engine stream of its own, at its own pace, and then goes over to the live
end, which it shares. The seam is exact: what was read last is looked up in what the live end keeps, and reading goes on
behind it. Where the live end began too late for that, one more short piece of history fills the gap.

Lines are not made here but where a seam needs them: everything else is moved as the engine gave it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from struct import Struct
from typing import Any, Final, Protocol

from runtime.containers import ContainerEngine
from runtime.errors import BackendError
from runtime.hub.messages import WINDOW, Ack, Ended, FollowLog, FromHub, Leave, Message, Opened, Skipped, error_of
from runtime.streams import Channel, Chunk, Window

#: Bytes that the live end keeps: how far a reader may lag behind before it is cut off.
RING: Final = 2 * 1024 * 1024
#: The engine is not read further than this ahead of the reader that is furthest on.
PACE: Final = 1024 * 1024
#: Lines from before it opened with which the live end begins, so that a reader of history finds its last one there.
OVERLAP: Final = 64
#: Seconds for which a live end without readers stays open: a reload must not open the engine's stream anew.
LINGER: Final = 2.0
#: Bytes of history kept to find the seam by.
SEEN: Final = 64 * 1024
#: A line that is longer goes on in pieces: with what was read behind it and a window, it still fits into a frame.
LONGEST_LINE: Final = 256 * 1024
#: Lines that must stand alike before two that are alike, where their timestamps do not tell.
CONTEXT: Final = 8
#: Pieces of history read to catch up with the live end; a reader that is still behind then skips.
CATCHING_UP: Final = 8

_HEAD: Final = Struct(">BI")


class Connection(Protocol):
    """The hub's end of a viewer's connection."""

    async def send_output(self, offset: int, data: bytes) -> None:
        """Send output whose first byte is the stream's ``offset``-th."""

    async def send(self, message: FromHub) -> None:
        """Send a message."""

    async def receive(self) -> Message | None:
        """Return the viewer's next message; ``None`` once it has gone."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its timestamp in front, as the engine gave it, without its end."""

    channel: Channel
    text: bytes

    @property
    def stamp(self) -> bytes:
        """The timestamp as it is written."""
        return self.text.partition(b" ")[0]


def moment_of(stamp: bytes) -> int | None:
    """Return nanoseconds since the epoch; ``None`` when it is no timestamp. Podman's have an offset, and few digits."""
    text = stamp.decode("ascii", "replace")
    try:
        seconds = datetime.fromisoformat(text[:19] + (text[19:].lstrip(".0123456789") or "Z"))
    except ValueError:
        return None
    digits = text[20:].partition("Z")[0].partition("+")[0].partition("-")[0] if text[19:20] == "." else ""
    return int(seconds.timestamp()) * 1_000_000_000 + int(f"{digits:0<9.9}" or 0)


def without_stamps(data: bytes) -> bytes:
    """Return whole lines without their timestamps. The cheapest way by far: a regular expression takes five times."""
    return b"\n".join([line.partition(b" ")[2] for line in data.split(b"\n")])


def block_of(channel: Channel, data: bytes) -> bytes:
    """Return data as a block of the stream."""
    return _HEAD.pack(channel, len(data)) + data


#: Stands before the log's first line: whoever has it knows where the first moment began.
BEGINNING: Final = Line(Channel.STDIN, b"")


def index_after(lines: list[Line], seen: list[Line], *, is_whole: bool = False) -> int | None:
    """Return where in ``lines`` that begins which came after the last of ``seen``; ``None`` if that is not in there.

    Lines with the same text and timestamp are told apart by what stands before them: old Podman's timestamps are whole
    seconds. ``is_whole``: the first of ``lines`` is the first of its moment.
    """
    last = seen[-1]
    found = [at for at, line in enumerate(lines) if line == last]
    is_fine = b"." in last.stamp
    if len(found) <= is_fine:
        return found[0] + 1 if found else None
    begun = next((at for at, line in enumerate(lines) if line.stamp == last.stamp), 0)
    same = next((count for count, line in enumerate(reversed(seen)) if line.stamp != last.stamp), None)
    if (begun or is_whole) and same is not None:
        # Both know where the moment began: count.
        return begun + same if begun + same - 1 in found else None
    for at in reversed(found):
        before = min(at, len(seen) - 1)
        if before < min(CONTEXT, len(seen) - 1):
            break
        if lines[at - before : at] == seen[len(seen) - 1 - before : -1]:
            return at + 1
    return None


class Seen:
    """The last that a reader was given of history."""

    def __init__(self, *, is_whole: bool = False) -> None:
        self._parts: deque[Chunk] = deque()
        self._size = 0
        self._is_whole = is_whole
        self._was_cut = False

    def add(self, chunk: Chunk) -> None:
        """Keep a chunk, and let go of what is not needed any more."""
        self._parts.append(chunk)
        self._size += len(chunk.data)
        while self._size - len(self._parts[0].data) >= SEEN:
            self._size -= len(self._parts.popleft().data)
            self._was_cut, self._is_whole = True, False

    def lines(self) -> list[Line]:
        """Return the lines in their order. The first of a channel may have been cut, so it is left out."""
        lines: list[Line] = []
        rests: dict[Channel, bytes] = {}
        begun: set[Channel] = set()
        for chunk in self._parts:
            *whole, rests[chunk.channel] = (rests.get(chunk.channel, b"") + chunk.data).split(b"\n")
            if self._was_cut and whole and chunk.channel not in begun:
                begun.add(chunk.channel)
                del whole[0]
            lines += [Line(chunk.channel, text) for text in whole]
        lines += [Line(channel, rest) for channel, rest in rests.items() if rest]
        return [BEGINNING, *lines] if lines and self._is_whole else lines


class Piece:
    """Whole lines of one channel, as a block. All readers share it."""

    __slots__ = ("_plain", "block", "channel", "end")

    def __init__(self, channel: Channel, data: bytes, *, end: int) -> None:
        self.channel = channel
        self.block = block_of(channel, data)
        #: Bytes of the live end up to here.
        self.end = end
        self._plain: bytes | None = None

    @property
    def data(self) -> bytes:
        """The lines, with their timestamps."""
        return self.block[_HEAD.size :]

    @property
    def start(self) -> int:
        """Bytes of the live end before this."""
        return self.end - len(self.block) + _HEAD.size

    def as_block(self, *, stamped: bool) -> bytes:
        """The block with timestamps or without; the latter is made once for all who want it."""
        if stamped:
            return self.block
        if self._plain is None:
            self._plain = block_of(self.channel, without_stamps(self.data))
        return self._plain

    def lines(self) -> list[bytes]:
        """The lines, with their timestamps."""
        lines = self.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        return lines


@dataclass(slots=True, eq=False)
class Reader:
    """Where one reader is at the live end: the number of the next piece, and how far that is."""

    number: int
    at: int
    #: The part of the next piece's data that it has had as history.
    had: int = 0


@asynccontextmanager
async def _reading(chunks: AsyncIterator[Chunk]) -> AsyncIterator[AsyncIterator[Chunk]]:
    """Let go of the engine's stream at the end, however that comes."""
    try:
        yield chunks
    finally:
        if hasattr(chunks, "aclose"):
            await chunks.aclose()


class Live:
    """The live end of one container's log: one engine stream, and the last of what came."""

    def __init__(self, engine: ContainerEngine, container_id: str, *, tty: bool) -> None:
        self._engine = engine
        self._container_id = container_id
        self._tty = tty
        self._pieces: deque[Piece] = deque()
        #: The number of the first piece that is kept.
        self._first = 0
        #: Bytes so far.
        self.total = 0
        self._lines = 0
        self._rests: dict[Channel, bytes] = {}
        self._readers: set[Reader] = set()
        #: Set at each change and then replaced.
        self._changed = asyncio.Event()
        self._moved = asyncio.Event()
        #: Viewers that are at the live end or on their way to it.
        self.users = 0
        self.ended = False
        self.error: BackendError | None = None
        self.task = asyncio.create_task(self._run())

    # The engine's side

    async def _run(self) -> None:
        try:
            await self._read(follow=True, tail=OVERLAP)
            await self._complete()
        except BackendError as error:
            self.error = error
        finally:
            for channel, rest in self._rests.items():
                if rest:
                    self._add(channel, rest)
            self.ended = True
            self._announce()

    async def _read(self, **options: Any) -> None:
        logs = self._engine.logs(self._container_id, tty=self._tty, timestamps=True, **options)
        async with _reading(logs) as chunks:
            async for chunk in chunks:
                self._take(chunk)
                while self._readers and min(self.total - reader.at for reader in self._readers) > PACE:
                    self._moved.clear()
                    await self._moved.wait()

    async def _complete(self) -> None:
        """Read once more what came last: dockerd may drop the end of a log for those who follow it."""
        seen = [BEGINNING] if self._is_whole else []
        seen += [Line(piece.channel, text) for piece in list(self._pieces)[-OVERLAP:] for text in piece.lines()]
        since = _since(seen)
        if since is None:
            return  # nothing was ever written
        rest = CatchUp(seen)
        try:
            logs = self._engine.logs(self._container_id, tty=self._tty, timestamps=True, since=since)
            async with _reading(logs) as chunks:
                async for chunk in chunks:
                    for new in rest.feed(chunk):
                        self._take(new)
        except BackendError:
            return  # it was removed as it ended: nobody has more of it
        for new in rest.finish():
            self._take(new)

    def _take(self, chunk: Chunk) -> None:
        data = self._rests.pop(chunk.channel, b"") + chunk.data
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > LONGEST_LINE:
            cut = len(data)
        if cut < len(data):
            self._rests[chunk.channel] = data[cut:]
        if cut:
            self._add(chunk.channel, data[:cut])
            self._announce()

    def _add(self, channel: Channel, data: bytes) -> None:
        self.total += len(data)
        self._lines += data.count(b"\n")
        self._pieces.append(Piece(channel, data, end=self.total))
        while self.total - self._pieces[0].end >= RING:
            self._pieces.popleft()
            self._first += 1

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # The readers' side

    @property
    def readers(self) -> int:
        """How many are at the live end."""
        return len(self._readers)

    @property
    def _is_whole(self) -> bool:
        """Whether everything is kept since the log began."""
        return not self._first and self._lines < OVERLAP

    @property
    def _next(self) -> int:
        return self._first + len(self._pieces)

    def join(self) -> Reader:
        """Return a new reader, which has everything so far."""
        reader = Reader(self._next, self.total)
        self._readers.add(reader)
        self._moved.set()
        return reader

    def leave(self, reader: Reader) -> None:
        """Forget a reader."""
        self._readers.discard(reader)
        self._moved.set()

    async def wait(self, reader: Reader) -> bool:
        """Wait until there is something for the reader; ``False`` once there is nothing more to come."""
        while reader.number >= self._next:
            if self.ended:
                return False
            await self._changed.wait()
        return True

    def take(self, reader: Reader, room: int, *, channels: frozenset[Channel], stamped: bool) -> bytes:
        """Return the reader's next blocks, about ``room`` bytes, possibly none."""
        blocks = []
        size = 0
        while reader.number < self._next and size < room:
            piece = self._pieces[reader.number - self._first]
            reader.number += 1
            reader.at = piece.end
            had, reader.had = reader.had, 0
            if piece.channel in channels:
                if had:
                    piece = Piece(piece.channel, piece.data[had:], end=piece.end)
                block = piece.as_block(stamped=stamped)
                blocks.append(block)
                size += len(block)
        self._moved.set()
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def catch_up(self, reader: Reader) -> int:
        """Move a reader on that fell behind what is kept; returns how many bytes it lost."""
        if reader.number >= self._first:
            return 0
        was = reader.at
        self.skip(reader)
        return reader.at - was

    def skip(self, reader: Reader) -> None:
        """Move a reader on to the last window of the live end."""
        reader.number, reader.at, reader.had = self._next, self.total, 0
        for piece in reversed(self._pieces):
            if self.total - piece.start > WINDOW:
                break
            reader.number -= 1
            reader.at = piece.start
        self._moved.set()

    # The seam

    async def place(self, reader: Reader, seen: list[Line], channels: frozenset[Channel]) -> bool:
        """Put a reader behind the last of ``seen``; ``False`` if something between is missing here."""
        last = moment_of(seen[-1].stamp)
        while True:
            if self._place_behind(reader, seen, channels):
                return True
            if self.ended or last is None:
                break
            newest = moment_of(self._pieces[-1].lines()[-1].partition(b" ")[0]) if self._pieces else None
            if newest is not None and newest > last:
                break
            # The live end has not come so far yet; it must not wait for this reader meanwhile.
            reader.at = self.total
            await self._changed.wait()
        return self._place_by_time(reader, last, is_fine=b"." in seen[-1].stamp)

    def _place_behind(self, reader: Reader, seen: list[Line], channels: frozenset[Channel]) -> bool:
        last = seen[-1]
        needle = last.text + b"\n"
        found = [
            (number, piece)
            for number, piece in enumerate(self._pieces, self._first)
            if piece.channel == last.channel and needle in piece.block
        ]
        if not found:
            return False
        if b"." in last.stamp and len(found) == 1 and found[0][1].block.count(needle) == 1:
            number, piece = found[0]
            self._put(reader, number, piece.data.index(needle) + len(needle))
            return True
        lines: list[Line] = []
        ends: list[tuple[int, int]] = []
        for number, piece in enumerate(self._pieces, self._first):
            if piece.channel in channels or piece.channel == last.channel:
                end = 0
                for text in piece.lines():
                    end += len(text) + 1
                    lines.append(Line(piece.channel, text))
                    ends.append((number, end))
        after = index_after(lines, seen, is_whole=self._is_whole)
        if after is None:
            return False
        self._put(reader, *ends[after - 1])
        return True

    def _place_by_time(self, reader: Reader, last: int | None, *, is_fine: bool) -> bool:
        """Behind the last line that is not later, if what is kept goes back so far."""
        oldest: int | None = None
        for number, piece in enumerate(self._pieces, self._first):
            end = 0
            for text in piece.lines():
                moment = moment_of(text.partition(b" ")[0])
                if last is not None and moment is not None and moment > last:
                    if oldest is None or oldest > last or (oldest == last and not is_fine):
                        return False
                    self._put(reader, number, end)
                    return True
                oldest = moment if oldest is None else oldest
                end += len(text) + 1
        reader.number, reader.at, reader.had = self._next, self.total, 0
        return True

    def place_first(self, reader: Reader) -> bool:
        """Put a reader before everything; ``False`` if that is not the log's beginning."""
        if not self._is_whole:
            return False
        reader.number, reader.at, reader.had = 0, 0, 0
        return True

    def _put(self, reader: Reader, number: int, had: int) -> None:
        piece = self._pieces[number - self._first]
        if had >= len(piece.block) - _HEAD.size:
            reader.number, reader.at, reader.had = number + 1, piece.end, 0
        else:
            reader.number, reader.at, reader.had = number, piece.start, had


def _since(seen: list[Line]) -> float | None:
    """From when to read so that the last of ``seen`` comes again: engines are asked in microseconds."""
    moment = moment_of(seen[-1].stamp) if seen else None
    return None if moment is None else max(0, moment // 1000 - 1) / 1_000_000


class CatchUp:
    """Takes a log that begins with lines which are known already, and gives what came after them."""

    def __init__(self, seen: list[Line]) -> None:
        self._seen = seen
        self._last = moment_of(seen[-1].stamp)
        self._lines: list[Line] | None = []
        self._rests: dict[Channel, bytes] = {}
        self._size = 0

    def feed(self, chunk: Chunk) -> list[Chunk]:
        """Return what is new of a chunk: nothing while the place is being looked for."""
        if self._lines is None:
            return [chunk]
        *whole, rest = (self._rests.get(chunk.channel, b"") + chunk.data).split(b"\n")
        self._rests[chunk.channel] = rest
        self._lines += [Line(chunk.channel, text) for text in whole]
        self._size += len(chunk.data)
        newest = moment_of(self._lines[-1].stamp) if self._lines else None
        is_past = self._last is None or (newest is not None and newest > self._last)
        return self.finish() if is_past or self._size > RING else []

    def finish(self) -> list[Chunk]:
        """Return what is new of what has come so far."""
        if self._lines is None:
            return []
        lines, self._lines = self._lines, None
        after = index_after(lines, self._seen, is_whole=True)
        if after is None:
            after = next((at for at, line in enumerate(lines) if self._is_later(line)), len(lines))
        new = [Chunk(line.channel, line.text + b"\n") for line in lines[after:]]
        return new + [Chunk(channel, rest) for channel, rest in self._rests.items() if rest]

    def _is_later(self, line: Line) -> bool:
        moment = moment_of(line.stamp)
        return moment is None or self._last is None or moment > self._last


class _Viewer:
    """One reader's connection: what was sent, what was acknowledged."""

    def __init__(self, order: FollowLog, connection: Connection) -> None:
        self.order = order
        self.channels = frozenset(
            channel
            for channel, wanted in ((Channel.STDOUT, order.stdout), (Channel.STDERR, order.stderr))
            if wanted or (order.tty and channel is Channel.STDOUT)
        )
        self._connection = connection
        self._window = Window(WINDOW)
        self._room = asyncio.Event()
        #: By channel: the part of a line whose end has not come, of which the timestamp is to be taken.
        self._rests: dict[Channel, bytes] = {}

    async def listen(self) -> None:
        """Take acknowledgements until the viewer goes."""
        while (message := await self._connection.receive()) is not None:
            if isinstance(message, Leave):
                return
            if isinstance(message, Ack):
                try:
                    self._window.acknowledge(message.offset)
                except ValueError:
                    return  # it acknowledges what it never got: no viewer of ours
                if self._window.room:
                    self._room.set()

    async def room(self) -> int:
        """Wait until something may be sent; returns how much."""
        while not self._window.room:
            self._room.clear()
            await self._room.wait()
        return self._window.room

    async def send(self, blocks: bytes) -> None:
        """Send whole blocks."""
        if blocks:
            offset = self._window.sent
            self._window.send(len(blocks))
            await self._connection.send_output(offset, blocks)

    async def tell(self, message: FromHub) -> None:
        """Send a message."""
        await self._connection.send(message)

    async def skipped(self, lost: int) -> None:
        """Say that so many bytes are left out here."""
        await self.tell(Skipped(offset=self._window.sent, lost=lost))

    async def give(self, chunk: Chunk, *, stamped: bool) -> None:
        """Send a chunk of history once there is room. ``stamped``: it has timestamps, which go if not asked for."""
        data = chunk.data
        if stamped and not self.order.timestamps:
            data = self._rests.pop(chunk.channel, b"") + data
            cut = data.rfind(b"\n") + 1
            if len(data) - cut > LONGEST_LINE:
                cut = len(data)
            if cut < len(data):
                self._rests[chunk.channel] = data[cut:]
            data = without_stamps(data[:cut])
        if data:
            await self.room()
            await self.send(block_of(chunk.channel, data))

    async def give_rests(self) -> None:
        """Send what stands without an end of its line."""
        rests, self._rests = self._rests, {}
        for channel, rest in rests.items():
            await self.send(block_of(channel, without_stamps(rest)))


class LogHub:
    """Every log that is read. ``connect`` returns the engine at an endpoint, as orders carry one."""

    def __init__(self, connect: Callable[[dict[str, Any]], ContainerEngine]) -> None:
        self._connect = connect
        self._lives: dict[tuple[str, str], Live] = {}

    async def serve(self, order: FollowLog, connection: Connection) -> None:
        """Send a log until it ends or the viewer goes."""
        viewer = _Viewer(order, connection)
        await viewer.tell(Opened(offset=0, tty=order.tty))
        tasks = [asyncio.create_task(self._send(order, viewer)), asyncio.create_task(viewer.listen())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, OSError):
                raise result

    async def close(self) -> None:
        """End every engine stream."""
        for live in self._lives.values():
            live.task.cancel()
        await asyncio.gather(*(live.task for live in self._lives.values()), return_exceptions=True)

    async def _send(self, order: FollowLog, viewer: _Viewer) -> None:
        try:
            engine = self._connect(order.endpoint)
            if order.follow and order.until is None:
                await self._send_following(order, viewer, engine)
            else:
                await self._send_history(order, viewer, engine)
        except BackendError as error:
            await viewer.tell(Ended(reason="engine", error=error_of(error)))
        else:
            await viewer.tell(Ended(reason="exited"))

    async def _send_history(self, order: FollowLog, viewer: _Viewer, engine: ContainerEngine) -> None:
        """As the engine gives it; a log that is followed until a moment is nobody else's either."""
        logs = engine.logs(
            order.container_id,
            tty=order.tty,
            follow=order.follow,
            stdout=order.stdout,
            stderr=order.stderr,
            timestamps=order.timestamps,
            tail=order.tail,
            since=order.since,
            until=order.until,
        )
        async with _reading(logs) as chunks:
            async for chunk in chunks:
                await viewer.give(chunk, stamped=False)

    async def _send_following(self, order: FollowLog, viewer: _Viewer, engine: ContainerEngine) -> None:
        live = self._open_live(order, engine)
        reader = None
        try:
            seen = await self._give_past(order, viewer, engine)
            reader = live.join()
            for _attempt in range(CATCHING_UP):
                if await self._place(live, reader, seen, viewer):
                    break
                live.leave(reader)
                seen = await self._give_gap(order, viewer, engine, seen)
                reader = live.join()
            else:
                live.skip(reader)
                await viewer.skipped(1)
            await viewer.give_rests()
            await self._send_live(live, reader, viewer)
        finally:
            if reader is not None:
                live.leave(reader)
            self._close_later(order, live)

    async def _give_past(self, order: FollowLog, viewer: _Viewer, engine: ContainerEngine) -> list[Line]:
        """Send the history that was asked for; return the lines by which it is found at the live end.

        When nothing of what was written is asked for, that is the last line of all; when nothing was written, none.
        """
        read = partial(engine.logs, order.container_id, tty=order.tty, timestamps=True)
        last: list[Line] = []
        for _attempt in range(2):
            if order.tail != 0:
                logs = read(stdout=order.stdout, stderr=order.stderr, tail=order.tail, since=order.since)
                seen = await self._give(logs, viewer, is_whole=order.tail is None and order.since is None)
                if seen or last:
                    return seen or last
            probe = Seen()
            async with _reading(read(tail=1)) as chunks:
                async for chunk in chunks:
                    probe.add(chunk)
            last = probe.lines()
            if not last or order.tail == 0:
                break
            # Written since the first look, perhaps, so one more.
        return last

    async def _give(self, logs: AsyncIterator[Chunk], viewer: _Viewer, *, is_whole: bool = False) -> list[Line]:
        seen = Seen(is_whole=is_whole)
        async with _reading(logs) as chunks:
            async for chunk in chunks:
                seen.add(chunk)
                await viewer.give(chunk, stamped=True)
        return seen.lines()

    async def _give_gap(
        self, order: FollowLog, viewer: _Viewer, engine: ContainerEngine, known: list[Line]
    ) -> list[Line]:
        """Send what was written after ``known`` until now."""
        logs = engine.logs(
            order.container_id,
            tty=order.tty,
            timestamps=True,
            stdout=order.stdout,
            stderr=order.stderr,
            since=_since(known),
        )
        rest = CatchUp(known) if known else None

        async def new() -> AsyncIterator[Chunk]:
            async with _reading(logs) as chunks:
                async for chunk in chunks:
                    for part in [chunk] if rest is None else rest.feed(chunk):
                        yield part
            for part in rest.finish() if rest is not None else []:
                yield part

        return [*known, *await self._give(new(), viewer)]

    async def _place(self, live: Live, reader: Reader, seen: list[Line], viewer: _Viewer) -> bool:
        if seen:
            return await live.place(reader, seen, viewer.channels)
        return live.place_first(reader)

    async def _send_live(self, live: Live, reader: Reader, viewer: _Viewer) -> None:
        stamped = viewer.order.timestamps
        while await live.wait(reader):
            room = await viewer.room()
            if lost := live.catch_up(reader):
                await viewer.skipped(lost)
            await viewer.send(live.take(reader, room, channels=viewer.channels, stamped=stamped))
        if live.error is not None:
            raise live.error

    # Engine streams

    def live(self, order: FollowLog) -> Live | None:
        """Return the live end of a container's log, if it is open."""
        return self._lives.get(_key(order))

    def _open_live(self, order: FollowLog, engine: ContainerEngine) -> Live:
        live = self.live(order)
        if live is None or live.ended:
            live = self._lives[_key(order)] = Live(engine, order.container_id, tty=order.tty)
        live.users += 1
        return live

    def _close_later(self, order: FollowLog, live: Live) -> None:
        live.users -= 1
        if live.users:
            return

        def close() -> None:
            if live.users:
                return
            live.task.cancel()
            if self._lives.get(_key(order)) is live:
                del self._lives[_key(order)]

        asyncio.get_running_loop().call_later(0 if live.ended else LINGER, close)


def _key(order: FollowLog) -> tuple[str, str]:
    return json.dumps(order.endpoint, sort_keys=True), order.container_id
