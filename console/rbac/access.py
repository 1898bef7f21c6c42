"""The refusal that every access check raises.

``check`` is the whole of it for acts on no object of their own; where there is an object, its app's ``access`` module
fetches it and then calls ``check`` with what the audit row should name.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from console.accounts import confirmation
from console.accounts.models import User
from console.rbac.policy import DANGEROUS, allowed, allowed_somewhere


class NamedHost(Protocol):
    """As much of a host as a refusal needs to name it; hosts live above this floor."""

    id: UUID
    name: str


class Refused(PermissionDenied):
    """Somebody who may know of an object may not do this to it. Answered with 403 and an audit row ``denied``."""

    def __init__(
        self,
        action: str,
        *,
        message: str = "",
        code: str = "",
        host: NamedHost | None = None,
        object_id: str = "",
        object_name: str = "",
    ) -> None:
        super().__init__(message or _("Your role does not allow it: %(action)s.") % {"action": action})
        self.action = action
        self.code = code or f"policy.{action}"
        self.host = host
        self.object_id = object_id
        self.object_name = object_name


def check(
    user: User,
    action: str,
    *,
    team_id: UUID | None = None,
    host: NamedHost | None = None,
    object_id: str = "",
    object_name: str = "",
) -> None:
    """Let ``user`` do ``action`` to what the team owns (without one, to what nobody owns), or raise ``Refused``.

    A dangerous act asks for a recent proof that it is them as well, and raises ``Unconfirmed`` without one.
    The middleware of ``console.audit`` writes the audit row for pages; sockets and workers, which have no middleware,
    call ``console.audit.services.record_refusal`` themselves.
    """
    if not allowed(user, action, team_id=team_id):
        message = _words(user, action)
        raise Refused(action, message=message, host=host, object_id=object_id, object_name=object_name)
    if action in DANGEROUS:
        confirmation.require(user, action, host=host, object_id=object_id, object_name=object_name)


def check_somewhere(user: User, action: str) -> None:
    """Let ``user`` into a page about ``action``, when there can be something to do it to; else raise ``Refused``."""
    if not allowed_somewhere(user, action):
        raise Refused(action, message=_words(user, action))


def _words(user: User, action: str) -> str:
    """Return what a refusal says when it may be the token's limits that ``user`` met, rather than his own."""
    return _("This token, or your role, does not allow it: %(action)s.") % {"action": action} if user.auth_token else ""
