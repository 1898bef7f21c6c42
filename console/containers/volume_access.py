"""Fetching and authorising in one call, for volumes."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from console.accounts.models import Team, User
from console.hosts.models import Host
from console.inventory.models import ObservedVolume, VolumeQuerySet
from console.lib.problems import Missing
from console.rbac.access import check, check_somewhere
from console.rbac.policy import OBJECT_ACTIONS, rights_of


def access_volumes(user: User) -> VolumeQuerySet:
    """Return the volumes that ``user`` may know of, with their teams. Raises ``Refused`` when there can be none."""
    check_somewhere(user, "volume.view")
    volumes: VolumeQuerySet = ObservedVolume.objects.visible_to(user).with_team()
    return volumes


def access_volume(user: User, host_id: UUID, name: str, action: str) -> ObservedVolume:
    """Return the volume with its host and team, for ``user`` to do ``action`` with.

    Raises ``Missing`` when the user may not know of it or it is not there, ``Refused`` when he may see it and not act.
    """
    volumes: VolumeQuerySet = ObservedVolume.objects.visible_to(user).with_team()
    volume: ObservedVolume | None = volumes.filter(host_id=host_id, name=name).select_related("host").first()
    if volume is None:
        raise Missing(_("This volume does not exist."))
    check(user, action, team_id=volume.team_id, host=volume.host, object_id=name, object_name=name)
    return volume


def access_new_volumes(user: User) -> QuerySet[Team]:
    """Return the teams that ``user`` may make volumes for. Raises ``Refused`` when he may make none at all."""
    check_somewhere(user, "volume.create")
    rights, level = rights_of(user), OBJECT_ACTIONS["volume.create"]
    teams = Team.objects.order_by("name")
    return teams if rights.everywhere >= level else teams.filter(pk__in=rights.teams_with(level))


def access_new_volume(user: User, *, host: Host, team: Team | None, name: str) -> None:
    """Let ``user`` make a volume on ``host`` for ``team``, without one for nobody. Raises ``Refused``."""
    check(user, "volume.create", team_id=team.pk if team is not None else None, host=host, object_name=name)
