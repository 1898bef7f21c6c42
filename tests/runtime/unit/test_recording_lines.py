"""What a terminal shows, as lines of text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.recordings.lines import LINE_LIMIT, LineScreen


def lines(*pieces: str, columns: int = 80) -> list[str]:
    screen = LineScreen(columns)
    return [line for piece in pieces for line in screen.feed(piece)] + screen.finish()


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("\x1b[1;31mred\x1b[0m\n", ["red"]),
        ("\x1b]0;title\x07$ ls\n", ["$ ls"]),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n", ["link"]),
        ("\x1bPdevice\x1b\\text\n", ["text"]),
        ("10%\r20%\r30%\n", ["30%"]),
        ("DROP TABEL\b\b\x1b[KLE x;\n", ["DROP TABLE x;"]),
        ("lx\b \bs\n", ["ls"]),
        ("abc\x1b[2D\x1b[1@X\n", ["aXbc"]),
        ("abcd\x1b[3D\x1b[2P\n", ["ad"]),
        ("a\tb\n", ["a       b"]),
        ("\x1b(0qqq\x1b(Bx\n", ["   x"]),
        ("\x1b[5;10Hthere\x1b[6;1Hbelow", ["         there", "below"]),
        ("old\x1b[2Jnew\n", ["old", "   new"]),
        ("shell\x1b[?1049heditor\x1b[?1049l$ \n", ["shell", "editor", "$"]),
        ("한글\b\b나\n", ["한나"]),
        ("e\u0301t\u00e9\n", ["e\u0301t\u00e9"]),
        ("\x9b31mred\x9d0;title\x9cx\n", ["redx"]),
        ("no end", ["no end"]),
    ],
)
def test_a_line_is_what_the_terminal_showed(output: str, shown: list[str]) -> None:
    assert lines(output) == shown
    assert lines(*output) == shown  # the same, one character at a time


def test_rows_that_wrap_are_one_line() -> None:
    assert lines("x" * 30 + " \r" + "y" * 5 + "\n", columns=30) == ["x" * 30 + "y" * 5]


def test_a_bar_as_wide_as_the_terminal_is_overwritten_in_place() -> None:
    assert lines("#" * 20 + "\r" + "=" * 20 + "\n", columns=20) == ["=" * 20]


def test_the_cursor_goes_up_within_a_wrapped_line() -> None:
    assert lines("a" * 20 + "b" * 5 + "\x1b[A\rX\n", columns=20) == ["X" + "a" * 19 + "b" * 5]


def test_an_endless_line_is_cut_so_that_memory_has_an_end() -> None:
    found = lines(*["x" * 1000] * 40)
    assert "".join(found) == "x" * 40_000
    assert max(map(len, found)) <= LINE_LIMIT + 1000


def test_a_control_string_without_an_end_is_given_up() -> None:
    screen = LineScreen(80)
    for _ in range(400):
        screen.feed("\x1b]0;" + "x" * 1000)
    assert len(screen.feed("\x07after\n")) == 1


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=10),
            st.builds(
                "\x1b[{}{}".format,
                st.sampled_from(["", "0", "2;3", "99999999999999999999", "?25", "²"]),
                st.characters(),
            ),
            st.builds("\x1b{}".format, st.characters()),
            st.sampled_from(["\r", "\n", "\b", "\t", "\x1b", "\x9b", "\x1b]", "\x07"]),
        ),
        max_size=30,
    ),
    st.integers(1, 200),
)
def test_nothing_breaks_it_and_pieces_do_not_matter(pieces: list[str], columns: int) -> None:
    whole = "".join(pieces)
    assert lines(whole, columns=columns) == lines(*whole, columns=columns)
