"""What the scheduler wakes in the worker."""

from __future__ import annotations

from console.celery import app
from console.terminals.approval_services import end_approvals
from console.terminals.services import look_after_terminals

#: Seconds between two looks: who loses a right loses an unattended terminal within 5 s.
LOOK_EVERY = 4.0


@app.task(name="terminals.look", ignore_result=True)
def look() -> None:
    """End what was approved for a time that is over; bring the stream hub and the database together."""
    end_approvals()
    look_after_terminals()


app.conf.beat_schedule = {
    **(app.conf.beat_schedule or {}),
    "terminals.look": {"task": "terminals.look", "schedule": LOOK_EVERY, "options": {"expires": LOOK_EVERY}},
}
