"""Whose something is: given by an admin, or kept by the worker that made it."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from console.accounts.models import Team, User
from console.audit.models import Outcome
from console.audit.services import record
from console.hosts.models import Host
from console.lib.live import notify
from console.lib.origin import Origin
from console.lib.rechecks import recheck
from console.operations.errors import Failure
from console.operations.models import Operation
from console.policies.rules import prefixed
from console.rbac.models import HostGrant, OwnedKind, Ownership


class CannotBeGiven(Exception):
    """No team may own this; the message says why, for people."""


def give(
    *,
    actor: User,
    kind: OwnedKind,
    host: Host,
    object_id: str,
    object_name: str,
    team: Team | None,
    topics: Collection[str],
    origin: Origin | None = None,
) -> bool:
    """``actor`` gives an object to ``team``; to nobody, and so to admins alone, without one. Pages hear of ``topics``.

    Says whether it was not so already. Whoever loses it is asked for their rights at once, so that what they have open
    of it ends.
    """
    ownerships = Ownership.objects.filter(host=host, kind=kind, object_id=object_id)
    with transaction.atomic():
        before = ownerships.select_related("team").first()
        if (before.team_id if before is not None else None) == (team.pk if team is not None else None):
            return False
        ownerships.delete()
        if team is not None:
            # Locked, so that the team is not removed meanwhile.
            Team.objects.select_for_update().get(pk=team.pk)
            Ownership.objects.create(host=host, kind=kind, object_id=object_id, team=team, given_by=actor)
        record(
            actor=actor,
            action=f"{kind.value}.assign",
            outcome=Outcome.SUCCEEDED,
            host=host,
            object_id=object_id,
            object_name=object_name,
            origin=origin,
            details={
                "team": team.name if team is not None else "",
                "before": before.team.name if before is not None else "",
            },
        )
        notify(*topics, "teams")
        if before is not None:
            for person_id in before.team.memberships.values_list("person_id", flat=True):
                recheck(person_id)
    return True


# The worker's side, by OperationContext.in_database


def check_team(operation_id: UUID, *, name: str) -> None:
    """See that the team for which an operation makes ``name`` may, on that host. Raises ``Failure``."""
    operation = Operation.objects.select_related("team", "host").defer("arguments").get(pk=operation_id)
    if operation.team is None or operation.host is None:
        return
    if not HostGrant.objects.filter(team=operation.team, host=operation.host).exists():
        raise Failure(
            "policy",
            _("The team %(team)s may not work on %(host)s.")
            % {"team": operation.team.name, "host": operation.host.name},
            next_step=_("Choose another host, or ask an admin to give this one to the team."),
        )
    if prefixed(name, prefix=operation.team.prefix) != name:
        raise Failure(
            "policy",
            _("The names of what the team %(team)s makes begin with “%(prefix)s-”.")
            % {"team": operation.team.name, "prefix": operation.team.prefix},
            next_step=_("Choose another name."),
        )


def keep_what_was_made(operation_id: UUID, *, kind: OwnedKind, object_id: str) -> None:
    """Let what the operation made belong to the team that it was made for; without one to nobody.

    Called again, it leaves what was decided since the operation was asked for.
    """
    operation = Operation.objects.defer("arguments").get(pk=operation_id)
    ownerships = Ownership.objects.filter(host=operation.host_id, kind=kind, object_id=object_id)
    with transaction.atomic():
        # Another object may have had this id before; whose that was says nothing about this one.
        ownerships.filter(since__lt=operation.created_at).delete()
        if operation.team_id is not None and operation.host_id is not None:
            Ownership.objects.get_or_create(
                host_id=operation.host_id,
                kind=kind,
                object_id=object_id,
                defaults={"team_id": operation.team_id, "given_by_id": operation.actor_id},
            )
        notify(f"{kind.value}s", "teams")


def forget_what_is_gone(operation_id: UUID, *, kind: OwnedKind, object_id: str) -> None:
    """Let nobody own what the operation removed: another object could come to have its id."""
    host_id = Operation.objects.values_list("host_id", flat=True).get(pk=operation_id)
    Ownership.objects.filter(host=host_id, kind=kind, object_id=object_id).delete()
    notify(f"{kind.value}s", "teams")
