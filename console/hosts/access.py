"""Fetching and authorising in one call."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.hosts.models import Host, HostQuerySet
from console.lib.problems import Missing
from console.rbac.access import check


def access_hosts(user: User) -> HostQuerySet:
    """Return the hosts that ``user`` may know of. Raises ``Refused`` when he may know of none by his role."""
    check(user, "host.view")
    hosts: HostQuerySet = Host.objects.visible_to(user)
    return hosts


def access_host(user: User, host_id: UUID, action: str) -> Host:
    """Return the host for ``user`` to do ``action`` with it or with something on it.

    Raises ``Missing`` when he may not know of it or it does not exist (the two look the same), ``PermissionDenied``
    when he may see it and not act.
    """
    host = Host.objects.visible_to(user).filter(id=host_id).first()
    if host is None:
        raise Missing(_("This host does not exist."))
    check(user, action, host=host, object_id=str(host.id), object_name=host.name)
    return host
