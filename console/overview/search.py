"""What the search palette finds: containers, images, volumes, networks, hosts, pages and things to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from django.db.models import Case, IntegerField, Q, Value, When
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.models import User
from console.containers.resource_queries import url_of
from console.containers.states import state_badge
from console.containers.uses import Resource
from console.gateway import ContainerState
from console.hosts.models import Host
from console.inventory.models import (
    ContainerQuerySet,
    NetworkQuerySet,
    ObservedContainer,
    ObservedImage,
    ObservedNetwork,
    ObservedVolume,
    VolumeQuerySet,
)
from console.rbac.policy import allowed, allowed_somewhere

LONGEST: Final = 100
_MOST_CONTAINERS: Final = 8
_MOST_OTHERS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of the palette."""

    key: str
    label: str | Promise
    hint: str | Promise
    url: str
    icon: str
    #: What choosing it does: go there, post it, or open it as a dialog.
    how: Literal["go", "post", "dialog"] = "go"
    #: Where the lines for what can be done with it are found; "" if there are none.
    actions_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lines of one kind."""

    key: str
    title: str | Promise
    found: list[Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A page, or something to do, with the words that people may type for it in any language."""

    name: str
    label: str | Promise
    icon: str
    action: str
    words: str = ""


_PAGES: Final = (
    _Place(name="overview", label=gettext_lazy("Overview"), icon="layout-dashboard", action="", words="home problems"),
    _Place(name="container-list", label=gettext_lazy("Containers"), icon="box", action="container.view"),
    _Place(name="image-list", label=gettext_lazy("Images"), icon="layers", action="image.view"),
    _Place(
        name="volume-list", label=gettext_lazy("Volumes"), icon="hard-drive", action="volume.view", words="data disk"
    ),
    _Place(name="network-list", label=gettext_lazy("Networks"), icon="network", action="network.view", words="bridge"),
    _Place(name="host-list", label=gettext_lazy("Hosts"), icon="server", action="host.view", words="engines machines"),
    _Place(
        name="activity", label=gettext_lazy("Activity"), icon="activity", action="operation.view", words="operations"
    ),
    _Place(
        name="people-list",
        label=gettext_lazy("People"),
        icon="users",
        action="person.view",
        words="users roles invitations suspend",
    ),
    _Place(name="team-list", label=gettext_lazy("Teams"), icon="users", action="team.view", words="people members"),
    _Place(
        name="group-list",
        label=gettext_lazy("Groups from single sign-on"),
        icon="users",
        action="group.view",
        words="oidc ldap sso mapping directory",
    ),
    _Place(name="audit-list", label=gettext_lazy("Audit"), icon="scroll-text", action="audit.view", words="who log"),
    _Place(
        name="settings", label=gettext_lazy("Settings"), icon="settings", action="", words="password theme language"
    ),
)
_ACTIONS: Final = (
    _Place(
        name="container-create",
        label=gettext_lazy("Create a container"),
        icon="plus",
        action="container.create",
        words="new run",
    ),
    _Place(name="image-pull", label=gettext_lazy("Pull an image"), icon="download", action="image.pull", words="get"),
    _Place(
        name="volume-create",
        label=gettext_lazy("Create a volume"),
        icon="hard-drive",
        action="volume.create",
        words="new data",
    ),
    _Place(
        name="network-create",
        label=gettext_lazy("Create a network"),
        icon="network",
        action="network.create",
        words="new bridge",
    ),
    _Place(
        name="person-invite",
        label=gettext_lazy("Invite somebody"),
        icon="user-plus",
        action="person.invite",
        words="new user person link",
    ),
    _Place(name="team-create", label=gettext_lazy("Create a team"), icon="users", action="team.create", words="new"),
    _Place(name="host-add", label=gettext_lazy("Add a host"), icon="server-cog", action="host.add", words="new engine"),
)

_ACTIVE: Final = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)
_AT_REST: Final = tuple(state for state in ContainerState if state not in _ACTIVE)
_ALWAYS: Final = tuple(ContainerState)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verb:
    """Something to do with a container in one of ``states``: its name in URLs, and the words people type for it."""

    name: str
    label: Promise
    icon: str
    states: tuple[ContainerState, ...]
    how: Literal["go", "post", "dialog"] = "post"
    words: str = ""

    def is_meant(self, word: str) -> bool:
        """Whether ``word`` begins a name of this."""
        names = re.findall(r"\w+", f"{self.label % {'name': ''}} {self.name} {self.words}".lower())
        return any(name.startswith(word) for name in names)


_VERBS: Final = (
    _Verb(name="start", label=gettext_lazy("Start %(name)s"), icon="play", states=_AT_REST, words="run"),
    _Verb(name="unpause", label=gettext_lazy("Resume %(name)s"), icon="play", states=(ContainerState.PAUSED,)),
    _Verb(name="restart", label=gettext_lazy("Restart %(name)s"), icon="rotate-cw", states=_ACTIVE),
    _Verb(name="stop", label=gettext_lazy("Stop %(name)s"), icon="square", states=_ACTIVE),
    _Verb(name="pause", label=gettext_lazy("Pause %(name)s"), icon="pause", states=(ContainerState.RUNNING,)),
    _Verb(name="logs", label=gettext_lazy("Logs: %(name)s"), icon="scroll-text", states=_ALWAYS, how="go"),
    _Verb(
        name="terminal",
        label=gettext_lazy("Terminal: %(name)s"),
        icon="terminal",
        states=(ContainerState.RUNNING,),
        how="go",
        words="shell exec",
    ),
    # What loses something is asked for once more, where it says what.
    _Verb(name="kill", label=gettext_lazy("Kill %(name)s…"), icon="zap", states=_ACTIVE, how="dialog"),
    _Verb(
        name="remove",
        label=gettext_lazy("Remove %(name)s…"),
        icon="trash-2",
        states=_ALWAYS,
        how="dialog",
        words="delete",
    ),
)


def find(user: User, text: str) -> list[Group]:
    """Return what ``text`` finds, grouped; for an empty text where one may go. Groups without a line are left out."""
    words = text.replace("\0", "").lower()[:LONGEST].split()
    groups = [
        Group(key="actions", title=_("Actions"), found=_places(user, _ACTIONS, words)),
        Group(key="pages", title=_("Pages"), found=_places(user, _PAGES, words)),
    ]
    if words:
        volumes: VolumeQuerySet = ObservedVolume.objects.visible_to(user)
        networks: NetworkQuerySet = ObservedNetwork.objects.visible_to(user)
        groups = [
            Group(key="containers", title=_("Containers"), found=_containers(user, words)),
            Group(key="verbs", title=_("Do with containers"), found=_deeds(user, words)),
            Group(key="images", title=_("Images"), found=_images(user, words)),
            Group(key="volumes", title=_("Volumes"), found=_resources(volumes, words, icon="hard-drive")),
            Group(key="networks", title=_("Networks"), found=_resources(networks, words, icon="network")),
            Group(key="hosts", title=_("Hosts"), found=_hosts(user, words)),
            *groups,
        ]
    return [group for group in groups if group.found]


def actions_on(user: User, container: ObservedContainer) -> list[Group]:
    """Return what ``user`` can do with ``container`` as it is now."""
    found = [
        _deed(verb, container.host_id, container.container_id, container.name, container.host.name)
        for verb in _VERBS
        if container.state in verb.states and allowed(user, f"container.{verb.name}", team_id=container.team_id)
    ]
    title = _("Do with %(name)s") % {"name": container.name}
    return [Group(key="verbs", title=title, found=found)] if found else []


def _deeds(user: User, words: list[str]) -> list[Found]:
    """Return what is done with which container when ``words`` hold a verb and more: "restart web"."""
    found = []
    for verb in _VERBS:
        rest = [word for word in words if not verb.is_meant(word)]
        # A verb alone names no container, and must not do something to the first there is.
        action = f"container.{verb.name}"
        if 0 < len(rest) < len(words) and allowed_somewhere(user, action):
            rows = _matching_containers(user, rest).filter(state__in=verb.states).with_team().select_related("host")
            found += [
                _deed(verb, row.host_id, row.container_id, row.name, row.host.name)
                for row in rows.only("container_id", "name", "host__name")[:_MOST_OTHERS]
                if allowed(user, action, team_id=row.team_id)
            ]
    return found


def _deed(verb: _Verb, host_id: UUID, container_id: str, name: str, host_name: str) -> Found:
    return Found(
        key=f"{verb.name}-{host_id}-{container_id}",
        label=verb.label % {"name": name},
        hint=host_name,
        url=reverse(f"container-{verb.name}", args=[host_id, container_id]),
        icon=verb.icon,
        how=verb.how,
    )


def _matching(words: list[str]) -> Q:
    wanted = Q()
    for word in words:
        wanted &= Q(search_text__contains=word)
    return wanted


def _matching_containers(user: User, words: list[str]) -> ContainerQuerySet:
    # Names first: who types "web" wants web-1, not what has a label with "web" in it.
    first = " ".join(words)
    order = Case(
        When(name__iexact=first, then=Value(0)),
        When(name__istartswith=words[0], then=Value(1)),
        When(name__icontains=words[0], then=Value(2)),
        default=Value(3),
        output_field=IntegerField(),
    )
    containers: ContainerQuerySet = ObservedContainer.objects.visible_to(user)
    return containers.filter(_matching(words)).order_by(order, "rank", "name", "id")


def _containers(user: User, words: list[str]) -> list[Found]:
    rows = _matching_containers(user, words).values_list(
        "host_id", "container_id", "name", "state", "health", "exit_code", "image", "host__name"
    )
    found = []
    for host_id, container_id, name, state, health, exit_code, image, host_name in rows[:_MOST_CONTAINERS]:
        _tone, label = state_badge(state, health=health, exit_code=exit_code)
        found.append(
            Found(
                key=f"container-{host_id}-{container_id}",
                label=name,
                hint=f"{label} · {image} · {host_name}",
                url=reverse("container-detail", args=[host_id, container_id]),
                icon="box",
                actions_url=reverse("search-actions", args=[host_id, container_id]),
            )
        )
    return found


def _images(user: User, words: list[str]) -> list[Found]:
    rows = (
        ObservedImage.objects.visible_to(user)
        .filter(_matching(words))
        .order_by("name", "id")
        .values_list("host_id", "image_id", "name", "host__name")
    )
    return [
        Found(
            key=f"image-{host_id}-{image_id.removeprefix('sha256:')}",
            label=name or image_id.removeprefix("sha256:")[:12],
            hint=host_name,
            url=reverse("image-detail", args=[host_id, image_id.removeprefix("sha256:")]),
            icon="layers",
        )
        for host_id, image_id, name, host_name in rows[:_MOST_OTHERS]
    ]


def _resources(rows: VolumeQuerySet | NetworkQuerySet, words: list[str], *, icon: str) -> list[Found]:
    matching = rows.filter(_matching(words)).select_related("host").order_by("name", "id")
    found: list[Resource] = list(matching.defer("host__credentials", "host__info")[:_MOST_OTHERS])
    return [
        Found(
            key=f"{icon}-{resource.pk}",
            label=resource.name,
            hint=f"{resource.driver} · {resource.host.name}",
            url=url_of(resource),
            icon=icon,
        )
        for resource in found
    ]


def _hosts(user: User, words: list[str]) -> list[Found]:
    if not allowed(user, "host.view"):
        return []  # one may know of a host by what runs there, and not see its page
    wanted = Q()
    for word in words:
        wanted &= Q(name__icontains=word) | Q(url__icontains=word)
    rows = Host.objects.visible_to(user).filter(wanted).defer("credentials", "info").order_by("name")
    return [
        Found(
            key=f"host-{host.id}",
            label=host.name,
            hint=f"{host.get_state_display()} · {host.url}",
            url=reverse("host-detail", args=[host.id]),
            icon="server",
        )
        for host in rows[:_MOST_OTHERS]
    ]


def _places(user: User, places: tuple[_Place, ...], words: list[str]) -> list[Found]:
    found = []
    for place in places:
        if place.action and not allowed_somewhere(user, place.action):
            continue
        haystack = f"{place.label} {place.words} {place.name}".lower()
        if all(word in haystack for word in words):
            found.append(
                Found(key=f"page-{place.name}", label=place.label, hint="", url=reverse(place.name), icon=place.icon)
            )
    return found
