"""What a policy says of what is there: of all that a team has, before anybody saves it, and of one that is started."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from console import gateway
from console.accounts.models import Team
from console.containers.detail_queries import spec_of
from console.containers.specs import PODMANS_TMPFS, granted_capabilities
from console.gateway import BackendError, ContainerDetail, ContainerEngine, Endpoint, ImageDetail, NotFound
from console.hosts.models import Host
from console.inventory.models import ContainerQuerySet, ObservedContainer
from console.lib.crypto import Undecryptable
from console.policies.queries import bounds_of
from console.policies.rules import Bounds, Denial, Rules, complete, decide, may_be_root, own_network, prefixed
from console.rbac.models import OwnedKind, owned_by

#: Containers that one dry run asks engines about, and how many of a host at a time.
_MOST: Final = 300
_AT_ONCE: Final = 4
#: Seconds for all of a host's answers.
_PATIENCE: Final = 10.0

Answer = tuple[ContainerDetail, ImageDetail | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A container, and why it could neither be made again nor be started."""

    container: ObservedContainer
    reasons: list[str]


@dataclass(slots=True, kw_only=True)
class DryRun:
    """What a policy would say of a team's containers."""

    denied: list[Verdict] = field(default_factory=list)
    allowed: int = 0
    #: Those whose host did not tell.
    unknown: list[ObservedContainer] = field(default_factory=list)
    #: Those beyond the bound.
    left: int = 0


def dry_run(team: Team, rules: Rules) -> DryRun:
    """Return what ``rules`` would say of each container that ``team`` owns. Asks the engines, changes nothing."""
    mine: ContainerQuerySet = ObservedContainer.objects.filter(
        owned_by([team.pk], kind=OwnedKind.CONTAINER, object_id="container_id")
    )
    containers = list(mine.select_related("host").order_by("host__name", "name")[:_MOST])
    found = DryRun(left=max(0, mine.count() - len(containers)))
    answers = ask_engines(containers)
    bounds: dict[UUID, Bounds] = {}
    for container in containers:
        answer = answers.get((container.host_id, container.container_id))
        if answer is None:
            found.unknown.append(container)
            continue
        if container.host_id not in bounds:
            bounds[container.host_id] = dataclasses.replace(
                bounds_of(team=team, host_id=container.host_id), rules=rules
            )
        reasons = [denial.message for denial in judge(answer, bounds[container.host_id])]
        if reasons:
            found.denied.append(Verdict(container=container, reasons=reasons))
        else:
            found.allowed += 1
    return found


def judge(answer: Answer, bounds: Bounds) -> list[Denial]:
    """Return what the team may not have of a container that is there, taken as it is: nothing is filled in."""
    detail, image = answer
    spec, beyond = spec_of(detail, image=image)
    spec = dataclasses.replace(
        spec,
        # What it is called does no harm, its team's own network has a name, and it may be older than limits of disk.
        name=prefixed(spec.name, prefix=bounds.prefix),
        network="" if spec.network == own_network(bounds.prefix) else spec.network,
        disk_bytes=spec.disk_bytes or complete(spec, bounds).disk_bytes,
        cap_add=tuple(sorted(granted_capabilities(detail.raw))),
        tmpfs=tuple(
            mount
            for mount in spec.tmpfs
            if mount.size_bytes or not spec.read_only_root or mount.target not in PODMANS_TMPFS
        ),
    )
    denials = decide(spec, bounds)
    if not bounds.rules.root and not spec.user and may_be_root(detail.user):
        message = _("It may run as root, which the team %(team)s may not.") % {"team": bounds.team}
        denials.append(Denial("user", message, _("Write a user as a number other than 0, like 1000.")))
    message, advice = _("It has what no policy allows: %(what)s."), _("Leave it out.")
    return [*denials, *(Denial("container", message % {"what": what}, advice) for what in beyond)]


def ask_engines(containers: Iterable[ObservedContainer]) -> dict[tuple[UUID, str], Answer]:
    """Return what the engines say of the containers; all hosts are asked at once, and one that hangs stops no other."""
    by_host: dict[Host, list[str]] = {}
    for container in containers:
        if container.host.is_reachable:
            by_host.setdefault(container.host, []).append(container.container_id)
    asked = []
    for host, container_ids in by_host.items():
        try:
            endpoint = host.endpoint
        except Undecryptable:
            continue  # what is not known of it is said in the answer
        asked.append((host, gateway.submit(partial(_inspect_all, endpoint, container_ids))))
    return {
        (host.pk, container_id): answer for host, future in asked for container_id, answer in future.result().items()
    }


async def _inspect_all(endpoint: Endpoint, container_ids: list[str]) -> dict[str, Answer]:
    engine = gateway.open_engine(endpoint)
    found: dict[str, Answer] = {}
    places = asyncio.Semaphore(_AT_ONCE)

    async def inspect(container_id: str) -> None:
        async with places:
            try:
                detail = await engine.inspect_container(container_id)
                image = await image_of(engine, detail)
            except BackendError:
                return  # counted as not known
            found[container_id] = (detail, image)

    try:
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*(inspect(container_id) for container_id in container_ids))
    except TimeoutError:
        return dict(found)
    return found


async def image_of(engine: ContainerEngine, detail: ContainerDetail) -> ImageDetail | None:
    """Return the image that a container was made of; ``None`` when it is gone."""
    try:
        return await engine.inspect_image(detail.container.image_id or detail.container.image)
    except NotFound:
        return None
