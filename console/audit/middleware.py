"""A refusal is an act too: it gets its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from console.accounts.confirmation import Unconfirmed
from console.accounts.middleware import token_of
from console.accounts.models import ApiToken, TokenScope, User
from console.audit.services import record_refusal
from console.lib import problems
from console.lib.origin import origin_of
from console.rbac.access import Refused

#: Where people look after their own accounts, sign in, and join.
_ACCOUNTS: Final = ("settings/", "accounts/", "invitations/")


class NotForTokens(Refused):
    """A token was used for what no token of its kind is for."""

    def __init__(self, token: ApiToken, *, code: str, message: str, next_step: str) -> None:
        super().__init__("token.use", message=message, code=code, object_id=str(token.pk), object_name=str(token))
        self.next_step = next_step


class TokenLimits:
    """Keeps tokens from what they are not for, before any view is asked: one that reads changes nothing, none manages
    an account."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, _view: object, _arguments: Sequence[Any], _options: Mapping[str, Any]
    ) -> HttpResponse | None:
        """Refuse, with a row; or let the view answer."""
        token = token_of(request)
        refused = _breach(request, token) if token is not None else None
        if token is None or refused is None:
            return None
        record_refusal(refused, actor=token.owner, origin=origin_of(request))
        return problems.forbidden(request, refused)


def _breach(request: HttpRequest, token: ApiToken) -> NotForTokens | None:
    """Return what ``request`` asks of ``token`` that it is not for, if anything."""
    match = request.resolver_match
    if match is None or match.route.startswith(_ACCOUNTS):
        return NotForTokens(
            token,
            code="token_in_person",
            message=_("Accounts are looked after by people who are signed in, not by tokens."),
            next_step=_("Sign in with a browser and do it there."),
        )
    if token.scope == TokenScope.READ and request.method not in ("GET", "HEAD"):
        return NotForTokens(
            token,
            code="token_scope",
            message=_("This token only reads, so nothing was done."),
            next_step=_("Use a token whose scope reaches further."),
        )
    return None


class Refusals:
    """Writes the audit row of each refusal and leaves the answer to Django's handler of 403."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Record a refusal; to be asked who one is before a form is shown is none."""
        only_looks = isinstance(exception, Unconfirmed) and request.method in ("GET", "HEAD")
        if isinstance(exception, Refused | Unconfirmed) and not only_looks:
            actor = request.user if isinstance(request.user, User) else None
            record_refusal(exception, actor=actor, origin=origin_of(request))
