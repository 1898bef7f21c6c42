"""`manage.py audit verify` names the first bad row."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from console.accounts.models import User
from console.audit.anchors import anchor, anchor_file
from console.audit.models import AuditEvent
from console.audit.services import record

pytestmark = pytest.mark.django_db
Tamper = Callable[..., None]


def verify() -> str:
    out = StringIO()
    call_command("audit", "verify", stdout=out)
    return out.getvalue().strip()


def test_a_whole_record_is_called_whole(ten_rows: list[AuditEvent]) -> None:
    assert verify() == "The audit record is whole: 10 rows."


def test_an_empty_record_is_whole(db: None) -> None:
    assert verify() == "The audit record is whole: 0 rows."


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("actor_name", "mallory"),
        ("action", "container.view"),
        ("outcome", "denied"),
        ("object_id", "b" * 64),
        ("object_name", "other"),
        ("address", "203.0.113.1"),
        ("details", '{"x": 1}'),
        ("occurred_at", "2020-01-01 00:00:00"),
        ("hash", "0" * 64),
    ],
)
def test_an_altered_row_is_named(ten_rows: list[AuditEvent], tamper: Tamper, column: str, value: str) -> None:
    tamper(f"UPDATE audit_auditevent SET {column} = %s WHERE sequence = 4", value)
    with pytest.raises(CommandError, match="row 4: its content is not what was written"):
        verify()


def test_a_row_hidden_from_the_search_is_named(ten_rows: list[AuditEvent], tamper: Tamper) -> None:
    tamper("UPDATE audit_audittext SET text = 'nothing' WHERE event_id = 7")
    with pytest.raises(CommandError, match="row 7: a search does not find it by what it says"):
        verify()
    tamper("DELETE FROM audit_audittext WHERE event_id = 5")
    with pytest.raises(CommandError, match="row 5: a search does not find it by what it says"):
        verify()


def test_a_removed_row_is_named(ten_rows: list[AuditEvent], tamper: Tamper) -> None:
    tamper("DELETE FROM audit_auditevent WHERE sequence = 4")
    with pytest.raises(CommandError, match="row 4: row 4 is missing"):
        verify()


def test_a_removed_row_is_named_even_when_the_rest_moves_up(ten_rows: list[AuditEvent], tamper: Tamper) -> None:
    tamper("DELETE FROM audit_auditevent WHERE sequence = 4")
    for number in range(5, 11):
        tamper("UPDATE audit_auditevent SET sequence = %s WHERE sequence = %s", number - 1, number)
    with pytest.raises(CommandError, match="row 4: it does not follow"):
        verify()


def test_rows_that_change_places_are_named(ten_rows: list[AuditEvent], tamper: Tamper) -> None:
    for old, new in ((4, 99), (5, 4), (99, 5)):
        tamper("UPDATE audit_auditevent SET sequence = %s WHERE sequence = %s", new, old)
    with pytest.raises(CommandError, match="row 4"):
        verify()


def test_a_row_put_in_at_the_front_is_named(ten_rows: list[AuditEvent], tamper: Tamper) -> None:
    tamper("UPDATE audit_auditevent SET sequence = 0 WHERE sequence = 10")
    with pytest.raises(CommandError, match="row 1"):
        verify()


def test_a_tail_cut_off_is_found_by_the_anchor(ten_rows: list[AuditEvent], tamper: Tamper) -> None:
    anchor()
    tamper("DELETE FROM audit_auditevent WHERE sequence > 8")
    with pytest.raises(CommandError, match="row 10: it was anchored, and is gone"):
        verify()


def test_a_tail_written_anew_is_found_by_the_anchor(ten_rows: list[AuditEvent], tamper: Tamper, alice: User) -> None:
    anchor()
    tamper("DELETE FROM audit_auditevent WHERE sequence > 9")
    record(actor=alice, action="container.view", outcome="succeeded")
    with pytest.raises(CommandError, match="row 10: it was anchored with another hash"):
        verify()


def test_an_anchor_that_is_not_ours_proves_nothing(ten_rows: list[AuditEvent]) -> None:
    anchor_file().write_text('{"sequence": 99, "hash": "00", "signature": "forged"}\nnot even json\n[]\n')
    assert verify().endswith("10 rows.")


def test_the_head_is_anchored_once(ten_rows: list[AuditEvent]) -> None:
    assert anchor() is not None
    assert anchor() is None
    assert len(anchor_file().read_text().splitlines()) == 1
    assert anchor_file().stat().st_mode & 0o777 == 0o600
