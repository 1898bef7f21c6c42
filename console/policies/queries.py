"""What a team may have, and how much of it is taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from console.accounts.models import Team
from console.gateway import ContainerSpec
from console.inventory.models import ObservedNetwork
from console.lib.amounts import cpus_text, size_text
from console.policies.models import PolicyVersion, Reservation, ReservedPort
from console.policies.rules import Bounds, Recorded, Rules, limits_nothing
from console.rbac.models import HostGrant, OwnedKind, Ownership


def rules_of(team_id: UUID) -> Rules:
    """Return the policy that holds for the team now."""
    newest = PolicyVersion.objects.filter(team_id=team_id).order_by("-number").first()
    return newest.rules if newest is not None else Rules()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellTerms:
    """On which terms shells in a team's containers are opened, as of now."""

    #: Whether the team's own people may open any.
    open: bool
    needs_approval: bool
    #: Of one person, in all containers of the team.
    at_once: int
    #: Seconds; 0 is never.
    idle_seconds: int
    age_seconds: int
    recording: Recorded
    record_input: bool
    recording_days: int


def terms_of(team_id: UUID | None) -> ShellTerms:
    """Return on which terms shells are opened in what the team owns; without a team, in what nobody owns."""
    rules = rules_of(team_id) if team_id is not None else Rules()
    return ShellTerms(
        open=rules.shells,
        needs_approval=rules.shell_approval,
        at_once=rules.shells_at_once,
        idle_seconds=rules.shell_idle_minutes * 60,
        age_seconds=rules.shell_hours * 3600,
        recording=rules.recording,
        record_input=rules.record_input,
        recording_days=rules.recording_days,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTerms:
    """How logs of a team's containers are kept, as of now."""

    #: After the container is gone; 0 keeps none.
    days: int
    #: Of one container, at most.
    size_bytes: int


def log_terms() -> dict[UUID, LogTerms]:
    """Return how the logs of each team's containers are kept; teams without a policy are not named, and keep none."""
    newer = PolicyVersion.objects.filter(team_id=OuterRef("team_id"), number__gt=OuterRef("number"))
    newest = PolicyVersion.objects.filter(~Exists(newer)).order_by()
    rules = {version.team_id: version.rules for version in newest}
    return {team_id: LogTerms(days=found.log_days, size_bytes=found.log_kept_bytes) for team_id, found in rules.items()}


def without_shells(team_ids: Collection[UUID]) -> set[UUID]:
    """Return which of the teams have a policy that keeps their people out of shells."""
    versions = PolicyVersion.objects.filter(team_id__in=team_ids).order_by("number")
    newest = dict(versions.values_list("team_id", "content__shells"))
    return {team_id for team_id, shells in newest.items() if shells is False}


def grant_of(*, team_id: UUID, host_id: UUID) -> HostGrant | None:
    """Return what the team has of the host; ``None`` is nothing."""
    grants = HostGrant.objects.select_related("team", "host").defer("host__credentials")
    return grants.filter(team_id=team_id, host_id=host_id).first()


def bounds_of(*, team: Team, host_id: UUID) -> Bounds:
    """Return everything that a decision for ``team`` on the host needs to know, as of now."""
    grant = grant_of(team_id=team.pk, host_id=host_id)
    owned = Ownership.objects.filter(team=team, host_id=host_id).exclude(kind=OwnedKind.CONTAINER)
    by_kind: dict[str, set[str]] = {}
    for kind, object_id in owned.values_list("kind", "object_id"):
        by_kind.setdefault(kind, set()).add(object_id)
    networks = by_kind.get("network", set())
    names = ObservedNetwork.objects.filter(host_id=host_id, network_id__in=networks).values_list("name", flat=True)
    return Bounds(
        team_id=team.pk,
        team=team.name,
        prefix=team.prefix,
        rules=rules_of(team.pk),
        has_host=grant is not None,
        ports=grant.ports if grant is not None else None,
        address=(grant.address or "") if grant is not None else "",
        volumes=frozenset(by_kind.get("volume", ())),
        networks=frozenset(networks) | frozenset(names),
        limits_disk=grant is not None and grant.host.limits_disk,
        storage=grant.host.storage if grant is not None else "",
        has_disk_quota=grant is not None and grant.disk_bytes is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a team has taken of a host."""

    containers: int
    nano_cpus: int
    memory_bytes: int
    disk_bytes: int
    ports: int


_MOST_PORTS_SHOWN: Final = 3
#: What reservations add up to.
_TAKEN: Final = {
    "containers": Count("pk"),
    "nano_cpus": Sum("nano_cpus"),
    "memory_bytes": Sum("memory_bytes"),
    "disk_bytes": Sum("disk_bytes"),
}


def usage_of(*, team_id: UUID, host_id: UUID) -> Usage:
    """Return what the team has taken of the host: what runs, what is stopped, what is being made."""
    mine = Reservation.objects.filter(team_id=team_id, host_id=host_id)
    found = mine.aggregate(**_TAKEN)
    return Usage(
        containers=found["containers"],
        nano_cpus=found["nano_cpus"] or 0,
        memory_bytes=found["memory_bytes"] or 0,
        disk_bytes=found["disk_bytes"] or 0,
        ports=ReservedPort.objects.filter(reservation__in=mine).count(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """How much of one thing is taken, and how much somebody asks for; ``limit`` ``None`` is no bound."""

    name: str
    label: str
    used: int
    asked: int
    limit: int | None
    used_text: str
    asked_text: str
    limit_text: str

    @property
    def taken(self) -> int | None:
        """How much would be taken; ``None`` when nothing bounds it."""
        return None if self.limit is None else self.used + self.asked

    @property
    def max(self) -> int:
        """What a meter ends at."""
        return self.limit or 0

    @property
    def text(self) -> str:
        """How full it is, in words."""
        parts = {"used": self.used_text, "asked": self.asked_text, "limit": self.limit_text}
        return (_("%(used)s + %(asked)s of %(limit)s") if self.asked else _("%(used)s of %(limit)s")) % parts

    @property
    def is_over(self) -> bool:
        """Whether what is asked for does not fit."""
        return self.limit is not None and self.used + self.asked > self.limit


def gauges(grant: HostGrant, *, usage: Usage, spec: ContainerSpec | None = None) -> list[Gauge]:
    """Return how full the quota is, and with ``spec`` how full it would be."""
    first, last = grant.ports or (1, 0)
    rows = (
        ("containers", _("Containers"), usage.containers, 1 if spec else 0, grant.containers, str),
        ("memory", _("Memory"), usage.memory_bytes, spec.memory_bytes if spec else 0, grant.memory_bytes, size_text),
        ("cpus", _("CPUs"), usage.nano_cpus, spec.nano_cpus if spec else 0, grant.nano_cpus, _cpus),
        ("disk", _("Disk"), usage.disk_bytes, spec.disk_bytes if spec else 0, grant.disk_bytes, size_text),
        ("ports", _("Ports"), usage.ports, len(spec.ports) if spec else 0, last - first + 1, str),
    )
    return [
        Gauge(
            name=name,
            label=label,
            used=used,
            asked=asked,
            limit=limit,
            used_text=text(used),
            asked_text=text(asked),
            limit_text=_("no limit") if limit is None else text(limit),
        )
        for name, label, used, asked, limit, text in rows
        # Few hosts limit disk; where nobody speaks of it, there is nothing to show.
        if name != "disk" or used or asked or limit is not None
    ]


def shares_of(team: Team, *, container_ids: Collection[str]) -> dict[tuple[UUID, str], str]:
    """Return in words what each of the containers holds of the team's quota, by host and id."""
    held = team.reservations.filter(container_id__in=container_ids).prefetch_related("ports")
    return {(share.host_id, share.container_id): _share_text(share) for share in held}


def count_coming(team: Team) -> int:
    """Return how many containers hold a share of the team's quota and are not made yet."""
    return team.reservations.filter(container_id="").count()


def _share_text(share: Reservation) -> str:
    ports = sorted({port.port for port in share.ports.all()})
    shown = ", ".join(str(port) for port in ports[:_MOST_PORTS_SHOWN]) + ("…" if len(ports) > _MOST_PORTS_SHOWN else "")
    parts = [
        _("%(count)s CPUs") % {"count": cpus_text(share.nano_cpus)} if share.nano_cpus else "",
        _("%(size)s of memory") % {"size": size_text(share.memory_bytes)} if share.memory_bytes else "",
        _("%(size)s of disk") % {"size": size_text(share.disk_bytes)} if share.disk_bytes else "",
        ngettext("port %(ports)s", "ports %(ports)s", len(ports)) % {"ports": shown} if ports else "",
    ]
    return " · ".join(part for part in parts if part)


def _cpus(nano_cpus: int) -> str:
    return cpus_text(nano_cpus) or "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostQuota:
    """A host of a team with its gauges."""

    grant: HostGrant
    gauges: list[Gauge]
    #: Why its quota of disk cannot be kept, in words; "" when it can, or when there is none.
    trouble: str


def quotas_of(team: Team) -> list[HostQuota]:
    """Return how full the quota of ``team`` is on each of its hosts."""
    grants = list(team.grants.select_related("host").defer("host__credentials").order_by("host__name"))
    taken = {row["host_id"]: row for row in Reservation.objects.filter(team=team).values("host_id").annotate(**_TAKEN)}
    ports = dict(
        ReservedPort.objects.filter(reservation__team=team).values_list("host_id").annotate(number=Count("pk"))
    )
    found = []
    for grant in grants:
        row: Mapping[str, Any] = taken.get(grant.host_id) or {}
        usage = Usage(
            containers=row.get("containers", 0),
            nano_cpus=row.get("nano_cpus") or 0,
            memory_bytes=row.get("memory_bytes") or 0,
            disk_bytes=row.get("disk_bytes") or 0,
            ports=ports.get(grant.host_id, 0),
        )
        is_kept = grant.disk_bytes is None or grant.host.limits_disk
        trouble = "" if is_kept else limits_nothing(grant.host.storage)
        found.append(HostQuota(grant=grant, gauges=gauges(grant, usage=usage), trouble=trouble))
    return found
