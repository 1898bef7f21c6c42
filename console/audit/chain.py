"""The hash chain: what is hashed, how the next row finds the one before it, and how a broken chain is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.db import connection

from console.audit.models import AuditEvent

#: What the first row holds in place of a hash.
GENESIS = "0" * 64
#: Any constant will do, as long as nobody else in this database uses it.
_ADVISORY_LOCK = 0x70696C6F74
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
    reason: str


def _plain(value: Any) -> Any:
    # A UUID is an object until its row is read again as text; both must hash alike.
    return value if value is None or isinstance(value, int | str | dict) else str(value)


def digest(event: AuditEvent) -> str:
    """Return the hash of ``event`` and of the hash before it."""
    row = {name: _plain(getattr(event, name)) for name in _HASHED}
    row["occurred_at"] = event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")
    canonical = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
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
            return Fault(expected, f"row {expected} is missing; row {event.sequence} comes in its place")
        if event.previous_hash != previous:
            return Fault(event.sequence, "it does not follow the row before it")
        if event.hash != digest(event):
            return Fault(event.sequence, "its content is not what was written")
        expected, previous = event.sequence + 1, event.hash
    return None


def all_events() -> Iterator[AuditEvent]:
    """Return every row, oldest first, without holding them all."""
    return AuditEvent.objects.order_by("sequence").iterator(chunk_size=2000)
