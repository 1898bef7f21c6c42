"""What the pages of people and teams show, in their shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.translation import ngettext

from console.accounts.models import ApiToken, Invitation, Membership, Role, Source, Team, User
from console.inventory.models import ObservedContainer, ObservedNetwork, ObservedVolume
from console.people.access import visible_invitations
from console.people.invitation_services import is_open
from console.policies.queries import HostQuota, count_coming, quotas_of, rules_of, shares_of
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


#: The page of what a team can own.
_PAGES: Final = {
    OwnedKind.CONTAINER.value: "container-detail",
    OwnedKind.VOLUME.value: "volume-detail",
    OwnedKind.NETWORK.value: "network-detail",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedObject:
    """Something of a team: a container, a volume or a network."""

    kind: str
    #: Its short id when nobody has seen it of late.
    name: str
    #: Empty when nobody has seen it of late.
    url: str
    host: str
    since: datetime
    given_by: str
    #: What it holds of the team's quota, in words; "" for what counts in none.
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamPage:
    """A team with its people, its hosts and what it owns."""

    team: Team
    memberships: list[Membership]
    invitations: list[Invitation]
    quotas: list[HostQuota]
    #: Whether its policy allows any image: a new team's allows none.
    may_run_something: bool
    #: Whether the reader may make containers for it.
    may_create: bool
    owned: list[OwnedObject]
    owned_total: int
    #: How many containers are being made, which count in the quota already.
    coming: int
    #: How many of each kind, in words.
    owned_words: str
    #: Whether the reader is one of its people.
    is_own: bool
    #: What the reader may do, by the last word of the action.
    may: dict[str, bool]


def people_page(people: QuerySet[User], *, search: str, number: str) -> Page[Any]:
    """Return some of ``people`` with their teams, when each was last here, their second factor and working tokens."""
    seen = UserSession.objects.filter(user=OuterRef("pk")).order_by("-last_seen_at").values("last_seen_at")[:1]
    for word in search.replace("\0", "").split():
        people = people.filter(Q(username__icontains=word) | Q(name__icontains=word) | Q(email__icontains=word))
    rows = (
        people.annotate(
            last_seen=Coalesce(Subquery(seen), "last_login"),
            token_count=_count(ApiToken.objects.usable(), by="owner"),
            has_second_factor=Exists(Authenticator.objects.filter(user=OuterRef("pk"))),
        )
        .prefetch_related("memberships__team")
        .order_by("username")
    )
    return Paginator(rows, _PAGE).get_page(number)


def open_invitations(user: User, *, team: Team | None = None) -> list[Invitation]:
    """Return the invitations that somebody could use now and ``user`` may know of, newest first."""
    found = visible_invitations(user).filter(is_open()).select_related("team", "invited_by")
    return list(found.filter(team=team) if team else found)


def roles_by_group() -> list[tuple[str, list[str]]]:
    """Return the roles in the console that groups give, and the groups of each; those that none gives are left out."""
    sources = [settings.SIGN_IN.roles_of(source) for source in Source.values]
    found = [
        (Role.ADMIN.label, sorted(frozenset().union(*(roles.admin_groups for roles in sources)))),
        (Role.AUDITOR.label, sorted(frozenset().union(*(roles.auditor_groups for roles in sources)))),
    ]
    return [(str(label), groups) for label, groups in found if groups]


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
    numbers = count_owned(team)
    return TeamPage(
        team=team,
        memberships=memberships,
        invitations=open_invitations(user, team=team),
        quotas=quotas_of(team),
        may_run_something=bool(rules_of(team.pk).images),
        may_create=allowed(user, "container.create", team_id=team.pk),
        owned=_owned(team),
        coming=count_coming(team),
        owned_total=sum(numbers.values()),
        owned_words=owned_words(numbers),
        is_own=any(membership.person_id == user.pk for membership in memberships),
        may={action: allowed(user, f"team.{action}", team_id=team.pk) for action in _ACTIONS},
    )


def count_owned(team: Team) -> dict[str, int]:
    """Return how many objects of each kind the team owns."""
    return dict(team.ownerships.order_by().values_list("kind").annotate(Count("pk")))


def owned_words(numbers: Mapping[str, int]) -> str:
    """Return how many objects of each kind there are, in words; "" for none."""
    containers, volumes, networks = (numbers.get(kind.value, 0) for kind in OwnedKind)
    words = (
        ngettext("%(count)d container", "%(count)d containers", containers) % {"count": containers},
        ngettext("%(count)d volume", "%(count)d volumes", volumes) % {"count": volumes},
        ngettext("%(count)d network", "%(count)d networks", networks) % {"count": networks},
    )
    return ", ".join(text for text, number in zip(words, (containers, volumes, networks), strict=True) if number)


def _owned(team: Team) -> list[OwnedObject]:
    on_host = {"host_id": OuterRef("host_id")}
    containers = ObservedContainer.objects.filter(**on_host, container_id=OuterRef("object_id"))
    volumes = ObservedVolume.objects.filter(**on_host, name=OuterRef("object_id"))
    networks = ObservedNetwork.objects.filter(**on_host, network_id=OuterRef("object_id"))
    name = Case(
        *(
            When(kind=kind, then=Subquery(rows.values("name")[:1]))
            for kind, rows in zip(OwnedKind, (containers, volumes, networks), strict=True)
        ),
        output_field=CharField(),
    )
    order = Case(*(When(kind=kind, then=Value(number)) for number, kind in enumerate(OwnedKind)))
    rows = team.ownerships.annotate(name=name, order=order).order_by("order", Coalesce("name", "object_id"), "pk")
    values = rows.values_list("kind", "name", "object_id", "host_id", "host__name", "since", "given_by__username")
    shown = list(values[:_MOST_OWNED])
    shares = shares_of(team, container_ids=[row[2] for row in shown if row[0] == OwnedKind.CONTAINER])
    return [
        OwnedObject(
            kind=str(OwnedKind(kind).label),
            name=name or object_id[:12],
            url=reverse(_PAGES[kind], args=[host_id, object_id]) if name else "",
            host=host,
            since=since,
            given_by=given_by or "",
            share=shares.get((host_id, object_id), "") if kind == OwnedKind.CONTAINER else "",
        )
        for kind, name, object_id, host_id, host, since, given_by in shown
    ]
