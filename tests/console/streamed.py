"""What the tests of streamed answers share: a browser that speaks to the ASGI side, and rights that end meanwhile."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.sessions.models import Session
from django.test import AsyncClient

from console.accounts.models import Role, User
from console.lib.websocket import in_database

#: The ways in which somebody may no longer read what they began to read.
ENDINGS: Final = ("suspended", "without rights", "signed out")


async def browser_of(user: User) -> AsyncClient:
    """A browser in which somebody is signed in."""

    def sign_in() -> AsyncClient:
        client = AsyncClient()
        client.force_login(user)
        return client

    return await in_database(sign_in)


async def content(answer: Any) -> bytes:
    """Read a streamed answer to its end."""
    return b"".join([part async for part in answer])


async def end_rights(how: str) -> None:
    """Everybody is suspended, without a role, or signed out."""

    def end() -> None:
        match how:
            case "suspended":
                User.objects.update(is_active=False)
            case "without rights":
                User.objects.update(role=Role.USER)
            case "signed out":
                Session.objects.all().delete()

    await in_database(end)
