"""Fetching a terminal and authorising in one call."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.lib.problems import Missing
from console.terminals.models import TerminalSession
from console.terminals.services import rights_at


def access_terminal(user: User, session_id: UUID) -> TerminalSession:
    """Return the terminal, for ``user`` to be at. Raises ``Missing`` when it is not theirs, with the rights of now."""
    session = TerminalSession.objects.select_related("host").filter(pk=session_id).first()
    if session is None or rights_at(user, session) is None:
        raise Missing(_("This terminal does not exist."))
    return session
