"""The door to the engine room: the only module of the house that imports ``runtime``.

Each process keeps one event loop thread, started on first use (so after any fork), with one open engine per host.
Synchronous code crosses by :func:`call`; consumers, which already run on a loop, open engines of their own there by
:func:`open_engine`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from django.conf import settings

from runtime import (
    AccessDenied,
    ArchiveFiles,
    BackendError,
    Channel,
    Chunk,
    Conflict,
    Container,
    ContainerDetail,
    ContainerEngine,
    ContainerSpec,
    ContainerState,
    Driver,
    Endpoint,
    EngineFailure,
    EngineInfo,
    Event,
    ExecFiles,
    ExecSpec,
    Files,
    FileStream,
    Health,
    Healthcheck,
    Image,
    ImageDetail,
    Invalid,
    LayerPhase,
    LogBlock,
    LogFiles,
    LogLine,
    LogPosition,
    LogStore,
    Mount,
    Network,
    NetworkSpec,
    NotFound,
    PathKind,
    PathStat,
    Port,
    ProtocolError,
    PublishedPort,
    PullProgress,
    RegistryCredentials,
    RestartPolicy,
    Stats,
    Terminal,
    Terminated,
    TimedOut,
    Timeouts,
    TlsCredentials,
    TmpfsMount,
    Unreachable,
    Unsupported,
    Volume,
    VolumeMount,
    VolumeSpec,
    Window,
    connect,
    find_place,
    is_archive_safe,
)
from runtime.hub import endpoints
from runtime.hub import messages as hub_messages
from runtime.hub.client import HubAway, HubClient, HubRefused, HubStream, Output
from runtime.hub.logs import moment_of
from runtime.recordings import LineReader, Place, chain_path, is_closed, length_of
from runtime.recordings import Verdict as RecordingVerdict
from runtime.recordings import verify as verify_recording

__all__ = [
    "AccessDenied",
    "ArchiveFiles",
    "BackendError",
    "Channel",
    "Chunk",
    "Conflict",
    "Container",
    "ContainerDetail",
    "ContainerEngine",
    "ContainerSpec",
    "ContainerState",
    "Driver",
    "Endpoint",
    "EngineFailure",
    "EngineInfo",
    "Event",
    "ExecFiles",
    "ExecSpec",
    "FileStream",
    "Files",
    "Health",
    "Healthcheck",
    "HubAway",
    "HubRefused",
    "HubStream",
    "Image",
    "ImageDetail",
    "Invalid",
    "LayerPhase",
    "LineReader",
    "LogBlock",
    "LogFiles",
    "LogLine",
    "LogPosition",
    "LogStore",
    "Mount",
    "Network",
    "NetworkSpec",
    "NotFound",
    "Output",
    "PathKind",
    "PathStat",
    "Place",
    "Port",
    "ProtocolError",
    "PublishedPort",
    "PullProgress",
    "RecordingVerdict",
    "RegistryCredentials",
    "RestartPolicy",
    "Stats",
    "Terminal",
    "Terminated",
    "TimedOut",
    "Timeouts",
    "TlsCredentials",
    "TmpfsMount",
    "Unreachable",
    "Unsupported",
    "Volume",
    "VolumeMount",
    "VolumeSpec",
    "Window",
    "ask_hub",
    "call",
    "chain_path",
    "close_engine",
    "endpoint_for_hub",
    "find_place",
    "hub_client",
    "hub_messages",
    "is_archive_safe",
    "is_closed",
    "length_of",
    "moment_of",
    "open_engine",
    "submit",
    "verify_recording",
]

Result = TypeVar("Result")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
#: Engines by (loop, endpoint): connections belong to the loop that opened them.
_engines: dict[tuple[int, Endpoint], ContainerEngine] = {}


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="gateway", daemon=True).start()
            _loop = loop
        return _loop


def open_engine(endpoint: Endpoint) -> ContainerEngine:
    """Return this loop's engine for ``endpoint``; connections are pooled and reused. Call on a running loop."""
    key = (id(asyncio.get_running_loop()), endpoint)
    engine = _engines.get(key)
    if engine is None:
        engine = _engines[key] = connect(endpoint)
    return engine


async def close_engine(endpoint: Endpoint) -> None:
    """Close this loop's engine for ``endpoint``, if there is one; :func:`open_engine` then opens a new one."""
    engine = _engines.pop((id(asyncio.get_running_loop()), endpoint), None)
    if engine is not None:
        await engine.close()


def submit(work: Callable[[], Coroutine[Any, Any, Result]]) -> Future[Result]:
    """Start ``work()`` on the gateway's loop and return its future; cancelling the future cancels the work."""

    async def run() -> Result:
        return await work()

    return asyncio.run_coroutine_threadsafe(run(), _running_loop())


def call(endpoint: Endpoint, work: Callable[[ContainerEngine], Coroutine[Any, Any, Result]]) -> Result:
    """Run ``work(engine)`` on the gateway's loop and wait for it. Raises what it raises (``BackendError``)."""
    return submit(lambda: work(open_engine(endpoint))).result()


def hub_client() -> HubClient:
    """Return what speaks to the stream hub; nothing is connected yet."""
    return HubClient(settings.HUB_SOCKET)


def ask_hub(order: hub_messages.Order) -> dict[str, Any]:
    """Have the hub carry out a plain order, and wait. Raises ``HubAway``, ``HubRefused``. Not for code on a loop."""
    return submit(lambda: hub_client().ask(order)).result()


def endpoint_for_hub(endpoint: Endpoint) -> dict[str, Any]:
    """Return ``endpoint`` as an order names it."""
    return endpoints.to_json(endpoint)
