"""Every change to a network: one sentence each. The worker does what they ask for (see network_handlers)."""

from __future__ import annotations

from django.utils.translation import gettext as _

from console.accounts.models import Team, User
from console.containers.ownership import CannotBeGiven, give
from console.hosts.models import Host
from console.inventory.models import ObservedNetwork
from console.lib.origin import Origin
from console.operations.models import Operation
from console.operations.services import enqueue
from console.rbac.models import OwnedKind

#: The networks that every engine has, and that everybody's containers may be on. Podman lists its own as "bridge" too.
BUILT_IN = frozenset({"bridge", "host", "none", "podman"})


def create_network(*, actor: User, host: Host, name: str, internal: bool, origin: Origin | None = None) -> Operation:
    """``actor`` has a network made on ``host``; from an ``internal`` one nothing is reached beyond it."""
    return enqueue(
        actor=actor,
        kind="network.create",
        host=host,
        object_name=name,
        arguments={"name": name, "internal": internal},
        origin=origin,
    )


def remove_network(*, actor: User, network: ObservedNetwork, origin: Origin | None = None) -> Operation:
    """``actor`` removes ``network``."""
    return enqueue(
        actor=actor,
        kind="network.remove",
        host=network.host,
        object_id=network.network_id,
        object_name=network.name,
        origin=origin,
    )


def why_kept(name: str) -> str:
    """Return why a network of this name is neither removed nor given away; "" when it may be."""
    if name in BUILT_IN:
        return _("It is one of the engine's own, and everybody's containers may be on it.")
    return ""


def assign_network(*, actor: User, network: ObservedNetwork, team: Team | None, origin: Origin | None = None) -> None:
    """``actor`` gives ``network`` to ``team``; to nobody, and so to admins alone, without one.

    Raises ``CannotBeGiven``.
    """
    if team is not None and (reason := why_kept(network.name)):
        raise CannotBeGiven(reason)
    give(
        actor=actor,
        kind=OwnedKind.NETWORK,
        host=network.host,
        object_id=network.network_id,
        object_name=network.name,
        team=team,
        topics=("networks",),
        origin=origin,
    )
