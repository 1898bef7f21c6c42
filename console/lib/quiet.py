"""Saying the same trouble once a minute, not once an attempt."""

from __future__ import annotations

import threading
import time

import structlog

logger = structlog.get_logger(__name__)

_SAY_AGAIN_AFTER = 60.0
_lock = threading.Lock()
_said_at: dict[str, float] = {}


def warn_rarely(event: str, **values: object) -> None:
    """Log ``event`` as a warning, unless it was logged within the last minute."""
    now = time.monotonic()
    with _lock:
        if now - _said_at.get(event, -_SAY_AGAIN_AFTER) < _SAY_AGAIN_AFTER:
            return
        _said_at[event] = now
    logger.warning(event, **values)
