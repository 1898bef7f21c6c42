"""What a recording showed is found, from its first minutes on, and each line once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from console.accounts.models import User
from console.recordings import services
from console.recordings.index import matching
from console.recordings.models import Recording, RecordingText
from console.recordings.services import look_after_recordings
from tests.console.recordings.conftest import write

pytestmark = pytest.mark.django_db


def found(words: str) -> int:
    return matching(RecordingText.objects.all(), words).count()


@pytest.mark.parametrize(
    "words",
    ["DROP TABLE", "drop table", "etc/ngin", "ginx.conf", "T", "한글", "100%", "a_b", "ER'S \"q"],
)
def test_words_and_parts_of_words_are_found_in_any_case(
    words: str, bob: User, recorded: Callable[..., Recording]
) -> None:
    recorded(bob, 'db=> DROP TABLE users;\r\n/etc/nginx/nginx.conf\r\n한글 100% a_b user\'s "quote"\r\n')
    assert found(words) == 1


@pytest.mark.parametrize("words", ["DROP  TABLE", "TABLE DROP", "1002", "aXb", "%", "no such"])
def test_what_it_did_not_show_is_not_found(words: str, bob: User, recorded: Callable[..., Recording]) -> None:
    recorded(bob, "db=> DROP TABLE users;\r\n100 a-b\r\n")
    assert found(words) == 0


def test_what_was_typed_with_corrections_is_found_as_it_stood_there(
    bob: User, recorded: Callable[..., Recording]
) -> None:
    recorded(bob, "db=> DROP TABEL\b\b\x1b[KLE users;\r\n")
    assert found("DROP TABLE users") == 1


def test_while_it_goes_on_it_is_found_and_each_line_stands_there_once(
    bob: User, plan: Callable[..., Recording]
) -> None:
    recording = plan(bob)
    write(recording.file, "".join(f"line {number}\r\n" for number in range(50)) + "half", is_closed=False)
    whole = recording.file.read_bytes()
    # As it grows: to somewhere within a line, and to its end.
    for size in (len(whole) - 30, len(whole)):
        recording.file.write_bytes(whole[:size])
        look_after_recordings()
    lines = "\n".join(RecordingText.objects.order_by("pk").values_list("text", flat=True)).split("\n")
    assert lines == [f"line {number}" for number in range(50)]
    chain = recording.file.with_name(recording.file.name + ".chain")
    recording.file.unlink()
    chain.unlink()
    write(recording.file, "".join(f"line {number}\r\n" for number in range(50)) + "half")
    look_after_recordings()
    lines = "\n".join(RecordingText.objects.order_by("pk").values_list("text", flat=True)).split("\n")
    assert lines == [*(f"line {number}" for number in range(50)), "half"]


def test_what_repeats_itself_at_once_stands_there_once(bob: User, recorded: Callable[..., Recording]) -> None:
    recorded(bob, "yes\r\n" * 1000 + "no\r\n")
    assert list(RecordingText.objects.values_list("text", flat=True)) == ["yes\nno"]


def test_of_an_endless_one_only_the_first_part_is_looked_through(
    bob: User, recorded: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "INDEX_LIMIT", 10_000)
    recording = recorded(bob, "".join(f"line {number}\r\n" for number in range(5000)))
    assert recording.is_indexed
    assert 10_000 <= recording.indexed_size < 10_100


def test_what_shows_the_same_again_and_again_is_read_to_a_limit(
    bob: User, recorded: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "READ_LIMIT", 70_000)
    recording = recorded(bob, "a plain line\r\n" * 20_000 + "the end\r\n")
    assert recording.is_indexed
    assert found("a plain line") == 1
    assert found("the end") == 0


def test_a_text_that_is_gone_is_found_no_more(bob: User, recorded: Callable[..., Recording]) -> None:
    recorded(bob, "secret words\r\n")
    assert found("secret") == 1
    RecordingText.objects.all().delete()
    assert found("secret") == 0
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO recordings_text_index(recordings_text_index) VALUES ('integrity-check')")


def test_the_index_is_there() -> None:
    """Without it a search would be right, and slow."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT count(*) FROM sqlite_master WHERE name = 'recordings_text_index'")
        else:
            cursor.execute("SELECT count(*) FROM pg_indexes WHERE indexname = 'recordings_text_index'")
        assert cursor.fetchone()[0] == 1
