"""Asking a person's rights again at once, when a signal says that they may have changed.

A signal carries no authority: it only wakes the question that an open stream asks every few seconds anyway, so losing
one costs seconds, and a forged one costs a query.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn
from weakref import WeakKeyDictionary

from console.lib.live import Subscription, notify
from console.lib.quiet import warn_rarely

_TOPIC: Final = "person"
#: Seconds until Redis is asked again after it failed.
_PAUSE: Final = 2.0

Streams = defaultdict[str, set[asyncio.Event]]
#: The open streams of each event loop, by person; each loop has one listener.
_streams: WeakKeyDictionary[asyncio.AbstractEventLoop, Streams] = WeakKeyDictionary()
_listeners: set[asyncio.Task[NoReturn]] = set()


def recheck(person_id: object) -> None:
    """Have every open stream of a person ask again, once the transaction at hand commits."""
    notify(f"{_TOPIC}:{person_id}")


@contextmanager
def rechecked(person_id: object) -> Iterator[asyncio.Event]:
    """Yield an event that is set when the person's rights may have changed."""
    loop = asyncio.get_running_loop()
    if loop not in _streams:
        _streams[loop] = defaultdict(set)
        listener = loop.create_task(_listen(_streams[loop]))
        # A loop knows its tasks only weakly.
        _listeners.add(listener)
        listener.add_done_callback(_listeners.discard)
    streams, event = _streams[loop], asyncio.Event()
    streams[str(person_id)].add(event)
    try:
        yield event
    finally:
        streams[str(person_id)].discard(event)
        if not streams[str(person_id)]:
            del streams[str(person_id)]


async def _listen(streams: Streams) -> NoReturn:
    while True:
        signals = Subscription()
        try:
            await signals.open()
            while True:
                for topic in (await signals.receive()).get("topics", ()):
                    kind, _colon, person_id = topic.partition(":")
                    if kind == _TOPIC:
                        for event in streams.get(person_id, ()):
                            event.set()
        except Exception as error:  # noqa: BLE001  whatever Redis does, streams go on with their own looks
            warn_rarely("rechecks_lost", error=str(error))
        finally:
            await signals.close()
        await asyncio.sleep(_PAUSE)
