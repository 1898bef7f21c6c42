"""Reading kept logs: the lives of one container name as one text, forward, backward, from a moment, or what matches.

A place is written ``<log>.<segment>.<line>``: it means the same line for as long as the line is kept.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from console.gateway import Channel, LogBlock, LogFiles, LogLine, LogPosition
from console.logs.files import files_of
from console.logs.models import KeptLog
from console.terminals.log_search import MARKING, SEQUENCE, Effort

#: Lines of a page, and matches of a search.
PAGE: Final = 500
MATCHES: Final = 200
#: Seconds that one request searches; what is left is the next one's.
PATIENCE: Final = 2.0
#: Bytes of a line that a page shows.
SHOWN: Final = 8000
LONGEST_PATTERN: Final = 500

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PLACE: Final = re.compile(r"([0-9a-f]{32})\.(\d{1,9})\.(\d{1,9})")
#: A pattern that says what stands before its match cannot be looked for before lines are taken apart.
_LOOKS_BACK: Final = re.compile(r"\^|\\[AB]")
_END: Final = LogPosition(10**9, 0)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands among the lives of a name."""

    log_id: UUID
    position: LogPosition

    def __str__(self) -> str:
        return f"{self.log_id.hex}.{self.position.segment}.{self.position.line}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """Return the place that ``str`` wrote; ``None`` for what is none."""
        found = _PLACE.fullmatch(text)
        return cls(UUID(found[1]), LogPosition(int(found[2]), int(found[3]))) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line as a page shows it; ``ended`` is the life that ended before it, where one did."""

    place: Place
    at: datetime | None
    is_error: bool
    text: str
    #: With its colours, when it has any.
    raw: str = ""
    #: The text and, at every second place, what was found in it.
    parts: tuple[str, ...] = ()
    #: The life that begins with this line, and the one before, where another began.
    begins: KeptLog | None = None
    after: KeptLog | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Some lines, oldest first, and how to get those before and behind them; "" when there are none."""

    rows: list[Row] = field(default_factory=list)
    before: str = ""
    after: str = ""
    #: Until when a search that did not get to the beginning has looked.
    searched_to: datetime | None = None


def moment_of(at: int) -> datetime | None:
    """Return nanoseconds as a moment; ``None`` for one that no clock of ours shows."""
    try:
        return datetime.fromtimestamp(at / 10**9, UTC) if at else None
    except (ValueError, OverflowError, OSError):
        return None


def clean(data: bytes) -> bytes:
    """Return a line's text without what steers a terminal."""
    if b"\x1b" in data:
        data = SEQUENCE.sub(b"", data)
    return data.removesuffix(b"\r")


def shown(data: bytes) -> str:
    """Return text that a page can show as it is."""
    text = data[:SHOWN].decode(errors="replace")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text) + ("…" if len(data) > SHOWN else "")


class Reader:
    """The lives of one name, oldest first. Everything here reads files: not on an event loop."""

    def __init__(self, logs: Sequence[KeptLog]) -> None:
        self.logs = list(logs)
        self._numbers = {log.pk: number for number, log in enumerate(self.logs)}

    def _files(self, number: int) -> LogFiles:
        log = self.logs[number]
        return files_of(host_id=log.host_id, container_id=log.container_id)

    def end_of(self, log: KeptLog) -> Place:
        """Return the place behind a life's last line."""
        return Place(log.pk, _END)

    def forward(self, start: Place | None = None) -> Iterator[tuple[Place, LogLine]]:
        """Yield lines from a place on (without one, from the beginning)."""
        first = self._numbers.get(start.log_id, 0) if start is not None else 0
        for number in range(first, len(self.logs)):
            position = start.position if start is not None and number == first and self._is_known(start) else None
            for found, line in self._files(number).read(position):
                yield Place(self.logs[number].pk, found), line

    def back(self, before: Place | None = None) -> Iterator[tuple[Place, LogLine]]:
        """Yield lines before a place (without one, from the end), newest first."""
        last = len(self.logs) - 1
        first = self._numbers.get(before.log_id, last) if before is not None else last
        for number in range(first, -1, -1):
            position = before.position if before is not None and number == first and self._is_known(before) else None
            for found, line in self._files(number).read_back(position):
                yield Place(self.logs[number].pk, found), line

    def _is_known(self, place: Place) -> bool:
        return place.log_id in self._numbers

    def page_before(self, before: Place | None) -> Reading:
        """Return the page of lines that ends before a place (without one, with the last line)."""
        found = list(itertools.islice(self.back(before), PAGE + 1))
        has_more, found = len(found) > PAGE, found[:PAGE][::-1]
        follows = next(self.forward(before), None) if before is not None else None
        return self._reading(found, has_before=has_more, has_after=follows is not None)

    def page_from(self, start: Place | None) -> Reading:
        """Return the page of lines that begins at a place (without one, at the beginning)."""
        found = list(itertools.islice(self.forward(start), PAGE + 1))
        has_more, found = len(found) > PAGE, found[:PAGE]
        precedes = next(self.back(found[0][0]), None) if found else None
        return self._reading(found, has_before=precedes is not None, has_after=has_more)

    def page_behind(self, place: Place) -> Reading:
        """Return the page of lines that begins behind the line at a place."""
        position = place.position
        return self.page_from(Place(place.log_id, LogPosition(position.segment, position.line + 1)))

    def page_around(self, place: Place) -> Reading:
        """Return the lines around the one at a place."""
        earlier = list(itertools.islice(self.back(place), PAGE // 2 + 1))
        later = list(itertools.islice(self.forward(place), PAGE // 2 + 1))
        has_before, has_after = len(earlier) > PAGE // 2, len(later) > PAGE // 2
        found = [*earlier[: PAGE // 2][::-1], *later[: PAGE // 2]]
        return self._reading(found, has_before=has_before, has_after=has_after)

    def find(self, moment: datetime) -> Place | None:
        """Return where the first line of this moment or later stands; ``None`` when all are older."""
        at = int(moment.timestamp() * 10**6) * 1000
        for number, log in enumerate(self.logs):
            position = self._files(number).find(at)
            if position is not None:
                return Place(log.pk, position)
        return None

    def search(self, pattern: Any, *, before: Place | None = None) -> Reading:
        """Return the newest lines before a place that ``pattern`` (RE2's, for bytes) matches. Raises ``TooCostly``."""
        effort = Effort(pattern)
        until = time.monotonic() + PATIENCE
        found: list[tuple[Place, LogLine]] = []
        looked: tuple[Place, LogLine] | None = None
        for log_id, block in self._blocks(before):
            if looked is not None and time.monotonic() >= until:
                break
            lines = block.lines() if _may_match(pattern, effort, block) else block.lines()[:1]
            if before is not None and log_id == before.log_id:
                lines = [(position, line) for position, line in lines if position < before.position]
            for position, line in reversed(lines):
                text = clean(line.data)
                effort.weigh(text)
                if effort.search(text):
                    found.append((Place(log_id, position), line))
                    if len(found) > MATCHES:
                        return self._matches(found[:MATCHES], pattern, before=str(found[MATCHES - 1][0]))
            if lines:
                looked = Place(log_id, lines[0][0]), lines[0][1]
        else:
            return self._matches(found, pattern)
        return self._matches(found, pattern, before=str(looked[0]), searched_to=moment_of(looked[1].at))

    def _blocks(self, before: Place | None) -> Iterator[tuple[UUID, LogBlock]]:
        last = len(self.logs) - 1
        first = self._numbers.get(before.log_id, last) if before is not None else last
        for number in range(first, -1, -1):
            position = before.position if before is not None and number == first and self._is_known(before) else None
            for block in self._files(number).blocks_back(position):
                yield self.logs[number].pk, block

    def _matches(
        self,
        found: list[tuple[Place, LogLine]],
        pattern: Any,
        *,
        before: str = "",
        searched_to: datetime | None = None,
    ) -> Reading:
        until = time.monotonic() + MARKING
        rows = [self._row(place, line, pattern=pattern, until=until) for place, line in reversed(found)]
        return Reading(rows=rows, before=before, searched_to=searched_to)

    def _reading(self, found: list[tuple[Place, LogLine]], *, has_before: bool, has_after: bool) -> Reading:
        rows, last = [], None
        if found and has_before:
            before = next(self.back(found[0][0]), None)
            last = before[0].log_id if before is not None else None
        for place, line in found:
            rows.append(self._row(place, line, behind=last))
            last = place.log_id
        return Reading(
            rows=rows,
            before=str(found[0][0]) if found and has_before else "",
            after=str(found[-1][0]) if found and has_after else "",
        )

    def _row(
        self, place: Place, line: LogLine, *, behind: UUID | None = None, pattern: Any = None, until: float = 0
    ) -> Row:
        data = clean(line.data)
        is_other = behind is not None and behind != place.log_id
        return Row(
            place=place,
            at=moment_of(line.at),
            is_error=line.channel == Channel.STDERR,
            text=shown(data),
            raw=line.data[:SHOWN].decode(errors="replace").removesuffix("\r") if b"\x1b" in line.data else "",
            parts=_marked(data, pattern, until=until) if pattern is not None else (),
            begins=self.logs[self._numbers[place.log_id]] if is_other else None,
            after=self.logs[self._numbers[behind]] if is_other and behind is not None else None,
        )


def _may_match(pattern: Any, effort: Effort, block: LogBlock) -> bool:
    """Whether it is worth taking a block apart: most have nothing, and that is quickly known. Raises ``TooCostly``."""
    source = pattern.pattern
    text = source.decode(errors="replace") if isinstance(source, bytes) else source
    if _LOOKS_BACK.search(text) or b"\x1b" in block.content:
        return True
    at = 0
    while at < len(block.content):
        # Whole lines, and not all at once: what a pattern costs shows after a few.
        end = block.content.find(b"\n", at + effort.round) + 1 or len(block.content)
        effort.weigh(block.content[at:end])
        if effort.search(block.content[at:end]) is not None:
            return True
        at = end
    return False


def _marked(data: bytes, pattern: Any, *, until: float) -> tuple[str, ...]:
    """Cut a line where it matches: text, match, text …; when it is too late for that, not any more."""
    data = data[:SHOWN]
    parts: list[bytes] = []
    at = looked = 0
    while looked <= len(data) and len(parts) < 100 and time.monotonic() < until:
        match = pattern.search(data, looked)
        if match is None:
            break
        begin, end = match.span()
        if end > begin:
            parts += [data[at:begin], data[begin:end]]
            at = end
        looked = max(end, begin + 1)
    parts.append(data[at:])
    return tuple(shown(part) for part in parts)
