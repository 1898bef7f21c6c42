"""The lease of an answer that is streamed: revocation must reach it like any socket."""

from __future__ import annotations

import time
from collections.abc import Callable

from console.lib.websocket import StreamConsumer, in_database


class RightsEnded(Exception):
    """The person's session or rights ended while something was on its way."""


class Lease:
    """Asks for the rights of now, at the latest every few seconds while bytes go by."""

    def __init__(self, may_go_on: Callable[[], bool]) -> None:
        self._may_go_on = may_go_on
        self._asked = time.monotonic()

    async def hold(self) -> None:
        """Raises ``RightsEnded``."""
        if time.monotonic() - self._asked < StreamConsumer.lease_interval:
            return
        if not await in_database(self._may_go_on):
            raise RightsEnded
        self._asked = time.monotonic()
