"""Labels of ours on what an operation makes: which operation it was, and our signature on that.

A handler that runs again, after a crash or as a retry, knows by them what it made before and goes on with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from console.containers.specs import OPERATION_LABEL, SIGNATURE_LABEL
from console.lib.crypto import is_signed, signature


def labels_of(operation_id: UUID, *, kind: str) -> tuple[tuple[str, str], ...]:
    """Return the labels for an object of ``kind`` ("container", "volume", …) that the operation makes."""
    operation = str(operation_id)
    return (OPERATION_LABEL, operation), (SIGNATURE_LABEL, signature(kind, operation))


def is_made_by(labels: Mapping[str, str], *operations: UUID, kind: str) -> bool:
    """Whether one of ``operations`` made what has ``labels``. A label alone proves nothing, our signature does."""
    made_by = labels.get(OPERATION_LABEL, "")
    known = {str(operation) for operation in operations}
    return made_by in known and is_signed(labels.get(SIGNATURE_LABEL, ""), kind, made_by)
