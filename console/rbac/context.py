"""What the reader may do somewhere, for templates: ``{% if may.host_add %}``."""

from __future__ import annotations

from django.http import HttpRequest

from console.accounts.models import User
from console.rbac.policy import ACTIONS, allowed_somewhere


class Permissions:
    """Answers by an action's name, its dot an underscore. Where there is an object, its own row says more."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def __getitem__(self, name: str) -> bool:
        """Whether the reader may. Raises ``KeyError`` for what is no action."""
        action = name.replace("_", ".", 1)
        if action not in ACTIONS:
            raise KeyError(name)
        # A request may be refused before anybody asked who sent it.
        user = getattr(self._request, "user", None)
        return isinstance(user, User) and allowed_somewhere(user, action)


def permissions(request: HttpRequest) -> dict[str, Permissions]:
    """Put the permissions into a template's context."""
    return {"may": Permissions(request)}
