"""Search over a whole log."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from console.accounts.models import Role, User
from console.audit.models import AuditEvent
from console.gateway import Channel, Chunk, Terminated
from console.inventory.models import ObservedContainer
from console.lib.websocket import in_database
from console.terminals import log_search
from console.terminals.log_search import BadPattern, Place, Query, search
from runtime.testing import FakeEngine

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/terminals/logs/search/"
Run = Callable[..., Any]


def stamped(lines: list[str]) -> bytes:
    """A log with a line each millisecond."""
    return b"".join(
        f"2026-12-01T09:{at // 60000:02}:{at // 1000 % 60:02}.{at % 1000:03}000000Z {line}\n".encode()
        for at, line in enumerate(lines)
    )


async def chunks_of(data: bytes, *, size: int = 1000, channel: Channel = Channel.STDOUT) -> AsyncIterator[Chunk]:
    for at in range(0, len(data), size):
        yield Chunk(channel, data[at : at + size])


async def found(data: bytes, query: Query, **options: Any) -> list[dict[str, Any]]:
    return [row async for row in search(chunks_of(data), query, **options)]


def texts(rows: list[dict[str, Any]], kind: str = "hit") -> list[str]:
    return ["".join(row["parts"]) for row in rows if row["type"] == kind]


# What is found


async def test_text_is_found_as_it_is_written_whatever_it_means_in_a_pattern() -> None:
    rows = await found(stamped(["a.c", "abc", "A.C"]), Query(text="a.c"))
    assert texts(rows) == ["a.c", "A.C"]
    assert texts(await found(stamped(["a.c", "A.C"]), Query(text="a.c", matches_case=True))) == ["a.c"]


async def test_a_pattern_is_one_of_a_line() -> None:
    data = stamped(["first line", "line", "a line more", ""])
    assert texts(await found(data, Query(text="^line$", is_pattern=True))) == ["line"]
    assert texts(await found(data, Query(text="first[^x]*a", is_pattern=True))) == []
    assert texts(await found(data, Query(text="^$", is_pattern=True))) == [""]


async def test_a_hit_says_when_and_where_and_marks_what_was_found() -> None:
    rows = await found(stamped(["ahoy ahoy"]), Query(text="hoy"))
    assert rows == [
        {
            "type": "hit",
            "number": 0,
            "time": "2026-12-01T09:00:00.000000000Z",
            "channel": 1,
            "parts": ["a", "hoy", " a", "hoy", ""],
        },
        {"type": "end", "reason": "done", "lines": 1, "hits": 1, "more": None},
    ]


async def test_colours_and_carriage_returns_are_no_part_of_a_line() -> None:
    rows = await found(stamped(["\x1b[31mred\x1b[0m sails\r", "\x1b]0;red sails\x07x"]), Query(text="red sails"))
    assert texts(rows) == ["red sails"]


async def test_lines_around_a_hit_come_once_and_in_their_order() -> None:
    data = stamped(["0", "1", "2 x", "3", "4 x", "5", "6", "7", "8", "9 x"])
    rows = await found(data, Query(text="x", before=2, after=1))
    shown = [(row["type"], "".join(row["parts"])[0]) for row in rows[:-1]]
    assert shown == [(("hit" if at in (2, 4, 9) else "line"), str(at)) for at in (0, 1, 2, 3, 4, 5, 7, 8, 9)]


async def test_lines_around_a_hit_are_found_across_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "BATCH", 1)
    monkeypatch.setattr(log_search, "SMALLEST_ROUND", 1)
    monkeypatch.setattr(log_search, "LARGEST_ROUND", 1)
    data = stamped([f"{number}" for number in range(100)])
    rows = await found(data, Query(text="50", before=3, after=3))
    assert ["".join(row["parts"]) for row in rows[:-1]] == [str(number) for number in range(47, 54)]


async def test_what_has_no_end_of_its_line_is_found_too() -> None:
    assert texts(await found(stamped(["one"]) + b"2026-12-01T10:00:00Z two", Query(text="two"))) == ["two"]


async def test_channels_do_not_run_into_each_other() -> None:
    async def mixed() -> AsyncIterator[Chunk]:
        yield Chunk(Channel.STDOUT, b"2026-12-01T10:00:00Z ha")
        yield Chunk(Channel.STDERR, b"2026-12-01T10:00:00Z error\n")
        yield Chunk(Channel.STDOUT, b"lyard\n")

    rows = [row async for row in search(mixed(), Query(text="halyard|error", is_pattern=True))]
    assert [(row["channel"], "".join(row["parts"])) for row in rows[:-1]] == [(2, "error"), (1, "halyard")]


async def test_a_long_line_is_shown_around_what_was_found_in_it() -> None:
    ((shown, *_rest),) = [
        row["parts"]
        for row in await found(stamped(["y" * 50_000 + "x" + "z" * 50_000]), Query(text="x"))
        if row["type"] == "hit"
    ]
    assert shown == "…" + "y" * 500


async def test_bytes_that_are_no_text_are_searched() -> None:
    data = b"2026-12-01T10:00:00Z \xff\xfe mast \xff\n"
    assert texts(await found(data, Query(text="mast"))) == ["\ufffd\ufffd mast \ufffd"]


# How much


@pytest.mark.parametrize("step", [1, 1000])
async def test_what_is_left_over_is_found_by_the_next_request(step: int) -> None:
    # Two lines a moment: the place is in the middle of one.
    lines = [f"2026-12-01T09:00:{number // 2:02}Z {number} x" for number in range(20)]
    data = "".join(f"{line}\n" for line in lines).encode()
    place = None
    got: list[str] = []
    for _request in range(5):
        rows = await found(data, Query(text="x", limit=3 if place is None else 5, place=place))
        got += texts(rows)
        if rows[-1]["more"] is None:
            break
        assert rows[-1]["reason"] == "limit"
        place = Place.parse(rows[-1]["more"])
    assert got == [f"{number} x" for number in range(20)]


async def test_a_request_has_its_time_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "BATCH", 1)
    data = stamped([f"{number} x" for number in range(100)])
    rows = await found(data, Query(text="x"), patience=0)
    assert rows[-1]["reason"] == "time"
    first = texts(rows)
    assert 0 < len(first) < 100
    rest = await found(data, Query(text="x", place=Place.parse(rows[-1]["more"])))
    assert first + texts(rest) == [f"{number} x" for number in range(100)]


async def test_a_pattern_made_to_take_for_ever_takes_no_time() -> None:
    data = stamped(["a" * 1_000_000 + "b"])
    begun = time.process_time()
    rows = await found(data, Query(text="(a+)+$", is_pattern=True))
    assert rows[-1]["reason"] == "done"
    # 200 ms is what it may take, of this process's time: the machine may be doing other things meanwhile.
    assert time.process_time() - begun < 0.2


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "(x{1000}){1000}", "(.{500}){20}x", "[z-a]"])
def test_a_pattern_that_is_none_or_too_large_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        Query(text=pattern, is_pattern=True).compile()


async def test_a_pattern_that_costs_too_much_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "JUDGED_AFTER", 0.0)
    monkeypatch.setattr(log_search, "SLOWEST", 10**12)
    assert (await found(stamped(["x"]), Query(text="x")))[-1]["reason"] == "costly"


async def test_a_line_without_end_makes_it_no_dearer() -> None:
    begun = time.process_time()
    rows = await found(stamped(["ab" * 100_000]), Query(text="(?:.?){800}~", is_pattern=True))
    assert rows[-1]["reason"] == "costly"
    assert time.process_time() - begun < 3


async def test_marking_what_was_found_costs_no_more_than_finding_it() -> None:
    begun = time.process_time()
    rows = await found(stamped(["ab" * 1000 for _line in range(30)]), Query(text="a(?:(?:.?){500}~)?", is_pattern=True))
    assert rows[-1]["reason"] in ("done", "costly")
    assert time.process_time() - begun < 4


# Over HTTP


async def ask(user: User, of: ObservedContainer, **more: Any) -> Any:
    client = AsyncClient()
    await in_database(lambda: client.force_login(user))
    return await client.get(URL, {"host": str(of.host_id), "container": of.container_id, **more})


async def rows_of(answer: Any) -> list[dict[str, Any]]:
    text = b"".join([chunk async for chunk in answer])
    return [json.loads(line) for line in text.splitlines()]


async def test_it_streams_rows(alice: User, run: Run) -> None:
    container = await run("sh", "-c", "echo one; echo two >&2; echo three; sleep 1000")
    answer = await ask(alice, container, q="T", before="1")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    rows = await rows_of(answer)
    assert [(row["type"], row["channel"], row["parts"]) for row in rows[:-1]] == [
        ("line", 1, ["one"]),
        ("hit", 2, ["", "t", "wo"]),
        ("hit", 1, ["", "t", "hree"]),
    ]
    assert rows[-1]["hits"] == 2


async def test_one_channel_and_a_case_are_choices(alice: User, run: Run) -> None:
    container = await run("sh", "-c", "echo one; echo One >&2; sleep 1000")
    assert texts(await rows_of(await ask(alice, container, q="one", stderr="false"))) == ["one"]
    assert texts(await rows_of(await ask(alice, container, q="One", case="on"))) == ["One"]


@pytest.mark.parametrize(
    "change",
    [
        {"q": ""},
        {"q": "x" * 501},
        {"q": "(", "regex": "on"},
        {"before": "21"},
        {"limit": "0"},
        {"more": "yesterday"},
        {"container": "web-1"},
    ],
)
async def test_wrong_parameters_are_named(change: dict[str, str], alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    answer = await ask(alice, container, **{"q": "x", **change})
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {next(iter(change))}
    assert engine.calls == []


async def test_a_stranger_is_refused(charlie: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    assert (await ask(charlie, container, q="x")).status_code in (403, 404)
    assert engine.calls == []


async def test_a_person_has_two_searches_at_once(alice: User, run: Run) -> None:
    container = await run("sh", "-c", "echo one; sleep 1000")
    with log_search.turn(alice.pk), log_search.turn(alice.pk):
        answer = await ask(alice, container, q="one")
        assert answer.status_code == 429
        assert answer.json()["message"]
    assert texts(await rows_of(await ask(alice, container, q="one"))) == ["one"]
    assert not log_search.is_busy(alice.pk)


async def test_a_browser_that_goes_ends_the_search(alice: User, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "BATCH", 1)
    container = await run("sh", "-c", "echo one; echo two; echo three; sleep 1000")
    answer = await ask(alice, container, q="o")
    with log_search.turn(alice.pk):
        parts = aiter(answer)
        await anext(parts)
        assert log_search.is_busy(alice.pk)
        await sync_to_async(answer.close)()
        async with asyncio.timeout(10):
            while log_search.is_busy(alice.pk):  # noqa: ASYNC110  the loop has no event for it
                await asyncio.sleep(0)


async def test_it_ends_when_the_rights_do(alice: User, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.lib.websocket.StreamConsumer.lease_interval", 0.0)
    container = await run("sh", "-c", "echo one; echo two; sleep 1000")
    answer = await ask(alice, container, q="o")
    await in_database(lambda: User.objects.update(role=Role.USER))
    rows = await rows_of(answer)
    assert texts(rows) == []
    assert rows[-1]["reason"] == "failed"
    assert rows[-1]["message"]


async def test_an_engine_in_trouble_is_told_in_words(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sh", "-c", "echo one; sleep 1000")
    engine.fail_next("logs", Terminated("cut"))
    rows = await rows_of(await ask(alice, container, q="o"))
    assert rows[-1]["reason"] == "failed"
    assert rows[-1]["message"]


async def test_it_leaves_no_trace_and_cannot_be_posted(alice: User, run: Run) -> None:
    container = await run("sh", "-c", "echo one; sleep 1000")
    before = await in_database(AuditEvent.objects.count)
    await rows_of(await ask(alice, container, q="one"))
    assert await in_database(AuditEvent.objects.count) == before
    client = AsyncClient()
    await in_database(lambda: client.force_login(alice))
    assert (await client.post(URL, {"q": "x"})).status_code == 405
