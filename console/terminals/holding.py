"""Saying that the sessions this process holds are held: all of them together, beside the sockets.

One write for the whole process, on a thread of its own: a database that is locked for a while then keeps neither a
question about rights nor another terminal waiting.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from django.db import DatabaseError

from console.lib.websocket import in_database
from console.terminals import services

logger = structlog.get_logger(__name__)

#: Seconds between two writes; well within the lease, so that two of them may fail.
RENEW_EVERY: Final = 4.0

_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holding")
#: What each event loop holds; a loop that holds nothing is not here.
_held: dict[asyncio.AbstractEventLoop, set[UUID]] = {}
_renewers: set[asyncio.Task[None]] = set()


def hold(session_id: UUID) -> None:
    """Keep the session's lease from now on."""
    loop = asyncio.get_running_loop()
    if loop in _held:
        _held[loop].add(session_id)
        return
    _held[loop] = {session_id}
    renewer = loop.create_task(_renew(loop))
    # A loop knows its tasks only weakly.
    _renewers.add(renewer)
    renewer.add_done_callback(_renewers.discard)


def let_go(session_id: UUID) -> None:
    """Keep the session's lease no longer: it has ended, or the reaper shall end it."""
    _held.get(asyncio.get_running_loop(), set()).discard(session_id)


async def _renew(loop: asyncio.AbstractEventLoop) -> None:
    try:
        while _held[loop]:
            await asyncio.sleep(RENEW_EVERY)
            sessions = list(_held[loop])
            try:
                await in_database(partial(services.renew_leases, sessions), executor=_executor)
            except DatabaseError as error:
                logger.warning("terminal leases not renewed", sessions=len(sessions), error=str(error))
    finally:
        del _held[loop]
