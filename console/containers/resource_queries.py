"""The lists of volumes and of networks, and one of either, in the shape the pages need. The two are much alike."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, F, Q
from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.models import Team, User
from console.containers.detail_queries import is_anonymous
from console.containers.masking import MASK, looks_secret
from console.containers.specs import RESERVED_PREFIX
from console.containers.uses import Resource, Uses, use_counts, uses_of
from console.hosts.models import Host
from console.inventory.models import NetworkQuerySet, ObservedVolume, VolumeQuerySet
from console.people.access import visible_teams
from console.rbac.policy import allowed

PAGE = 50
_LONGEST_SEARCH = 200
_MOST_CHOICES = 50

#: What a list may be ordered by; nothing else reaches the database. Every order ends in a key: pages never overlap.
SORTS: dict[str, tuple[str, ...]] = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "-created": ("-created_at", "id"),
    "created": ("created_at", "id"),
    "host": ("host__name", "name", "id"),
    "-host": ("-host__name", "name", "id"),
}
#: How each column sorts when it is clicked first.
COLUMNS = {"name": "name", "created": "-created", "host": "host"}
USES: dict[str, str | Promise] = {
    "used": gettext_lazy("In use"),
    "unused": gettext_lazy("Not in use"),
}
#: What stands for a team in the address of a list of what nobody owns.
NOBODY = "nobody"

#: "password=…" among the options of a network file system.
_SECRET_OPTION = re.compile(r"(?i)\b(pass(?:word)?|secret|token|key)=[^,\s]+")

Rows = TypeVar("Rows", VolumeQuerySet, NetworkQuerySet)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFilters:
    """What the address of a list says. Anything else in it is ignored."""

    search: str = ""
    host: str = ""
    use: str = ""
    team: str = ""
    sort: str = "name"
    page: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> ResourceFilters:
        """Read the address; what makes no sense falls back to the plain list."""
        page, sort, use, team = (query.get(name, "") for name in ("page", "sort", "use", "team"))
        return cls(
            search=query.get("q", "").strip().replace("\0", "")[:_LONGEST_SEARCH],
            host=_uuid(query.get("host", "")),
            use=use if use in USES else "",
            team=team if team == NOBODY else _uuid(team),
            sort=sort if sort in SORTS else "name",
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 and int(page) > 0 else 1,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.search or self.host or self.use or self.team)

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """What a search must not forget."""
        pairs = [("host", self.host), ("use", self.use), ("team", self.team)]
        pairs.append(("sort", self.sort if self.sort != "name" else ""))
        return [(name, value) for name, value in pairs if value]

    def query(self, **changes: Any) -> str:
        """Return the query string with ``changes``; a changed filter begins at the first page."""
        wanted = replace(self, **({"page": 1} | changes))
        pairs = [("q", wanted.search), *wanted.hidden, ("page", str(wanted.page) if wanted.page > 1 else "")]
        return "?" + urlencode([(name, value) for name, value in pairs if value])

    def column(self, name: str) -> dict[str, str]:
        """Return what a column's heading needs: where a click leads, and how the list is ordered by it now."""
        first = COLUMNS[name]
        second = first[1:] if first.startswith("-") else f"-{first}"
        direction = {name: "asc", f"-{name}": "desc"}.get(self.sort, "")
        return {"query": self.query(sort=second if self.sort == first else first), "direction": direction}

    def apply(self, rows: Rows, *, leave_out: str = "") -> Rows:
        """Narrow ``rows``, which know their teams, but not by ``leave_out``."""
        for word in self.search.lower().split():
            rows = rows.filter(search_text__contains=word)
        if self.host and leave_out != "host":
            rows = rows.filter(host_id=self.host)
        if self.use and leave_out != "use":
            rows = rows.filter(rows.in_use() if self.use == "used" else ~rows.in_use())
        if self.team and leave_out != "team":
            rows = rows.filter(Q(team_id=None if self.team == NOBODY else UUID(self.team)))
        return rows


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def url_of(resource: Resource) -> str:
    """Return the page of a volume or a network."""
    if isinstance(resource, ObservedVolume):
        return reverse("volume-detail", args=[resource.host_id, resource.name])
    return reverse("network-detail", args=[resource.host_id, resource.network_id])


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRow:
    """A volume or a network, as its list shows it."""

    row_id: str
    name: str
    is_unnamed: bool
    url: str
    host: str
    host_url: str
    is_stale: bool
    driver: str
    is_internal: bool
    created_at: datetime | None
    used_by: int
    #: Empty when nobody owns it, or when the reader needs not be told.
    team: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePage:
    """One page of a list."""

    rows: list[ResourceRow]
    total: int
    first: int
    last: int
    page: int
    previous: str
    next: str


def resource_page(user: User, found: Rows, filters: ResourceFilters) -> ResourcePage:
    """Return one page of ``found``, which knows its teams."""
    found = filters.apply(found)
    total = found.count()
    pages = max(1, -(-total // PAGE))
    page = min(filters.page, pages)
    start = (page - 1) * PAGE
    ordered = found.order_by(*SORTS[filters.sort]).select_related("host")
    shown: list[Resource] = list(
        ordered.defer("labels", "options", "search_text", "host__credentials", "host__info")[start : start + PAGE]
    )
    used, teams = use_counts(shown), _team_names(user, shown)
    return ResourcePage(
        rows=[
            _row(resource, user=user, used_by=used[resource.pk], team=teams.get(resource.team_id, ""))
            for resource in shown
        ],
        total=total,
        first=start + 1 if shown else 0,
        last=start + len(shown),
        page=page,
        previous=filters.query(page=page - 1) if page > 1 else "",
        next=filters.query(page=page + 1) if page < pages else "",
    )


def _team_names(user: User, resources: Collection[Resource]) -> Mapping[UUID | None, str]:
    teams = {resource.team_id for resource in resources if resource.team_id is not None}
    return dict(visible_teams(user).filter(pk__in=teams).values_list("pk", "name")) if teams else {}


def _row(resource: Resource, *, user: User, used_by: int, team: str) -> ResourceRow:
    is_volume = isinstance(resource, ObservedVolume)
    is_unnamed = is_volume and is_anonymous("volume", resource.name)
    return ResourceRow(
        row_id=f"resource-{resource.pk}",
        name=resource.name[:12] if is_unnamed else resource.name,
        is_unnamed=is_unnamed,
        url=url_of(resource),
        host=resource.host.name,
        host_url=reverse("host-detail", args=[resource.host_id]) if allowed(user, "host.view") else "",
        is_stale=not resource.host.is_reachable,
        driver=resource.driver,
        is_internal=not isinstance(resource, ObservedVolume) and resource.internal,
        created_at=resource.created_at,
        used_by=used_by,
        team=team,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChoice:
    """One value of a filter."""

    label: str
    count: int
    query: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFacet:
    """One filter with its values."""

    name: str
    title: str
    choices: list[ResourceChoice]


def resource_facets(user: User, rows: Rows, filters: ResourceFilters) -> list[ResourceFacet]:
    """Return what narrows the list, each with the number that it would leave. By team: for who sees what others own."""
    by_use = filters.apply(rows, leave_out="use")
    used = by_use.filter(by_use.in_use()).count()
    uses = [("used", str(USES["used"]), used), ("unused", str(USES["unused"]), by_use.count() - used)]
    hosts = filters.apply(rows, leave_out="host").order_by().values("host_id", "host__name")
    by_host = [
        (str(row["host_id"]), row["host__name"], row["number"])
        for row in hosts.annotate(number=Count("pk")).order_by("host__name")[:_MOST_CHOICES]
    ]
    facets = [_facet(filters, "use", _("Use"), uses), _facet(filters, "host", _("Host"), by_host)]
    if allowed(user, "host.view"):
        facets.append(_facet(filters, "team", _("Team"), _by_team(filters.apply(rows, leave_out="team"))))
    return facets


def _by_team(rows: VolumeQuerySet | NetworkQuerySet) -> list[tuple[str, str, int]]:
    numbers = dict(rows.order_by().values_list(F("team_id")).annotate(Count("pk")))
    names = dict(Team.objects.filter(pk__in=[pk for pk in numbers if pk]).values_list("pk", "name"))
    owned = [(str(pk), name, numbers[pk]) for pk, name in sorted(names.items(), key=lambda pair: pair[1])]
    return [*owned[:_MOST_CHOICES], (NOBODY, _("Nobody"), numbers.get(None, 0))]


def _facet(filters: ResourceFilters, name: str, title: str, found: list[tuple[str, str, int]]) -> ResourceFacet:
    choices = []
    for value, label, count in found:
        chosen = getattr(filters, name) == value
        query = filters.query(**{name: "" if chosen else value})
        choices.append(ResourceChoice(label=label, count=count, query=query, is_chosen=chosen))
    return ResourceFacet(name=name, title=title, choices=choices)


def list_context(user: User, rows: Rows, filters: ResourceFilters) -> dict[str, Any]:
    """Return what the page of a list shows."""
    page = resource_page(user, rows, filters)
    hosts = Host.objects.visible_to(user).only("name", "state", "seen_at")
    return {
        "filters": filters,
        "page": page,
        "facets": resource_facets(user, rows, filters),
        "query": filters.query(page=page.page),
        "columns": {name: filters.column(name) for name in COLUMNS},
        "failing_hosts": [host for host in hosts if not host.is_reachable],
        "has_hosts": hosts.exists(),
    }


# One of them


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFacts:
    """A volume or a network, as last observed."""

    row: ResourceRow
    uses: Uses
    labels: list[tuple[str, str]]
    options: list[tuple[str, str]]


def resource_facts(resource: Resource, *, user: User) -> ResourceFacts:
    """Return what the inventory knows of ``resource``, which knows its team; no engine is asked."""
    uses = uses_of(resource, user=user)
    team = _team_names(user, [resource]).get(resource.team_id, "")
    return ResourceFacts(
        row=_row(resource, user=user, used_by=len(uses.known) + uses.others, team=team),
        uses=uses,
        labels=[
            (name, MASK if looks_secret(name, value) else value)
            for name, value in sorted(resource.labels.items())
            if not name.startswith(RESERVED_PREFIX)
        ],
        options=[
            (name, MASK if looks_secret(name, value) else _SECRET_OPTION.sub(rf"\1={MASK}", value))
            for name, value in sorted(resource.options.items())
        ],
    )
