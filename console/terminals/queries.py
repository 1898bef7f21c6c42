"""What the page of terminals shows: who has a shell where, who asks for one, and how the last ones ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from console import gateway
from console.accounts.models import Membership, Role, User
from console.gateway import HubAway, HubRefused, hub_messages
from console.policies.queries import terms_of
from console.rbac.models import OwnedKind, owner_of_container, team_of
from console.rbac.policy import Level, level_of_role, rights_of
from console.recordings.models import KEPT, Recording
from console.terminals.access import Place, visible_approvals, visible_terminals
from console.terminals.models import (
    ApprovalState,
    ShellApproval,
    TerminalKind,
    TerminalSession,
    TerminalShare,
    TerminalState,
)
from console.terminals.words import ending

#: Rows of each part of the page; what is beyond is found by the search.
_MOST_OPEN: Final = 200
_MOST_ENDED: Final = 50
_MOST_REQUESTS: Final = 50
#: How long ones that ended are shown.
_LATELY: Final = timedelta(days=7)
#: Seconds since a keystroke after which somebody is not typing any more.
_TYPING: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """How the page is narrowed; what makes no sense is ignored, as old links may hold it."""

    mine: bool = False
    words: str = ""

    @classmethod
    def of(cls, parameters: QueryDict) -> Filters:
        """Read them from an address."""
        words = parameters.get("q", "").replace("\0", "").strip()[:100]
        return cls(mine=parameters.get("who", "") == "mine", words=words)

    @property
    def is_narrow(self) -> bool:
        """Whether anything may be left out."""
        return self.mine or bool(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Somebody who is at a terminal now."""

    name: str
    types: bool
    owns: bool
    is_typing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRow:
    """A terminal that is open, as the list shows it."""

    session: TerminalSession
    place: Place
    container_url: str
    #: What the dock opens it with.
    dock: str
    #: Whether the hub knows it; if not, nothing below is known.
    is_known: bool = False
    idle: timedelta | None = None
    viewers: tuple[Viewer, ...] = ()
    size: str = ""
    output_bytes: int | None = None
    is_recorded: bool = False
    is_locked: bool = False

    @property
    def what(self) -> str:
        """The program, when it is no shell that was looked for; with its arguments, which may hold a password, for
        those who may watch it."""
        program, *arguments = self.session.parameters.get("command") or ("",)
        return " ".join((program, *arguments)) if self.place.watches else f"{program} …" if arguments else program


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRow:
    """A terminal that has ended, as the list shows it."""

    session: TerminalSession
    container_url: str
    ending: str
    #: Of its recording, where there is one that the reader may see.
    recording_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for a shell, and what the reader may do about it."""

    approval: ShellApproval
    is_mine: bool
    may_decide: bool
    container_url: str
    #: What the dock opens the shell with.
    dock: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalPage:
    """Everything that the page of terminals shows."""

    requests: list[Request]
    running: list[OpenRow]
    #: Those beyond the bound.
    left: int
    ended: list[EndedRow]
    #: Whether the hub did not answer: then who is there, idle times and sizes are not known.
    is_stale: bool


def terminal_page(user: User, filters: Filters) -> TerminalPage:
    """Return what ``user`` may see of terminals and of requests for shells."""
    terminals = visible_terminals(user).defer("host__credentials", "host__info").select_related("host", "person")
    if filters.mine:
        terminals = terminals.filter(person=user)
    if filters.words:
        found = Q(container_name__icontains=filters.words) | Q(container_id__startswith=filters.words)
        terminals = terminals.filter(
            found | Q(person__username__icontains=filters.words) | Q(person__name__icontains=filters.words)
        )
    running = terminals.filter(state=TerminalState.OPEN).order_by("-opened_at", "-pk")
    shown = list(running.annotate(team_id=team_of(kind=OwnedKind.CONTAINER, object_id="container_id"))[:_MOST_OPEN])
    held = _held()
    since = timezone.now() - _LATELY
    ended = terminals.filter(state=TerminalState.ENDED, ended_at__gt=since).order_by("-ended_at", "-pk")[:_MOST_ENDED]
    return TerminalPage(
        requests=requests_of(user),
        running=_open_rows(shown, user=user, held=held or {}),
        left=running.count() - len(shown) if len(shown) == _MOST_OPEN else 0,
        ended=_ended_rows(list(ended), user=user),
        is_stale=held is None,
    )


def _ended_rows(sessions: Sequence[TerminalSession], *, user: User) -> list[EndedRow]:
    kept = Recording.objects.visible_to(user).filter(session_id__in=[session.pk for session in sessions])
    recordings = dict(kept.filter(state__in=KEPT).values_list("session_id", "pk"))
    return [
        EndedRow(
            session=session,
            container_url=_url(session.host_id, session.container_id),
            ending=ending(session),
            recording_url=reverse("recording-detail", args=[recordings[session.pk]])
            if session.pk in recordings
            else "",
        )
        for session in sessions
    ]


def requests_of(user: User) -> list[Request]:
    """Return the requests that ``user`` may know of and that are not over: those that wait, and those let in."""
    now = timezone.now()
    current = Q(state=ApprovalState.ASKED) | Q(state=ApprovalState.APPROVED, until__gt=now)
    found = visible_approvals(user).filter(current).select_related("host", "person", "team", "decided_by")
    rights = rights_of(user)
    requests = [
        Request(
            approval=approval,
            is_mine=approval.person_id == user.pk,
            may_decide=approval.person_id != user.pk and rights.within(approval.team_id) >= Level.OWN,
            container_url=_url(approval.host_id, approval.container_id),
            dock=json.dumps(
                {
                    "host": str(approval.host_id),
                    "container": approval.container_id,
                    "kind": TerminalKind.EXEC.value,
                    "name": approval.container_name,
                }
            ),
        )
        for approval in found.defer("host__credentials", "host__info").order_by("asked_at")[:_MOST_REQUESTS]
    ]
    return sorted(requests, key=lambda request: request.approval.state != ApprovalState.ASKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What the top bar says about requests for shells."""

    #: Those that wait for the reader to decide.
    to_decide: int
    #: Those of the reader's own that were approved and are not over.
    let_in: int


def waiting_for(user: User) -> Waiting:
    """Return what waits for ``user`` to decide, and where ``user`` is let in."""
    requests = requests_of(user)
    return Waiting(
        to_decide=sum(request.may_decide and request.approval.state == ApprovalState.ASKED for request in requests),
        let_in=sum(request.is_mine and request.approval.state == ApprovalState.APPROVED for request in requests),
    )


def _held() -> dict[str, Mapping[str, Any]] | None:
    """Return what the hub says of each terminal, by session; ``None`` when it does not answer."""
    try:
        answer = gateway.ask_hub(hub_messages.ListTerminals())
    except (HubAway, HubRefused):
        return None
    return {str(terminal["session"]): terminal for terminal in answer.get("terminals", ())}


def _open_rows(
    sessions: Sequence[TerminalSession], *, user: User, held: Mapping[str, Mapping[str, Any]]
) -> list[OpenRow]:
    rights = rights_of(user)
    shares = dict(
        TerminalShare.objects.filter(person=user, session__in=[session.pk for session in sessions]).values_list(
            "session_id", "types"
        )
    )
    rows = []
    for session in sessions:
        level = rights.within(getattr(session, "team_id", None))
        owns, oversees, share = session.person_id == user.pk, level >= Level.OWN, shares.get(session.pk)
        types = (owns or bool(share)) and level >= Level.SHELL
        place = Place(
            owns=owns,
            is_guest=share is not None,
            oversees=oversees,
            watches=types or oversees or (share is not None and level >= Level.LOGS),
            types=types,
        )
        rows.append(_open_row(session, place=place, held=held.get(str(session.pk))))
    return rows


def _open_row(session: TerminalSession, *, place: Place, held: Mapping[str, Any] | None) -> OpenRow:
    url = _url(session.host_id, session.container_id)
    dock = json.dumps(
        {
            "session": str(session.pk),
            "host": str(session.host_id),
            "container": session.container_id,
            "kind": session.kind,
            "name": session.container_name,
            "key": f"terminal:{session.pk}",
        }
    )
    if held is None or held.get("state") != TerminalState.OPEN:
        return OpenRow(session=session, place=place, container_url=url, dock=dock)
    return OpenRow(
        session=session,
        place=place,
        container_url=url,
        dock=dock,
        is_known=True,
        idle=timedelta(seconds=float(held["idle"])),
        viewers=_viewers(held["viewers"]),
        size=f"{held['columns']}×{held['rows']}",
        output_bytes=int(held["bytes_out"]),
        is_recorded=bool(held["recorded"]),
        is_locked=bool(held["locked"]),
    )


def _viewers(present: list[Mapping[str, Any]]) -> tuple[Viewer, ...]:
    """Return who is there: everybody once, in as many tabs as they may have it open, who owns it first."""
    people: dict[str, Viewer] = {}
    for seat in present:
        before = people.get(seat["person"])
        typed = seat.get("typed")
        people[seat["person"]] = Viewer(
            name=seat["name"],
            types=seat["types"],
            owns=seat["owns"],
            is_typing=(typed is not None and typed < _TYPING) or (before is not None and before.is_typing),
        )
    return tuple(sorted(people.values(), key=lambda viewer: (not viewer.owns, not viewer.types, viewer.name)))


def _url(host_id: UUID, container_id: str) -> str:
    return reverse("container-detail", args=[host_id, container_id])


# Who may be let into a terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """With whom a terminal can be shared."""

    watchers: list[User]
    typists: list[User]


def candidates(session: TerminalSession) -> Candidates:
    """Return who may watch the session, and who of them may type: whoever may do as much without it."""
    team_id = owner_of_container(host_id=session.host_id, container_id=session.container_id)
    roles = dict(Membership.objects.filter(team_id=team_id).values_list("person_id", "role")) if team_id else {}
    people = User.objects.filter(Q(pk__in=roles) | Q(role=Role.ADMIN), is_active=True)
    if session.person_id is not None:
        people = people.exclude(pk=session.person_id)
    terms = terms_of(team_id)
    let_in = _let_in(session, team_id=team_id) if team_id is not None and terms.needs_approval else None
    watchers, typists = [], []
    for person in people.order_by("username"):
        level = Level.OWN if person.role == Role.ADMIN else level_of_role(roles.get(person.pk, ""))
        if level >= Level.LOGS:
            watchers.append(person)
        may_open = level >= Level.SHELL and (terms.open or person.role == Role.ADMIN)
        if may_open and (let_in is None or person.pk in let_in):
            typists.append(person)
    return Candidates(watchers=watchers, typists=typists)


def people_of(session: TerminalSession) -> list[dict[str, Any]]:
    """Return with whom the session can be shared, and what those may do whom it is shared with already."""
    people = candidates(session)
    typists = {person.pk for person in people.typists}
    shares = dict(session.shares.values_list("person_id", "types"))
    return [
        {
            "id": person.pk,
            "name": person.username,
            "may_type": person.pk in typists,
            "shared": "" if person.pk not in shares else "types" if shares[person.pk] else "watches",
        }
        for person in people.watchers
    ]


def _let_in(session: TerminalSession, *, team_id: UUID) -> set[UUID]:
    approvals = ShellApproval.objects.filter(
        team_id=team_id,
        host_id=session.host_id,
        container_id=session.container_id,
        state=ApprovalState.APPROVED,
        until__gt=timezone.now(),
    )
    return set(approvals.values_list("person_id", flat=True))


def as_json(row: OpenRow) -> dict[str, Any]:
    """Return one open terminal as programs see it."""
    session = row.session
    return {
        "id": session.pk,
        "person": session.person.username if session.person is not None else None,
        "host": {"id": session.host_id, "name": session.host.name},
        "container": {"id": session.container_id, "name": session.container_name, "url": row.container_url},
        "kind": session.kind,
        "opened_at": session.opened_at,
        "idle_seconds": int(row.idle.total_seconds()) if row.idle is not None else None,
        "viewers": [viewer.name for viewer in row.viewers] if row.is_known else None,
        "recorded": row.is_recorded if row.is_known else None,
        "locked": row.is_locked if row.is_known else None,
    }
