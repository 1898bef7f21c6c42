"""Taking a share of a team's quota, and giving it back.

A share is taken in the transaction that accepts an operation, under a lock on the grant: so of a hundred that ask at
once, as many are accepted as fit. It is given back when the operation ends without a container, and when the container
is gone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from console.gateway import ContainerSpec, PublishedPort
from console.hosts.models import HostState
from console.inventory.models import ObservedContainer
from console.policies.models import Reservation, ReservedPort
from console.policies.queries import gauges, usage_of
from console.policies.rules import Denial
from console.rbac.models import HostGrant

logger = structlog.get_logger(__name__)

#: A container that was just made may not be in the inventory yet, nor one whose host answers again only now.
_SETTLING: Final = timedelta(seconds=40)


class OverQuota(Exception):
    """What was asked for does not fit: ``denials`` say why."""

    def __init__(self, denials: list[Denial]) -> None:
        super().__init__(denials[0].message)
        self.denials = denials


def exceeded(grant: HostGrant, spec: ContainerSpec) -> list[Denial]:
    """Return what of ``spec`` does not fit into what is left of the quota."""
    usage = usage_of(team_id=grant.team_id, host_id=grant.host_id)
    found = []
    for gauge in gauges(grant, usage=usage, spec=spec):
        # Without a range there are no ports at all, which is the policy's word.
        if gauge.is_over and (gauge.name != "ports" or grant.ports):
            message = _(
                "%(label)s: the team %(team)s has %(limit)s here, %(used)s are taken, and this asks for %(asked)s."
            )
            parts = {
                "label": gauge.label,
                "team": grant.team.name,
                "limit": gauge.limit_text,
                "used": gauge.used_text,
                "asked": gauge.asked_text,
            }
            advice = _("Remove a container that nobody needs, ask for less, or ask an admin for a larger quota.")
            found.append(Denial(gauge.name, message % parts, advice, kind="quota"))
    return found


def reserve(*, team_id: UUID, host_id: UUID, operation_id: UUID, spec: ContainerSpec) -> ContainerSpec:
    """Take a share for ``spec`` within the caller's transaction; returns it with a port chosen wherever none was said.

    Raises ``OverQuota``.
    """
    with transaction.atomic():
        # Whoever asks for the same quota waits here.
        grant = HostGrant.objects.select_for_update().filter(team_id=team_id, host_id=host_id).first()
        if grant is None:
            raise OverQuota([_no_host()])
        if denials := exceeded(grant, spec):
            raise OverQuota(denials)
        reservation = Reservation.objects.create(
            team_id=team_id,
            host_id=host_id,
            operation_id=operation_id,
            nano_cpus=spec.nano_cpus,
            memory_bytes=spec.memory_bytes,
            disk_bytes=spec.disk_bytes,
        )
        spec = dataclasses.replace(spec, ports=tuple(_choose_ports(grant, spec)))
        try:
            with transaction.atomic():
                ReservedPort.objects.bulk_create(
                    ReservedPort(reservation=reservation, host_id=host_id, protocol=port.protocol, port=port.host_port)
                    for port in spec.ports
                )
        except IntegrityError as error:  # another team's, whose range overlaps, at the same moment
            message, advice = _("One of these ports was taken just now."), _("Try again.")
            raise OverQuota([Denial("ports", message, advice, kind="quota")]) from error
    return spec


def _no_host() -> Denial:
    return Denial(
        "host",
        _("The team may create nothing on this host any more."),
        _("Choose another host, or ask an admin to give this one to the team."),
    )


def _choose_ports(grant: HostGrant, spec: ContainerSpec) -> Iterable[PublishedPort]:
    """Yield the ports of ``spec``, a free one of the range in the place of 0. Raises ``OverQuota``."""
    wanted = [(port.protocol, port.host_port) for port in spec.ports if port.host_port]
    numbers = {number for _protocol, number in wanted}
    held = ReservedPort.objects.filter(host_id=grant.host_id)
    first, last = grant.ports or (1, 0)
    taken = set(held.filter(Q(port__in=numbers) | Q(port__gte=first, port__lte=last)).values_list("protocol", "port"))
    for row, port in enumerate(spec.ports):
        if port.host_port and (port.protocol, port.host_port) in taken:
            message = _("Port %(port)s is held by another container, running or not.") % {"port": port.host_port}
            raise OverQuota([Denial("ports", message, _("Choose another port, or leave it open."), row, kind="quota")])
    taken.update(wanted)
    taken |= _published_by_others(grant)
    for row, port in enumerate(spec.ports):
        if port.host_port:
            yield port
            continue
        free = next((number for number in range(first, last + 1) if (port.protocol, number) not in taken), None)
        if free is None:
            message = _("No port of the team's range is free.")
            advice = _("Remove a container that nobody needs, or ask an admin for a larger range.")
            raise OverQuota([Denial("ports", message, advice, row, kind="quota")])
        taken.add((port.protocol, free))
        yield dataclasses.replace(port, host_port=free)


def _published_by_others(grant: HostGrant) -> set[tuple[str, int]]:
    """Return what containers without a reservation, an admin's, publish on the host."""
    rows = ObservedContainer.objects.filter(host_id=grant.host_id).exclude(ports=[]).values_list("ports", flat=True)
    return {pair for ports in rows for pair in published(ports)}


def published(ports: Iterable[Mapping[str, Any]]) -> set[tuple[str, int]]:
    """Return which ports of its host a container publishes, of those that the inventory has seen."""
    return {(str(port.get("protocol")), int(port["host_port"])) for port in ports if port.get("host_port")}


def is_reserved(*, operation_ids: Iterable[UUID], spec: ContainerSpec) -> bool:
    """Whether one of the operations holds a share that is large enough for ``spec``, with each of its ports."""
    reservation = Reservation.objects.filter(operation_id__in=list(operation_ids)).first()
    if reservation is None:
        return False
    held = set(reservation.ports.values_list("protocol", "port"))
    return (
        spec.nano_cpus <= reservation.nano_cpus
        and spec.memory_bytes <= reservation.memory_bytes
        and spec.disk_bytes <= reservation.disk_bytes
        and {(port.protocol, port.host_port) for port in spec.ports} <= held
    )


def is_held(*, operation_id: UUID) -> bool:
    """Whether the share of the operation belongs to a container that it made."""
    return Reservation.objects.filter(operation_id=operation_id).exclude(container_id="").exists()


def hold(*, operation_ids: Iterable[UUID], container_id: str) -> None:
    """Say that an operation's share belongs to the container it made."""
    Reservation.objects.filter(operation_id__in=list(operation_ids)).update(
        container_id=container_id, held_at=timezone.now()
    )


def count_in(
    *,
    team_id: UUID,
    host_id: UUID,
    container_id: str,
    nano_cpus: int,
    memory_bytes: int,
    disk_bytes: int,
    ports: set[tuple[str, int]],
) -> None:
    """Count a container that was made otherwise and is given to the team: an admin may go beyond its quota."""
    with transaction.atomic():
        free_container(host_id=host_id, container_id=container_id)
        reservation = Reservation.objects.create(
            team_id=team_id,
            host_id=host_id,
            container_id=container_id,
            nano_cpus=nano_cpus,
            memory_bytes=memory_bytes,
            disk_bytes=disk_bytes,
            held_at=timezone.now(),
        )
        # What another one holds already is that one's: both cannot run at once.
        ReservedPort.objects.bulk_create(
            (
                ReservedPort(reservation=reservation, host_id=host_id, protocol=protocol, port=port)
                for protocol, port in ports
            ),
            ignore_conflicts=True,
        )


def free(*, operation_id: UUID) -> None:
    """Give back the share of an operation that made nothing, or removed what it made."""
    Reservation.objects.filter(operation_id=operation_id).delete()


def free_container(*, host_id: UUID, container_id: str) -> None:
    """Give back the share of a container that is gone."""
    Reservation.objects.filter(host_id=host_id, container_id=container_id).delete()


def free_dead(*, active: QuerySet[Any, Any]) -> int:
    """Give back the shares of operations that ended without a container, and of containers that are gone.

    ``active`` are the ids of the operations that may still make theirs. Returns how many shares were given back.
    """
    unused = Reservation.objects.filter(container_id="", operation_id__isnull=False).exclude(operation_id__in=active)
    there = ObservedContainer.objects.filter(host_id=OuterRef("host_id"), container_id=OuterRef("container_id"))
    gone = Reservation.objects.exclude(container_id="").filter(
        ~Exists(there), host__state=HostState.REACHABLE, held_at__lt=timezone.now() - _SETTLING
    )
    dead = [*unused.values_list("pk", flat=True), *gone.values_list("pk", flat=True)]
    if dead:
        Reservation.objects.filter(pk__in=dead).delete()
        logger.info("reservations_freed", count=len(dead))
    return len(dead)
