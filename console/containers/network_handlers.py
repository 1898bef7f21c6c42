"""The worker side of every change to a network.

Each may run again after a crash: a create knows by its label what it made, and what is gone is gone.
"""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.containers.made_by import is_made_by, labels_of
from console.containers.network_services import why_kept
from console.containers.ownership import forget_what_is_gone, keep_what_was_made
from console.containers.specs import is_name
from console.containers.uses import attached, refuse_while_used
from console.gateway import Conflict, Network, NetworkSpec, NotFound
from console.operations.errors import Failure
from console.operations.registry import OperationContext, register
from console.rbac.models import OwnedKind


@register("network.create", title=gettext_lazy("Create the network %(name)s"), timeout=120)
async def create(context: OperationContext) -> None:
    """Make a network; the engine chooses its addresses."""
    name = str(context.arguments.get("name", ""))
    if not is_name(name) or why_kept(name):
        raise Failure("invalid", _("This is no name for a network."), next_step=_("Choose another name."))
    context.phase("create", _("Creating %(name)s") % {"name": name})
    network = await _find(context, name)
    network_id = network.network_id if network is not None else await _make(context, name)
    if network is not None and not is_made_by(network.labels, context.operation_id, *context.repeats, kind="network"):
        raise _taken(name)
    context.identify(object_id=network_id, object_name=name)
    await context.in_database(keep_what_was_made, context.operation_id, kind=OwnedKind.NETWORK, object_id=network_id)
    context.fault("network.create.owned")


async def _find(context: OperationContext, name: str) -> Network | None:
    """Return the network of this name; an engine also finds one whose id begins with it."""
    try:
        found = await context.engine.inspect_network(name)
    except NotFound:
        return None
    return found if found.name == name else None


async def _make(context: OperationContext, name: str) -> str:
    context.fault("network.create.before")
    spec = NetworkSpec(
        name=name,
        labels=labels_of(context.operation_id, kind="network"),
        internal=context.arguments.get("internal") is True,
    )
    try:
        network_id = await context.engine.create_network(spec)
    except Conflict as error:
        raise _taken(name) from error
    context.fault("network.create.created")
    return network_id


def _taken(name: str) -> Failure:
    return Failure(
        "name_taken",
        _("Another network on this host is named %(name)s.") % {"name": name},
        next_step=_("Choose another name."),
    )


@register("network.remove", title=gettext_lazy("Remove the network %(name)s"), timeout=120)
async def remove(context: OperationContext) -> None:
    """Remove a network that no container is on, running or not; already gone is done."""
    network_id = context.object_id
    context.phase("remove")
    context.fault("network.remove.before")
    try:
        network = await context.engine.inspect_network(network_id)
    except NotFound:
        context.output(_("It was gone already."))
    else:
        if reason := why_kept(network.name):
            raise Failure("predefined", reason, next_step=_("Nothing is left to do."))
        await _refuse_while_used(context, network)
        try:
            await context.engine.remove_network(network_id)
        except NotFound:
            context.output(_("It was gone already."))
        except Conflict:
            # A container came in between.
            await _refuse_while_used(context, network)
            raise
    context.fault("network.remove.removed")
    await context.in_database(forget_what_is_gone, context.operation_id, kind=OwnedKind.NETWORK, object_id=network_id)


async def _refuse_while_used(context: OperationContext, network: Network) -> None:
    # Docker would take it away from containers that have stopped, and they could never start again.
    users = attached(await context.engine.list_containers(), network.name, network.network_id)
    await context.in_database(
        refuse_while_used,
        context.operation_id,
        container_ids=users,
        next_step=_("Remove the containers that are on it first."),
    )
