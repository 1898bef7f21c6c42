"""Fetching and authorising in one call."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.hosts.models import Host
from console.inventory.models import ContainerQuerySet, ObservedContainer
from console.lib.problems import Missing
from console.policies.queries import without_shells
from console.rbac.access import Refused, check
from console.rbac.models import owner_of_container
from console.rbac.policy import Level, allowed, rights_of

#: Acts that open a shell, type into a program, or do what is a shell's: where no shell is allowed, they are not either.
SHELLS = ("container.terminal", "container.attach", "container.file_read", "container.file_write")
#: What one bulk request may touch.
MOST_IN_BULK = 500


def access_container(user: User, host_id: UUID, container_id: str, action: str) -> ObservedContainer:
    """Return the container with its host and team, for ``user`` to do ``action`` with.

    Raises ``Missing`` when the user may not know of it or it is not there, ``PermissionDenied`` when he may see it and
    not act.
    """
    # Two plain look-ups: the one query that lists use takes longer to write than these to answer, and every stream of a
    # container begins here.
    found = ObservedContainer.objects.filter(host_id=host_id, container_id=container_id)
    container: ObservedContainer | None = found.select_related("host").first()
    team_id = owner_of_container(host_id=host_id, container_id=container_id)
    if container is None or rights_of(user).over(team_id) < Level.VIEW:
        raise Missing(_("This container does not exist."))
    container.team_id = team_id
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
    if not Host.objects.filter(pk=host_id).exists():
        return False
    team_id = owner_of_container(host_id=host_id, container_id=container_id)
    return allowed(user, action, team_id=team_id) and not _closed_by_policy(user, action, team_id=team_id)


def _closed_by_policy(user: User, action: str, *, team_id: UUID | None) -> bool:
    """Whether the policy of the team keeps its people out of shells; who owns everything is not bound by it."""
    if action not in SHELLS or team_id is None or rights_of(user).everywhere >= Level.OWN:
        return False
    return bool(without_shells([team_id]))


def _check(user: User, container: ObservedContainer, action: str) -> None:
    check(
        user,
        action,
        team_id=container.team_id,
        host=container.host,
        object_id=container.container_id,
        object_name=container.name,
    )
    if _closed_by_policy(user, action, team_id=container.team_id):
        raise Refused(
            action,
            message=_("The policy of this container's team allows no shells."),
            code="policy.shells",
            host=container.host,
            object_id=container.container_id,
            object_name=container.name,
        )
