"""Telling open pages what changed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from django.db import transaction

from console.lib import live


class _Layer:
    """A channel layer that remembers, or fails, or never answers."""

    def __init__(self, *, error: Exception | None = None, hangs: bool = False) -> None:
        self.topics: list[str] = []
        self.error = error
        self.hangs = hangs

    async def group_send(self, group: str, message: dict[str, list[str]]) -> None:
        assert group == "live"
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.sleep(60)
        self.topics += message["topics"]


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> _Layer:
    made = _Layer()
    monkeypatch.setattr(live, "get_channel_layer", lambda: made)
    return made


def _until(ready: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_topics_leave_after_the_commit(layer: _Layer) -> None:
    with transaction.atomic():
        live.notify("test:inside")
        live.notify("test:outside")
        time.sleep(0.1)
        assert layer.topics == []
    _until(lambda: {"test:inside", "test:outside"} <= set(layer.topics))


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_told(layer: _Layer) -> None:
    with transaction.atomic():
        live.notify("test:never")
        transaction.set_rollback(True)
    live.notify("test:marker")
    _until(lambda: "test:marker" in layer.topics)
    assert "test:never" not in layer.topics


@pytest.mark.django_db(transaction=True)
def test_it_works_from_threads_and_from_a_loop(layer: _Layer) -> None:
    thread = threading.Thread(target=live.notify, args=("test:thread",))
    thread.start()
    thread.join()

    async def tell() -> None:
        live.notify("test:loop")

    asyncio.run(tell())
    _until(lambda: {"test:thread", "test:loop"} <= set(layer.topics))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trouble", [{"error": ConnectionRefusedError()}, {"hangs": True}])
def test_a_dead_redis_costs_the_caller_nothing(monkeypatch: pytest.MonkeyPatch, trouble: dict[str, object]) -> None:
    broken, sound = _Layer(**trouble), _Layer()  # type: ignore[arg-type]
    current = [broken]
    monkeypatch.setattr(live, "get_channel_layer", lambda: current[0])
    begun = time.monotonic()
    for number in range(200):
        live.notify(f"test:{number}")
    assert time.monotonic() - begun < 0.5
    current[0] = sound
    _until(lambda: live._waiting.empty())
    live.notify("test:after")
    _until(lambda: "test:after" in sound.topics)
