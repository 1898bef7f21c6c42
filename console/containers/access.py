"""Fetching and authorising in one call."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.hosts.access import access_host
from console.inventory.models import ContainerQuerySet, ObservedContainer
from console.lib.problems import Missing
from console.rbac.access import check

#: What one bulk request may touch.
MOST_IN_BULK = 500


def access_container(user: User, host_id: UUID, container_id: str, action: str) -> ObservedContainer:
    """Return the container with its host, for ``user`` to do ``action`` with.

    Raises ``Missing`` when the user may not know of it or it is not there, ``PermissionDenied`` when he may see it and
    not act.
    """
    host = access_host(user, host_id, "container.view")
    containers: ContainerQuerySet = ObservedContainer.objects.visible_to(user)
    container: ObservedContainer | None = containers.filter(host=host, container_id=container_id).first()
    if container is None:
        raise Missing(_("This container does not exist."))
    check(user, action, host=host, object_id=container_id, object_name=container.name)
    container.host = host
    return container


def access_containers(user: User, targets: Iterable[tuple[UUID, str]], action: str) -> list[ObservedContainer]:
    """Return every container of ``targets`` or refuse them all, naming none."""
    wanted = list(dict.fromkeys(targets))
    host_ids = dict.fromkeys(host_id for host_id, _container_id in wanted)
    hosts = {host_id: access_host(user, host_id, "container.view") for host_id in host_ids}
    found = {
        (container.host_id, container.container_id): container
        for container in ObservedContainer.objects.visible_to(user).filter(
            host_id__in=hosts, container_id__in=[container_id for _host_id, container_id in wanted]
        )
    }
    if any(target not in found for target in wanted):
        raise Missing(_("At least one of these containers does not exist any more, so nothing was done. Choose again."))
    for container in found.values():
        container.host = hosts[container.host_id]
        check(user, action, host=container.host, object_id=container.container_id, object_name=container.name)
    return [found[target] for target in wanted]
