"""Input is kept only where the terminal showed it while it was typed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.recordings.lines import LineScreen
from runtime.recordings.typed import WINDOW, TypedLine, TypedLines


class Typing:
    """Somebody at a terminal: what they type, and what it shows, in order."""

    def __init__(self) -> None:
        self.lines = TypedLines(80)
        self.now = 0.0
        self.kept: list[TypedLine] = []

    def shows(self, text: str, *, after: float = 0.01) -> Typing:
        self.now += after
        self.kept += self.lines.output(text, at=self.now)
        return self

    def types(self, keys: str, *, after: float = 0.1) -> Typing:
        self.now += after
        self.kept += self.lines.typed(keys.encode(), at=self.now)
        return self

    def echoed(self, text: str) -> Typing:
        for character in text:
            self.types(character).shows(character)
        return self

    @property
    def keys(self) -> list[str]:
        return [line.keys for line in self.kept]

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.kept]


def test_a_line_that_was_shown_while_typed_is_kept_once_it_is_entered() -> None:
    typing = Typing().shows("$ ").echoed("ls -l")
    assert typing.keys == []
    typing.types("\r").shows("\r\n")
    assert typing.keys == ["ls -l\r"]
    assert typing.texts == ["ls -l"]


def test_a_password_is_not_kept() -> None:
    typing = Typing().shows("Password: ")
    for character in "hunter2":
        typing.types(character)
    typing.types("\r").shows("\r\nLast login: today\r\n$ ").echoed("id").types("\r").shows("\r\n")
    assert typing.keys == ["id\r"]


def test_a_password_shown_as_stars_is_not_kept() -> None:
    typing = Typing().shows("Password: ")
    for character in "hunter2":
        typing.types(character).shows("*")
    assert typing.types("\r").shows("\r\n").keys == []


def test_one_character_that_was_not_shown_drops_the_whole_line() -> None:
    typing = Typing().shows("$ ").echoed("abc").types("d").echoed("ef").types("\r").shows("\r\n")
    assert typing.keys == []


def test_other_output_that_holds_the_characters_is_no_echo() -> None:
    typing = Typing().shows("Password: ")
    for character in "abc":
        typing.types(character).shows(f"{character}bcdef\r\n{character}")
    assert typing.types("\r").shows("\r\n").keys == []


def test_an_echo_that_comes_too_late_is_none() -> None:
    typing = Typing().shows("$ ").types("x").shows("x", after=WINDOW + 0.1).types("\r").shows("\r\n")
    assert typing.keys == []


def test_a_pasted_line_is_kept_when_it_is_shown_before_the_line_ends() -> None:
    typing = Typing().shows("$ ").types("echo one\recho two\r").shows("echo one\r\necho two\r\n")
    assert typing.keys == ["echo one\r", "echo two\r"]


def test_a_pasted_password_is_not_kept_even_when_it_is_repeated_below() -> None:
    typing = Typing().shows("Password: ").types("hunter2\r").shows("\r\nhunter2: not found\r\n$ ")
    assert typing.keys == []
    assert typing.types("id").shows("id").types("\r").keys == ["id\r"]


def test_corrections_are_kept_as_typed_and_the_mark_as_it_stood_there() -> None:
    typing = Typing().shows("$ ").echoed("lx").types("\x7f").shows("\b \b").echoed("s").types("\r")
    assert typing.keys == ["lx\x7fs\r"]
    assert typing.texts == ["ls"]


def test_a_completed_line_is_marked_as_it_stood_there() -> None:
    typing = Typing().shows("$ ").echoed("cd /us").types("\t").shows("r/").types("\r")
    assert typing.texts == ["cd /usr/"]


def test_a_line_out_of_the_history_is_marked_too() -> None:
    typing = Typing().shows("$ ").types("\x1b[A").shows("make clean").types("\r")
    assert typing.texts == ["make clean"]


def test_an_interrupted_line_is_not_kept() -> None:
    typing = Typing().shows("$ ").echoed("rm -r").types("\x03").shows("^C\r\n$ ").echoed("ls").types("\r")
    assert typing.keys == ["ls\r"]


def test_wide_characters_are_echoed_too() -> None:
    typing = Typing().shows("$ ").echoed("echo 한글").types("\r")
    assert typing.keys == ["echo 한글\r"]


def test_a_line_that_wraps_is_kept() -> None:
    # What bash does at the last column: a blank, and back over it.
    typing = Typing().shows("$ ")
    for position, character in enumerate("x" * 100, start=3):
        typing.types(character).shows(character + (" \r" if position % 80 == 0 else ""))
    assert typing.types("\r").keys == ["x" * 100 + "\r"]


ANSWERS = [
    "\x1b[12;40R",
    "\x1b[?1;2c",
    "\x1b[>0;276;0c",
    "\x1b[0n",
    "\x1b[I",
    "\x1b[O",
    "\x1b[?2004;1$y",
    "\x1b[<0;10;10M",
    "\x1b[M !!",
    "\x1b[8;24;80t",
    "\x1b]10;rgb:ffff/ffff/ffff\x07",
    "\x1b]11;rgb:0000/0000/0000\x1b\\",
    "\x1bP1$r0m\x1b\\",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_the_emulator_answers_is_never_typed(answer: str) -> None:
    typing = Typing().shows("$ ").echoed("l").types(answer).echoed("s").types("\r")
    assert typing.keys == ["ls\r"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_in_two_pieces_is_one(answer: str) -> None:
    for cut in range(1, len(answer)):
        typing = Typing().shows("$ ").types(answer[:cut]).types(answer[cut:], after=0.001).echoed("ls").types("\r")
        assert typing.keys == ["ls\r"], cut


def test_characters_sent_as_numbers_are_not_kept() -> None:
    typing = Typing().shows("Password: ").types("\x1b[104u").types("\x1b[27;1;105~").types("\r").shows("\r\n")
    assert typing.keys == []


def test_the_line_after_a_pager_is_kept() -> None:
    typing = Typing().shows("page one\r\n:").types("q").shows("\r\x1b[K$ \r\n$ ", after=0.01)
    typing.types("i", after=2.0).shows("i").echoed("d").types("\r")
    assert typing.keys == ["id\r"]


#: "@" stands for what was typed just now. These nearly are an echo: the worst that a program can show meanwhile.
NEARLY = st.sampled_from(["@", "1@", "\r\n@", "\x1b[5;11H@", "\x1b[D@"])
ANYTHING = st.lists(
    st.sampled_from([*"@@@abcdehnrtu01* \r\n\b\t", "\x1b[K", "\x1b[2J", "\x1b[1;5H", "\x1b[C", "\x1b[D"]), max_size=8
).map("".join)


@settings(max_examples=200, deadline=None)
@given(
    password=st.text(st.sampled_from("abcdehnrtu012"), min_size=3, max_size=6),
    noise=st.one_of(st.lists(NEARLY, min_size=12, max_size=12), st.lists(ANYTHING, min_size=12, max_size=12)),
    pauses=st.lists(st.sampled_from([0.0, 0.005, 0.3]), min_size=12, max_size=12),
    at_once=st.sampled_from([False, False, False, True]),
    before=st.booleans(),
)
def test_a_password_typed_without_echo_is_never_kept(
    password: str, noise: list[str], pauses: list[float], at_once: bool, before: bool
) -> None:
    typing = Typing()
    if before:
        typing.shows("$ ").echoed("sudo id").types("\r")
    typing.shows("\r\nPassword: ")
    begun = len(typing.kept)
    shown = LineScreen(80)
    screens = ["Password: "]
    shown.feed("Password: ")
    for index, keys in enumerate([password + "\r"] if at_once else [*password, "\r"]):
        typing.types(keys, after=pauses[index])
        piece = noise[index].replace("@", keys.strip())
        typing.shows(piece, after=pauses[-index - 1])
        # What the screen showed after each character of what came, as whoever looks at it saw it.
        for character in piece:
            shown.feed(character)
            screens.append(shown.between(0, shown.cursor))
    typing.shows("\r\n$ ").types("x").shows("x").types("\r").shows("\r\n", after=2.0)
    found = "".join(line.keys + line.text for line in typing.kept[begun:])
    if not any(password in screen for screen in screens):
        assert password not in found


@settings(max_examples=200, deadline=None)
@given(keys=st.binary(max_size=200), outputs=st.lists(st.text(max_size=40), max_size=8))
def test_no_input_and_no_output_breaks_it(keys: bytes, outputs: list[str]) -> None:
    lines = TypedLines(80)
    for index, output in enumerate(outputs):
        lines.typed(keys[index::8], at=float(index))
        lines.output(output, at=index + 0.5)
