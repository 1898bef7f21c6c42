"""What a team's container needs beside its image: the team's own network, and volumes that are the team's."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from console.containers import permits
from console.containers.made_by import is_made_by, labels_of
from console.containers.specs import TEAM_LABEL, TEAM_SIGNATURE_LABEL
from console.gateway import Conflict, ContainerSpec, Network, NetworkSpec, NotFound, Volume, VolumeSpec
from console.lib.crypto import is_signed, signature
from console.operations.registry import OperationContext
from console.policies.refusals import Denied
from console.policies.rules import Bounds, Denial, own_network

_ORDINARY_DRIVER: Final = "local"


def team_labels(team_id: UUID, *, kind: str) -> tuple[tuple[str, str], ...]:
    """Return the labels that say for which team something was made, signed so that nobody else can say it."""
    team = str(team_id)
    return ((TEAM_LABEL, team), (TEAM_SIGNATURE_LABEL, signature(kind, "team", team)))


def _is_made_for(found: Volume | Network, *, kind: str, team_id: UUID) -> bool:
    """Whether we made what was found for the team: an earlier run may have died before it wrote that down."""
    team = str(team_id)
    said = found.labels.get(TEAM_LABEL) == team
    return said and is_signed(found.labels.get(TEAM_SIGNATURE_LABEL, ""), kind, "team", team)


async def provide_network(context: OperationContext, spec: ContainerSpec, bounds: Bounds) -> str:
    """Return the network that ``spec`` joins: what it names, else the team's own, made when it is not there."""
    if spec.network == "none":
        return spec.network
    name = spec.network or own_network(bounds.prefix)
    try:
        network = await context.engine.inspect_network(name)
    except NotFound:
        if spec.network:
            raise
        context.output(_("Making the network %(name)s of the team %(team)s.") % {"name": name, "team": bounds.team})
        labels = team_labels(bounds.team_id, kind="network")
        try:
            network_id = await context.engine.create_network(NetworkSpec(name=name, labels=labels))
        except Conflict:  # another operation of the team was faster
            network_id = name
        network = await context.engine.inspect_network(network_id)
    if network.network_id not in bounds.networks:
        is_theirs = await context.in_database(
            permits.own,
            operation_id=context.operation_id,
            kind="network",
            object_id=network.network_id,
            is_made_for_it=_is_made_for(network, kind="network", team_id=bounds.team_id),
        )
        if not is_theirs:
            raise await _denied(context, "network", _not_theirs(name, bounds))
    return network.name


async def provide_volumes(context: OperationContext, spec: ContainerSpec, bounds: Bounds) -> None:
    """See that each volume of ``spec`` is the team's and no path of the host in disguise; make what is not there.

    Engines make a volume that is missing without a word, and take whatever has the name: so all of them are there, and
    ours, before the container is made.
    """
    for name in dict.fromkeys(volume.volume for volume in spec.volumes):
        try:
            volume = await context.engine.inspect_volume(name)
        except NotFound:
            context.output(_("Making the volume %(name)s of the team %(team)s.") % {"name": name, "team": bounds.team})
            ours = labels_of(context.operation_id, kind="volume")
            labels = (*ours, *team_labels(bounds.team_id, kind="volume"))
            volume = await context.engine.create_volume(VolumeSpec(name=name, labels=labels))
        if volume.driver != _ORDINARY_DRIVER or volume.options:
            message = _("The volume %(name)s has options of its own, by which it can reach into the host.")
            raise await _denied(context, "volumes", message % {"name": name})
        if name not in bounds.volumes:
            # Made for the team is not enough: an admin may have given it to somebody else since.
            is_theirs = await context.in_database(
                permits.own,
                operation_id=context.operation_id,
                kind="volume",
                object_id=name,
                is_made_for_it=is_made_by(volume.labels, context.operation_id, *context.repeats, kind="volume"),
            )
            if not is_theirs:
                raise await _denied(context, "volumes", _not_theirs(name, bounds))


def _not_theirs(name: str, bounds: Bounds) -> str:
    return _("%(name)s is there and not one of the team %(team)s.") % {"name": name, "team": bounds.team}


async def _denied(context: OperationContext, field: str, message: str) -> Denied:
    denial = Denial(field, message, _("Choose another name, or ask an admin to give it to the team."))
    return await context.in_database(permits.deny, operation_id=context.operation_id, denial=denial)
