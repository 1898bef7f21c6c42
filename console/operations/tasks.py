"""The messages that Celery carries: wake-ups without authority or data."""

from __future__ import annotations

from uuid import UUID

import structlog
from celery.signals import worker_ready, worker_shutdown
from django.db import close_old_connections

from console.celery import app
from console.lib import heartbeat
from console.operations import sweep, worker

logger = structlog.get_logger(__name__)

SWEEP_EVERY = 5.0
CANARY_EVERY = 20.0
FORGET_EVERY = 3600.0


@app.task(name="operations.run", ignore_result=True)
def run_operation(operation_id: str) -> None:
    """Look at one operation. A forged or repeated message can only wake what the row and today's rights allow."""
    try:
        known = UUID(operation_id)
    except (ValueError, AttributeError, TypeError):
        logger.warning("malformed_wake_up")
        return
    worker.run(known)


@app.task(name="operations.sweep", ignore_result=True)
def sweep_operations() -> None:
    """Care for operations that nobody cares for."""
    sweep.sweep()
    sweep.forget_secrets()


@app.task(name="operations.canary", ignore_result=True)
def canary() -> None:
    """Show that messages reach a worker and that it works them off."""
    heartbeat.beat("worker")


@app.task(name="operations.forget", ignore_result=True)
def forget_old_operations() -> None:
    """Remove operations that ended long ago."""
    removed = sweep.forget_old()
    if removed:
        logger.info("operations_forgotten", count=removed)


app.conf.beat_schedule = {
    **(app.conf.beat_schedule or {}),
    # Messages that nobody took in time are worth nothing: the next one says the same.
    "operations.sweep": {"task": "operations.sweep", "schedule": SWEEP_EVERY, "options": {"expires": SWEEP_EVERY}},
    "operations.canary": {"task": "operations.canary", "schedule": CANARY_EVERY, "options": {"expires": CANARY_EVERY}},
    "operations.forget": {"task": "operations.forget", "schedule": FORGET_EVERY, "options": {"expires": FORGET_EVERY}},
}


@worker_ready.connect
def _begin(**_kwargs: object) -> None:
    # What an earlier worker left behind, or a Redis that forgot everything, heals even while no scheduler runs.
    sweep.sweep()
    heartbeat.beat("worker")
    close_old_connections()


@worker_shutdown.connect
def _stop(**_kwargs: object) -> None:
    heartbeat.stop("worker")
    close_old_connections()
