"""Whether a team may have the container that somebody asks for: when the operation is accepted, and by the worker.

These functions read and write the database; handlers call them through ``OperationContext.in_database``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from console.accounts.models import Team
from console.audit.services import record_refusal
from console.containers.specs import RESERVED_PREFIX, from_arguments, to_arguments
from console.gateway import ContainerSpec, ImageDetail
from console.hosts.models import Host
from console.lib.live import notify
from console.lib.origin import Origin
from console.operations.models import Operation
from console.policies import quotas
from console.policies.queries import bounds_of
from console.policies.refusals import Denied
from console.policies.rules import Bounds, Denial, complete, decide, decide_image
from console.rbac.models import OwnedKind, Ownership, owner_of

ACTION: Final = "container.create"
#: How far back an operation looks for what it repeats.
_MOST_REPEATED: Final = 100


def accept_create(operation: Operation) -> None:
    """Hold what is asked for against the team's policy, and take its share of the quota. Raises ``Denied``.

    The operation's arguments hold afterwards what its author left open: names, limits, ports.
    """
    if operation.team is None or operation.host is None:
        return
    bounds = bounds_of(team=operation.team, host_id=operation.host.pk)
    spec = complete(from_arguments(operation.arguments.get("spec")), bounds)
    _refuse(decide(spec, bounds), host=operation.host, name=spec.name)
    if not _is_kept(operation):
        try:
            spec = quotas.reserve(
                team_id=operation.team.pk, host_id=operation.host.pk, operation_id=operation.pk, spec=spec
            )
        except quotas.OverQuota as error:
            _refuse(error.denials, host=operation.host, name=spec.name)
    arguments = {**operation.arguments, "spec": to_arguments(spec)}
    operation.arguments = arguments
    operation.object_name = spec.name
    operation.save(update_fields=["arguments", "object_name"])


def _is_kept(operation: Operation) -> bool:
    """Whether what this repeats made a container that is kept, with its share: then this goes on with that one."""
    earlier, found = operation.retry_of, 0
    while earlier is not None and found < _MOST_REPEATED:
        if quotas.is_held(operation_id=earlier.pk):
            return True
        earlier, found = earlier.retry_of, found + 1
    return False


def _refuse(denials: Sequence[Denial], *, host: Host, name: str) -> None:
    if denials:
        raise Denied(ACTION, denials, host=host, object_name=name)


def permit(*, operation_id: UUID, repeats: Collection[UUID], spec: ContainerSpec) -> Bounds:
    """Return the bounds within which the worker may make ``spec``, as of now. Raises ``Denied``, which is on record."""
    operation = Operation.objects.select_related("team", "host", "actor").get(pk=operation_id)
    team, host = operation.team, operation.host
    if team is None or host is None:
        gone = Denial("team", _("The team was removed meanwhile."), _("Nothing is left to do."))
        raise _recorded([gone], operation)
    bounds = bounds_of(team=team, host_id=host.pk)
    denials = decide(spec, bounds)
    if not denials and not quotas.is_reserved(operation_ids=[operation_id, *repeats], spec=spec):
        message = _("No share of the team's quota is kept for this any more.")
        denials = [Denial("containers", message, _("Ask for it anew."), kind="quota")]
    if denials:
        raise _recorded(denials, operation)
    return bounds


def permit_image(*, operation_id: UUID, spec: ContainerSpec, bounds: Bounds, image: ImageDetail) -> None:
    """See that the image itself, now that the host has it, may be run. Raises ``Denied``, which is on record."""
    config = image.raw.get("Config")
    check = (config.get("Healthcheck") if isinstance(config, dict) else None) or {}
    denials = decide_image(
        spec,
        bounds,
        user=image.user,
        labels=tuple(image.image.labels),
        health_interval_nanoseconds=int(check.get("Interval") or 0),
        reserved=RESERVED_PREFIX,
    )
    if denials:
        raise _recorded(denials, Operation.objects.select_related("host", "actor").get(pk=operation_id))


def deny(*, operation_id: UUID, denial: Denial) -> Denied:
    """Return the refusal of what the worker found on the host, which is on record."""
    return _recorded([denial], Operation.objects.select_related("host", "actor").get(pk=operation_id))


def _recorded(denials: Sequence[Denial], operation: Operation) -> Denied:
    denied = Denied(ACTION, denials, host=operation.host, object_name=operation.object_name)
    record_refusal(denied, actor=operation.actor, origin=Origin(address=operation.address))
    return denied


def own(
    *,
    operation_id: UUID,
    kind: str,
    object_id: str,
    operation_ids: Collection[UUID] = (),
    is_made_for_it: bool = True,
) -> bool:
    """Give what was made for an operation's team to it, unless it is another's; a container with its share of quota.

    Says whether the team owns it now. Without ``is_made_for_it`` it only looks.
    """
    operation = Operation.objects.select_related("team", "actor").get(pk=operation_id)
    if operation.team is None or operation.host_id is None:
        return False
    if not is_made_for_it:
        return owner_of(host_id=operation.host_id, kind=kind, object_id=object_id) == operation.team.pk
    with transaction.atomic():
        # Locked, so that the team is not removed meanwhile.
        Team.objects.select_for_update().get(pk=operation.team.pk)
        ownership, _is_new = Ownership.objects.get_or_create(
            host_id=operation.host_id,
            kind=kind,
            object_id=object_id,
            defaults={"team": operation.team, "given_by": operation.actor},
        )
        if kind == OwnedKind.CONTAINER:
            quotas.hold(operation_ids=[operation_id, *operation_ids], container_id=object_id)
        notify("teams")
    return ownership.team_id == operation.team.pk


def disown(*, host_id: UUID, container_id: str) -> None:
    """Take back a container that was removed before it ever ran."""
    with transaction.atomic():
        Ownership.objects.filter(host_id=host_id, kind=OwnedKind.CONTAINER, object_id=container_id).delete()
        quotas.free_container(host_id=host_id, container_id=container_id)
