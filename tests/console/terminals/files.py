"""What the tests of files share: how they ask, a team, and a body that comes in parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.test import AsyncClient

from console.accounts.models import Membership, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.containers.services import assign_container
from console.inventory.models import ObservedContainer
from console.lib.websocket import in_database
from console.policies.rules import Rules
from console.policies.services import save_policy
from console.terminals.models import TerminalSession, TerminalState

JSON = {"Accept": "application/json"}


def target(container: ObservedContainer, /, **more: Any) -> dict[str, Any]:
    """What a request says about where it goes."""
    return {"host": str(container.host_id), "container": container.container_id, **more}


async def fetch(client: AsyncClient, container: ObservedContainer, /, path: str, **more: Any) -> Any:
    """Download."""
    return await client.post("/terminals/files/download/", target(container, path=path, **more), headers=JSON)


async def send(client: AsyncClient, container: ObservedContainer, data: bytes, /, **where: Any) -> Any:
    """Upload, to a server that has read the body before."""
    query = urlencode(target(container, **{"folder": "/tmp", "name": "file", **where}))
    # Django's browser says nothing of a body without content; real ones do.
    headers = JSON if data else JSON | {"Content-Length": "0"}
    url = f"/terminals/files/upload/?{query}"
    return await client.post(url, data, content_type="application/octet-stream", headers=headers)


async def give_to_team(
    container: ObservedContainer, *, alice: User, people: dict[User, TeamRole], **rules: Any
) -> Team:
    """Make a team own the container, with a policy."""

    def give() -> Team:
        team = Team.objects.create(name="red")
        for person, role in people.items():
            Membership.objects.create(team=team, person=person, role=role)
        assign_container(actor=alice, container=container, team=team)
        if rules:
            save_policy(actor=alice, team=team, rules=Rules(**rules), note="", based_on=0)
        return team

    return await in_database(give)


async def open_session(
    container: ObservedContainer, person: User, *, state: str = TerminalState.OPEN, **parameters: Any
) -> TerminalSession:
    """A terminal of somebody's, as far as the database knows."""
    return await in_database(
        lambda: TerminalSession.objects.create(
            person=person,
            host=container.host,
            container_id=container.container_id,
            container_name=container.name,
            state=state,
            parameters={"command": None, "user": "", **parameters},
        )
    )


async def rows(action: str) -> list[tuple[str, dict[str, Any]]]:
    """Return outcome and details of the rows about ``action``, oldest first."""
    found = await in_database(lambda: list(AuditEvent.objects.filter(action=action).order_by("sequence")))
    return [(row.outcome, row.details) for row in found]


class SlowBody:
    """An upload straight to the web server's application: its parts are taken when somebody asks for them."""

    def __init__(self, parts: Iterable[bytes], *, size: int, before: Callable[[int], None] | None = None) -> None:
        self.parts = list(parts)
        self.size = size
        #: How many parts were taken, and what happens before each.
        self.taken = 0
        self.before = before
        self.answer: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        """The next part; at the end the sender goes."""
        await asyncio.sleep(0)  # what comes from a network is never there at once
        if self.taken >= len(self.parts):
            return {"type": "http.disconnect"}
        if self.before is not None:
            await in_database(lambda: self.before(self.taken) if self.before else None)
        self.taken += 1
        sent = sum(map(len, self.parts[: self.taken]))
        return {"type": "http.request", "body": self.parts[self.taken - 1], "more_body": sent < self.size}

    async def send(self, message: Any) -> None:
        """Take the answer."""
        self.answer.append(message)

    @property
    def status(self) -> int:
        """The answer's."""
        return next(int(message["status"]) for message in self.answer if message["type"] == "http.response.start")

    async def post(self, client: AsyncClient, container: ObservedContainer, **where: Any) -> int:
        """Upload as a browser does."""
        from console.asgi import application

        query = urlencode(target(container, **{"folder": "/tmp", "name": "file", **where}))
        token = "x" * 32
        cookies = {settings.CSRF_COOKIE_NAME: token, **{key: morsel.value for key, morsel in client.cookies.items()}}
        headers = {
            "host": "testserver",
            "accept": "application/json",
            "content-length": str(self.size),
            "content-type": "application/octet-stream",
            "cookie": "; ".join(f"{key}={value}" for key, value in cookies.items()),
            "origin": "http://testserver",
            "x-csrftoken": token,
        }
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/terminals/files/upload/",
            "raw_path": b"/terminals/files/upload/",
            "query_string": query.encode(),
            "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
            "client": ("192.0.2.7", 40000),
            "server": ("testserver", 80),
            "http_version": "1.1",
        }
        async with asyncio.timeout(20):
            await application(scope, self.receive, self.send)
        return self.status
