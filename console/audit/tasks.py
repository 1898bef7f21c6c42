"""The record's own chores."""

from __future__ import annotations

from console.audit.anchors import anchor
from console.audit.checks import do_due_check
from console.celery import app

ANCHOR_EVERY = 300.0
#: Seconds between two looks whether somebody asked for a check.
LOOK_EVERY = 10.0


@app.task(name="audit.anchor", ignore_result=True)
def anchor_audit() -> None:
    """Keep the chain's head outside the database."""
    anchor()


@app.task(name="audit.verify", ignore_result=True)
def verify_audit() -> None:
    """Check the record, when somebody asked for it or the last time is long ago."""
    do_due_check()


app.conf.beat_schedule = {
    **(app.conf.beat_schedule or {}),
    "audit.anchor": {"task": "audit.anchor", "schedule": ANCHOR_EVERY, "options": {"expires": ANCHOR_EVERY}},
    "audit.verify": {"task": "audit.verify", "schedule": LOOK_EVERY, "options": {"expires": LOOK_EVERY}},
}
