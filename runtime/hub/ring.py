"""The last output of a terminal, by offset: what a viewer missed, and what a new one needs to see the same screen."""

from __future__ import annotations

import re
from collections import deque
from copy import deepcopy
from typing import Final

#: What is kept at least.
CAPACITY: Final = 2 * 1024 * 1024
#: Output is kept in blocks of this size, so that a million keystrokes are not a million objects.
BLOCK: Final = 64 * 1024

_LONGEST_SEQUENCE: Final = 64
_SEQUENCES: Final = re.compile(
    rb"\x1b(?:"
    rb"\[\?(?P<modes>[0-9;]+)(?P<switch>[hl])"
    rb"|\[(?P<colours>[0-9;:]*)m"
    rb"|\[(?P<region>[0-9]*;?[0-9]*)r"
    rb"|(?P<charset>[()][A-Za-z0-9])"
    rb"|(?P<keypad>[=>])"
    rb"|(?P<reset>c)"
    rb")"
)
#: Modes that change what output after them means, or what a browser sends: cursor keys, wrap, the cursor, mouse
#: reports, focus reports, the alternate screen, bracketed paste.
_ALTERNATE: Final = frozenset((47, 1047, 1049))
_KEPT_MODES: Final = frozenset((1, 6, 7, 12, 25, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 2004)) | _ALTERNATE
#: On unless something switched them off.
_USUAL_MODES: Final = frozenset((7, 25))
_RESET_COLOURS: Final = re.compile(rb"(?:^|;)0*(?=;|$)")


class Screen:
    """What output that is no longer kept has left behind: modes, colours, character sets. Not the text itself."""

    def __init__(self) -> None:
        #: The beginning of a sequence whose end is still to come.
        self._rest = b""
        self._clear()

    def _clear(self) -> None:
        self._modes: dict[int, bool] = {}
        self._colours = b""
        self._region = b""
        self._charsets: dict[int, bytes] = {}
        self._keypad = b""

    @property
    def is_alternate(self) -> bool:
        """Whether a program has taken the whole screen."""
        return any(self._modes.get(mode) for mode in _ALTERNATE)

    def feed(self, data: bytes) -> None:
        """Take output into account, in order."""
        data = self._rest + data
        for match in _SEQUENCES.finditer(data):
            self._apply(match)
        # A sequence may be cut by the end of the data: it begins with the last escape character.
        last = data.rfind(b"\x1b", max(0, len(data) - _LONGEST_SEQUENCE))
        whole = last < 0 or _SEQUENCES.match(data, last) is not None
        self._rest = b"" if whole else data[last:]

    def _apply(self, match: re.Match[bytes]) -> None:
        if (modes := match["modes"]) is not None:
            for mode in modes.split(b";"):
                if mode and int(mode) in _KEPT_MODES:
                    self._modes[int(mode)] = match["switch"] == b"h"
        elif (colours := match["colours"]) is not None:
            # Colours add up until one of them says 0, or nothing.
            if _RESET_COLOURS.search(colours) or len(self._colours) > _LONGEST_SEQUENCE:
                self._colours = b""
            self._colours += match[0]
        elif (region := match["region"]) is not None:
            self._region = match[0] if region.strip(b";") else b""
        elif (charset := match["charset"]) is not None:
            self._charsets[charset[0]] = match[0]
        elif match["keypad"] is not None:
            self._keypad = match[0]
        else:
            self._clear()

    def preamble(self) -> str:
        """Return what puts a cleared terminal into this state."""
        parts = [self._keypad, *self._charsets.values()]
        # The alternate screen first: entering it saves the cursor and clears.
        for mode, is_on in sorted(self._modes.items(), key=lambda item: (item[0] not in _ALTERNATE, item[0])):
            if is_on != (mode in _USUAL_MODES):
                parts.append(b"\x1b[?%d%c" % (mode, b"h" if is_on else b"l"))
        return b"".join((*parts, self._region, self._colours)).decode("ascii", "replace")


class Ring:
    """Output by offset. It keeps at least ``capacity`` bytes and at most a block more."""

    def __init__(self, *, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._blocks: deque[bytearray] = deque()
        self._dropped = Screen()
        #: The offset of the first byte that is kept, and of the next one to come.
        self.start = 0
        self.end = 0

    @property
    def is_alternate(self) -> bool:
        """Whether what was dropped left a program on the whole screen; only a redraw can then show it."""
        return self._dropped.is_alternate

    def append(self, data: bytes) -> None:
        """Keep the next output."""
        at = 0
        while at < len(data):
            if not self._blocks or len(self._blocks[-1]) >= BLOCK:
                self._blocks.append(bytearray())
            tail = self._blocks[-1]
            piece = data[at : at + BLOCK - len(tail)] if at or len(data) > BLOCK - len(tail) else data
            tail += piece
            at += len(piece)
        self.end += len(data)
        while self._blocks and self.end - self.start - len(self._blocks[0]) >= self._capacity:
            block = self._blocks.popleft()
            self._dropped.feed(bytes(block))
            self.start += len(block)

    def read(self, offset: int, limit: int) -> bytes:
        """Return at most ``limit`` bytes from ``offset`` on, at least one; from one block, so that little is copied.

        Raises ``LookupError`` for an offset that is not kept.
        """
        if not self.start <= offset < self.end:
            raise LookupError(f"{offset} is not within {self.start} and {self.end}")
        # Every block but the last is full.
        index, within = divmod(offset - self.start, BLOCK)
        return bytes(memoryview(self._blocks[index])[within : within + limit])

    def entry(self) -> tuple[int, str]:
        """Return where somebody new begins, and what has to come before: after a whole line once something was cut."""
        if self.start == 0:
            return 0, ""
        head = self._blocks[0]
        line = head.find(b"\n") + 1
        screen = deepcopy(self._dropped)
        screen.feed(bytes(head[:line]))
        return self.start + line, screen.preamble()
