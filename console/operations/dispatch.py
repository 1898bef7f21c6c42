"""Waking a worker: the name of a task, or an operation's id, goes to the broker, by a thread of its own.

A caller never waits for Redis, whether it is gone or frozen. A wake-up that is lost costs time only: the sweep sends it
again, because the row is the truth, and the scheduler sends every other task again and again.
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from django.db import transaction

from console.celery import app
from console.lib.quiet import warn_rarely

TASK = "operations.run"
_MOST_WAITING = 1000
#: Seconds after which the scheduler has long sent the task itself.
_NUDGE_LASTS = 10.0


@dataclass(frozen=True, slots=True)
class Nudge:
    """A task that the scheduler would send anyhow, to be done in so many seconds."""

    task: str
    after: float


_lock = threading.Lock()
_waiting: queue.Queue[UUID | Nudge] = queue.Queue(maxsize=_MOST_WAITING)
_sender_pid = 0


def wake(operation_id: UUID) -> None:
    """Have a worker look at the operation, once the transaction at hand commits. Never waits, never raises."""
    _after_commit(operation_id)


def nudge(task: str, *, after: float) -> None:
    """Have a worker do ``task`` in ``after`` seconds rather than when the scheduler says. Never waits, never raises."""
    _after_commit(Nudge(task, after))


def _after_commit(what: UUID | Nudge) -> None:
    connection = transaction.get_connection()
    if connection.in_atomic_block:
        connection.on_commit(lambda: _put(what))
    else:
        _put(what)


def _put(what: UUID | Nudge) -> None:
    _start_sender()
    try:
        _waiting.put_nowait(what)
    except queue.Full:
        warn_rarely("wake_up_dropped")


def _start_sender() -> None:
    """Start the thread, once in each process (a fork leaves threads behind)."""
    global _sender_pid
    if _sender_pid == os.getpid():
        return
    with _lock:
        if _sender_pid != os.getpid():
            threading.Thread(target=_send_for_ever, name="dispatch", daemon=True).start()
            _sender_pid = os.getpid()


def _send_for_ever() -> NoReturn:
    while True:
        what = _waiting.get()
        try:
            if isinstance(what, Nudge):
                app.send_task(what.task, countdown=what.after, expires=what.after + _NUDGE_LASTS, retry=False)
            else:
                app.send_task(TASK, args=[str(what)], retry=False)
        except Exception as error:  # noqa: BLE001  whatever kept this one from leaving, the next must find this thread alive
            warn_rarely("wake_up_lost", error=str(error))
