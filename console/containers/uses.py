"""What uses a volume or a network, as far as somebody may know of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.accounts.models import User
from console.gateway import Container
from console.inventory.models import ContainerQuerySet, ObservedContainer, ObservedNetwork, ObservedUse, ObservedVolume
from console.operations.errors import Failure
from console.operations.models import Operation
from console.rbac.models import OwnedKind

_MOST_SHOWN = 100
_MOST_NAMES = 5

Resource = ObservedVolume | ObservedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Using:
    """A container that uses something."""

    name: str
    url: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """The containers that use something: those that one may know of, and how many others there are."""

    known: list[Using]
    others: int

    @property
    def obstacle(self) -> str:
        """Who stands in the way of removing it, and what to do; "" when nobody does."""
        used = words_of([using.name for using in self.known], others=self.others)
        return _("%(used)s Remove the containers first.") % {"used": used} if used else ""


def words_of(names: Collection[str], *, others: int) -> str:
    """Return who uses something, in a sentence; "" when nobody does."""
    shown = ", ".join(sorted(names)[:_MOST_NAMES]) + (" …" if len(names) > _MOST_NAMES else "")
    unknown = ngettext(
        "%(count)s container that you may not see", "%(count)s containers that you may not see", others
    ) % {"count": others}
    if names and others:
        return _("Used by %(names)s and by %(unknown)s.") % {"names": shown, "unknown": unknown}
    if names or others:
        return _("Used by %(names)s.") % {"names": shown or unknown}
    return ""


def _kind_of(resource: Resource) -> OwnedKind:
    return OwnedKind.VOLUME if isinstance(resource, ObservedVolume) else OwnedKind.NETWORK


def _names_of(resource: Resource) -> list[str]:
    return [resource.name] if isinstance(resource, ObservedVolume) else [resource.name, resource.network_id]


def uses_of(resource: Resource, *, user: User) -> Uses:
    """Return what uses ``resource``, as last observed, as far as ``user`` may know of it."""
    found = ObservedUse.objects.filter(
        kind=_kind_of(resource), name__in=_names_of(resource), container__host_id=resource.host_id
    )
    visible: ContainerQuerySet = ObservedContainer.objects.visible_to(user)
    known = visible.filter(pk__in=found.values("container_id"))
    total, number = found.values("container_id").distinct().count(), known.count()
    return Uses(
        known=[
            Using(
                name=name,
                url=reverse("container-detail", args=[resource.host_id, container_id]),
                state=state,
            )
            for name, container_id, state in known.order_by("rank", "name").values_list(
                "name", "container_id", "state"
            )[:_MOST_SHOWN]
        ],
        others=total - number,
    )


def use_counts(resources: Collection[Resource]) -> dict[int, int]:
    """Return how many containers use each of ``resources``, which are of one kind, by their key."""
    if not resources:
        return {}
    counted = (
        ObservedUse.objects.filter(
            kind=_kind_of(next(iter(resources))),
            name__in={name for resource in resources for name in _names_of(resource)},
            container__host_id__in={resource.host_id for resource in resources},
        )
        .order_by()
        .values_list("container__host_id", "name")
        .annotate(Count("container", distinct=True))
    )
    numbers = {(host_id, name): number for host_id, name, number in counted}
    return {
        resource.pk: sum(numbers.get((resource.host_id, name), 0) for name in _names_of(resource))
        for resource in resources
    }


def refuse_while_used(operation_id: UUID, *, container_ids: Collection[str], next_step: str) -> None:
    """Raise a ``Failure`` that names the containers, as far as whoever asked may know of them; without any, do nothing.

    The worker's side: it has asked the engine, just now.
    """
    if not container_ids:
        return
    operation = Operation.objects.select_related("actor").defer("arguments").get(pk=operation_id)
    names: list[str] = []
    if operation.actor is not None:
        visible: ContainerQuerySet = ObservedContainer.objects.visible_to(operation.actor)
        known = visible.filter(host=operation.host_id, container_id__in=container_ids)
        names = list(known.values_list("name", flat=True))
    raise Failure("in_use", words_of(names, others=len(container_ids) - len(names)), next_step=next_step)


def mounting(containers: Collection[Container], volume: str) -> list[str]:
    """Return the ids of those of ``containers`` that mount ``volume``."""
    return [
        container.container_id
        for container in containers
        if any(mount.kind == "volume" and mount.source == volume for mount in container.mounts)
    ]


def attached(containers: Collection[Container], *names: str) -> list[str]:
    """Return the ids of those of ``containers`` that are on the network with one of ``names``: its name and its id."""
    return [container.container_id for container in containers if not {*names}.isdisjoint(container.networks)]
