"""The worker side of every change to a volume.

Each may run again after a crash: a create knows by its label what it made, and what is gone is gone.
"""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.containers.made_by import is_made_by, labels_of
from console.containers.ownership import check_team, forget_what_is_gone, keep_what_was_made
from console.containers.specs import is_name
from console.containers.uses import mounting, refuse_while_used
from console.containers.volume_services import why_not_given
from console.gateway import Conflict, NotFound, Volume, VolumeSpec
from console.operations.errors import Failure
from console.operations.registry import OperationContext, register
from console.rbac.models import OwnedKind


@register("volume.create", title=gettext_lazy("Create the volume %(name)s"), timeout=120)
async def create(context: OperationContext) -> None:
    """Make a volume, and have it belong to the team that it was made for."""
    name = str(context.arguments.get("name", ""))
    if not is_name(name):
        raise Failure("invalid", _("This is no name for a volume."), next_step=_("Choose another name."))
    await context.in_database(check_team, context.operation_id, name=name)
    context.phase("create", _("Creating %(name)s") % {"name": name})
    volume = await _find(context, name) or await _make(context, name)
    # An engine gives back what has the name already, and says nothing.
    if not is_made_by(volume.labels, context.operation_id, *context.repeats, kind="volume"):
        raise _taken(name)
    if reason := why_not_given(volume):
        raise Failure("invalid", reason, next_step=_("Choose another name."))
    context.identify(object_id=name, object_name=name)
    await context.in_database(keep_what_was_made, context.operation_id, kind=OwnedKind.VOLUME, object_id=name)
    context.fault("volume.create.owned")


async def _find(context: OperationContext, name: str) -> Volume | None:
    try:
        return await context.engine.inspect_volume(name)
    except NotFound:
        return None


async def _make(context: OperationContext, name: str) -> Volume:
    context.fault("volume.create.before")
    spec = VolumeSpec(name=name, labels=labels_of(context.operation_id, kind="volume"))
    try:
        made = await context.engine.create_volume(spec)
    except Conflict as error:
        raise _taken(name) from error
    context.fault("volume.create.created")
    return made


def _taken(name: str) -> Failure:
    return Failure(
        "name_taken",
        _("Another volume on this host is named %(name)s.") % {"name": name},
        next_step=_("Choose another name."),
    )


@register("volume.remove", title=gettext_lazy("Remove the volume %(name)s"), timeout=120)
async def remove(context: OperationContext) -> None:
    """Remove a volume that no container mounts, running or not; already gone is done."""
    name = context.object_id
    context.phase("remove")
    context.fault("volume.remove.before")
    if await _find(context, name) is None:
        context.output(_("It was gone already."))
    else:
        await _refuse_while_used(context, name)
        try:
            await context.engine.remove_volume(name)
        except NotFound:
            context.output(_("It was gone already."))
        except Conflict:
            # A container came in between.
            await _refuse_while_used(context, name)
            raise
    context.fault("volume.remove.removed")
    await context.in_database(forget_what_is_gone, context.operation_id, kind=OwnedKind.VOLUME, object_id=name)
    context.fault("volume.remove.forgotten")


async def _refuse_while_used(context: OperationContext, name: str) -> None:
    await context.in_database(
        refuse_while_used,
        context.operation_id,
        container_ids=mounting(await context.engine.list_containers(), name),
        next_step=_("Remove the containers that use it first."),
    )
