"""Every change to a container: one sentence each. The worker does what they ask for (see handlers)."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from console.accounts.models import Team, User
from console.containers.ownership import give
from console.containers.specs import to_arguments
from console.gateway import ContainerSpec
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.lib.origin import Origin
from console.operations.models import Operation
from console.operations.services import enqueue
from console.policies import quotas
from console.rbac.models import OwnedKind


def create_container(
    *,
    actor: User,
    host: Host,
    spec: ContainerSpec,
    pull: str,
    start: bool,
    team: Team | None = None,
    origin: Origin | None = None,
) -> Operation:
    """``actor`` has a container made on ``host`` after ``spec``. ``pull`` is always, missing or never.

    For a team it is made within the team's policy and quota, whoever asks. Raises ``Denied``.
    """
    return enqueue(
        actor=actor,
        kind="container.create",
        host=host,
        team_id=team.pk if team is not None else None,
        object_name=spec.name,
        arguments={"spec": to_arguments(spec), "pull": pull, "start": start},
        origin=origin,
    )


def start_container(*, actor: User, container: ObservedContainer, origin: Origin | None = None) -> Operation:
    """``actor`` starts ``container``."""
    return _change("container.start", actor=actor, container=container, origin=origin)


def stop_container(*, actor: User, container: ObservedContainer, origin: Origin | None = None) -> Operation:
    """``actor`` stops ``container`` within the grace it was created with."""
    return _change("container.stop", actor=actor, container=container, origin=origin)


def restart_container(*, actor: User, container: ObservedContainer, origin: Origin | None = None) -> Operation:
    """``actor`` stops ``container``, if it runs, and starts it."""
    return _change("container.restart", actor=actor, container=container, origin=origin)


def kill_container(
    *, actor: User, container: ObservedContainer, signal: str, origin: Origin | None = None
) -> Operation:
    """``actor`` sends ``signal`` to the main process of ``container``."""
    return _change("container.kill", actor=actor, container=container, origin=origin, arguments={"signal": signal})


def pause_container(*, actor: User, container: ObservedContainer, origin: Origin | None = None) -> Operation:
    """``actor`` freezes every process of ``container``."""
    return _change("container.pause", actor=actor, container=container, origin=origin)


def unpause_container(*, actor: User, container: ObservedContainer, origin: Origin | None = None) -> Operation:
    """``actor`` lets the processes of ``container`` go on."""
    return _change("container.unpause", actor=actor, container=container, origin=origin)


def rename_container(
    *, actor: User, container: ObservedContainer, name: str, origin: Origin | None = None
) -> Operation:
    """``actor`` gives ``container`` another name."""
    return _change("container.rename", actor=actor, container=container, origin=origin, arguments={"name": name})


def remove_container(
    *, actor: User, container: ObservedContainer, force: bool, volumes: bool, origin: Origin | None = None
) -> Operation:
    """``actor`` removes ``container``: a running one by ``force``, its anonymous volumes too with ``volumes``."""
    arguments = {"force": force, "volumes": volumes}
    return _change("container.remove", actor=actor, container=container, origin=origin, arguments=arguments)


def owner_of(container: ObservedContainer) -> Team | None:
    """Return the team that owns ``container``; ``None`` is nobody."""
    return Team.objects.filter(pk=container.team_id).first() if container.team_id is not None else None


def assign_container(
    *,
    actor: User,
    container: ObservedContainer,
    team: Team | None,
    nano_cpus: int = 0,
    memory_bytes: int = 0,
    disk_bytes: int = 0,
    origin: Origin | None = None,
) -> None:
    """``actor`` gives ``container`` to ``team``; to nobody, and so to admins alone, without one.

    It counts in the team's quota from then on, with its limits. Whoever loses it is asked for their rights at once, so
    that their terminals in it end.
    """
    with transaction.atomic():
        is_news = give(
            actor=actor,
            kind=OwnedKind.CONTAINER,
            host=container.host,
            object_id=container.container_id,
            object_name=container.name,
            team=team,
            topics=("containers", f"container:{container.host_id}:{container.container_id}"),
            origin=origin,
        )
        if is_news:
            quotas.free_container(host_id=container.host_id, container_id=container.container_id)
        if is_news and team is not None:
            quotas.count_in(
                team_id=team.pk,
                host_id=container.host_id,
                container_id=container.container_id,
                nano_cpus=nano_cpus,
                memory_bytes=memory_bytes,
                disk_bytes=disk_bytes,
                ports=quotas.published(container.ports),
            )


def _change(
    kind: str,
    *,
    actor: User,
    container: ObservedContainer,
    origin: Origin | None,
    arguments: dict[str, Any] | None = None,
) -> Operation:
    return enqueue(
        actor=actor,
        kind=kind,
        host=container.host,
        object_id=container.container_id,
        object_name=container.name,
        arguments=arguments,
        origin=origin,
    )
