"""A refusal is an act too: it gets its row."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console.accounts.models import User
from console.audit.services import record_refusal
from console.lib.origin import origin_of
from console.rbac.access import Refused


class Refusals:
    """Writes the audit row of each refusal and leaves the answer to Django's handler of 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Record a refusal."""
        if isinstance(exception, Refused):
            actor = request.user if isinstance(request.user, User) else None
            record_refusal(exception, actor=actor, origin=origin_of(request))
