"""The socket that tells an open page what changed, never the data: it asks for that through the front door."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

from channels.layers import get_channel_layer
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from console.accounts.models import User
from console.lib.live import GROUP
from console.lib.websocket import FAILED, Receive, Refusal, Scope, Send, StreamConsumer, in_database
from console.rbac.policy import allowed

#: What somebody must be allowed to do to be told about a topic; the part before the colon.
ACTIONS: Final = {
    "containers": "container.view",
    "container": "container.view",
    "images": "image.view",
    "hosts": "host.view",
    "host": "host.view",
    "operations": "operation.view",
    "operation": "operation.view",
    "notifications": "operation.view",
    "audit": "audit.view",
}
_TIMEOUT: Final = 2.0


def _allowed_topics(user: User) -> frozenset[str]:
    return frozenset(topic for topic, action in ACTIONS.items() if allowed(user, action))


class LiveConsumer(StreamConsumer):
    """Forwards topics that the person may know of.

    With each renewal of its lease it sends itself a signal. One that has not come back by the next renewal means that
    signals are being lost, so the socket closes: the page opens another and looks again at everything.
    """

    _channel = ""
    _topics: frozenset[str] = frozenset()
    _echo_is_due = False

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        # The layer keeps a channel that it could not subscribe to, and tells nobody its name: this part of it is ours.
        self._prefix = f"live.{uuid4().hex}."

    async def _first_frame(self) -> dict[str, Any]:
        return {}  # there is nothing to ask for: the session says it all

    async def open(self, first: dict[str, Any]) -> None:  # noqa: ARG002
        """Join the group. Raises ``Refusal``."""
        await in_database(self.may_go_on)
        try:
            async with asyncio.timeout(_TIMEOUT):
                self._channel = await get_channel_layer().new_channel(self._prefix)
                await get_channel_layer().group_add(GROUP, self._channel)
        except (OSError, RedisError, TimeoutError) as error:
            raise self._lost() from error
        # From here on nothing is missed: the page asks once for what changed since it was made.
        await self.send_control({"type": "listening"})

    def may_go_on(self) -> bool:
        """Look up what the person may see now; nothing at all is no reason to close."""
        user = User.objects.filter(pk=self.scope["user"].pk).first()
        self._topics = _allowed_topics(user) if user is not None else frozenset()
        return user is not None

    async def pump(self) -> None:
        """Forward signals until the socket ends."""
        while True:
            message = await get_channel_layer().receive(self._channel)
            if message["type"] == "echo":
                self._echo_is_due = False
                continue
            topics = [topic for topic in message["topics"] if topic.partition(":")[0] in self._topics]
            if topics:
                await self.send_control({"type": "changed", "topics": topics})

    async def renew(self) -> None:
        """See that signals still arrive. Raises ``Refusal``."""
        if self._echo_is_due:
            raise self._lost()
        self._echo_is_due = True
        try:
            async with asyncio.timeout(_TIMEOUT):
                await get_channel_layer().send(self._channel, {"type": "echo"})
        except (OSError, RedisError, TimeoutError) as error:
            raise self._lost() from error

    async def close(self) -> None:
        """Leave the group and the layer."""
        layer = get_channel_layer()
        channels = [name for name in layer.channels if self._prefix in name]
        if self._channel:
            with suppress(OSError, RedisError, TimeoutError):
                async with asyncio.timeout(_TIMEOUT):
                    await layer.group_discard(GROUP, self._channel)
        for channel in channels:
            with suppress(TimeoutError):
                async with asyncio.timeout(_TIMEOUT):
                    await self._forget(channel)

    @staticmethod
    async def _forget(channel: str) -> None:
        """Take a channel out of the layer: it forgets one when somebody who waits there for a message is cancelled."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                while True:
                    await get_channel_layer().receive(channel)

    @staticmethod
    def _lost() -> Refusal:
        return Refusal(FAILED, code="signals", message=_("Live updates are away for a moment."))
