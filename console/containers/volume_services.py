"""Every change to a volume: one sentence each. The worker does what they ask for (see volume_handlers)."""

from __future__ import annotations

from django.utils.translation import gettext as _

from console.accounts.models import Team, User
from console.containers.ownership import CannotBeGiven, give
from console.gateway import Volume, call
from console.hosts.models import Host
from console.inventory.models import ObservedVolume
from console.lib.origin import Origin
from console.operations.models import Operation
from console.operations.services import enqueue
from console.rbac.models import OwnedKind


def create_volume(
    *, actor: User, host: Host, name: str, team: Team | None = None, origin: Origin | None = None
) -> Operation:
    """``actor`` has a volume made on ``host``, for ``team`` to own; without one for admins alone."""
    return enqueue(
        actor=actor,
        kind="volume.create",
        host=host,
        team_id=team.pk if team is not None else None,
        object_name=name,
        arguments={"name": name},
        origin=origin,
    )


def remove_volume(*, actor: User, volume: ObservedVolume, origin: Origin | None = None) -> Operation:
    """``actor`` removes ``volume`` with all that is in it."""
    return enqueue(
        actor=actor,
        kind="volume.remove",
        host=volume.host,
        object_id=volume.name,
        object_name=volume.name,
        origin=origin,
    )


def why_not_given(volume: Volume | ObservedVolume) -> str:
    """Return why no team may own ``volume``; "" when one may."""
    if volume.driver != "local":
        return _("Its driver is %(driver)s: what such a volume reaches, this console cannot know.") % {
            "driver": volume.driver
        }
    if volume.options:
        return _("It has driver options, by which it can be any folder of its host, or another machine's.")
    return ""


def assign_volume(*, actor: User, volume: ObservedVolume, team: Team | None, origin: Origin | None = None) -> None:
    """``actor`` gives ``volume`` to ``team``; to nobody, and so to admins alone, without one.

    The engine is asked what the volume is now: one made with driver options is a folder of the host in disguise. Raises
    ``CannotBeGiven``, ``BackendError``.
    """
    if team is not None:
        found = call(volume.host.endpoint, lambda engine: engine.inspect_volume(volume.name))
        if reason := why_not_given(found):
            raise CannotBeGiven(reason)
    give(
        actor=actor,
        kind=OwnedKind.VOLUME,
        host=volume.host,
        object_id=volume.name,
        object_name=volume.name,
        team=team,
        topics=("volumes",),
        origin=origin,
    )
