"""Proving again that one is who one was at the sign-in, before an act that somebody at an unwatched desk must not do.

Which acts ask for it is said by the sets of names here and in ``console.rbac.policy``; ``require`` is the whole check.
"""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.translation import gettext as _

from console.accounts.models import User

#: Seconds for which a proof counts.
RECENT: Final = 15 * 60
_SESSION_KEY: Final = "confirmed_at"

#: Acts of people on their own accounts that ask for a recent proof; ``rbac.policy.DANGEROUS`` has the others.
DANGEROUS_FOR_ONESELF: Final = frozenset(
    {
        "connection.add",
        "connection.remove",
        "password.change",
        "second_factor.add_app",
        "second_factor.add_key",
        "second_factor.rename_key",
        "second_factor.remove_app",
        "second_factor.remove_key",
        "second_factor.renew_codes",
        "second_factor.turn_off",
        "token.create",
    }
)


class Unconfirmed(PermissionDenied):
    """Who asks has the right, but has to prove first that it still is them. Answered with 403 ``reauth_required``."""

    code: Final = "reauth_required"

    def __init__(self, action: str, *, host: Any = None, object_id: str | UUID = "", object_name: str = "") -> None:
        super().__init__(_("This act asks for a sign-in within the last 15 minutes: %(action)s.") % {"action": action})
        self.action = action
        self.host = host
        self.object_id = str(object_id)
        self.object_name = object_name


def confirm(session: SessionBase) -> None:
    """Note that the session's person has just proved who they are."""
    session[_SESSION_KEY] = time.time()


@receiver(user_logged_in)
def _confirm_sign_in(*, request: HttpRequest | None = None, **_kwargs: Any) -> None:
    """Signing in is a proof, by whichever way."""
    if request is not None:
        confirm(request.session)


def read_proof(request: HttpRequest) -> float | None:
    """Return when the person behind ``request`` last proved who they are; a token never does."""
    if getattr(request, "auth_token", None) is not None:
        return None
    at = request.session.get(_SESSION_KEY)
    return at if isinstance(at, float) else None


def is_recent(user: User) -> bool:
    """Whether ``user``, as fetched for a request, proved lately who they are."""
    # A proof of the future was given before the clock was set back; nobody knows how long ago.
    return user.confirmed_at is not None and 0 <= time.time() - user.confirmed_at < RECENT


def require(user: User, action: str, *, host: Any = None, object_id: str | UUID = "", object_name: str = "") -> None:
    """Let ``user`` go on to a dangerous act, or raise ``Unconfirmed``."""
    if not is_recent(user):
        raise Unconfirmed(action, host=host, object_id=object_id, object_name=object_name)
