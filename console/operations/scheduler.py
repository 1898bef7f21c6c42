"""Celery's scheduler with a sign of life. Its schedule is code, so it keeps no file of its own."""

from __future__ import annotations

import time
from typing import Any

from celery.beat import Scheduler as CeleryScheduler
from django.db import DatabaseError, close_old_connections

from console.lib import heartbeat
from console.lib.quiet import warn_rarely

_BEAT_EVERY = 5.0


class Scheduler(CeleryScheduler):
    """Sends what is due, and says that it lives."""

    _next_beat = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; returns the seconds until the next look."""
        seconds = float(super().tick(*args, **kwargs))
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + _BEAT_EVERY
            try:
                heartbeat.beat("scheduler")
            except DatabaseError as error:
                warn_rarely("scheduler_heartbeat_lost", error=str(error))
            close_old_connections()
        return min(seconds, _BEAT_EVERY)
