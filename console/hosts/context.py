"""What the top bar of every page shows of hosts, asked for only when a template does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from console.accounts.models import User
from console.hosts.queries import HostChoice, host_choices


def host_filter(request: HttpRequest) -> dict[str, Sequence[HostChoice]]:
    """Put the hosts that lists can be narrowed to into a template's context; fewer than two are no choice."""

    def choices() -> list[HostChoice]:
        # A request may be refused before anybody asked who sent it.
        user = getattr(request, "user", None)
        found = host_choices(user) if isinstance(user, User) else []
        return found if len(found) > 1 else []

    return {"host_filter": cast("Sequence[HostChoice]", SimpleLazyObject(choices))}
