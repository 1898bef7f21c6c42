"""What accounts throw away."""

from __future__ import annotations

from console.accounts.sessions import sweep_sessions
from console.accounts.tokens import sweep_tokens
from console.celery import app

SWEEP_EVERY = 24 * 3600.0


@app.task(name="accounts.sweep_sessions", ignore_result=True)
def sweep() -> None:
    """Forget sessions that have run out, and tokens that did so long ago."""
    sweep_sessions()
    sweep_tokens()


app.conf.beat_schedule = {
    **(app.conf.beat_schedule or {}),
    "accounts.sweep_sessions": {
        "task": "accounts.sweep_sessions",
        "schedule": SWEEP_EVERY,
        "options": {"expires": SWEEP_EVERY},
    },
}
