"""What the pages of people and teams show, in their shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.core.paginator import Page, Paginator
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from console.accounts.models import ApiToken, Invitation, Membership, Team, User
from console.inventory.models import ObservedContainer
from console.people.access import visible_invitations
from console.people.invitation_services import is_open
from console.policies.queries import HostQuota, quotas_of
from console.rbac.models import HostGrant, OwnedKind, Ownership
from console.rbac.policy import allowed

_PAGE: Final = 50
_MOST_OWNED: Final = 100
#: What a team's page offers, by the last word of the action.
_ACTIONS: Final = (
    "invite",
    "revoke_invitation",
    "change_role",
    "remove_member",
    "rename",
    "remove",
    "grant_host",
    "edit_quota",
    "revoke_host",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedContainer:
    """A container of a team."""

    #: Empty when nobody has seen it of late.
    name: str
    container_id: str
    host_id: UUID
    host: str
    since: datetime
    given_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamPage:
    """A team with its people, its hosts and what it owns."""

    team: Team
    memberships: list[Membership]
    invitations: list[Invitation]
    quotas: list[HostQuota]
    owned: list[OwnedContainer]
    owned_total: int
    #: Whether the reader is one of its people.
    is_own: bool
    #: What the reader may do, by the last word of the action.
    may: dict[str, bool]


def people_page(people: QuerySet[User], *, search: str, number: str) -> Page[Any]:
    """Return some of ``people`` with their teams, when each was last here, and how many tokens of theirs work."""
    seen = UserSession.objects.filter(user=OuterRef("pk")).order_by("-last_seen_at").values("last_seen_at")[:1]
    for word in search.replace("\0", "").split():
        people = people.filter(Q(username__icontains=word) | Q(name__icontains=word) | Q(email__icontains=word))
    rows = (
        people.annotate(
            last_seen=Coalesce(Subquery(seen), "last_login"), token_count=_count(ApiToken.objects.usable(), by="owner")
        )
        .prefetch_related("memberships__team")
        .order_by("username")
    )
    return Paginator(rows, _PAGE).get_page(number)


def open_invitations(user: User, *, team: Team | None = None) -> list[Invitation]:
    """Return the invitations that somebody could use now and ``user`` may know of, newest first."""
    found = visible_invitations(user).filter(is_open()).select_related("team", "invited_by")
    return list(found.filter(team=team) if team else found)


def team_rows(teams: QuerySet[Team]) -> QuerySet[Team, Any]:
    """Return ``teams`` with how many people, hosts and containers each has."""
    return teams.annotate(
        people_count=_count(Membership.objects.all()),
        host_count=_count(HostGrant.objects.all()),
        container_count=_count(Ownership.objects.filter(kind=OwnedKind.CONTAINER)),
    ).order_by("name")


def _count(rows: QuerySet[Any], *, by: str = "team") -> Coalesce:
    # Subqueries, because three joins would multiply each other.
    counted = rows.filter(**{by: OuterRef("pk")}).order_by().values(by).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted), 0)


def team_page(user: User, team: Team) -> TeamPage:
    """Return what the page of ``team`` shows to ``user``."""
    memberships = list(team.memberships.select_related("person").order_by("person__username"))
    owned = Ownership.objects.filter(team=team, kind=OwnedKind.CONTAINER)
    return TeamPage(
        team=team,
        memberships=memberships,
        invitations=open_invitations(user, team=team),
        quotas=quotas_of(team),
        owned=_owned(owned),
        owned_total=owned.count(),
        is_own=any(membership.person_id == user.pk for membership in memberships),
        may={action: allowed(user, f"team.{action}", team_id=team.pk) for action in _ACTIONS},
    )


def _owned(ownerships: QuerySet[Ownership]) -> list[OwnedContainer]:
    observed = ObservedContainer.objects.filter(host_id=OuterRef("host_id"), container_id=OuterRef("object_id"))
    rows = ownerships.annotate(name=Coalesce(Subquery(observed.values("name")[:1]), "object_id")).order_by("name", "pk")
    values = rows.values_list("name", "object_id", "host_id", "host__name", "since", "given_by__username")
    return [
        OwnedContainer(
            name=name if name != container_id else "",
            container_id=container_id,
            host_id=host_id,
            host=host,
            since=since,
            given_by=given_by or "",
        )
        for name, container_id, host_id, host, since, given_by in values[:_MOST_OWNED]
    ]
