"""Whether the console's parts are alive, for supervisors and load balancers: names of parts and a word, no details.

Open without sign-in, so an answer is kept for a second: asking a thousand times costs as much as asking once.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus

import redis
import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from console.lib import heartbeat

logger = structlog.get_logger(__name__)

ALIVE, DEAD, UNKNOWN = "alive", "dead", "unknown"
#: Seconds without a sign of life after which a part counts as dead.
LIMITS = {"worker": 60, "scheduler": 30, "watch": 60}
_KEPT_FOR = 1.0
_REDIS_TIMEOUT = 0.5
_HUB_TIMEOUT = 0.5

_lock = threading.Lock()
_kept: dict[str, tuple[float, dict[str, str]]] = {}
_migrated = False


@lru_cache(maxsize=1)
def _redis() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=_REDIS_TIMEOUT, socket_timeout=_REDIS_TIMEOUT
    )


def _redis_state() -> str:
    try:
        _redis().ping()
    except (redis.RedisError, OSError):
        return DEAD
    return ALIVE


def _hub_state() -> str:
    """Whether the stream hub takes a connection; what it holds is nobody's business here."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_HUB_TIMEOUT)
        try:
            connection.connect(str(settings.HUB_SOCKET))
        except OSError:
            return DEAD
    return ALIVE


def _parts() -> dict[str, str]:
    """Return the state of each part. What cannot be known while another part is dead is unknown, not dead."""
    parts = {"web": ALIVE, "hub": _hub_state(), "redis": _redis_state()}
    try:
        ages = heartbeat.ages(LIMITS)
    except DatabaseError as error:
        logger.warning("health_database", error=str(error))
        return parts | {"database": DEAD} | dict.fromkeys(LIMITS, UNKNOWN)
    parts["database"] = ALIVE
    for part, limit in LIMITS.items():
        age = ages[part]
        parts[part] = ALIVE if age is not None and age < limit else DEAD
    if parts["worker"] == DEAD and (parts["redis"] == DEAD or parts["scheduler"] == DEAD):
        # The worker's sign of life comes by way of both.
        parts["worker"] = UNKNOWN
    return parts


def _is_migrated() -> bool:
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


def _parts_at_start() -> dict[str, str]:
    parts = _parts()
    if parts["database"] == ALIVE:
        try:
            parts["migrations"] = ALIVE if _is_migrated() else DEAD
        except DatabaseError:
            parts["migrations"] = DEAD
    else:
        parts["migrations"] = UNKNOWN
    return parts


def _answer(name: str, ask: Callable[[], dict[str, str]]) -> HttpResponse:
    with _lock:
        asked_at, parts = _kept.get(name, (-_KEPT_FOR, {}))
        if time.monotonic() - asked_at >= _KEPT_FOR:
            parts = ask()
            _kept[name] = (time.monotonic(), parts)
    healthy = all(state == ALIVE for state in parts.values())
    return JsonResponse(
        {"status": "ok" if healthy else "failing", "parts": parts},
        status=HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE,
    )


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """200 when every part is alive, else 503; the parts tell which is not."""
    return _answer("healthz", _parts)


@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """200 when the console can take people: every part has started and the database is migrated."""
    return _answer("readyz", _parts_at_start)
