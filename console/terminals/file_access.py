"""Fetching and authorising in one call: files of a container, from the place of one's own terminal."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.containers.access import access_container, still_allowed
from console.inventory.models import ObservedContainer
from console.lib.problems import Missing
from console.rbac.models import owner_of_container
from console.rbac.policy import Level, rights_of
from console.terminals.access import ShellRefused, is_let_in
from console.terminals.models import TerminalSession, TerminalState

READ = "container.file_read"
WRITE = "container.file_write"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePlace:
    """A container whose files somebody may reach now, and their own terminal in it, if they came from one."""

    container: ObservedContainer
    session: TerminalSession | None
    #: Whether the engine of a host with known holes may be asked all the same: who owns everything owns the host.
    trusts_engine: bool

    @property
    def user(self) -> str:
        """Whom the terminal's shell runs as; empty is the container's own user."""
        return str(self.session.parameters.get("user", "")) if self.session is not None else ""


def access_files(user: User, *, host_id: UUID, container_id: str, session_id: UUID | None, action: str) -> FilePlace:
    """Return the container for ``user`` to do ``action`` with its files. Raises ``Missing`` or ``Refused``."""
    container = access_container(user, host_id, container_id, action)
    session = None
    if session_id is not None:
        mine = TerminalSession.objects.filter(person=user, host_id=host_id, container_id=container_id)
        session = mine.filter(pk=session_id).first()
        if session is None:
            raise Missing(_("This terminal does not exist."))
    if not _is_let_in(user, host_id=host_id, container_id=container_id):
        raise ShellRefused(
            action,
            message=_("The policy of this container's team lets nobody near its files without an approval."),
            next_step=_("Ask for a shell: an owner of the team or an admin decides."),
            code="approval_needed",
            container=container,
        )
    return FilePlace(container=container, session=session, trusts_engine=rights_of(user).everywhere >= Level.OWN)


def access_session(user: User, session_id: UUID) -> FilePlace:
    """Return the place of ``user``'s own terminal. Raises ``Missing`` or ``Refused``."""
    session = TerminalSession.objects.filter(person=user, pk=session_id).exclude(state=TerminalState.ISSUED).first()
    if session is None:
        raise Missing(_("This terminal does not exist."))
    return access_files(
        user, host_id=session.host_id, container_id=session.container_id, session_id=session_id, action=READ
    )


def may_go_on(user: User, *, host_id: UUID, container_id: str, action: str) -> bool:
    """Whether ``user`` may go on with a file that is on its way."""
    return still_allowed(user, host_id=host_id, container_id=container_id, action=action) and _is_let_in(
        user, host_id=host_id, container_id=container_id
    )


def _is_let_in(user: User, *, host_id: UUID, container_id: str) -> bool:
    """Whether whoever needs an approval for a shell has one that is not over: files are what a shell would give."""
    team_id = owner_of_container(host_id=host_id, container_id=container_id)
    return team_id is None or is_let_in(user, team_id=team_id, host_id=host_id, container_id=container_id)
