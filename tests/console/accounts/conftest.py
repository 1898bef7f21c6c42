"""Limits live in the cache's table, which no rollback of one test clears for the next."""

from __future__ import annotations

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _no_limits_from_before(db: None) -> None:
    cache.clear()
