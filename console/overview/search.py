"""What the search palette finds: containers, images, hosts, pages and things to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Case, IntegerField, Q, Value, When
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.models import User
from console.containers.states import state_badge
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedImage
from console.rbac.policy import allowed

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
    _Place(name="host-list", label=gettext_lazy("Hosts"), icon="server", action="host.view", words="engines machines"),
    _Place(
        name="activity", label=gettext_lazy("Activity"), icon="activity", action="operation.view", words="operations"
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
    _Place(name="host-add", label=gettext_lazy("Add a host"), icon="server-cog", action="host.add", words="new engine"),
)


def find(user: User, text: str) -> list[Group]:
    """Return what ``text`` finds, grouped; for an empty text where one may go. Groups without a line are left out."""
    words = text.replace("\0", "").lower()[:LONGEST].split()
    groups = [
        Group(key="actions", title=_("Actions"), found=_places(user, _ACTIONS, words)),
        Group(key="pages", title=_("Pages"), found=_places(user, _PAGES, words)),
    ]
    if words:
        groups = [
            Group(key="containers", title=_("Containers"), found=_containers(user, words)),
            Group(key="images", title=_("Images"), found=_images(user, words)),
            Group(key="hosts", title=_("Hosts"), found=_hosts(user, words)),
            *groups,
        ]
    return [group for group in groups if group.found]


def _matching(words: list[str]) -> Q:
    wanted = Q()
    for word in words:
        wanted &= Q(search_text__contains=word)
    return wanted


def _containers(user: User, words: list[str]) -> list[Found]:
    # Names first: who types "web" wants web-1, not what has a label with "web" in it.
    first = " ".join(words)
    order = Case(
        When(name__iexact=first, then=Value(0)),
        When(name__istartswith=words[0], then=Value(1)),
        When(name__icontains=words[0], then=Value(2)),
        default=Value(3),
        output_field=IntegerField(),
    )
    rows = (
        ObservedContainer.objects.visible_to(user)
        .filter(_matching(words))
        .order_by(order, "rank", "name", "id")
        .values_list("host_id", "container_id", "name", "state", "health", "exit_code", "image", "host__name")
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


def _hosts(user: User, words: list[str]) -> list[Found]:
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
        if place.action and not allowed(user, place.action):
            continue
        haystack = f"{place.label} {place.words} {place.name}".lower()
        if all(word in haystack for word in words):
            found.append(
                Found(key=f"page-{place.name}", label=place.label, hint="", url=reverse(place.name), icon=place.icon)
            )
    return found
