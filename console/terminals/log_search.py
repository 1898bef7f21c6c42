"""Search in a log, wherever its lines come from: linear in time, bounded in memory, whatever the pattern.

Lines are looked at in batches: one call of RE2 over many of them, in a thread that holds nothing else up. A pattern
that is too large to be quick is refused by what it costs, not by how it looks.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import re2

from console.gateway import Chunk, moment_of

#: Bytes that a compiled pattern may take: what needs more would be slow, too.
PATTERN_MEMORY: Final = 512 * 1024
#: Bytes of lines that are looked at in one call: they grow while the calls are quick.
SMALLEST_ROUND: Final = 4 * 1024
LARGEST_ROUND: Final = 256 * 1024
#: Seconds that a call should take at most, and bytes a second below which a pattern is given up.
ROUND: Final = 0.02
SLOWEST: Final = 500_000
#: Seconds that all the calls of one search must have taken before it is judged.
JUDGED_AFTER: Final = 0.1
#: Bytes that a call costs beside those of its text.
CALL: Final = 64
#: Seconds that looking for the places within lines may take; after that, lines are given without.
MARKING: Final = 1.0
#: Bytes gathered before they are looked at: engines may give a line at a time.
BATCH: Final = 64 * 1024
#: Seconds for one request; what is left is the next one's.
PATIENCE: Final = 30.0
#: Seconds between two words about how far it is.
TOLD_EVERY: Final = 0.5
#: Characters of a line that are shown, and how many of them before its first match.
SHOWN: Final = 4000
SHOWN_BEFORE: Final = 500
#: Places marked in one line.
MOST_MARKS: Final = 100
#: A line that is longer is looked at in pieces.
LONGEST_LINE: Final = 2 * 1024 * 1024
#: Searches that one person may have running in one process.
AT_ONCE: Final = 2

#: What steers a terminal, and is no text.
SEQUENCE: Final = re.compile(
    rb"\x1b(?:\[[0-9;:]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[PX^_][^\x1b\n]*(?:\x1b\\)?|[@-Z\\-_]|[ -/]+[0-~])"
)

_executor = ThreadPoolExecutor(max_workers=2, thread_name_prefix="log-search")
_running: Counter[Any] = Counter()


class BadPattern(ValueError):
    """A regular expression that is none, or that RE2 does not know; its sentence is RE2's."""


class TooCostly(Exception):
    """A pattern that would take far too long."""


class TooMany(Exception):
    """The person has as many searches running as may be."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a search has come: so many hits of the lines with this timestamp (in nanoseconds) have been given."""

    moment: int
    hits: int

    def __str__(self) -> str:
        return f"{self.moment}.{self.hits}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place that ``str`` wrote. Raises ``ValueError``."""
        moment, _, hits = text.partition(".")
        return cls(int(moment), int(hits))

    @property
    def since(self) -> float:
        """From when to read on, in seconds, as engines are asked."""
        return max(0, self.moment // 1000 - 1) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for, and how much around it is given."""

    text: str
    is_pattern: bool = False
    matches_case: bool = False
    before: int = 0
    after: int = 0
    limit: int = 200
    place: Place | None = None

    def compile(self) -> Any:
        """Return the pattern for bytes. Raises ``BadPattern``."""
        options = re2.Options()
        options.max_mem = PATTERN_MEMORY
        options.log_errors = False
        options.never_nl = True
        options.case_sensitive = self.matches_case
        source = self.text if self.is_pattern else re2.escape(self.text)
        try:
            return re2.compile(b"(?m)" + source.encode(), options)
        except re2.error as error:
            text = error.args[0] if error.args else ""
            sentence = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
            raise BadPattern(sentence.replace("(?m)", "", 1)) from error


def is_busy(person: Any) -> bool:
    """Whether the person has as many searches running as may be."""
    return _running[person] >= AT_ONCE


@contextmanager
def turn(person: Any) -> Iterator[None]:
    """Hold one of the person's places. Raises ``TooMany``."""
    if is_busy(person):
        raise TooMany
    _running[person] += 1
    try:
        yield
    finally:
        _running[person] -= 1
        if not _running[person]:
            del _running[person]


class Effort:
    """What a pattern costs: one that is too slow is given up, before much time has gone into it."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern
        self._took = 0.0
        self._looked_at = 0
        #: Bytes to look at in one go.
        self.round = SMALLEST_ROUND

    def weigh(self, text: bytes) -> None:
        """Look at a long text in parts: what one costs is known before the whole takes minutes. Raises ``TooCostly``.

        Who wrote a line chose its length.
        """
        at = 0
        while len(text) > 2 * self.round and at < len(text):
            part = text[at : at + self.round]
            self.search(part)
            at += len(part)

    def search(self, text: bytes, at: int = 0) -> Any:
        """Return the first match in ``text`` from ``at`` on, if there is one. Raises ``TooCostly``."""
        # Of this thread's own time: others may be busy beside it.
        begun = time.thread_time()
        match = self._pattern.search(text, at)
        took = time.thread_time() - begun
        self._took += took
        self._looked_at += (len(text) if match is None else match.end()) - at + CALL
        if self._took > JUDGED_AFTER and self._looked_at / self._took < SLOWEST:
            raise TooCostly
        if took >= ROUND:
            self.round = max(SMALLEST_ROUND, self.round // 2)
        elif len(text) - at >= self.round:
            self.round = min(LARGEST_ROUND, self.round * 2)
        return match


@dataclass(frozen=True, slots=True)
class _Line:
    channel: int
    stamp: bytes
    text: bytes


class _Batch:
    """The lines of a round. Few of them are ever looked at one by one, so few are made."""

    def __init__(self, lines: list[tuple[int, bytes]], text: bytes) -> None:
        self._lines = lines
        self._text = text
        self._texts: list[bytes] | None = None

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, at: int) -> _Line:
        if self._texts is None:
            self._texts = self._text.split(b"\n")
        channel, line = self._lines[at]
        return _Line(channel, line.partition(b" ")[0], self._texts[at])

    @property
    def last_stamp(self) -> bytes:
        """The timestamp of the last line."""
        return self._lines[-1][1].partition(b" ")[0]


class Scan:
    """One search under way. Its methods are called one at a time, from whichever thread."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self._pattern = query.compile()
        self._effort = Effort(self._pattern)
        #: Seconds that it has taken to find the places within lines.
        self._marking = 0.0
        self._rests: dict[int, bytes] = {}
        self._before: deque[_Line] = deque(maxlen=query.before)
        #: The number of the next line, of the last that was given, and up to which lines are given as context.
        self._next = 0
        self._given = -1
        self._until = -1
        self.hits = 0
        self.lines = 0
        self.place = query.place or Place(0, 0)
        #: Hits of this request with the timestamp at which the one before stopped.
        self._repeated = 0

    @property
    def is_full(self) -> bool:
        """Whether as many hits were found as were asked for."""
        return self.hits >= self.query.limit

    def feed(self, chunks: list[Chunk]) -> list[dict[str, Any]]:
        """Return what of these chunks is to be given. Raises ``TooCostly``."""
        lines: list[tuple[int, bytes]] = []
        for channel, group in groupby(chunks, key=lambda chunk: chunk.channel):
            data = b"".join(chunk.data for chunk in group)
            *whole, rest = (self._rests.get(channel, b"") + data).split(b"\n")
            if len(rest) > LONGEST_LINE:
                whole.append(rest)
                rest = b""
            self._rests[channel] = rest
            lines += [(channel, line) for line in whole]
        return self._look(lines)

    def finish(self) -> list[dict[str, Any]]:
        """Look at what has no end of its line. Raises ``TooCostly``."""
        rests, self._rests = self._rests, {}
        return self._look([(channel, rest) for channel, rest in rests.items() if rest])

    def _look(self, lines: list[tuple[int, bytes]]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        at = 0
        while at < len(lines) and not self.is_full:
            end, size = at, 0
            while end < len(lines) and size < self._effort.round:
                size += len(lines[end][1]) + 1
                end += 1
            rows += self._look_at(lines[at:end])
            at = end
        return rows

    def _look_at(self, lines: list[tuple[int, bytes]]) -> list[dict[str, Any]]:
        """One round: the lines as one text, without timestamps, colours and carriage returns."""
        text = b"\n".join([line.partition(b" ")[2] for _channel, line in lines])
        if b"\x1b" in text:
            text = SEQUENCE.sub(b"", text)
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").removesuffix(b"\r")
        self._effort.weigh(text)
        found = self._find(text)
        batch = _Batch(lines, text)
        rows = self._give(batch, found)
        self._next += len(lines)
        self.lines += len(lines)
        self._before.extend(batch[at] for at in range(max(0, len(lines) - self.query.before), len(lines)))
        return rows

    def _find(self, text: bytes) -> list[int]:
        """Return which lines of a text have it."""
        found: list[int] = []
        line = at = 0
        while (match := self._effort.search(text, at)) is not None:
            line += text.count(b"\n", at, match.start())
            found.append(line)
            end = text.find(b"\n", match.end())
            if end < 0:
                break
            line += 1
            at = end + 1
        return found

    def _give(self, batch: _Batch, found: list[int]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        last = self._next + len(batch) - 1
        for index in found:
            if self.is_full:
                break
            if not self._is_new(batch[index]):
                continue
            number = self._next + index
            self._give_context(rows, batch, min(self._until, number - 1))
            self._given = max(self._given, number - self.query.before - 1)
            self._give_context(rows, batch, number - 1)
            rows.append(self._row(batch[index], number, is_hit=True))
            self.hits += 1
            self._given, self._until = number, number + self.query.after
        self._give_context(rows, batch, min(self._until, last))
        if not self.is_full:
            self._go_on(batch.last_stamp)
        return rows

    def _give_context(self, rows: list[dict[str, Any]], batch: _Batch, until: int) -> None:
        for number in range(max(self._given + 1, self._next - len(self._before)), until + 1):
            index = number - self._next
            rows.append(self._row(batch[index] if index >= 0 else self._before[index], number, is_hit=False))
            self._given = number

    def _is_new(self, line: _Line) -> bool:
        """Whether the request before has not given this hit; the place goes on with it."""
        moment = moment_of(line.stamp)
        given = self.query.place
        if moment is None:
            return given is None or self.place != given
        if given is not None and moment <= given.moment:
            if moment < given.moment:
                return False
            self._repeated += 1
            if self._repeated <= given.hits:
                return False
        self.place = Place(moment, self.place.hits + 1 if moment == self.place.moment else 1)
        return True

    def _go_on(self, stamp: bytes) -> None:
        """Everything up to there has been looked at."""
        moment = moment_of(stamp)
        if moment is not None and moment > self.place.moment:
            self.place = Place(moment, 0)

    def _row(self, line: _Line, number: int, *, is_hit: bool) -> dict[str, Any]:
        """A line as JSON: ``parts`` are its text and, at every second place, what was found in it.

        ``number`` counts the lines that this request looked at, so that a reader sees where some are left out.
        """
        marks = self._marks(line.text) if is_hit else []
        start = 0
        if marks and marks[0][0] > SHOWN:
            start = marks[0][0] - SHOWN_BEFORE
        end = start + SHOWN
        parts = []
        at = start
        for begin, stop in marks:
            if begin >= end:
                break
            parts += [line.text[at:begin], line.text[begin : min(stop, end)]]
            at = min(stop, end)
        parts.append(line.text[at : max(at, end)])
        texts = [part.decode(errors="replace") for part in parts]
        if start:
            texts[0] = f"…{texts[0]}"
        if len(line.text) > end:
            texts[-1] = f"{texts[-1]}…"
        return {
            "type": "hit" if is_hit else "line",
            "number": number,
            "time": line.stamp.decode("ascii", "replace"),
            "channel": int(line.channel),
            "parts": texts,
        }

    def _marks(self, text: bytes) -> list[tuple[int, int]]:
        marks: list[tuple[int, int]] = []
        at = 0
        while len(marks) < MOST_MARKS and at <= len(text) and self._marking < MARKING:
            begun = time.thread_time()
            match = self._pattern.search(text, at)
            self._marking += time.thread_time() - begun
            if match is None:
                break
            begin, end = match.span()
            if marks and begin > max(SHOWN, marks[0][0] + SHOWN):
                break
            if end > begin:
                marks.append((begin, end))
            at = max(end, at + 1, begin + 1)
        return marks


async def search(
    chunks: AsyncIterator[Chunk], query: Query, *, patience: float = PATIENCE
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield rows of what is found, and how far it is; the last one is ``end``. Raises ``BadPattern``.

    ``chunks`` are the log with timestamps in front of its lines, oldest first, cut anywhere. Rows: ``hit`` and ``line``
    (context) as :meth:`Scan._row` makes them, in the log's order; ``progress`` with how many ``lines`` were read;
    ``end`` with the same, why it ended (``done``, ``limit``, ``time``, ``costly``), and the place to go on from.
    """
    scan = Scan(query)
    loop = asyncio.get_running_loop()
    begun = told = loop.time()
    gathered: list[Chunk] = []
    size = 0
    reason = "done"
    try:
        async for chunk in chunks:
            gathered.append(chunk)
            size += len(chunk.data)
            if size < BATCH:
                continue
            for row in await loop.run_in_executor(_executor, scan.feed, gathered):
                yield row
            gathered, size = [], 0
            if scan.is_full:
                reason = "limit"
                break
            now = loop.time()
            if now - begun >= patience:
                reason = "time"
                break
            if now - told >= TOLD_EVERY:
                told = now
                yield {"type": "progress", "lines": scan.lines}
        else:
            for row in await loop.run_in_executor(_executor, scan.feed, gathered):
                yield row
            for row in await loop.run_in_executor(_executor, scan.finish):
                yield row
            if scan.is_full:
                reason = "limit"
    except TooCostly:
        reason = "costly"
    finally:
        if hasattr(chunks, "aclose"):
            await chunks.aclose()
    more = str(scan.place) if reason in ("limit", "time") else None
    yield {"type": "end", "reason": reason, "lines": scan.lines, "hits": scan.hits, "more": more}
