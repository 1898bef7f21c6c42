"""Logs that outlive their containers: files below ``<root>/<host id>/<container id>/``, written by one process.

A log is a row of segments. The last one is open: plain text that only grows, so whatever was written is valid after a
``kill -9``, and a line that was torn is cut off when it is opened again. At about a mebibyte it is compressed and gets
a name that says what is in it, so nobody has to read a segment to know that it need not be read::

    00000007-<first time>-<last time>-<lines>-<bytes>.gz
    00000008.open

A line of a segment is its time in nanoseconds, a letter, and what was written. The letter is ``o`` for standard output
and ``e`` for standard error, and a capital when no end of line followed (what follows, if anything, belongs to the same
line). ``zcat`` shows it all, also to somebody who has nothing but the files.

Compressed by gzip: of a mebibyte of an ordinary log it leaves a tenth in 15 ms and gives it back in 3 ms. xz leaves a
third less and takes ten times as long both ways, and it is the hub, beside its terminals, that would wait.

Everything here blocks: threads, please.
"""

from __future__ import annotations

import calendar
import errno
import gzip
import itertools
import os
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from runtime.streams import Channel

SEGMENT_BYTES: Final = 1024 * 1024
_SMALLEST_SEGMENT: Final = 16 * 1024
#: A log of some size has at least so many segments, so that cutting the oldest one off does not take much of it.
_SEGMENTS: Final = 8
#: Engines hand a longer line over in pieces of this size, each with the time of the first.
PIECE: Final = 16 * 1024
#: What is kept of a line without an end before it becomes a line of ours.
_LONG: Final = 16 * PIECE
#: Bytes of the disk that logs leave to everybody else.
RESERVE: Final = 256 * 1024 * 1024
#: Engines mark the lines of both channels before they write them in turn: times may be out of order by so many
#: nanoseconds.
_OVERLAP: Final = 10**9
#: Lines that are remembered to find where a log goes on.
_MOST_REMEMBERED: Final = 200_000
#: Nanoseconds in a second; no line is younger than this many seconds, whatever an engine says.
_SECOND: Final = 10**9
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_LETTERS: Final = {(Channel.STDOUT, True): b"o", (Channel.STDOUT, False): b"O"} | {
    (Channel.STDERR, True): b"e",
    (Channel.STDERR, False): b"E",
}
_MEANINGS: Final = {letter[0]: meaning for meaning, letter in _LETTERS.items()}
_SEALED: Final = re.compile(r"(\d{8,})-(\d+)-(\d+)-(\d+)-(\d+)\.gz")
_OPEN: Final = re.compile(r"(\d{8,})\.open")
_CONTAINER_ID: Final = re.compile(r"[0-9a-f]{64}")
_STAMP: Final = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))(?: |$)",
)


class NoRoom(OSError):
    """The disk is full, or so nearly full that logs should not fill it."""


class Forgotten(Exception):
    """Somebody removed the log while it was written."""


class LogPosition(NamedTuple):
    """Where a line stands; it means the same line for as long as the line is kept."""

    segment: int
    line: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """Something that a container wrote. ``at`` is nanoseconds since 1970; ``ended`` whether an end of line followed."""

    at: int
    channel: Channel
    data: bytes
    ended: bool = True

    @property
    def size(self) -> int:
        """Bytes of the container's own."""
        return len(self.data) + self.ended

    @property
    def text(self) -> bytes:
        """The bytes as the container wrote them."""
        return self.data + b"\n" if self.ended else self.data


def _encode(line: LogLine) -> bytes:
    return b"%d %b %b\n" % (line.at, _LETTERS[line.channel, line.ended], line.data)


def _decode(record: bytes) -> LogLine:
    """Return the line of a record. Raises ``ValueError``."""
    stamp, letter, data = record.split(b" ", 2)
    channel, ended = _MEANINGS[letter[0]]
    return LogLine(int(stamp), channel, data, ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a log. ``first`` and ``last`` are the earliest and the latest time in it, which the open one's name
    does not say."""

    path: Path
    number: int
    is_open: bool
    first: int = 0
    last: int = 0
    lines: int = 0
    size: int = 0

    def content(self) -> bytes:
        """Return its lines as they stand in the file, each with its end.

        Nothing when it is damaged or was cut meanwhile; what is still being written does not count.
        """
        try:
            content = self.path.read_bytes()
            if self.path.suffix == ".gz":
                content = gzip.decompress(content)
        except FileNotFoundError:
            return self._content_elsewhere()
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return b""
        return content[: content.rfind(b"\n") + 1]

    def _content_elsewhere(self) -> bytes:
        """An open segment may have been compressed since it was found."""
        if not self.is_open:
            return b""
        same = (segment for segment in _segments(self.path.parent) if segment.number == self.number)
        return next((segment.content() for segment in same if not segment.is_open), b"")


def _segments(directory: Path) -> list[Segment]:
    """Return the segments of a log, oldest first."""
    found: dict[int, Segment] = {}
    try:
        names = sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        if sealed := _SEALED.fullmatch(name):
            number, first, last, lines, size = map(int, sealed.groups())
            path = directory / name
            found[number] = Segment(
                path=path, number=number, is_open=False, first=first, last=last, lines=lines, size=size
            )
        elif opened := _OPEN.fullmatch(name):
            number = int(opened[1])
            # What was compressed and not removed before a crash is there twice.
            found.setdefault(number, Segment(path=directory / name, number=number, is_open=True))
    return [found[number] for number in sorted(found)]


def _lines(segment: Segment) -> list[LogLine]:
    return _decode_all(segment.content())


def _decode_all(content: bytes) -> list[LogLine]:
    found: list[LogLine] = []
    for record in content.split(b"\n")[:-1]:
        try:
            found.append(_decode(record))
        except (ValueError, KeyError, IndexError):  # nothing that we wrote
            found.append(LogLine(found[-1].at if found else 0, Channel.STDOUT, record))
    return found


@dataclass(frozen=True, slots=True)
class LogBlock:
    """A part of a log, to be looked through: ``content`` is its lines, each behind its time and a letter."""

    number: int
    content: bytes

    def lines(self) -> list[tuple[LogPosition, LogLine]]:
        """Return what is in it."""
        return [(LogPosition(self.number, at), line) for at, line in enumerate(_decode_all(self.content))]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSizes:
    """How much of a log there is: its own bytes and lines, what it takes on disk, and its earliest and latest time."""

    bytes: int = 0
    lines: int = 0
    stored: int = 0
    first: int = 0
    last: int = 0
    #: Whether its oldest part has been cut off.
    is_cut: bool = False


class LogFiles:
    """One container's log, to be read while it may still be written."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def segments(self) -> list[Segment]:
        """Return its parts, oldest first."""
        return _segments(self.directory)

    def sizes(self) -> LogSizes:
        """Measure it."""
        segments = self.segments()
        whole: list[Segment] = []
        for segment in segments:
            if not segment.is_open:
                whole.append(segment)
            elif lines := _lines(segment):
                times = [line.at for line in lines]
                whole.append(
                    Segment(
                        path=segment.path,
                        number=segment.number,
                        is_open=True,
                        first=min(times),
                        last=max(times),
                        lines=len(lines),
                        size=sum(line.size for line in lines),
                    )
                )
        return LogSizes(
            bytes=sum(segment.size for segment in whole),
            lines=sum(segment.lines for segment in whole),
            stored=sum(_size_of(segment.path) for segment in segments),
            first=min((segment.first for segment in whole), default=0),
            last=max((segment.last for segment in whole), default=0),
            is_cut=bool(segments) and segments[0].number > 1,
        )

    def read(self, start: LogPosition | None = None) -> Iterator[tuple[LogPosition, LogLine]]:
        """Yield lines from ``start`` on, in the order in which they were written."""
        start = start or LogPosition(0, 0)
        for segment in self.segments():
            if segment.number < start.segment:
                continue
            skipped = start.line if segment.number == start.segment else 0
            for number, line in enumerate(_lines(segment)[skipped:], skipped):
                yield LogPosition(segment.number, number), line

    def read_back(self, before: LogPosition | None = None) -> Iterator[tuple[LogPosition, LogLine]]:
        """Yield lines before ``before`` (without it, from the last one), newest first."""
        for segment in reversed(self.segments()):
            if before is not None and segment.number > before.segment:
                continue
            lines = _lines(segment)
            if before is not None and segment.number == before.segment:
                del lines[before.line :]
            for number in range(len(lines) - 1, -1, -1):
                yield LogPosition(segment.number, number), lines[number]

    def blocks_back(self, before: LogPosition | None = None) -> Iterator[LogBlock]:
        """Yield what may hold lines before ``before`` (without it, everything), newest first."""
        for segment in reversed(self.segments()):
            if before is None or (segment.number, 0) < before:
                yield LogBlock(segment.number, segment.content())

    def tail(self, count: int) -> list[LogLine]:
        """Return the last ``count`` lines, oldest first."""
        return [line for _position, line in itertools.islice(self.read_back(), count)][::-1]

    def find(self, at: int) -> LogPosition | None:
        """Return where the first line of this time or later stands; ``None`` when all are older."""
        for segment in self.segments():
            if segment.is_open or segment.last >= at:
                for number, line in enumerate(_lines(segment)):
                    if line.at >= at:
                        return LogPosition(segment.number, number)
        return None

    def between(self, since: int, until: int) -> Iterator[LogLine]:
        """Yield the lines of a stretch of time, both ends included."""
        for segment in self.segments():
            if segment.is_open or (segment.last >= since and segment.first <= until):
                yield from (line for line in _lines(segment) if since <= line.at <= until)

    def cut(self, to_bytes: int) -> int:
        """Remove the oldest whole segments until no more than ``to_bytes`` are left, or only one; return how many.

        For a log that nobody writes any more: who writes one cuts it himself.
        """
        segments = [segment for segment in self.segments() if not segment.is_open]
        total, removed = sum(segment.size for segment in segments), 0
        for segment in segments[:-1]:
            if total <= to_bytes:
                break
            segment.path.unlink(missing_ok=True)
            total -= segment.size
            removed += 1
        return removed


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class LogWriter:
    """Appends to one container's log. One writer at a time: the hub."""

    def __init__(self, directory: Path, *, limit_bytes: int = 0, reserve: int = RESERVE) -> None:
        """Go on where an earlier writer ended, however it did. Raises ``NoRoom``, ``OSError``."""
        self.directory = directory
        self.limit_bytes = limit_bytes
        self._reserve = reserve
        self._file = -1
        self._number = 1
        #: Bytes of the open segment's file, and what is in it.
        self._length = 0
        self._open = _Tally()
        self._sealed: list[Segment] = []
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._recover()
        except OSError as error:
            raise _told(error) from error

    def _recover(self) -> None:
        for path in self.directory.glob("*.part"):
            path.unlink()
        segments = _segments(self.directory)
        self._sealed = [segment for segment in segments if not segment.is_open]
        numbers = {segment.number for segment in self._sealed}
        for path in self.directory.glob("*.open"):
            if int(path.stem) in numbers:
                path.unlink()
        opened = [segment for segment in segments if segment.is_open]
        self._number = max((segment.number for segment in segments), default=0) + (not opened)
        for segment in opened[:-1]:  # no writer of ours leaves two
            self._number = segment.number
            self._take_up(segment)
            self._seal()
        if opened:
            self._number = opened[-1].number
            self._take_up(opened[-1])

    def _take_up(self, segment: Segment) -> None:
        self._open = _Tally()
        lines = _lines(segment)
        self._open.add(lines)
        self._length = len(segment.content())
        self._file = os.open(segment.path, os.O_WRONLY)
        os.ftruncate(self._file, self._length)
        os.lseek(self._file, self._length, os.SEEK_SET)

    @property
    def size(self) -> int:
        """Bytes of the container's own that are kept."""
        return sum(segment.size for segment in self._sealed) + self._open.size

    @property
    def first(self) -> int:
        """The earliest time of what is kept; 0 for nothing."""
        found = [segment.first for segment in self._sealed]
        return min([*found, self._open.first] if self._open.lines else found, default=0)

    @property
    def last(self) -> int:
        """The latest time of what is kept; 0 for nothing."""
        return max([*(segment.last for segment in self._sealed), self._open.last])

    @property
    def is_cut(self) -> bool:
        """Whether the oldest part has been cut off."""
        return (self._sealed[0].number if self._sealed else self._number) > 1

    @property
    def _segment_bytes(self) -> int:
        if not self.limit_bytes:
            return SEGMENT_BYTES
        return max(_SMALLEST_SEGMENT, min(SEGMENT_BYTES, self.limit_bytes // _SEGMENTS))

    def write(self, lines: Iterable[LogLine]) -> None:
        """Append all of ``lines``, or none of them. Raises ``NoRoom``, ``Forgotten``, ``OSError``."""
        taken = list(lines)
        if not taken:
            return
        try:
            if self._file < 0:
                self._begin()
            space = os.statvfs(self.directory)  # the open file would not tell that the log was removed
            if space.f_bavail * space.f_frsize < self._reserve:
                raise NoRoom(errno.ENOSPC, "the disk is nearly full")
            self._append(b"".join(map(_encode, taken)))
        except FileNotFoundError as error:
            raise Forgotten from error
        except OSError as error:
            raise _told(error) from error
        self._open.add(taken)
        if self._length >= self._segment_bytes:
            self.seal()
        self._cut()

    def _begin(self) -> None:
        path = self.directory / f"{self._number:08d}.open"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._length = 0
        self._open = _Tally()

    def _append(self, content: bytes) -> None:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            # All or nothing: what was taken in part would be there twice when it is written again.
            os.ftruncate(self._file, self._length)
            os.lseek(self._file, self._length, os.SEEK_SET)
            raise
        self._length += len(content)

    def seal(self) -> None:
        """Compress the open segment, because it is large enough or the log has ended. Raises ``Forgotten``."""
        if self._file < 0 or not self._open.lines:
            return
        try:
            self._seal()
        except FileNotFoundError as error:
            raise Forgotten from error
        except OSError as error:
            # It stays open and grows; the next write says when there is no room for that either.
            if error.errno not in _NO_ROOM:
                raise

    def _seal(self) -> None:
        opened = self.directory / f"{self._number:08d}.open"
        part = self.directory / f"{self._number:08d}.part"
        tally = self._open
        content = gzip.compress(opened.read_bytes(), 6, mtime=0)
        name = f"{self._number:08d}-{tally.first}-{tally.last}-{tally.lines}-{tally.size}.gz"
        try:
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[os.write(file, rest) :]
                os.fsync(file)
            finally:
                os.close(file)
            part.rename(self.directory / name)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        opened.unlink()
        os.close(self._file)
        self._file = -1
        self._sealed.append(
            Segment(
                path=self.directory / name,
                number=self._number,
                is_open=False,
                first=tally.first,
                last=tally.last,
                lines=tally.lines,
                size=tally.size,
            )
        )
        self._number += 1
        self._open = _Tally()

    def _cut(self) -> None:
        while self.limit_bytes and self._sealed and self.size > self.limit_bytes:
            self._sealed.pop(0).path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; what was written is there."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@dataclass(slots=True)
class _Tally:
    """What an open segment holds."""

    lines: int = 0
    size: int = 0
    first: int = 0
    last: int = 0

    def add(self, lines: list[LogLine]) -> None:
        if not lines:
            return
        times = [line.at for line in lines]
        self.first = min(times) if not self.lines else min(self.first, *times)
        self.last = max(self.last, *times)
        self.lines += len(lines)
        self.size += sum(line.size for line in lines)


def _told(error: OSError) -> OSError:
    return NoRoom(error.errno, error.strerror) if error.errno in _NO_ROOM else error


# From an engine's stream to lines


class LineParser:
    """Makes lines of a log's stream with times, as ``ContainerEngine.logs(…, timestamps=True)`` gives it."""

    def __init__(self) -> None:
        self._rests: dict[Channel, bytes] = {}
        #: Of a line so long that its beginning was handed on: its stamp and its time.
        self._begun: dict[Channel, tuple[bytes, int]] = {}
        self._at = 0
        self._second = b""
        self._seconds = 0

    def feed(self, channel: Channel, data: bytes) -> list[LogLine]:
        """Return the lines that ``data`` completes."""
        raw = self._rests.get(channel, b"") + data
        lines = raw.split(b"\n")
        rest = lines.pop()
        found: list[LogLine] = []
        for line in lines:
            found.append(self._line(channel, self._cut_pieces(channel, line, found), ended=True))
        self._rests[channel] = self._cut_pieces(channel, rest, found)
        return found

    def _cut_pieces(self, channel: Channel, raw: bytes, found: list[LogLine]) -> bytes:
        """Move the beginning of what is too long to ``found``: the same pieces whether its end has come or not."""
        while len(raw) >= _LONG + PIECE:
            piece, raw = self._piece(channel, raw)
            found.append(piece)
        return raw

    def finish(self) -> list[LogLine]:
        """Return what stands at the end of the stream without an end of line."""
        found = [self._line(channel, rest, ended=False) for channel, rest in self._rests.items() if rest]
        self._rests.clear()
        self._begun.clear()
        return found

    def _line(self, channel: Channel, raw: bytes, *, ended: bool) -> LogLine:
        begun = self._begun.pop(channel, None)
        if begun is not None:
            stamp, at = begun
            return LogLine(at, channel, _without(stamp, raw), ended)
        stamp, _space, text = raw.partition(b" ")
        time = self.time(stamp)
        if time is None:
            # No engine of ours does; a line must not be lost for it.
            return LogLine(self._at, channel, raw, ended)
        self._at = time
        return LogLine(time, channel, text if len(text) <= PIECE else _without(stamp, raw), ended)

    def _piece(self, channel: Channel, raw: bytes) -> tuple[LogLine, bytes]:
        """Cut the beginning off a line whose end has not come, where the engine would cut it."""
        begun = self._begun.get(channel)
        if begun is None:
            stamp = raw.partition(b" ")[0]
            time = self.time(stamp)
            if time is None:
                stamp, time = b"", self._at
            begun = self._begun[channel] = (stamp, time)
            self._at = time
        stamp, at = begun
        parts, position = [], 0
        for _number in range(_LONG // PIECE):
            if stamp and raw.startswith(stamp + b" ", position):
                position += len(stamp) + 1
            parts.append(raw[position : position + PIECE])
            position += PIECE
        return LogLine(at, channel, b"".join(parts), ended=False), raw[position:]

    def time(self, stamp: bytes) -> int | None:
        """Return a stamp in nanoseconds; ``None`` for what is none."""
        if stamp[:19] == self._second and len(stamp) == 30 and stamp[29:] == b"Z" and stamp[20:29].isdigit():
            return self._seconds + int(stamp[20:29])
        found = _STAMP.fullmatch(stamp)
        if found is None:
            return None
        second, fraction, sign, hours, minutes = found.groups()
        try:
            parts = tuple(map(int, (second[:4], second[5:7], second[8:10], second[11:13], second[14:16], second[17:])))
            seconds = calendar.timegm((*parts, 0, 0, 0))
        except (ValueError, OverflowError):
            return None
        if sign:
            offset = int(hours) * 3600 + int(minutes) * 60
            seconds += offset if sign == b"-" else -offset
        else:
            self._second, self._seconds = second, seconds * _SECOND
        return max(0, seconds * _SECOND + int((fraction or b"").ljust(9, b"0")))


def _without(stamp: bytes, raw: bytes) -> bytes:
    """Return a line without its stamp, which engines repeat before each further piece of a long one."""
    parts, position, prefix = [], 0, stamp + b" "
    while position < len(raw):
        if stamp and raw.startswith(prefix, position):
            position += len(prefix)
        parts.append(raw[position : position + PIECE])
        position += PIECE
    return b"".join(parts)


class _Seam:
    """Where a log goes on: what an engine tells again is known, each line as often as it is there already."""

    def __init__(self, files: LogFiles) -> None:
        segments = files.segments()
        newest = next(files.read_back(), None)
        #: Nanoseconds from which on the engine is asked; 0 is everything.
        self.since = 0
        self._until = 0
        self._known: Counter[int] = Counter()
        self._unended: dict[Channel, LogLine] = {}
        if newest is None:
            return
        # Engines take microseconds.
        self.since = max(0, newest[1].at // 1000 * 1000 - _OVERLAP)
        if _count_since(segments, self.since) > _MOST_REMEMBERED:
            # A second of very many lines, or a clock that was set back: what is known for sure is the latest time.
            self.since = max(line.at for segment in segments for line in _lines(segment)) // 1000 * 1000
        for segment in segments:
            if segment.is_open or segment.last >= self.since:
                self._remember(_lines(segment))
        latest: dict[Channel, LogLine] = {}
        for _position, line in itertools.islice(files.read_back(), 100):
            if line.channel not in latest:
                latest[line.channel] = line
        self._unended = {channel: line for channel, line in latest.items() if not line.ended}

    def _remember(self, lines: list[LogLine]) -> None:
        self._until = max([self._until, *(line.at for line in lines)])
        self._known.update(hash(line) for line in lines if line.at >= self.since)

    def new_of(self, lines: list[LogLine]) -> list[LogLine]:
        """Return those of ``lines`` that are not there yet."""
        return [line for told in lines if (line := self._new(told)) is not None]

    def _new(self, line: LogLine) -> LogLine | None:
        if line.at > self._until:
            return line
        key = hash(line)
        if self._known[key] > 0:
            self._known[key] -= 1
            return None
        begun = self._unended.get(line.channel)
        if begun is None or begun.at != line.at or begun == line or not line.data.startswith(begun.data):
            return line
        # A line that had no end when we last read it. Either it goes on, or the container was started again, and what
        # it wrote first stands in the same line, with a time of its own.
        del self._unended[line.channel]
        self._known[hash(begun)] -= 1
        rest = line.data[len(begun.data) :]
        stamp, _space, text = rest.partition(b" ")
        time = LineParser().time(stamp) if _STAMP.match(rest) else None
        return (
            LogLine(line.at, line.channel, rest, line.ended)
            if time is None
            else LogLine(time, line.channel, text, line.ended)
        )

    def is_behind(self, at: int) -> bool:
        """Whether nothing from this time on can be known."""
        return at > self._until + _OVERLAP


def _count_since(segments: list[Segment], since: int) -> int:
    """Return how many lines may have to be remembered."""
    return sum(
        sum(line.at >= since for line in _lines(segment)) if segment.is_open or segment.first < since else segment.lines
        for segment in segments
        if segment.is_open or segment.last >= since
    )


class LogRecorder:
    """Writes a container's log from the engine's stream, and knows where to go on after either of us went."""

    def __init__(self, directory: Path, *, limit_bytes: int = 0, reserve: int = RESERVE) -> None:
        """Raises ``NoRoom``, ``OSError``."""
        self.writer = LogWriter(directory, limit_bytes=limit_bytes, reserve=reserve)
        self._parser = LineParser()
        self._seam: _Seam | None = None
        #: The latest time of what came, whether it was new or not.
        self.seen = self.writer.last

    def begin(self) -> float | None:
        """A stream of the engine's begins: return since when it has to be asked for; ``None`` is everything."""
        self._parser = LineParser()
        self._seam = _Seam(LogFiles(self.writer.directory))
        return self._seam.since / 10**9 if self._seam.since else None

    def feed(self, chunks: Iterable[tuple[Channel, bytes]]) -> None:
        """Write what came. Raises ``NoRoom``, ``Forgotten``, ``OSError``; then the stream has to begin again."""
        self._write([line for channel, data in chunks for line in self._parser.feed(channel, data)])

    def finish(self) -> None:
        """The engine's stream has ended where the log does. Raises like :meth:`feed`."""
        self._write(self._parser.finish())

    def _write(self, lines: list[LogLine]) -> None:
        if not lines:
            return
        seen = max(self.seen, *(line.at for line in lines))
        if self._seam is not None:
            seam, told = self._seam, lines
            lines = seam.new_of(told)
            if seam.is_behind(min(line.at for line in told)):
                self._seam = None
        self.writer.write(lines)
        self.seen = seen

    def seal(self) -> None:
        """Compress what is there: nothing more comes for a while. Raises ``Forgotten``, ``OSError``."""
        self.writer.seal()

    def close(self) -> None:
        """Let go of the file."""
        self.writer.close()


class LogStore:
    """Every kept log."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def directory(self, host_id: str, container_id: str) -> Path:
        """Return where a log is kept. Raises ``ValueError`` for what is no id."""
        if not _CONTAINER_ID.fullmatch(container_id):
            raise ValueError(f"not a full id: {container_id[:80]!r}")
        return self.root / str(UUID(host_id)) / container_id

    def files(self, host_id: str, container_id: str) -> LogFiles:
        """Return a log to be read. Raises ``ValueError``."""
        return LogFiles(self.directory(host_id, container_id))

    def recorder(self, host_id: str, container_id: str, *, limit_bytes: int = 0) -> LogRecorder:
        """Return a log to be written. Raises ``ValueError``, ``NoRoom``, ``OSError``."""
        return LogRecorder(self.directory(host_id, container_id), limit_bytes=limit_bytes)

    def remove(self, host_id: str, container_id: str) -> bool:
        """Remove a log; whether there was one. Raises ``ValueError``, ``OSError``."""
        directory = self.directory(host_id, container_id)
        # By another name first: who reads or writes it finds all of it or nothing.
        grave = directory.with_name(f"{container_id}.removed")
        shutil.rmtree(grave, ignore_errors=True)
        try:
            directory.rename(grave)
        except FileNotFoundError:
            return False
        shutil.rmtree(grave)
        return True

    def logs(self) -> Iterator[tuple[str, str]]:
        """Yield host and container of every log there is."""
        for host in sorted(self.root.glob("*")):
            for log in sorted(host.glob("*")):
                if _CONTAINER_ID.fullmatch(log.name):
                    yield host.name, log.name
