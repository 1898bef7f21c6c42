"""Signs of life of our processes: when each last did what it is there for.

They are rows of the database's cache table, so that they can be read while Redis is away and need no table of their
own. Losing one costs a late answer of ``/healthz`` and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from django.core.cache import cache

_KEY = "heartbeat:{}"


def beat(part: str) -> None:
    """Note that ``part`` ("worker", "scheduler", "watch") is alive now. Call it about every ten seconds."""
    cache.set(_KEY.format(part), time.time(), timeout=None)


def stop(part: str) -> None:
    """Note that ``part`` ends on purpose, so that nobody takes its last sign of life for a live process."""
    cache.delete(_KEY.format(part))


def ages(parts: Iterable[str]) -> dict[str, float | None]:
    """Return for each part the seconds since its last sign of life; ``None`` when there was none."""
    keys = {_KEY.format(part): part for part in parts}
    found = cache.get_many(keys)
    now = time.time()
    return {part: max(0.0, now - found[key]) if key in found else None for key, part in keys.items()}
