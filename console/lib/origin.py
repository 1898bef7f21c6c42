"""Where a request came from, as our own server saw it; nothing a client claims is believed."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from console.lib.text import one_line

USER_AGENT_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """An address and a browser's own description of itself, both cut and cleaned."""

    address: str = ""
    user_agent: str = ""


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""  # a unix socket has no address


def origin_of(request: HttpRequest) -> Origin:
    """Return where ``request`` came from.

    The address is the connection's. Behind a proxy the web server puts the right one there (uvicorn's
    ``--forwarded-allow-ips``); X-Forwarded-For itself is never read here.
    """
    return Origin(
        address=_address(request.META.get("REMOTE_ADDR", "")),
        user_agent=one_line(request.META.get("HTTP_USER_AGENT", ""), limit=USER_AGENT_LENGTH),
    )


def origin_of_scope(scope: Mapping[str, Any]) -> Origin:
    """Return where a socket came from, by its ASGI scope."""
    client = scope.get("client")
    agents = [value for name, value in scope.get("headers", ()) if name == b"user-agent"]
    return Origin(
        address=_address(client[0]) if client else "",
        user_agent=one_line(agents[0].decode("latin-1"), limit=USER_AGENT_LENGTH) if agents else "",
    )
