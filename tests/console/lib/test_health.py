"""What supervisors are told: names of parts and a word each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
import redis
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client

from console.lib import health, heartbeat


@pytest.fixture(autouse=True)
def _alive(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every part has just shown a sign of life, and nothing is remembered."""
    monkeypatch.setattr(health, "_KEPT_FOR", 0.0)
    monkeypatch.setattr(health, "_redis_state", lambda: "alive")
    monkeypatch.setattr(health, "_hub_state", lambda: "alive")
    for part in health.LIMITS:
        heartbeat.beat(part)
    yield
    cache.clear()


def _ask(client: Client, path: str = "/healthz") -> tuple[int, dict[str, str]]:
    answer = client.get(path)
    return answer.status_code, json.loads(answer.content)["parts"]


def _silent_for(part: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr("console.lib.heartbeat.time.time", lambda: now - seconds)
        heartbeat.beat(part)


def test_all_is_well_without_sign_in(client: Client) -> None:
    status, parts = _ask(client)
    assert status == 200
    assert set(parts) == {"web", "hub", "redis", "database", "worker", "scheduler", "watch"}
    assert set(parts.values()) == {"alive"}


@pytest.mark.parametrize(("part", "seconds"), [("worker", 61), ("scheduler", 31), ("watch", 61)])
def test_a_silent_part_is_named(client: Client, part: str, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _silent_for(part, seconds, monkeypatch)
    status, parts = _ask(client)
    assert status == 503
    assert [name for name, state in parts.items() if state == "dead"] == [part]


@pytest.mark.parametrize(("part", "seconds"), [("worker", 55), ("scheduler", 25), ("watch", 55)])
def test_a_short_silence_is_no_death(client: Client, part: str, seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _silent_for(part, seconds, monkeypatch)
    assert _ask(client)[0] == 200


def test_one_that_ended_on_purpose_is_named_at_once(client: Client) -> None:
    heartbeat.stop("watch")
    assert _ask(client)[1]["watch"] == "dead"


def test_redis_is_named_and_not_the_worker_that_is_only_out_of_reach(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_redis_state", lambda: "dead")
    _silent_for("worker", 61, monkeypatch)
    status, parts = _ask(client)
    assert (status, parts["redis"], parts["worker"]) == (503, "dead", "unknown")


def test_a_database_that_is_away_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_parts: object) -> None:
        raise OperationalError("connection refused to 10.0.0.7")

    monkeypatch.setattr(heartbeat, "ages", fail)
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert json.loads(answer.content)["parts"]["database"] == "dead"
    assert b"10.0.0.7" not in answer.content


def test_ready_means_migrated_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ask(client, "/readyz")[0] == 200
    monkeypatch.setattr(health, "_is_migrated", lambda: False)
    status, parts = _ask(client, "/readyz")
    assert (status, parts["migrations"]) == (503, "dead")


def test_before_anything_has_started_it_is_not_ready(client: Client) -> None:
    cache.clear()
    status, parts = _ask(client, "/readyz")
    assert status == 503
    assert {parts[name] for name in ("worker", "scheduler", "watch")} <= {"dead", "unknown"}


def test_a_redis_that_is_away_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    nobody = redis.Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.5)
    monkeypatch.setattr(health, "_redis", lambda: nobody)
    assert health._redis_state() == "dead"


def test_a_hub_that_does_not_listen_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert health._hub_state() == "dead"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_only_reads(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
