"""The hash chain: what is hashed, how the next row finds the one before it, and how a broken chain is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.db import connection

from console.audit.models import AuditEvent, FaultKind

#: What the first row holds in place of a hash.
GENESIS = "0" * 64
#: Any constant will do, as long as nobody else in this database uses it.
_ADVISORY_LOCK = 0x70696C6F74
#: Rows that are read at once.
_PART = 2000
_HASHED = (
    "sequence",
    "actor_id",
    "actor_name",
    "action",
    "host_id",
    "host_name",
    "object_id",
    "object_name",
    "outcome",
    "operation_id",
    "address",
    "user_agent",
    "details",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """The first row that is not what it was, and in which way."""

    sequence: int
    kind: FaultKind

    @property
    def reason(self) -> str:
        """In words."""
        return str(self.kind.label) % {"sequence": self.sequence}


def _plain(value: Any) -> Any:
    # A UUID is an object until its row is read again as text; both must hash alike.
    return value if value is None or isinstance(value, int | str | dict) else str(value)


def content(event: AuditEvent) -> dict[str, Any]:
    """Return what is hashed of ``event``, as plain JSON values."""
    row = {name: _plain(getattr(event, name)) for name in _HASHED}
    row["occurred_at"] = event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")
    return row


def digest(event: AuditEvent) -> str:
    """Return the hash of ``event`` and of the hash before it."""
    canonical = json.dumps(content(event), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{event.previous_hash}\n{canonical}".encode()).hexdigest()


def lock_head() -> tuple[int, str]:
    """Return the last sequence and hash; nobody else appends until this transaction ends.

    SQLite transactions are IMMEDIATE and so hold the only write lock already. PostgreSQL takes an advisory lock and
    then reads, in READ COMMITTED, what the one before us has committed.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
    last = AuditEvent.objects.order_by("-sequence").values_list("sequence", "hash").first()
    return last or (0, GENESIS)


def first_fault(events: Iterable[AuditEvent]) -> Fault | None:
    """Return the first row of the whole chain ``events``, oldest first, that was altered, moved, added or removed."""
    expected, previous = 1, GENESIS
    for event in events:
        if event.sequence != expected:
            return Fault(expected, FaultKind.MISSING)
        if event.previous_hash != previous:
            return Fault(event.sequence, FaultKind.MOVED)
        if event.hash != digest(event):
            return Fault(event.sequence, FaultKind.ALTERED)
        searchable = getattr(event, "searchable", None)
        if searchable is None or searchable.text != event.words:
            return Fault(event.sequence, FaultKind.HIDDEN)
        expected, previous = event.sequence + 1, event.hash
    return None


def all_events() -> Iterator[AuditEvent]:
    """Return every row, oldest first, without holding them all.

    Part by part: one long read would make SQLite keep what is written meanwhile, and PostgreSQL copy the whole record.
    """
    events = AuditEvent.objects.select_related("searchable").order_by("sequence")
    part = list(events[:_PART])
    while part:
        yield from part
        part = list(events.filter(sequence__gt=part[-1].sequence)[:_PART])
