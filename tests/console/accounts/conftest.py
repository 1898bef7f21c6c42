"""Limits live in the cache's table, which no rollback of one test clears for the next."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from tests.console.accounts.second_factors import Clock


@pytest.fixture(autouse=True)
def _no_limits_from_before(db: None) -> None:
    cache.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that codes, keys and proofs see; it stands still."""
    return Clock.install(monkeypatch)
