"""The socket that tells an open page what changed, never the data: it asks for that through the front door."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from console.accounts.models import User
from console.lib.live import Subscription
from console.lib.websocket import FAILED, Receive, Refusal, Scope, Send, StreamConsumer, in_database
from console.operations.models import Operation
from console.rbac.models import OwnedKind, Ownership
from console.rbac.policy import Level, allowed_somewhere, rights_of

#: What somebody must be allowed to do to be told about a topic; the part before the colon.
ACTIONS: Final = {
    "containers": "container.view",
    "container": "container.view",
    "images": "image.view",
    "volumes": "volume.view",
    "networks": "network.view",
    "hosts": "host.view",
    "host": "host.view",
    "operations": "operation.view",
    "operation": "operation.view",
    "notifications": "operation.view",
    "terminals": "terminal.view",
    "approvals": "terminal.view",
    "recordings": "recording.view",
    "kept-logs": "log.view",
    "audit": "audit.view",
    "people": "person.view",
    "teams": "team.view",
}


def _allowed_topics(user: User) -> frozenset[str]:
    return frozenset(topic for topic, action in ACTIONS.items() if allowed_somewhere(user, action))


def _is_id(text: str) -> bool:
    """Whether a topic names an id. What comes by way of Redis is a signal without authority, and may be anything."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _known(user: User, topics: list[str]) -> list[str]:
    """Return those of ``topics`` that ``user`` may be told: of what names an object, only what he may know of."""
    parts = {topic: topic.split(":") for topic in topics}
    teams = rights_of(user).teams_with(Level.VIEW)
    asked = [words[2] for words in parts.values() if words[0] == "container" and len(words) == 3]
    # By who owns it: what was just removed is in no inventory any more.
    owned = Ownership.objects.filter(kind=OwnedKind.CONTAINER, object_id__in=asked, team_id__in=teams)
    containers = {
        f"container:{host_id}:{container_id}" for host_id, container_id in owned.values_list("host_id", "object_id")
    }
    asked = [words[1] for words in parts.values() if words[0] == "operation" and len(words) == 2 and _is_id(words[1])]
    operations = {
        f"operation:{pk}" for pk in Operation.objects.visible_to(user).filter(pk__in=asked).values_list("pk", flat=True)
    }
    return [topic for topic, words in parts.items() if len(words) == 1 or topic in containers or topic in operations]


class LiveConsumer(StreamConsumer):
    """Forwards topics that the person may know of.

    With each renewal of its lease it sends itself a signal. One that has not come back by the next renewal means that
    signals are being lost, so the socket closes: the page opens another and looks again at everything.
    """

    _topics: frozenset[str] = frozenset()
    _user: User | None = None
    _echo_is_due = False

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self._signals = Subscription()

    async def _first_frame(self) -> dict[str, Any]:
        return {}  # there is nothing to ask for: the session says it all

    async def open(self, first: dict[str, Any]) -> None:  # noqa: ARG002
        """Join the group. Raises ``Refusal``."""
        await in_database(self.may_go_on)
        try:
            await self._signals.open()
        except (OSError, RedisError, TimeoutError) as error:
            raise self._lost() from error
        # From here on nothing is missed: the page asks once for what changed since it was made.
        await self.send_control({"type": "listening"})

    def may_go_on(self) -> bool:
        """Look up what the person may see now; nothing at all is no reason to close."""
        user = self._user = User.objects.filter(pk=self.scope["user"].pk).first()
        self._topics = _allowed_topics(user) if user is not None else frozenset()
        return user is not None

    async def pump(self) -> None:
        """Forward signals until the socket ends."""
        while True:
            message = await self._signals.receive()
            if message["type"] == "echo":
                self._echo_is_due = False
                continue
            topics = await self._told(message["topics"])
            if topics:
                await self.send_control({"type": "changed", "topics": topics})

    async def _told(self, topics: list[str]) -> list[str]:
        user, mine = self._user, f"notifications:{self.scope['user'].pk}"
        found = [
            topic
            for topic in topics
            if topic.partition(":")[0] in self._topics and (topic == mine or not topic.startswith("notifications:"))
        ]
        names_objects = any(":" in topic and topic != mine for topic in found)
        if user is None or rights_of(user).everywhere >= Level.VIEW or not names_objects:
            return found
        others = [topic for topic in found if topic != mine]
        return [*(topic for topic in found if topic == mine), *await in_database(lambda: _known(user, others))]

    async def renew(self) -> None:
        """See that signals still arrive. Raises ``Refusal``."""
        if self._echo_is_due:
            raise self._lost()
        self._echo_is_due = True
        try:
            await self._signals.echo()
        except (OSError, RedisError, TimeoutError) as error:
            raise self._lost() from error

    async def close(self) -> None:
        """Listen no more."""
        await self._signals.close()

    @staticmethod
    def _lost() -> Refusal:
        return Refusal(FAILED, code="signals", message=_("Live updates are away for a moment."))
