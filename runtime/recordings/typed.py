"""What of the input may be kept: lines that the terminal showed while they were typed, and nothing else.

Nobody who only sees the bytes of a terminal knows whether it echoes. So each printable character must appear on the
screen, where the cursor stood and right behind those typed before it, before anything else is typed or shown. A line
of which one character did not is dropped whole: it may be a password. What is kept has therefore been shown, and is in
the recording's output anyway.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from runtime.recordings.lines import LineScreen

#: Seconds within which a character appears, or was not echoed.
WINDOW: Final = 1.0
#: Longer lines, and more that is typed before one is decided, are dropped.
LINE_LIMIT: Final = 64 * 1024
TEXT_LIMIT: Final = 1000
#: Seconds after which an escape character alone was the key of that name.
_ESCAPE_ALONE: Final = 0.05
#: Of a long output that nobody waits for, only the end can be what the cursor stands in.
_LOOK_BACK: Final = 8 * 1024

_KEY = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<sequence>\x1b\[(?P<parameters>[0-?]{0,64})[ -/]{0,4}(?P<final>[@-~]))"
    r"|(?P<single>\x1bO[ -~])"
    r"|(?P<string>\x1b[\]PX^_])"
    r"|(?P<alt>\x1b[^\x1b\[O\]PX^_])"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f-\x9f])"
)
_UNFINISHED = re.compile(r"\x1b(\[[0-?]{0,64}[ -/]{0,4}|O)?\Z")
_STRING_END = re.compile(r"\x07|\x1b\\|(?=[\r\n\x03\x18\x1a])")
#: Arrows, Home, End, back tab, F1 to F4. R is F3 with a modifier too, but also the answer where the cursor is.
_KEY_FINALS: Final = frozenset("ABCDFHZPQS")
_PASTES: Final = frozenset(("200", "201"))
_ENTERS: Final = frozenset("\r\n")
#: Interrupt, end of file, quit, suspend: the line is no more.
_ABANDONS: Final = frozenset("\x03\x04\x1a\x1c")
_BREAK = re.compile(r"(\r?\n|\r)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedLine:
    """A line that was shown while it was typed: its keys, and how it stood there at the end."""

    keys: str
    text: str


class TypedLines:
    """Decides which typed lines may be kept. Feed it output and input in their order; take kept lines out."""

    def __init__(self, columns: int) -> None:
        self._screen = LineScreen(columns)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._tail = ""
        self._tail_at = 0.0
        #: Within a control string that the terminal emulator sends.
        self._in_string = False
        #: Characters that belong to a report of the mouse.
        self._report = 0
        #: What was typed after an Enter that is not decided yet.
        self._held: deque[tuple[str, str]] = deque()
        self._held_size = 0
        #: A line was entered before it had appeared: whatever follows waits until the terminal has ended that line.
        self._waits = False
        self._since = 0.0
        self._last_key = 0.0
        self._kept: list[TypedLine] = []
        self._forget()

    def _forget(self) -> None:
        """Begin a new line."""
        self._keys: list[str] = []
        self._size = 0
        self._is_hidden = False
        #: Where the line began, and where the characters since the last other key began: line and cell.
        self._start: tuple[int, int] | None = None
        self._run_start: tuple[int, int] | None = None
        #: Of those characters, what has appeared, and what is waited for.
        self._run = ""
        self._awaited = ""
        self._is_entered = False

    def resized(self, columns: int) -> None:
        """The terminal has so many columns now."""
        self._screen.resize(columns)

    def output(self, text: str, *, at: float) -> list[TypedLine]:
        """The terminal showed ``text``."""
        self._expire(at)
        if not self._keys and len(text) > 2 * _LOOK_BACK:
            text = text[max(0, text.rfind("\n", 0, -_LOOK_BACK)) :]
        pieces = _BREAK.split(text) if self._awaited or self._waits else [text]
        for piece in pieces:
            is_end = piece.endswith("\n")
            if is_end and self._is_entered:
                self._decide()
            self._screen.feed(piece)
            self._look()
            if is_end and self._waits:
                self._release(at)
        return self._taken()

    def typed(self, data: bytes, *, at: float) -> list[TypedLine]:
        """Somebody, or the terminal emulator, sent ``data``."""
        self._expire(at)
        if self._tail == "\x1b" and at - self._tail_at > _ESCAPE_ALONE:
            self._tail = ""
            self._key("control", "\x1b", at=at)
        text = self._tail + self._decode(data)
        self._tail = ""
        position = 0
        while position < len(text):
            if self._report:
                self._report -= 1
                position += 1
                continue
            if self._in_string:
                position = self._skip_string(text, position, at=at)
                continue
            key = _KEY.match(text, position)
            if key is None:
                if _UNFINISHED.match(text, position):
                    self._tail, self._tail_at = text[position:], at
                    break
                self._key("control", text[position], at=at)
                position += 1
                continue
            position = key.end()
            kind = key.lastgroup or ""
            if key["string"] is not None:
                self._in_string = True
            elif key["sequence"] is not None:
                self._sequence(key, at=at)
            else:
                self._key(kind, key[0], at=at)
        return self._taken()

    def _taken(self) -> list[TypedLine]:
        kept, self._kept = self._kept, []
        return kept

    def _skip_string(self, text: str, position: int, *, at: float) -> int:
        """Leave out the answer that the emulator gives as a string; no person types one."""
        end = _STRING_END.search(text, position)
        if end is None:
            if text.endswith("\x1b"):
                self._tail, self._tail_at = "\x1b", at
            return len(text)
        self._in_string = False
        if not end[0]:
            # No answer holds these: it was a key like Alt and "]", and nobody knows what of it was shown.
            self._key("unknown", "", at=at)
        return end.end()

    def _sequence(self, key: re.Match[str], *, at: float) -> None:
        """Take a control sequence: a key, or an answer of the emulator."""
        parameters, final = key["parameters"], key["final"]
        if final == "M" and not parameters:
            self._report = 3
        elif final == "~" and parameters in _PASTES:
            self._key("paste", key["sequence"], at=at)
        elif (final == "~" and parameters.startswith("27;")) or (final == "u" and parameters[:1].isdigit()):
            self._key("unknown", "", at=at)  # a character by its number
        elif (final == "~" or final in _KEY_FINALS) and parameters[:1] not in tuple("<=>?"):
            self._key("control", key["sequence"], at=at)

    def _key(self, kind: str, keys: str, *, at: float) -> None:
        if self._waits:
            self._held.append((kind, keys))
            self._held_size += len(keys) + 1
            if self._held_size > LINE_LIMIT:
                self._held.clear()
                self._held_size = 0
                self._is_hidden = True
            return
        if self._is_hidden and at - self._last_key > WINDOW and (self._start or (0, 0))[0] != self._screen.serial:
            # Keys of a program that shows none, like a pager: what follows is another line.
            self._forget()
        self._last_key = at
        here = (self._screen.serial, self._screen.cursor)
        if self._start is None:
            self._start = here
        self._size += len(keys)
        if self._size > LINE_LIMIT:
            self._is_hidden = True
            self._keys = [""]
        else:
            self._keys.append(keys)
        if kind == "text":
            if self._run_start is None:
                self._run_start = here
            if not self._awaited:
                self._since = at
            self._awaited += keys if not self._is_hidden else ""
        elif keys in _ENTERS and keys:
            if self._awaited and not self._is_hidden:
                self._is_entered = self._waits = True
            else:
                self._decide()
        elif kind == "unknown":
            self._is_hidden = True
        elif kind != "paste":
            if keys in _ABANDONS:
                self._forget()
                return
            # What came before it must have appeared by now: behind it, it can be anywhere.
            self._is_hidden = self._is_hidden or bool(self._awaited)
            self._run_start, self._run, self._awaited = None, "", ""

    def _look(self) -> None:
        """See whether what is waited for has appeared."""
        if not self._awaited or self._run_start is None:
            return
        serial, cell = self._run_start
        if self._screen.serial != serial:
            return
        if self._screen.between(cell, self._screen.cursor) == self._run + self._awaited:
            self._run += self._awaited
            self._awaited = ""
            if self._is_entered:
                self._decide()

    def _decide(self) -> None:
        """The line was entered: keep it or drop it."""
        if not self._is_hidden and not self._awaited:
            text = ""
            if self._start is not None and self._start[0] == self._screen.serial and len(self._keys) > 1:
                text = self._screen.rest(self._start[1]).strip()[:TEXT_LIMIT]
            self._kept.append(TypedLine(keys="".join(self._keys), text=text))
        self._forget()

    def _expire(self, at: float) -> None:
        """What has not appeared in time never will."""
        while (self._awaited or self._waits) and at - self._since > WINDOW:
            if self._awaited:
                self._is_hidden = True
                self._awaited = ""
                if self._is_entered:
                    self._decide()
            if self._waits:
                self._release(at)

    def _release(self, at: float) -> None:
        """Go on with what was typed after the line that has ended."""
        self._waits = False
        while self._held and not self._waits:
            kind, keys = self._held.popleft()
            self._held_size -= len(keys) + 1
            self._key(kind, keys, at=at)
