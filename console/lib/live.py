"""Telling open pages what changed, never what it changed to: they ask for the data with their own authority.

Signals leave by a thread of their own with one event loop and one connection, so a caller never waits for Redis, and
what many callers tell at once leaves as one message. Losing a signal is no error: pages look again when their socket
comes back.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from functools import partial
from typing import NoReturn

from channels.layers import get_channel_layer
from django.db import transaction

from console.lib.quiet import warn_rarely

GROUP = "live"
#: Seconds for one message to leave.
_TIMEOUT = 1.0
#: Seconds of rest between two messages, in which signals gather.
_REST = 0.03
#: Topics in one message; signals kept while Redis does not take any.
_MOST_TOPICS = 200
_MOST_WAITING = 5000

_lock = threading.Lock()
_waiting: queue.Queue[str] = queue.Queue(maxsize=_MOST_WAITING)
_sender_pid = 0


def notify(*topics: str) -> None:
    """Tell every open page that ``topics`` changed, once the transaction at hand commits. Never waits, never raises."""
    connection = transaction.get_connection()
    if connection.in_atomic_block:
        connection.on_commit(partial(_put, topics))
    else:
        _put(topics)


def _put(topics: tuple[str, ...]) -> None:
    _start_sender()
    for topic in topics:
        try:
            _waiting.put_nowait(topic)
        except queue.Full:
            warn_rarely("live_signals_dropped")
            return


def _start_sender() -> None:
    """Start the thread, once in each process (a fork leaves threads behind)."""
    global _sender_pid
    if _sender_pid == os.getpid():
        return
    with _lock:
        if _sender_pid != os.getpid():
            threading.Thread(target=_send_for_ever, name="live", daemon=True).start()
            _sender_pid = os.getpid()


def _send_for_ever() -> NoReturn:
    with asyncio.Runner() as runner:
        while True:
            topics = {_waiting.get(): None}
            while len(topics) < _MOST_TOPICS:
                try:
                    topics[_waiting.get_nowait()] = None
                except queue.Empty:
                    break
            runner.run(_send(list(topics)))


async def _send(topics: list[str]) -> None:
    try:
        layer = get_channel_layer()
        if layer is not None:
            async with asyncio.timeout(_TIMEOUT):
                await layer.group_send(GROUP, {"type": "changed", "topics": topics})
    except Exception as error:  # noqa: BLE001  whatever keeps a signal from leaving, the next must find this thread alive
        warn_rarely("live_signal_lost", error=str(error))
    await asyncio.sleep(_REST)
