"""Text from outside, made fit for one line of a log, a row or a page."""

from __future__ import annotations

import unicodedata

#: Marks that reorder or hide what a reader sees; visible as escapes they fool nobody.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _visible(character: str) -> str:
    if character in _REORDERING or unicodedata.category(character) in _UNPRINTABLE:
        return character.encode("unicode_escape", "backslashreplace").decode("ascii")
    return character


def one_line(text: str, *, limit: int) -> str:
    """Return ``text`` with control and reordering characters escaped, cut to ``limit`` characters."""
    # One character more than fits tells whether something was cut; the rest is never looked at.
    text = text[: limit + 1]
    if not text.isprintable():
        text = "".join(map(_visible, text))
    return text if len(text) <= limit else text[: limit - 1] + "…"
