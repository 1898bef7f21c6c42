"""What the scheduler wakes in the worker."""

from __future__ import annotations

from console.celery import app
from console.logs.retention import expire_logs
from console.logs.services import keep_logs

KEEP = "logs.keep"
#: Seconds between two lists; what happens to a container has one sent at once.
KEEP_EVERY = 10.0
EXPIRE_EVERY = 600.0


@app.task(name=KEEP, ignore_result=True)
def keep() -> None:
    """Say which logs are to be kept."""
    keep_logs()


@app.task(name="logs.expire", ignore_result=True)
def expire() -> None:
    """Remove logs that had their time."""
    expire_logs()


app.conf.beat_schedule = {
    **(app.conf.beat_schedule or {}),
    KEEP: {"task": KEEP, "schedule": KEEP_EVERY, "options": {"expires": KEEP_EVERY}},
    "logs.expire": {"task": "logs.expire", "schedule": EXPIRE_EVERY, "options": {"expires": EXPIRE_EVERY}},
}
