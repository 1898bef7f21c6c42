"""What the scheduler wakes in the worker."""

from __future__ import annotations

from console.celery import app
from console.recordings.services import expire_recordings, look_after_recordings

#: Seconds between two looks.
LOOK_EVERY = 10.0
EXPIRE_EVERY = 600.0


@app.task(name="recordings.look", ignore_result=True)
def look() -> None:
    """Index what is being recorded, and close what has ended."""
    look_after_recordings()


@app.task(name="recordings.expire", ignore_result=True)
def expire() -> None:
    """Remove what has been kept long enough."""
    expire_recordings()


app.conf.beat_schedule = {
    **(app.conf.beat_schedule or {}),
    "recordings.look": {"task": "recordings.look", "schedule": LOOK_EVERY, "options": {"expires": LOOK_EVERY}},
    "recordings.expire": {"task": "recordings.expire", "schedule": EXPIRE_EVERY, "options": {"expires": EXPIRE_EVERY}},
}
