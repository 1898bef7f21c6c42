"""Fetching and authorising in one call, for networks."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.inventory.models import NetworkQuerySet, ObservedNetwork
from console.lib.problems import Missing
from console.rbac.access import check, check_somewhere


def access_networks(user: User) -> NetworkQuerySet:
    """Return the networks that ``user`` may know of, with their teams. Raises ``Refused`` when there can be none."""
    check_somewhere(user, "network.view")
    networks: NetworkQuerySet = ObservedNetwork.objects.visible_to(user).with_team()
    return networks


def access_network(user: User, host_id: UUID, network_id: str, action: str) -> ObservedNetwork:
    """Return the network with its host and team, for ``user`` to do ``action`` with.

    Raises ``Missing`` when the user may not know of it or it is not there, ``Refused`` when he may see it and not act.
    """
    networks: NetworkQuerySet = ObservedNetwork.objects.visible_to(user).with_team()
    found = networks.filter(host_id=host_id, network_id=network_id)
    network: ObservedNetwork | None = found.select_related("host").first()
    if network is None:
        raise Missing(_("This network does not exist."))
    check(user, action, team_id=network.team_id, host=network.host, object_id=network_id, object_name=network.name)
    return network
