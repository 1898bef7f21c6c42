"""How terminals ended, in the reader's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.terminals.models import TerminalSession

#: By the codes that the hub, and who orders an end from it, give.
_ENDINGS: Final[Mapping[str, Promise]] = {
    "exited": gettext_lazy("The process ended"),
    "closed": gettext_lazy("Closed by its owner"),
    "idle": gettext_lazy("Nobody typed for too long"),
    "age": gettext_lazy("It had lived as long as the policy allows"),
    "abandoned": gettext_lazy("Nobody came back to it"),
    "revoked": gettext_lazy("Its owner's session or rights ended"),
    "unrecorded": gettext_lazy("It could not be recorded"),
    "hub": gettext_lazy("The stream hub was stopped"),
    "lost": gettext_lazy("The stream hub ended"),
    "ended_by_admin": gettext_lazy("Ended by who oversees it"),
    "approval_over": gettext_lazy("Its approval was over"),
}


def ending(session: TerminalSession) -> str:
    """Return how a terminal ended. What an engine said stays as it was said."""
    if session.end_code in ("", "exited") and session.exit_code is not None:
        return _("Exit code %(code)s") % {"code": session.exit_code}
    words = str(_ENDINGS.get(session.end_code, session.end_reason))
    if session.ended_by and session.end_code != "closed":
        return _("%(how)s: %(person)s") % {"how": words, "person": session.ended_by}
    return words
