"""What a terminal shows, line by line: escape sequences obeyed as far as a line needs it, the rest left out.

This is no screen. Rows that a program wraps are one line; a jump of the cursor to another row begins a new one. So what
somebody typed with corrections is read as it stood there, and programs that draw the whole screen leave the pieces of
text that they drew. Memory is bounded by the longest line.
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import category, east_asian_width

#: Longer lines are cut into several.
LINE_LIMIT: Final = 16 * 1024
#: A control string that has not ended after so many characters is given up.
STRING_LIMIT: Final = 256 * 1024
#: Larger numbers within escape sequences mean the same as this one.
LARGEST: Final = 10_000
_TAB: Final = 8

_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?:\x1b\[|\x9b)(?P<parameters>[0-?]{0,200})[ -/]{0,8}(?P<final>[@-~])"
    r"|(?P<string>\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"
    r"|\x1b(?P<between>[ -/]{1,8})(?P<designated>[0-~])"
    r"|\x1b(?P<escape>[0-Z\\`-~])"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f-\x8f\x91-\x97\x99\x9a\x9c])"
)
_UNFINISHED = re.compile(r"(?:\x1b\[|\x9b)[0-?]{0,200}[ -/]{0,8}\Z|\x1b[ -/]{0,8}\Z")
#: Where a control string ends; ESC ends it too, and then begins what it begins.
_STRING_END = re.compile(r"[\x07\x18\x1a\x9c]|\x1b\\|\x1b(?!\Z)")

#: A character with more that joins it than any language has.
_CELL_LIMIT: Final = 16
#: The second cell of a wide character.
_REST = ""


def _joins(character: str) -> bool:
    """Whether ``character`` takes no cell of its own; the soft hyphen does."""
    return category(character) in ("Mn", "Me", "Cf") and character != "\xad"


def _cells(text: str) -> list[str]:
    """Return one entry for each cell that ``text`` takes; what joins the cell before it comes in that one."""
    if text.isascii():
        return list(text)
    cells = [""]
    for character in text:
        if _joins(character):
            if len(cells[-1]) < _CELL_LIMIT:
                cells[-1] += character
        else:
            cells.append(character)
            if east_asian_width(character) in "WF":
                cells.append(_REST)
    joined = cells.pop(0)
    return [joined, *cells] if joined else cells


class LineScreen:
    """The line that the cursor is in. Feed it output, take whole lines out."""

    def __init__(self, columns: int) -> None:
        self._columns = max(1, columns)
        self._line: list[str] = []
        self._cursor = 0
        #: The cursor is beyond the last column of its row: the next character wraps, a movement starts from that row.
        self._wraps = False
        self._graphics = False
        self._tail = ""
        #: How much of a control string has been left out; ``None`` outside of one.
        self._string: int | None = None
        self._done: list[str] = []
        #: Counts lines, so that two looks can be told to be of the same one.
        self.serial = 0

    @property
    def cursor(self) -> int:
        """The cell within the line where the next character goes."""
        return self._cursor

    def between(self, start: int, end: int) -> str:
        """Return the text of some cells of the line."""
        return "".join(self._line[start:end])

    def rest(self, start: int) -> str:
        """Return the text of the line from cell ``start`` on."""
        return "".join(self._line[start:])

    def resize(self, columns: int) -> None:
        """The terminal has so many columns now."""
        self._columns = max(1, columns)

    def feed(self, text: str) -> list[str]:
        """Take output in; return the lines that it ended."""
        text = self._tail + text
        self._tail = ""
        position = 0
        size = len(text)
        match_token = _TOKEN.match
        while position < size:
            if self._string is not None:
                position = self._skip_string(text, position)
                continue
            token = match_token(text, position)
            if token is None:
                if _UNFINISHED.match(text, position):
                    self._tail = text[position:]
                    break
                position += 1  # an escape that begins nothing
                continue
            position = token.end()
            run = token["text"]
            if run is not None:
                self._write(run)
            elif token["control"] is not None:
                self._control(token["control"])
            elif token["final"] is not None:
                self._sequence(token["parameters"], token["final"])
            elif token["string"] is not None:
                self._string = 0
            elif token["designated"] is not None:
                if token["between"] == "(":
                    self._graphics = token["designated"] == "0"
            else:
                self._escape(token["escape"])
        done, self._done = self._done, []
        return done

    def finish(self) -> list[str]:
        """Return the line that was not ended."""
        self._end_line()
        done, self._done = self._done, []
        return done

    def _skip_string(self, text: str, position: int) -> int:
        end = _STRING_END.search(text, position)
        if end is not None:
            self._string = None
            return end.start() if end[0] == "\x1b" else end.end()
        stop = len(text)
        if text.endswith("\x1b"):
            self._tail = "\x1b"
            stop -= 1
        self._string = (self._string or 0) + stop - position
        if self._string > STRING_LIMIT:
            self._string = None
        return len(text)

    def _end_line(self, *, column: int = 0) -> None:
        """End the line; the next one begins with the cursor in ``column``."""
        text = "".join(self._line).rstrip()
        if text:
            self._done.append(text)
        self._line.clear()
        self._cursor = column
        self._wraps = False
        self.serial += 1

    def _column(self) -> int:
        return self._cursor % self._columns

    def _settle(self) -> None:
        """Bring a cursor that waits to wrap back to its row's last column."""
        if self._wraps:
            self._cursor -= 1
            self._wraps = False

    def _write(self, run: str) -> None:
        cells = [" "] * len(run) if self._graphics and run.isascii() else _cells(run)
        line = self._line
        if _joins(run[0]):
            joined = cells.pop(0)
            if 0 < self._cursor <= len(line) and len(line[self._cursor - 1]) < _CELL_LIMIT:
                line[self._cursor - 1] += joined
            if not cells:
                return
        if self._cursor > len(line):
            line.extend(" " * (self._cursor - len(line)))
        end = self._cursor + len(cells)
        line[self._cursor : end] = cells
        self._cursor = end
        self._wraps = end % self._columns == 0
        if end > LINE_LIMIT:
            self._end_line()

    def _control(self, control: str) -> None:
        if control in "\n\x0b\x0c\x84\x85":
            self._end_line()
        elif control == "\r":
            self._settle()
            self._cursor -= self._column()
        elif control == "\b":
            self._settle()
            self._cursor = max(0, self._cursor - 1)
        elif control == "\t":
            self._settle()
            row = self._cursor - self._column()
            stop = (self._column() // _TAB + 1) * _TAB
            self._cursor = row + min(stop, self._columns - 1)

    def _escape(self, escape: str) -> None:
        # Saved cursors, whole resets and movements to another row; "=" and ">" only change what keys send.
        if escape in "78cDEM":
            self._end_line(column=0 if escape in "cE" else self._column())

    def _sequence(self, parameters: str, final: str) -> None:
        if parameters[:1] in "<=>?" and parameters:
            # The other screen comes or goes.
            if final in "hl" and any(mode in ("?47", "?1047", "?1049") for mode in parameters.split(";")):
                self._end_line()
            return
        numbers = [min(int(word[-9:]), LARGEST) if word.isdigit() else 0 for word in parameters.split(";")]
        count = max(1, numbers[0])
        if final in "CDGHf`dABJKPX@a":
            self._settle()
        row = self._cursor - self._column()
        line = self._line
        if final in "Ca":
            self._cursor = min(self._cursor + count, row + self._columns - 1)
        elif final == "D":
            self._cursor = max(row, self._cursor - count)
        elif final in "G`":
            self._cursor = row + min(count, self._columns) - 1
        elif final in "Hf":
            column = numbers[1] if len(numbers) > 1 else 1
            self._end_line(column=min(max(1, column), self._columns) - 1)
        elif final in "dEFLMSTu":
            self._end_line(column=0 if final in "EF" else self._column())
        elif final in "AB":
            there = self._cursor + (count if final == "B" else -count) * self._columns
            if 0 <= there <= len(line) + self._columns and there < LINE_LIMIT:
                self._cursor = there
            else:
                self._end_line(column=self._column())
        elif final == "J" and numbers[0] == 0:
            del line[self._cursor :]
        elif final == "J" and numbers[0] in (2, 3):
            self._end_line(column=self._column())
        elif final == "K":
            start = self._cursor if numbers[0] == 0 else row
            end = row + self._columns if numbers[0] in (0, 2) else self._cursor + 1
            if end >= len(line):
                del line[start:]
            else:
                line[start:end] = " " * (end - start)
        elif final == "P":
            del line[self._cursor : self._cursor + count]
        elif final == "@" and self._cursor < len(line):
            line[self._cursor : self._cursor] = " " * min(count, self._columns)
        elif final == "X" and self._cursor < len(line):
            end = min(self._cursor + count, len(line))
            line[self._cursor : end] = " " * (end - self._cursor)
