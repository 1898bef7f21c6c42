"""Fetching and authorising in one call."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.hosts.models import Host
from console.inventory.models import ContainerQuerySet, ObservedContainer
from console.lib.problems import Missing
from console.rbac.access import check
from console.rbac.models import owner_of_container
from console.rbac.policy import allowed

#: What one bulk request may touch.
MOST_IN_BULK = 500


def access_container(user: User, host_id: UUID, container_id: str, action: str) -> ObservedContainer:
    """Return the container with its host and team, for ``user`` to do ``action`` with.

    Raises ``Missing`` when the user may not know of it or it is not there, ``PermissionDenied`` when he may see it and
    not act.
    """
    containers: ContainerQuerySet = ObservedContainer.objects.visible_to(user).with_team()
    found = containers.filter(host_id=host_id, container_id=container_id)
    container: ObservedContainer | None = found.select_related("host").first()
    if container is None:
        raise Missing(_("This container does not exist."))
    _check(user, container, action)
    return container


def access_containers(user: User, targets: Iterable[tuple[UUID, str]], action: str) -> list[ObservedContainer]:
    """Return every container of ``targets`` or refuse them all, naming none."""
    wanted = list(dict.fromkeys(targets))
    containers: ContainerQuerySet = ObservedContainer.objects.visible_to(user).with_team()
    rows = containers.filter(
        host_id__in={host_id for host_id, _container_id in wanted},
        container_id__in=[container_id for _host_id, container_id in wanted],
    ).select_related("host")
    found = {(container.host_id, container.container_id): container for container in rows}
    if any(target not in found for target in wanted):
        raise Missing(_("At least one of these containers does not exist any more, so nothing was done. Choose again."))
    for target in wanted:
        _check(user, found[target], action)
    return [found[target] for target in wanted]


def still_allowed(user: User, *, host_id: UUID, container_id: str, action: str) -> bool:
    """Whether ``user`` may go on with what is open.

    The inventory is not asked: a container that it has forgotten ends its streams itself, with the real reason.
    """
    is_there = Host.objects.filter(pk=host_id).exists()
    return is_there and allowed(user, action, team_id=owner_of_container(host_id=host_id, container_id=container_id))


def _check(user: User, container: ObservedContainer, action: str) -> None:
    check(
        user,
        action,
        team_id=container.team_id,
        host=container.host,
        object_id=container.container_id,
        object_name=container.name,
    )
