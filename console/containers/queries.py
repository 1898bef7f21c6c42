"""The list of containers: search, filters, counts and one page of rows, each in the shape the page needs."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.db.models import Count, Exists, OuterRef, Q
from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.models import Team, User
from console.containers.specs import RESERVED_PREFIX
from console.containers.states import STATE_LABELS, UNHEALTHY, UNHEALTHY_LABEL, state_badge
from console.gateway import ContainerState, Health
from console.hosts.models import Host, HostState
from console.inventory.models import ContainerQuerySet, ObservedContainer, ObservedLabel
from console.lib.templatetags.components import age
from console.policies.queries import without_shells
from console.rbac.policy import Level, rights_of

PAGE_SIZE = 50
FACET_SIZE = 12
_MOST_VALUES = 20
_LONGEST_SEARCH = 200

#: What a list may be ordered by: nothing else reaches the database. Every order ends in a key, so pages never overlap.
SORTS: dict[str, tuple[str, ...]] = {
    "problems": ("rank", "name", "id"),
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "-created": ("-created_at", "-id"),
    "created": ("created_at", "id"),
    "image": ("image", "rank", "name", "id"),
    "-image": ("-image", "rank", "name", "id"),
    "host": ("host__name", "rank", "name", "id"),
    "-host": ("-host__name", "rank", "name", "id"),
}
SORT_LABELS: dict[str, Promise] = {
    "problems": gettext_lazy("Problems first"),
    "name": gettext_lazy("Name"),
    "-created": gettext_lazy("Newest first"),
    "created": gettext_lazy("Oldest first"),
    "image": gettext_lazy("Image"),
    "host": gettext_lazy("Host"),
}
FACETS: dict[str, Promise] = {
    "state": gettext_lazy("State"),
    "host": gettext_lazy("Host"),
    "image": gettext_lazy("Image"),
    "label": gettext_lazy("Label"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListParameters:
    """What the address of a list says. Anything else in it is ignored."""

    search: str = ""
    state: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    image: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    sort: str = "problems"
    page: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> ListParameters:
        """Read the address; what makes no sense falls back to the plain list."""

        def values(name: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(value for value in query.getlist(name)[:_MOST_VALUES] if _is_usable(value)))

        page = query.get("page", "")
        sort = query.get("sort", "")
        states = {*STATE_LABELS, UNHEALTHY}
        return cls(
            search=query.get("q", "").strip().replace("\0", "")[:_LONGEST_SEARCH],
            state=tuple(value for value in values("state") if value in states),
            host=tuple(value for value in values("host") if _is_uuid(value)),
            image=values("image"),
            label=values("label"),
            sort=sort if sort in SORTS else "problems",
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 and int(page) > 0 else 1,
        )

    @property
    def is_filtered(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.search or self.state or self.host or self.image or self.label)

    def query(self, **changes: Any) -> str:
        """Return the query string of this list with ``changes``; a changed filter begins at the first page."""
        wanted = replace(self, **({"page": 1} | changes))
        pairs = [("q", wanted.search)] if wanted.search else []
        for facet in FACETS:
            pairs += [(facet, value) for value in getattr(wanted, facet)]
        pairs += [("sort", wanted.sort)] if wanted.sort != "problems" else []
        pairs += [("page", str(wanted.page))] if wanted.page > 1 else []
        return "?" + urlencode(pairs)

    def toggled(self, facet: str, value: str) -> str:
        """Return the query string with ``value`` of ``facet`` switched."""
        now: tuple[str, ...] = getattr(self, facet)
        return self.query(**{facet: tuple(v for v in now if v != value) if value in now else (*now, value)})


def _is_usable(value: str) -> bool:
    # PostgreSQL refuses a NUL even in what it only compares with.
    return 0 < len(value) <= 600 and "\0" not in value


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def filtered(user: User, parameters: ListParameters, *, without: str = "") -> ContainerQuerySet:
    """Return the containers of a list, ignoring the filter of the facet named ``without``."""
    containers: ContainerQuerySet = ObservedContainer.objects.visible_to(user)
    for word in parameters.search.lower().split():
        containers = containers.filter(search_text__contains=word)
    if parameters.state and without != "state":
        wanted = Q(state__in=[state for state in parameters.state if state != UNHEALTHY])
        if UNHEALTHY in parameters.state:
            wanted |= Q(state=ContainerState.RUNNING, health=Health.UNHEALTHY)
        containers = containers.filter(wanted)
    if parameters.host and without != "host":
        containers = containers.filter(host_id__in=[uuid.UUID(value) for value in parameters.host])
    if parameters.image and without != "image":
        containers = containers.filter(image__in=parameters.image)
    if parameters.label and without != "label":
        for label in parameters.label:
            key, equals, value = label.partition("=")
            rows = ObservedLabel.objects.filter(key=key, **({"value": value} if equals else {}))
            containers = containers.filter(pk__in=rows.values("container_id"))
    return containers


# One page of rows

_COLUMNS = (
    "host_id",
    "container_id",
    "name",
    "image",
    "state",
    "health",
    "exit_code",
    "end_requested",
    "created_at",
    "ports",
    "command",
    "networks",
    "team_id",
)


@dataclass(frozen=True, slots=True)
class ContainerPage:
    """One page of the list, and where it lies."""

    rows: list[dict[str, Any]]
    total: int
    page: int
    pages: int

    @property
    def first(self) -> int:
        """The number of the first row shown."""
        return (self.page - 1) * PAGE_SIZE + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The number of the last row shown."""
        return (self.page - 1) * PAGE_SIZE + len(self.rows)


def container_page(user: User, parameters: ListParameters, *, address: str) -> ContainerPage:
    """Return one page of the list. ``address`` is the name under which the reader reaches this console."""
    containers = filtered(user, parameters)
    total = containers.count()
    pages = max(1, -(-total // PAGE_SIZE))
    page = min(parameters.page, pages)
    start = (page - 1) * PAGE_SIZE
    found = containers.with_team().order_by(*SORTS[parameters.sort]).values(*_COLUMNS)[start : start + PAGE_SIZE]
    return ContainerPage(rows(found, user=user, address=address), total, page, pages)


def container_row(container: ObservedContainer, *, user: User, address: str) -> dict[str, Any]:
    """Return one row of the list."""
    values = {column: getattr(container, column) for column in _COLUMNS}
    return rows([values], user=user, address=address)[0]


def rows(found: Iterable[Mapping[str, Any]], *, user: User, address: str) -> list[dict[str, Any]]:
    """Return rows as the template wants them: plain values, nothing to look up, nothing to compute."""
    found = list(found)
    hosts = {
        host.pk: host
        for host in Host.objects.filter(pk__in={row["host_id"] for row in found}).defer("credentials", "info")
    }
    # Once for each host: a template would say it anew in each of its rows.
    seen = {host_id: _seen(host) for host_id, host in hosts.items()}
    teams = Team.objects.in_bulk({row["team_id"] for row in found if row["team_id"] is not None})
    rights = rights_of(user)
    closed = without_shells(teams) if teams and rights.everywhere < Level.OWN else set()
    base = reverse("container-list")
    shaped = []
    badges: dict[tuple[str, str, int | None, bool], tuple[str, str]] = {}
    for row in found:
        host = hosts[row["host_id"]]
        key = (row["state"], row["health"], row["exit_code"], row["end_requested"])
        if key not in badges:
            badges[key] = state_badge(key[0], health=key[1], exit_code=key[2], end_requested=key[3])
        badge, label = badges[key]
        state = row["state"]
        active = state in ("running", "restarting", "paused")
        level = rights.over(row["team_id"])
        shaped.append(
            {
                "team": teams[row["team_id"]].name if row["team_id"] is not None else "",
                "may_operate": level >= Level.OPERATE,
                "may_open_shell": level >= Level.SHELL and row["team_id"] not in closed,
                "may_edit": level >= Level.EDIT,
                "team_id": row["team_id"],
                "key": f"{row['host_id']}/{row['container_id']}",
                # Two registrations of one engine hold the same container: the host is part of it.
                "row_id": f"row-{row['host_id'].hex[:12]}-{row['container_id'][:12]}",
                "id": row["container_id"],
                "short_id": row["container_id"][:12],
                "url": f"{base}{row['host_id']}/{row['container_id']}/",
                "name": row["name"],
                "image": row["image"],
                "command": row["command"],
                "networks": row["networks"],
                "state": state,
                "health": row["health"],
                "exit_code": row["exit_code"],
                "badge": badge,
                "label": label,
                "active": active,
                "running": state == "running",
                "paused": state == "paused",
                "host": host.name,
                "host_id": row["host_id"],
                "stale": not host.is_reachable,
                "seen": seen[row["host_id"]],
                "ports": port_links(row["ports"], host_address=address_of(host, address=address)),
                "published": row["ports"],
                "created_at": row["created_at"],
            }
        )
    return shaped


def as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of ``rows`` as programs see it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "url": row["url"],
        "host": {"id": row["host_id"], "name": row["host"]},
        "team": {"id": row["team_id"], "name": row["team"]} if row["team_id"] is not None else None,
        "image": row["image"],
        "command": row["command"],
        "state": row["state"],
        "health": row["health"],
        "exit_code": row["exit_code"],
        "ports": row["published"],
        "networks": row["networks"],
        "created_at": row["created_at"],
        # The host does not answer: all of this is as it was last seen.
        "stale": row["stale"],
    }


def _seen(host: Host) -> str:
    """Say how old what we show of ``host`` is; "" while it answers."""
    if host.is_reachable:
        return ""
    if host.seen_at is None:
        return _("stale")
    return format_html(_("seen %(age)s ago") % {"age": "{}"}, age(host.seen_at))


def address_of(host: Host, *, address: str) -> str:
    """Return where a browser reaches what ``host`` publishes: its own address, or ours for a local socket."""
    parts = urlsplit(host.url)
    return (parts.hostname or address) if parts.scheme == "tcp" else address


def port_links(ports: Iterable[Mapping[str, Any]], *, host_address: str) -> list[dict[str, str]]:
    """Return published ports as text and link (TCP only; one entry for IPv4 and IPv6 alike), lowest first."""
    shown: dict[tuple[int, int, str], dict[str, str]] = {}
    for port in ports:
        outside, inside, protocol = port.get("host_port"), port["container_port"], port["protocol"]
        if outside is None or (outside, inside, protocol) in shown:
            continue
        name = _published_at(str(port.get("host_ip") or ""), host_address=host_address)
        scheme = "https" if inside in (443, 8443, 9443) else "http"
        suffix = "" if protocol == "tcp" else f"/{protocol}"
        shown[outside, inside, protocol] = {
            "text": f"{outside}→{inside}{suffix}" if outside != inside else f"{outside}{suffix}",
            "href": f"{scheme}://{name}:{outside}/" if protocol == "tcp" and name else "",
        }
    return [shown[key] for key in sorted(shown)]


def _published_at(host_ip: str, *, host_address: str) -> str:
    """Return the host part of a link to a published port; ``""`` for what only claims to be an address."""
    if host_ip in ("", "0.0.0.0", "::"):
        return f"[{host_address}]" if ":" in host_address else host_address
    try:
        address = ipaddress.ip_address(host_ip)
    except ValueError:
        return ""
    return f"[{address}]" if address.version == 6 else str(address)


# Facets


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value that narrows the list: how many would remain, and where it leads."""

    value: str
    label: str
    count: int
    is_chosen: bool
    query: str


@dataclass(frozen=True, slots=True)
class Facet:
    """One way to narrow the list."""

    name: str
    title: str
    values: list[FacetValue]
    #: There are more values than shown: search among them.
    has_more: bool
    find: str


def facet(user: User, parameters: ListParameters, name: str, *, find: str = "") -> Facet:
    """Return the facet ``name``: its most frequent values under the other filters, those chosen always among them."""
    containers = filtered(user, parameters, without=name)
    chosen: tuple[str, ...] = getattr(parameters, name)
    counts, labels = _FACET_COUNTS[name](containers, find.replace("\0", "").strip().lower()[:100])
    for value in chosen:
        if value not in counts and not find:
            # It is none of the most frequent.
            alone: dict[str, Any] = {name: (value,)}
            counts[value] = filtered(user, replace(parameters, **alone)).count()
            if name == "host":
                labels |= {
                    str(host.pk): host.name for host in Host.objects.visible_to(user).filter(pk=value).only("name")
                }
    ordered = sorted(counts, key=lambda value: (value not in chosen, -counts[value], labels.get(value, value)))
    size = max(FACET_SIZE, len(chosen))
    return Facet(
        name=name,
        title=str(FACETS[name]),
        values=[
            FacetValue(value, labels.get(value, value), counts[value], value in chosen, parameters.toggled(name, value))
            for value in ordered[:size]
        ],
        has_more=len(ordered) > size,
        find=find,
    )


_Counts = tuple[dict[str, int], dict[str, str]]


def _state_counts(containers: ContainerQuerySet, find: str) -> _Counts:
    labels = {value: str(label) for value, label in STATE_LABELS.items()} | {UNHEALTHY: str(UNHEALTHY_LABEL)}
    counts: dict[str, int] = {}
    for state, health, count in containers.order_by().values_list("state", "health").annotate(count=Count("pk")):
        counts[state] = counts.get(state, 0) + count
        if state == ContainerState.RUNNING and health == Health.UNHEALTHY:
            counts[UNHEALTHY] = counts.get(UNHEALTHY, 0) + count
    return {value: count for value, count in counts.items() if find in labels[value].lower()}, labels


def _host_counts(containers: ContainerQuerySet, find: str) -> _Counts:
    counted = containers.order_by().values("host_id").annotate(count=Count("pk")).order_by("-count")
    if find:
        counted = counted.filter(host__name__icontains=find)
    counts = {str(row["host_id"]): row["count"] for row in counted[: FACET_SIZE * 2]}
    names = Host.objects.filter(pk__in=counts.keys()).values_list("pk", "name")
    return counts, {str(pk): name for pk, name in names}


def _image_counts(containers: ContainerQuerySet, find: str) -> _Counts:
    counted = containers.order_by().values("image").annotate(count=Count("pk")).order_by("-count", "image")
    if find:
        counted = counted.filter(image__icontains=find)
    return {row["image"]: row["count"] for row in counted[: FACET_SIZE * 2]}, {}


def _label_counts(containers: ContainerQuerySet, find: str) -> _Counts:
    counted = (
        ObservedLabel.objects.filter(container__in=containers.order_by().values("pk"))
        .exclude(key__startswith=RESERVED_PREFIX)
        .values("key", "value")
        .annotate(count=Count("pk"))
        .order_by("-count", "key", "value")
    )
    if find:
        counted = counted.filter(Q(key__icontains=find) | Q(value__icontains=find))
    return {f"{row['key']}={row['value']}": row["count"] for row in counted[: FACET_SIZE * 2]}, {}


_FACET_COUNTS = {
    "state": _state_counts,
    "host": _host_counts,
    "image": _image_counts,
    "label": _label_counts,
}


def chosen_filters(user: User, parameters: ListParameters) -> list[tuple[str, str, str]]:
    """Return what narrows the list as (facet, value, address without it), for the chips above the rows."""
    names = {}
    if parameters.host:
        hosts = Host.objects.visible_to(user).filter(pk__in=parameters.host)
        names = {str(pk): name for pk, name in hosts.values_list("pk", "name")}
    labels = {value: str(label) for value, label in STATE_LABELS.items()} | {UNHEALTHY: str(UNHEALTHY_LABEL)} | names
    return [
        (str(title), labels.get(value, value), parameters.toggled(name, value))
        for name, title in FACETS.items()
        for value in getattr(parameters, name)
    ]


def failing_hosts(user: User) -> list[Host]:
    """Return the hosts whose rows may be stale: they answered once and do not now."""
    failing = Host.objects.visible_to(user).exclude(state__in=(HostState.REACHABLE, HostState.UNKNOWN))
    holds = ObservedContainer.objects.visible_to(user).filter(host=OuterRef("pk"))
    return list(failing.filter(Exists(holds)).defer("credentials", "info")[:5])


def matching_targets(user: User, parameters: ListParameters, *, most: int) -> list[tuple[uuid.UUID, str]]:
    """Return host and id of every container of a filtered list, at most ``most`` and one more."""
    found = filtered(user, parameters).order_by(*SORTS[parameters.sort])
    return list(found.values_list("host_id", "container_id")[: most + 1])
