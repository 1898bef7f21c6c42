"""Reading recordings, also those that are still written, or whose writer died."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from runtime.recordings.lines import LineScreen

#: No line that the recorder writes is longer; one of a file that is none of ours ends the reading.
_LINE_LIMIT: Final = 4 * 1024 * 1024
TEXT_LIMIT: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened ``seconds`` after the beginning.

    ``kind``: ``o`` output, ``i`` a line of input, ``r`` a size as in ``80x24``, ``m`` a mark, ``x`` the exit code.
    """

    seconds: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of a recording."""

    columns: int
    rows: int
    timestamp: int
    title: str = ""
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that the terminal showed, and when it was ended."""

    seconds: float
    text: str


def _whole_line(raw: bytes) -> Any:
    """Return what a line holds; ``None`` for the last half line of a crash, or none of ours."""
    if not raw.endswith(b"\n"):
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def read_header(path: Path) -> Header | None:
    """Return the head of a recording; ``None`` when it has none. Raises ``OSError``."""
    with path.open("rb") as file:
        found = _whole_line(file.readline(_LINE_LIMIT))
    if not isinstance(found, dict):
        return None
    width, height, began = (found.get(name) for name in ("width", "height", "timestamp"))
    details = found.get("pilothouse")
    return Header(
        columns=width if isinstance(width, int) else 80,
        rows=height if isinstance(height, int) else 24,
        timestamp=began if isinstance(began, int) else 0,
        title=str(found.get("title", "")),
        details={str(name): str(value) for name, value in details.items()} if isinstance(details, dict) else {},
    )


def read_events(path: Path) -> Iterator[Event]:
    """Return the events of a recording, as far as they are whole. Raises ``OSError``."""
    with path.open("rb") as file:
        file.readline(_LINE_LIMIT)
        while (event := _event(file.readline(_LINE_LIMIT))) is not None:
            yield event


def _event(raw: bytes) -> Event | None:
    match _whole_line(raw):
        case [int() | float() as seconds, str() as kind, str() as text]:
            return Event(float(seconds), kind, text)
        case _:
            return None


def length_of(path: Path) -> float:
    """Return the moment of the last event, without reading the others. Raises ``OSError``."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LINE_LIMIT))
        # The first may be cut off by where we began, the last by a crash.
        lines = file.read().splitlines(keepends=True)
    found = (event for event in map(_event, reversed(lines)) if event is not None)
    return next((event.seconds for event in found), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to go on reading lines: an event, and how many lines that it ended have been read already."""

    offset: int = 0
    skip: int = 0
    columns: int = 0


class LineReader:
    """Reads what the terminal showed, line by line, from a place on.

    The line that is not ended yet comes last when ``is_ended``; otherwise it comes whole once it is, when somebody goes
    on from ``place``, which is where that line begins.
    """

    def __init__(self, path: Path, *, place: Place | None = None, is_ended: bool = True) -> None:
        self._path = path
        self._is_ended = is_ended
        self.place = place or Place()

    def __iter__(self) -> Iterator[Line]:
        """Raises ``OSError``."""
        start = self.place
        header = read_header(self._path)
        columns = start.columns or (header.columns if header else 80)
        screen = LineScreen(columns)
        seconds = 0.0
        with self._path.open("rb") as file:
            if start.offset:
                file.seek(start.offset)
            else:
                file.readline(_LINE_LIMIT)
            offset = file.tell()
            skip = start.skip
            while (event := _event(raw := file.readline(_LINE_LIMIT))) is not None:
                seconds = event.seconds
                if event.kind == "o":
                    ended = screen.feed(event.text)
                    for text in ended[skip:]:
                        yield Line(seconds, text)
                    if ended:
                        # The line that goes on began in this event, behind those that it ended.
                        self.place = Place(offset=offset, skip=len(ended), columns=columns)
                    skip = 0
                elif event.kind == "r" and (width := event.text.partition("x")[0]).isdecimal() and len(width) < 6:
                    columns = int(width)
                    screen.resize(columns)
                offset += len(raw)
        if self._is_ended:
            for text in screen.finish():
                yield Line(seconds, text)


def lines_of(path: Path) -> Iterator[Line]:
    """Return what the terminal showed, line by line. Raises ``OSError``."""
    return iter(LineReader(path))


def text_of(path: Path, *, limit: int = TEXT_LIMIT) -> str:
    """Return what the terminal showed, at most ``limit`` characters of it. Raises ``OSError``."""
    parts: list[str] = []
    size = 0
    for line in lines_of(path):
        parts.append(line.text)
        size += len(line.text) + 1
        if size >= limit:
            break
    return "\n".join(parts)[:limit]
