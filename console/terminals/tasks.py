"""What the scheduler wakes in the worker."""

from __future__ import annotations

from console.celery import app
from console.terminals.services import reap_sessions

#: Seconds between two looks.
REAP_EVERY = 10.0


@app.task(name="terminals.reap", ignore_result=True)
def reap() -> None:
    """End the processes of terminals whose web process died."""
    reap_sessions()


app.conf.beat_schedule = {
    **(app.conf.beat_schedule or {}),
    "terminals.reap": {"task": "terminals.reap", "schedule": REAP_EVERY, "options": {"expires": REAP_EVERY}},
}
