"""Fetching and authorising in one call: terminals of others, and requests to be let into a shell.

A terminal is its owner's. Who it is shared with may watch or type as far as their own rights reach now. Team owners and
admins oversee it: they watch, message, lock and end it, and type only where it is shared with them. Auditors see that
it is there. For everybody else it does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.accounts.models import User
from console.containers.access import access_container, still_allowed
from console.inventory.models import ObservedContainer
from console.lib.problems import Missing
from console.policies.queries import ShellTerms, terms_of
from console.rbac.access import Refused, check
from console.rbac.models import OwnedKind, owned_by, owner_of_container, team_of
from console.rbac.policy import Level, allowed, rights_of
from console.terminals.models import (
    ApprovalState,
    ShellApproval,
    TerminalKind,
    TerminalSession,
    TerminalShare,
    TerminalState,
)

#: What opens each kind of terminal.
ACTIONS: Final = {TerminalKind.EXEC.value: "container.terminal", TerminalKind.ATTACH.value: "container.attach"}
#: Why a terminal ended whose owner may not have it any more, as the hub tells its viewers.
REVOKED: Final = "revoked"
APPROVAL_OVER: Final = "approval_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What somebody is to a terminal, with the rights of now."""

    owns: bool = False
    #: Whether it is shared with them.
    is_guest: bool = False
    oversees: bool = False
    watches: bool = False
    types: bool = False


_MAY: Final[Mapping[str, Callable[[Place], bool]]] = {
    "terminal.watch": lambda place: place.watches,
    "terminal.type": lambda place: place.types,
    "terminal.share": lambda place: place.owns and place.types,
    "terminal.unshare": lambda place: place.owns,
    "terminal.hand_over": lambda place: place.owns and place.types,
    "terminal.end": lambda place: place.owns or place.oversees,
    "terminal.message": lambda place: place.oversees,
    "terminal.lock": lambda place: place.oversees,
    "terminal.unlock": lambda place: place.oversees,
}


def visible_terminals(user: User) -> QuerySet[TerminalSession]:
    """Return the terminals that ``user`` may know of."""
    rights = rights_of(user)
    if rights.everywhere >= Level.LOGS:
        return TerminalSession.objects.all()
    overseen = owned_by(rights.teams_with(Level.OWN), kind=OwnedKind.CONTAINER, object_id="container_id")
    shared = TerminalShare.objects.filter(person=user).values("session_id")
    readable = owned_by(rights.teams_with(Level.LOGS), kind=OwnedKind.CONTAINER, object_id="container_id")
    # What is theirs people find wherever it is; a program no further than its token reaches.
    own = Q(person=user) if user.auth_token is None else Q(person=user) & readable
    return TerminalSession.objects.filter(own | overseen | (Q(pk__in=shared) & readable))


def place_of(user: User, session: TerminalSession) -> Place:
    """Return what ``user`` may do at the terminal now."""
    team_id = owner_of_container(host_id=session.host_id, container_id=session.container_id)
    level = rights_of(user).within(team_id)
    share = TerminalShare.objects.filter(session=session, person=user).first()
    owns, oversees = session.person_id == user.pk, level >= Level.OWN
    types = (owns or (share is not None and share.types)) and may_have_shell(
        user, host_id=session.host_id, container_id=session.container_id, kind=session.kind
    )
    return Place(
        owns=owns,
        is_guest=share is not None,
        oversees=oversees,
        # What is theirs they do not just watch: it ends with the right to open it.
        watches=types if owns else oversees or types or (share is not None and level >= Level.LOGS),
        types=types,
    )


def rights_at(user: User, session: TerminalSession) -> Place | None:
    """Return the place of ``user`` at the terminal with the rights of now; ``None`` is none, and who is there goes."""
    place = place_of(user, session)
    return place if place.watches else None


def why_lost(user: User | None, session: TerminalSession) -> str:
    """Return why ``user`` may not have this terminal of theirs any more: the hub's code for its end."""
    host_id, container_id = session.host_id, session.container_id
    team_id = owner_of_container(host_id=host_id, container_id=container_id)
    if user is None or team_id is None:
        return REVOKED
    if not still_allowed(user, host_id=host_id, container_id=container_id, action=ACTIONS[session.kind]):
        return REVOKED
    is_in = is_let_in(user, team_id=team_id, host_id=host_id, container_id=container_id)
    return REVOKED if is_in else APPROVAL_OVER


def access_terminal(user: User, session_id: UUID, action: str) -> TerminalSession:
    """Return the terminal with its host and owner, for ``user`` to do ``action`` to.

    Raises ``Missing`` when the user may not know of it or it is not there, ``Refused`` when he may not do that.
    """
    found = visible_terminals(user).select_related("host", "person").filter(pk=session_id)
    session = found.defer("host__credentials", "host__info").first()
    if session is None:
        raise Missing(_("This terminal does not exist."))
    team_id = owner_of_container(host_id=session.host_id, container_id=session.container_id)
    # Who may not even open a shell there any more still ends what is theirs: in person, not by a token of less reach.
    ends_own = action == "terminal.end" and session.person_id == user.pk and user.auth_token is None
    reaches = ends_own or allowed(user, action, team_id=team_id)
    if not reaches or not _MAY[action](place_of(user, session)):
        raise Refused(action, host=session.host, object_id=session.container_id, object_name=session.container_name)
    return session


# Shells


def may_have_shell(
    user: User, *, host_id: UUID, container_id: str, kind: str = TerminalKind.EXEC, now: datetime | None = None
) -> bool:
    """Whether ``user`` may have a shell in the container at this moment: by rights, by policy, and let in if need be.

    Asked when one opens, and again every few seconds while it is open.
    """
    if not still_allowed(user, host_id=host_id, container_id=container_id, action=ACTIONS[kind]):
        return False
    team_id = owner_of_container(host_id=host_id, container_id=container_id)
    return team_id is None or is_let_in(user, team_id=team_id, host_id=host_id, container_id=container_id, now=now)


def is_let_in(
    user: User,
    *,
    team_id: UUID,
    host_id: UUID,
    container_id: str,
    terms: ShellTerms | None = None,
    now: datetime | None = None,
) -> bool:
    """Whether the team's policy asks for no approval, or ``user`` has one that is not over."""
    if not (terms or terms_of(team_id)).needs_approval:
        return True
    return ShellApproval.objects.filter(
        person=user,
        team_id=team_id,
        host_id=host_id,
        container_id=container_id,
        state=ApprovalState.APPROVED,
        until__gt=now or timezone.now(),
    ).exists()


def check_let_in(user: User, container: ObservedContainer, *, kind: str) -> None:
    """Let ``user`` open a shell in ``container``, as far as approvals go. Raises ``ShellRefused``."""
    team_id = owner_of_container(host_id=container.host_id, container_id=container.container_id)
    if team_id is None or is_let_in(
        user, team_id=team_id, host_id=container.host_id, container_id=container.container_id
    ):
        return
    raise ShellRefused(
        ACTIONS[kind],
        message=_("The policy of this container's team lets nobody into a shell without an approval."),
        next_step=_("Ask for one: an owner of the team or an admin decides."),
        code="approval_needed",
        container=container,
    )


def check_room(user: User, container: ObservedContainer, *, kind: str) -> None:
    """Let ``user`` open one more shell in what the container's team owns. Raises ``ShellRefused``.

    Called in the transaction that makes the session, so that of two at once only one is the last.
    """
    team_id = owner_of_container(host_id=container.host_id, container_id=container.container_id)
    if team_id is None or rights_of(user).everywhere >= Level.OWN:
        return  # what nobody owns has no policy, and who owns everything is bound by none
    User.objects.select_for_update().get(pk=user.pk)
    most = terms_of(team_id).at_once
    mine = TerminalSession.objects.filter(person=user).exclude(state=TerminalState.ENDED)
    owned = mine.annotate(team_id=team_of(kind=OwnedKind.CONTAINER, object_id="container_id"))
    number = owned.filter(team_id=team_id).count()
    if number < most:
        return
    message = ngettext(
        "You have %(number)s terminal open in what this container's team owns, and its policy allows no more.",
        "You have %(number)s terminals open in what this container's team owns, and its policy allows no more.",
        number,
    )
    raise ShellRefused(
        ACTIONS[kind],
        message=message % {"number": number},
        next_step=_("End one of them, on the page of terminals."),
        code="policy.shells_at_once",
        container=container,
    )


class ShellRefused(Refused):
    """A shell that the policy does not allow now, with what to do about it."""

    def __init__(self, action: str, *, message: str, next_step: str, code: str, container: ObservedContainer) -> None:
        super().__init__(
            action,
            message=message,
            code=code,
            host=container.host,
            object_id=container.container_id,
            object_name=container.name,
        )
        #: For the page that answers.
        self.next_step = next_step


# Requests


def visible_approvals(user: User) -> QuerySet[ShellApproval]:
    """Return the requests that ``user`` may know of: their own, those of teams they own, all for who reads all."""
    rights = rights_of(user)
    if rights.everywhere >= Level.LOGS:
        return ShellApproval.objects.all()
    own = Q(person=user)
    if user.auth_token is not None:
        own &= Q(team_id__in=rights.teams_with(Level.LOGS))
    return ShellApproval.objects.filter(own | Q(team_id__in=rights.teams_with(Level.OWN)))


def access_approval(user: User, approval_id: UUID, action: str) -> ShellApproval:
    """Return the request for ``user`` to do ``action`` to. Raises ``Missing`` or ``Refused``."""
    found = visible_approvals(user).select_related("host", "team", "person").defer("host__credentials", "host__info")
    approval = found.filter(pk=approval_id).first()
    if approval is None:
        raise Missing(_("This request does not exist."))
    is_mine = approval.person_id == user.pk
    is_refused, message = action == "shell.withdraw" and not is_mine, ""
    if action == "shell.approve" and is_mine:
        # Two pairs of eyes: an admin who is alone lets himself in neither. He can change the policy, on record.
        message = _("Nobody approves their own request, admins neither: ask an owner of the team, or another admin.")
        is_refused = True
    if is_refused or not allowed(user, action, team_id=approval.team_id):
        raise Refused(
            action,
            message=message,
            host=approval.host,
            object_id=approval.container_id,
            object_name=approval.container_name,
        )
    return approval


def access_shell_request(user: User, host_id: UUID, container_id: str) -> ObservedContainer:
    """Return the container that ``user`` may ask to be let into a shell of. Raises ``Missing`` or ``Refused``.

    Who could not have a shell with an approval either asks for none.
    """
    container = access_container(user, host_id, container_id, "container.terminal")
    check(
        user,
        "shell.ask",
        team_id=container.team_id,
        host=container.host,
        object_id=container.container_id,
        object_name=container.name,
    )
    return container
