"""The last output of a terminal, by offset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.hub.ring import BLOCK, Ring, Screen


@given(st.lists(st.binary(min_size=1, max_size=3 * BLOCK), max_size=12), st.integers(1, 100_000))
def test_every_kept_byte_is_found_where_it_was_put(pieces: list[bytes], limit: int) -> None:
    ring = Ring(capacity=2 * BLOCK)
    whole = b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    assert ring.end == len(whole)
    assert ring.end - ring.start >= min(len(whole), 2 * BLOCK)
    assert ring.end - ring.start < 3 * BLOCK
    read = b""
    while ring.start + len(read) < ring.end:
        piece = ring.read(ring.start + len(read), limit)
        assert 1 <= len(piece) <= limit
        read += piece
    assert read == whole[ring.start :]


@pytest.mark.parametrize("offset", [-1, 10, 11])
def test_what_is_not_kept_cannot_be_read(offset: int) -> None:
    ring = Ring()
    ring.append(b"0123456789")
    with pytest.raises(LookupError):
        ring.read(offset, 5)


def test_a_newcomer_sees_everything_while_nothing_was_cut() -> None:
    ring = Ring()
    ring.append(b"half a li")
    assert ring.entry() == (0, "")


def test_a_newcomer_begins_after_a_whole_line_once_something_was_cut() -> None:
    ring = Ring(capacity=BLOCK)
    ring.append(b"0123456789\r\n" * 20_000)
    offset, _preamble = ring.entry()
    assert offset > ring.start
    assert ring.read(offset, 12) == b"0123456789\r\n"


def test_a_newcomer_is_brought_into_the_state_that_what_was_cut_has_left() -> None:
    ring = Ring(capacity=BLOCK)
    ring.append(b"\x1b[?1049h\x1b[?2004h\x1b[?25l\x1b[1m\x1b[31m")
    ring.append(b"x" * 70 + b"\r\n")
    ring.append(b"0123456789\r\n" * 20_000)
    assert ring.entry()[1] == "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[1m\x1b[31m"
    assert ring.is_alternate


@pytest.mark.parametrize(
    ("output", "preamble"),
    [
        (b"\x1b[31mred\x1b[0m", "\x1b[0m"),
        (b"\x1b[1m\x1b[31mred", "\x1b[1m\x1b[31m"),
        (b"\x1b[?1049h\x1b[?1049l", ""),
        (b"\x1b[?7l", "\x1b[?7l"),
        (b"\x1b[?1;1000h", "\x1b[?1h\x1b[?1000h"),
        (b"\x1b[?9999h", ""),
        (b"\x1b(0", "\x1b(0"),
        (b"\x1b=", "\x1b="),
        (b"\x1b[2;10r", "\x1b[2;10r"),
        (b"\x1b[2;10r\x1b[r", ""),
        (b"\x1b[?1h\x1b[31m\x1bc", ""),
    ],
)
def test_it_remembers_modes_and_colours(output: bytes, preamble: str) -> None:
    whole, cut = Screen(), Screen()
    whole.feed(output)
    for byte in output:
        cut.feed(bytes((byte,)))
    assert whole.preamble() == preamble
    assert cut.preamble() == preamble, "sequences may come in pieces"


@given(st.binary(max_size=500))
def test_it_takes_any_bytes(data: bytes) -> None:
    screen = Screen()
    screen.feed(data)
    assert screen.preamble().isascii()
