"""Telling open pages what changed, never what it changed to: they ask for the data with their own authority."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

logger = structlog.get_logger(__name__)

GROUP = "live"
TIMEOUT = 0.1
_SAY_AGAIN_AFTER = 60.0
_said_at = -_SAY_AGAIN_AFTER


def notify(*topics: str) -> None:
    """Tell every open page that ``topics`` changed, once the transaction at hand commits; losing it is no error."""
    transaction.on_commit(partial(_send, list(topics)))


def _send(topics: list[str]) -> None:
    global _said_at
    try:
        async_to_sync(_group_send)(topics)
    except Exception as error:  # noqa: BLE001  a signal is a courtesy: whatever keeps it from leaving is only logged
        if time.monotonic() - _said_at > _SAY_AGAIN_AFTER:
            _said_at = time.monotonic()
            logger.warning("live_signal_lost", error=str(error))


async def _group_send(topics: list[str]) -> None:
    layer = get_channel_layer()
    if layer is not None:
        async with asyncio.timeout(TIMEOUT):
            await layer.group_send(GROUP, {"type": "changed", "topics": topics})
