"""The record as a file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any

import pytest

from console.accounts.models import Role, User
from console.audit import exports
from console.audit.models import AuditEvent
from console.audit.services import record
from console.lib.websocket import in_database
from tests.console.streamed import browser_of, end_rights

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/audit/export/"


async def ask(user: User, kind: str, **wanted: str) -> Any:
    return await (await browser_of(user)).post(URL, {"format": kind, **wanted})


async def taken(user: User, kind: str, **wanted: str) -> str:
    answer = await ask(user, kind, **wanted)
    assert answer.status_code == 200
    return b"".join([part async for part in answer]).decode("utf-8-sig")


async def write(user: User, *names: str, **fields: Any) -> None:
    def write_all() -> None:
        for name in names:
            record(actor=user, action="container.start", outcome="succeeded", object_name=name, **fields)

    await in_database(write_all)


async def test_it_is_an_attachment_in_parts(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PART", 2)
    await write(alice, "one", "two", "three", "four")
    answer = await ask(alice, "jsonl")
    assert answer.streaming
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="audit-')
    assert answer.headers["Content-Disposition"].endswith('.jsonl"')
    assert answer.headers["Cache-Control"] == "no-store, private"
    parts = [part async for part in answer]
    assert [len(part.splitlines()) for part in parts if part] == [2, 2]


async def test_a_table_holds_every_row_with_its_hashes(alice: User) -> None:
    await write(alice, "one", "두 번째", details={"volumes": True, "이유": "고래"})
    rows = list(csv.DictReader(io.StringIO(await taken(alice, "csv"))))
    events = await in_database(lambda: list(AuditEvent.objects.order_by("sequence")))
    assert [row["object_name"] for row in rows] == ["one", "두 번째"]
    for row, event in zip(rows, events, strict=False):
        assert (row["sequence"], row["hash"], row["previous_hash"]) == (
            str(event.sequence),
            event.hash,
            event.previous_hash,
        )
        assert json.loads(row["details"]) == {"volumes": True, "이유": "고래"}


async def test_lines_prove_themselves_without_this_console(alice: User) -> None:
    await write(alice, "one", "두 번째", "three", details={"volumes": True, "이유": ["고래", None, 7]})
    previous = "0" * 64
    for line in (await taken(alice, "jsonl")).splitlines():
        row = json.loads(line)
        before, digest = row.pop("previous_hash"), row.pop("hash")
        canonical = json.dumps(row, sort_keys=True, separators=(",", ":"))
        assert before == previous
        assert hashlib.sha256(f"{before}\n{canonical}".encode()).hexdigest() == digest
        previous = digest
    last = await in_database(lambda: AuditEvent.objects.get(object_name="three"))
    assert previous == last.hash


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])
async def test_no_cell_begins_a_formula(alice: User, start: str) -> None:
    formula = f'{start}HYPERLINK("http://evil.example")'
    cells = next(csv.reader(io.StringIO(exports._csv_lines([{"object_name": formula}]).decode(), newline="")))
    assert cells[exports.COLUMNS.index("object_name")] == f"'{formula}"
    await write(alice, formula, object_id=formula)
    for row in csv.reader(io.StringIO(await taken(alice, "csv"), newline="")):
        assert not [cell for cell in row if cell.startswith(start)]


async def test_it_holds_what_the_filter_finds(alice: User, bob: User) -> None:
    await write(alice, "one", "two")
    await write(bob, "three")
    for wanted, expected in (
        ({}, ["one", "two", "three"]),
        ({"person": "alice"}, ["one", "two"]),
        ({"q": "ONE"}, ["one"]),
        ({"person": "bob", "q": "one"}, []),
        ({"until": "2001-01-01T00:00:00Z"}, []),
    ):
        rows = [json.loads(line) for line in (await taken(alice, "jsonl", **wanted)).splitlines()]
        assert [row["object_name"] for row in rows if row["action"] != "audit.export"] == expected


async def test_taking_it_away_is_put_on_record_and_not_within_itself(alice: User) -> None:
    await write(alice, "one")
    text = await taken(alice, "csv", person="alice")
    event = await in_database(lambda: AuditEvent.objects.get(action="audit.export"))
    assert (event.actor_name, event.outcome) == ("alice", "succeeded")
    assert event.details == {"format": "csv", "filter": {"person": "alice"}}
    assert "audit.export" not in text


async def test_what_is_written_meanwhile_stays_outside(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PART", 1)
    await write(alice, "one", "two")
    parts = aiter(await ask(alice, "jsonl"))
    first = await anext(parts) or await anext(parts)
    await write(alice, "three")
    rest = b"".join([part async for part in parts])
    assert b"one" in first
    assert b"two" in rest
    assert b"three" not in rest


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("how", ["suspended", "without rights", "signed out"])
async def test_it_ends_when_the_rights_do(how: str, kind: str, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PART", 1)
    await write(alice, "one", "two", "three")
    parts = aiter(await ask(alice, kind))
    seen = b""
    while b"one" not in seen:
        seen += await anext(parts)

    await end_rights(how)
    rest = b"".join([part async for part in parts])
    assert b"rights ended" in rest
    assert b"three" not in rest


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "xml"}, {"kind": ""}, {"since": "yesterday"}, {"outcome": "perhaps"}, {"q": "\0"}],
)
async def test_a_filter_that_makes_no_sense_gives_nothing_away(alice: User, wrong: dict[str, str]) -> None:
    await write(alice, "one")
    answer = await ask(alice, **{"kind": "csv", **wrong})
    assert answer.status_code == 400
    assert not await in_database(lambda: AuditEvent.objects.filter(action="audit.export").exists())


async def test_an_auditor_may_and_a_stranger_is_refused(charlie: User) -> None:
    dora = await in_database(lambda: User.objects.create_user("dora", "correct horse battery", role=Role.AUDITOR))
    await write(dora, "one")
    assert "one" in await taken(dora, "csv")
    answer = await ask(charlie, "csv")
    assert answer.status_code == 403
    event = await in_database(lambda: AuditEvent.objects.get(outcome="denied"))
    assert (event.actor_name, event.action) == ("charlie", "audit.export")


async def test_a_link_takes_nothing_away(alice: User) -> None:
    browser = await browser_of(alice)
    assert (await browser.get(URL, {"format": "csv"})).status_code == 405
    assert not await in_database(AuditEvent.objects.exists)
