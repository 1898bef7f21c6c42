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
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn
from uuid import uuid4

from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import RedisError

from console.lib.quiet import warn_rarely

GROUP = "live"
#: Seconds for one message to leave.
_TIMEOUT = 1.0
#: Seconds that whoever listens waits for an answer of Redis.
_LONGEST_CALL = 2.0
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


class Subscription:
    """One ear for what pages are told. However it ends, the channel layer keeps nothing of it.

    ``open``, ``receive`` and ``echo`` raise ``OSError``, ``RedisError`` or ``TimeoutError`` while Redis is away.
    """

    def __init__(self) -> None:
        # The layer keeps a channel that it could not subscribe to, and tells nobody its name: this part of it is ours.
        self._prefix = f"live.{uuid4().hex}."
        self._channel = ""

    async def open(self) -> None:
        """Begin to listen."""
        async with asyncio.timeout(_LONGEST_CALL):
            self._channel = await get_channel_layer().new_channel(self._prefix)
            await get_channel_layer().group_add(GROUP, self._channel)

    async def receive(self) -> dict[str, Any]:
        """Wait for the next message."""
        message: dict[str, Any] = await get_channel_layer().receive(self._channel)
        return message

    async def echo(self) -> None:
        """Send oneself a message of the type ``echo``."""
        async with asyncio.timeout(_LONGEST_CALL):
            await get_channel_layer().send(self._channel, {"type": "echo"})

    async def close(self) -> None:
        """Leave the group and the layer."""
        layer = get_channel_layer()
        channels = [name for name in layer.channels if self._prefix in name]
        if self._channel:
            with suppress(OSError, RedisError, TimeoutError):
                async with asyncio.timeout(_LONGEST_CALL):
                    await layer.group_discard(GROUP, self._channel)
        for channel in channels:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_CALL):
                    await self._forget(channel)

    @staticmethod
    async def _forget(channel: str) -> None:
        """Take a channel out of the layer: it forgets one when somebody who waits there for a message is cancelled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                while True:
                    await get_channel_layer().receive(channel)
