"""The chain's head, signed and kept outside the database: who cuts rows off the end contradicts it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.utils import timezone

from console.audit.chain import Fault
from console.audit.models import AuditEvent, FaultKind
from console.lib.crypto import is_signed, signature

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Anchor:
    """One signed head."""

    sequence: int
    hash: str


def anchor_file() -> Path:
    """Return where anchors are kept; copy it elsewhere to be safe from who controls this machine."""
    return Path(settings.DATA_DIR) / "audit-anchors.jsonl"


def anchor() -> Anchor | None:
    """Write the present head to the file and the log, unless it is there already; return what was written."""
    head = AuditEvent.objects.order_by("-sequence").values_list("sequence", "hash").first()
    last = next(reversed(list(read_anchors())), None)
    if head is None or (last is not None and last.sequence == head[0]):
        return None
    sequence, digest = head
    line = json.dumps(
        {
            "sequence": sequence,
            "hash": digest,
            "at": timezone.now().isoformat(timespec="seconds"),
            "signature": signature("audit-anchor", str(sequence), digest),
        }
    )
    descriptor = os.open(anchor_file(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(line + "\n")
    logger.info("audit_anchor", sequence=sequence, hash=digest)
    return Anchor(sequence, digest)


def read_anchors() -> Iterator[Anchor]:
    """Return the anchors whose signature is ours, oldest first."""
    if not anchor_file().exists():
        return
    with anchor_file().open() as file:
        for line in file:
            try:
                row = json.loads(line)
                sequence, digest, signed = int(row["sequence"]), str(row["hash"]), str(row["signature"])
            except (ValueError, KeyError, TypeError):
                continue  # a line cut by a crash anchors nothing
            if is_signed(signed, "audit-anchor", str(sequence), digest):
                yield Anchor(sequence, digest)


def first_contradiction() -> Fault | None:
    """Return the first anchored row that is gone or has another hash."""
    anchors = list(read_anchors())
    for start in range(0, len(anchors), 500):
        part = anchors[start : start + 500]
        hashes = dict(
            AuditEvent.objects.filter(sequence__in=[one.sequence for one in part]).values_list("sequence", "hash")
        )
        for one in part:
            if one.sequence not in hashes:
                return Fault(one.sequence, FaultKind.CUT)
            if hashes[one.sequence] != one.hash:
                return Fault(one.sequence, FaultKind.REWRITTEN)
    return None
