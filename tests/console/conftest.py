"""What the console's tests share beside the cast: an engine that is only played needs no second of watching."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts in the fake engine runs or has ended at once."""
    monkeypatch.setattr("console.containers.handlers._SETTLE", 0.05)
    monkeypatch.setattr("console.containers.handlers._POLL", 0.02)
