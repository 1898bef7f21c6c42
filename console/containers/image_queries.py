"""The list of images and one image, in the shape the pages need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, QuerySet, Sum
from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.models import User
from console.containers.image_access import access_images
from console.containers.masking import MASK, looks_secret, mask_inspect
from console.gateway import ImageDetail
from console.hosts.models import Host
from console.inventory.models import ImageQuerySet, ObservedContainer, ObservedImage

PAGE = 50
_LONGEST_SEARCH = 200
_MOST_CONTAINERS = 100
_BEFORE_CONTAINERS = 2000

#: What the list may be ordered by; nothing else reaches the database. Every order ends in a key: pages never overlap.
SORTS: dict[str, tuple[str, ...]] = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "-size": ("-size_bytes", "id"),
    "size": ("size_bytes", "id"),
    "-created": ("-created_at", "id"),
    "created": ("created_at", "id"),
    "host": ("host__name", "name", "id"),
    "-host": ("-host__name", "name", "id"),
}
#: How each column sorts when it is clicked first.
COLUMNS = {"name": "name", "size": "-size", "created": "-created", "host": "host"}
USES: dict[str, str | Promise] = {
    "used": gettext_lazy("Used by containers"),
    "unused": gettext_lazy("Unused"),
    "untagged": gettext_lazy("Without a name"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFilters:
    """What the address of the list says. Anything else in it is ignored."""

    search: str = ""
    host: str = ""
    use: str = ""
    sort: str = "name"
    page: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> ImageFilters:
        """Read the address; what makes no sense falls back to the plain list."""
        page, sort, use = query.get("page", ""), query.get("sort", ""), query.get("use", "")
        return cls(
            search=query.get("q", "").strip().replace("\0", "")[:_LONGEST_SEARCH],
            host=_uuid(query.get("host", "")),
            use=use if use in USES else "",
            sort=sort if sort in SORTS else "name",
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 and int(page) > 0 else 1,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.search or self.host or self.use)

    def query(self, **changes: Any) -> str:
        """Return the query string with ``changes``; a changed filter begins at the first page."""
        wanted = replace(self, **({"page": 1} | changes))
        pairs = [("q", wanted.search), ("host", wanted.host), ("use", wanted.use)]
        pairs.append(("sort", wanted.sort if wanted.sort != "name" else ""))
        pairs.append(("page", str(wanted.page) if wanted.page > 1 else ""))
        return "?" + urlencode([(name, value) for name, value in pairs if value])

    def column(self, name: str) -> dict[str, str]:
        """Return what a column's heading needs: where a click leads, and how the list is ordered by it now."""
        first = COLUMNS[name]
        second = first[1:] if first.startswith("-") else f"-{first}"
        direction = {name: "asc", f"-{name}": "desc"}.get(self.sort, "")
        return {"query": self.query(sort=second if self.sort == first else first), "direction": direction}

    def apply(self, images: ImageQuerySet, *, leave_out: str = "") -> ImageQuerySet:
        """Narrow ``images``, but not by ``leave_out``."""
        for word in self.search.lower().split():
            images = images.filter(search_text__contains=word)
        if self.host and leave_out != "host":
            images = images.filter(host_id=self.host)
        if self.use and leave_out != "use":
            images = _by_use(images, self.use)
        return images


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _by_use(images: ImageQuerySet, use: str) -> ImageQuerySet:
    if use == "untagged":
        return images.filter(name="")
    users = Exists(ObservedContainer.objects.filter(host_id=OuterRef("host_id"), image_id=OuterRef("image_id")))
    return images.filter(users if use == "used" else ~users)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """One image, as the list shows it."""

    image: ObservedImage
    row_id: str
    name: str
    is_untagged: bool
    more_tags: tuple[str, ...]
    short_id: str
    url: str
    host: str
    host_url: str
    is_stale: bool
    size_bytes: int
    #: ``None`` for reproducible builds, which carry no date, or the beginning of time.
    created_at: datetime | None
    used_by: int
    used_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePage:
    """One page of the list."""

    rows: list[ImageRow]
    total: int
    total_bytes: int
    first: int
    last: int
    page: int
    previous: str
    next: str


def image_page(user: User, filters: ImageFilters) -> ImagePage:
    """Return one page of the images of every host."""
    found = filters.apply(access_images(user))
    sums = found.aggregate(total=Count("pk"), total_bytes=Sum("size_bytes"))
    total = sums["total"]
    pages = max(1, -(-total // PAGE))
    page = min(filters.page, pages)
    start = (page - 1) * PAGE
    ordered = found.order_by(*SORTS[filters.sort]).select_related("host")
    shown = list(ordered.defer("labels", "search_text", "host__credentials", "host__info")[start : start + PAGE])
    used = _used_by(shown)
    return ImagePage(
        rows=[_row(image, used=used.get((image.host_id, image.image_id), 0)) for image in shown],
        total=total,
        total_bytes=sums["total_bytes"] or 0,
        first=start + 1 if shown else 0,
        last=start + len(shown),
        page=page,
        previous=filters.query(page=page - 1) if page > 1 else "",
        next=filters.query(page=page + 1) if page < pages else "",
    )


def _used_by(images: Iterable[ObservedImage]) -> dict[tuple[UUID, str], int]:
    """Return how many containers use each image."""
    wanted = list(images)
    counted = (
        ObservedContainer.objects.filter(
            host_id__in={image.host_id for image in wanted}, image_id__in={image.image_id for image in wanted}
        )
        .order_by()
        .values_list("host_id", "image_id")
        .annotate(Count("pk"))
    )
    return {(host_id, image_id): number for host_id, image_id, number in counted}


def _digits(image: ObservedImage) -> str:
    return image.image_id.removeprefix("sha256:")


def _row(image: ObservedImage, *, used: int) -> ImageRow:
    digits = _digits(image)
    repository = next((digest.partition("@")[0] for digest in image.digests if not digest.startswith("<")), "")
    return ImageRow(
        image=image,
        row_id=f"image-{image.pk}",
        name=image.name or repository or digits[:12],
        is_untagged=not image.name,
        more_tags=tuple(image.tags[1:]),
        short_id=digits[:12],
        url=reverse("image-detail", args=[image.host_id, digits]),
        host=image.host.name,
        host_url=reverse("host-detail", args=[image.host_id]),
        is_stale=not image.host.is_reachable,
        size_bytes=image.size_bytes,
        created_at=image.created_at if image.created_at.year > _BEFORE_CONTAINERS else None,
        used_by=used,
        used_url=reverse("container-list") + "?" + urlencode({"q": image.name or digits[:12]}) if used else "",
    )


def as_json(row: ImageRow) -> dict[str, Any]:
    """Return one image as programs see it."""
    image = row.image
    return {
        "id": image.image_id,
        "url": row.url,
        "host": {"id": image.host.pk, "name": image.host.name},
        "tags": image.tags,
        "digests": image.digests,
        "size_bytes": image.size_bytes,
        "created_at": row.created_at,
        "used_by": row.used_by,
        # The host does not answer: all of this is as it was last seen.
        "stale": row.is_stale,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChoice:
    """One value of a filter."""

    label: str | Promise
    count: int
    query: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacet:
    """One filter with its values."""

    name: str
    title: str
    choices: list[ImageChoice]


def image_facets(user: User, filters: ImageFilters) -> list[ImageFacet]:
    """Return what narrows the list, each with the number that it would leave."""
    images = access_images(user)
    by_use = filters.apply(images, leave_out="use")
    uses = [(use, label, _by_use(by_use, use).count()) for use, label in USES.items()]
    hosts: QuerySet[Any, Any] = filters.apply(images, leave_out="host").order_by().values("host_id", "host__name")
    by_host = [
        (str(row["host_id"]), row["host__name"], row["number"])
        for row in hosts.annotate(number=Count("pk")).order_by("host__name")[:50]
    ]
    return [
        _facet(filters, "use", _("Use"), [(value, str(label), count) for value, label, count in uses]),
        _facet(filters, "host", _("Host"), by_host),
    ]


def _facet(filters: ImageFilters, name: str, title: str, found: list[tuple[str, str, int]]) -> ImageFacet:
    choices = []
    for value, label, count in found:
        chosen = getattr(filters, name) == value
        query = filters.query(**{name: "" if chosen else value})
        choices.append(ImageChoice(label=label, count=count, query=query, is_chosen=chosen))
    return ImageFacet(name=name, title=title, choices=choices)


def failing_hosts(user: User) -> list[Host]:
    """Return the hosts whose images are shown as they were last seen."""
    return [host for host in Host.objects.visible_to(user).only("name", "state", "seen_at") if not host.is_reachable]


# One image


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUser:
    """A container that uses an image."""

    name: str
    url: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """One image, as last observed."""

    row: ImageRow
    digits: str
    tags: list[str]
    digests: list[str]
    labels: list[tuple[str, str]]
    users: list[ImageUser]
    create_url: str
    pull_again_url: str
    #: What a removal takes away, in words.
    lost: str


def image_facts(image: ObservedImage, *, user: User) -> ImageFacts:
    """Return what the inventory knows of ``image``; no engine is asked."""
    containers = ObservedContainer.objects.visible_to(user).filter(host=image.host, image_id=image.image_id)
    users = [
        ImageUser(
            name=found.name,
            url=reverse("container-detail", args=[image.host_id, found.container_id]),
            state=found.state,
        )
        for found in containers.order_by("rank", "name")[:_MOST_CONTAINERS]
    ]
    tags = list(image.tags)
    create = {"image": image.name or image.image_id, "host": str(image.host_id)}
    pull = {"reference": image.name, "host": str(image.host_id)}
    return ImageFacts(
        row=_row(image, used=len(users)),
        digits=_digits(image),
        tags=tags,
        digests=list(image.digests),
        labels=[(name, MASK if looks_secret(name, value) else value) for name, value in sorted(image.labels.items())],
        users=users,
        create_url=reverse("container-create") + "?" + urlencode(create),
        pull_again_url=reverse("image-pull") + "?" + urlencode(pull) if image.name else "",
        lost=_lost(tags, has_registry=any("@" in digest for digest in image.digests)),
    )


def _lost(tags: list[str], *, has_registry: bool) -> str:
    names = ", ".join(tags) or _("no name")
    again = (
        _("It can be pulled again from its registry.")
        if has_registry
        else _("It came from no registry as far as the engine knows: without a copy elsewhere it is lost.")
    )
    return _("Removes the image and its names (%(names)s) from this host.") % {"names": names} + " " + again


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfiguration:
    """What containers inherit from an image, as its engine says now."""

    platform: str
    author: str
    entrypoint: str
    command: str
    user: str
    working_directory: str
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    environment: list[tuple[str, str]]
    layers: list[str]
    inspect: Mapping[str, Any]


def image_configuration(detail: ImageDetail) -> ImageConfiguration:
    """Return ``detail`` as the page shows it, with what looks secret masked."""
    file_system = detail.raw.get("RootFS")
    layers = file_system.get("Layers") if isinstance(file_system, Mapping) else None
    return ImageConfiguration(
        platform="/".join(filter(None, (detail.os, detail.architecture))),
        author=detail.author,
        entrypoint=_words(detail.entrypoint),
        command=_words(detail.command),
        user=detail.user,
        working_directory=detail.working_directory,
        ports=detail.exposed_ports,
        volumes=detail.volumes,
        environment=[
            (name, MASK if looks_secret(name, value) else value) for name, value in sorted(detail.environment)
        ],
        layers=[str(layer) for layer in layers] if isinstance(layers, list) else [],
        inspect=mask_inspect(detail.raw),
    )


def _words(arguments: tuple[str, ...]) -> str:
    return " ".join(word if word and not any(c in word for c in " \t\n\"'\\$") else repr(word) for word in arguments)
