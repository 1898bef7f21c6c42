"""The record as a file, part by part: nothing of it is kept here, and never more than one part is held."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.audit.chain import content
from console.audit.models import AuditEvent, Outcome
from console.audit.queries import AuditFilter, matching
from console.audit.services import record
from console.lib.origin import Origin

#: Rows in one part.
PART: Final = 1000
#: In the order that a reader of a spreadsheet looks for them.
COLUMNS: Final = (
    "sequence",
    "occurred_at",
    "actor_name",
    "action",
    "outcome",
    "host_name",
    "object_name",
    "object_id",
    "address",
    "details",
    "user_agent",
    "actor_id",
    "host_id",
    "operation_id",
    "previous_hash",
    "hash",
)
#: What a spreadsheet takes for the beginning of a formula, in any width.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def begin_export(*, actor: User, wanted: AuditFilter, kind: str, origin: Origin) -> int:
    """Put on record that ``actor`` takes rows away; return the last one there is for them."""
    with transaction.atomic():
        event = record(
            actor=actor,
            action="audit.export",
            outcome=Outcome.SUCCEEDED,
            origin=origin,
            details={"format": kind, "filter": wanted.chosen},
        )
        return event.sequence - 1


def export_part(
    events: QuerySet[AuditEvent], wanted: AuditFilter, *, kind: str, after: int, last: int
) -> tuple[bytes, int | None]:
    """Return the rows after row ``after`` as text, and the row they end with; ``None`` when these were the last."""
    found = matching(events, wanted).filter(sequence__gt=after, sequence__lte=last).order_by("sequence")
    rows = list(found[:PART])
    text = _WRITERS[kind]([_plain(event) for event in rows])
    return text, rows[-1].sequence if len(rows) == PART else None


def head(kind: str) -> bytes:
    """Return what comes before the rows. Spreadsheets know UTF-8 by its mark."""
    return b"\xef\xbb\xbf" + _csv_lines([dict(zip(COLUMNS, COLUMNS, strict=True))]) if kind == "csv" else b""


def cut_off(kind: str) -> bytes:
    """Return the last line of a file that is not whole, because the reader's rights ended."""
    text = _("Your session or your rights ended, so the record ends here.")
    return _csv_lines([{"sequence": text}]) if kind == "csv" else _json_lines([{"error": text}])


def _plain(event: AuditEvent) -> dict[str, Any]:
    return {**content(event), "previous_hash": event.previous_hash, "hash": event.hash}


def _json_lines(rows: list[dict[str, Any]]) -> bytes:
    """One object in each line; without the two hashes it is what was hashed, after the first of them."""
    return "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows).encode()


def _csv_lines(rows: list[dict[str, Any]]) -> bytes:
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerows([_cell(row.get(name)) for name in COLUMNS] for row in rows)
    return lines.getvalue().encode()


def _cell(value: Any) -> str:
    """Return ``value`` as text that no spreadsheet takes for a formula."""
    text = "" if value is None else json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


_WRITERS: Final[Mapping[str, Callable[[list[dict[str, Any]]], bytes]]] = {"csv": _csv_lines, "jsonl": _json_lines}
TYPES: Final[Mapping[str, str]] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
