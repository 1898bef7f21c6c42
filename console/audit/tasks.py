"""The record's own chore."""

from __future__ import annotations

from console.audit.anchors import anchor
from console.celery import app

ANCHOR_EVERY = 300.0


@app.task(name="audit.anchor", ignore_result=True)
def anchor_audit() -> None:
    """Keep the chain's head outside the database."""
    anchor()


app.conf.beat_schedule = {
    **(app.conf.beat_schedule or {}),
    "audit.anchor": {"task": "audit.anchor", "schedule": ANCHOR_EVERY, "options": {"expires": ANCHOR_EVERY}},
}
