"""What the views of this app ask of their request, and the head that every page of a container has."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.containers.queries import container_row
from console.inventory.models import ObservedContainer


def person(request: HttpRequest) -> User:
    """Return who is signed in; nobody else gets past the middleware."""
    if not isinstance(request.user, User):
        raise PermissionDenied(_("Sign in first."))
    return request.user


def host_name(request: HttpRequest) -> str:
    """Return the name under which the reader reaches this console, without the port."""
    return urlsplit(f"//{request.get_host()}").hostname or "localhost"


def header_context(request: HttpRequest, container: ObservedContainer) -> dict[str, Any]:
    """Return what the head of a container's page shows."""
    return {
        "container": container,
        "host": container.host,
        "row": container_row(container, user=person(request), address=host_name(request)),
        "topic": f"container:{container.host_id}:{container.container_id}",
    }
