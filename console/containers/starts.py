"""Whether what a team has may run: the policy of now decides whenever it is started, not only when it is made.

Who owns everything is not bound by it. Nor is what an admin gave to the team since the policy was last changed: that
was the admin's own word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import Team, User
from console.accounts.tokens import find_owner
from console.audit.services import record_refusal
from console.containers.dry_run import Answer, ask_engines, judge
from console.inventory.models import ObservedContainer
from console.lib.origin import Origin
from console.operations.models import Operation
from console.policies.models import PolicyVersion, Reservation
from console.policies.queries import bounds_of
from console.policies.refusals import Denied
from console.policies.rules import Denial
from console.rbac.models import OwnedKind, Ownership
from console.rbac.policy import Level, rights_of

#: What lets the programs of a container run.
ACTIONS: Final = frozenset({"container.start", "container.restart", "container.unpause"})

#: A host and the full id of a container there.
_Target = tuple[UUID, str]


def check_starts(user: User, containers: Iterable[ObservedContainer], action: str) -> None:
    """Let ``user`` do ``action`` with the containers, as far as their teams' policies go. Raises ``Denied``.

    Their engines are asked what they are; where none answers, the worker has the last word.
    """
    if action not in ACTIONS or _is_free(user):
        return
    by_target = {(container.host_id, container.container_id): container for container in containers}
    bound = _bound(by_target)
    answers = ask_engines([by_target[target] for target in bound])
    for target, answer in answers.items():
        container = by_target[target]
        denials = _denials(answer, team=bound[target], host_id=container.host_id, name=container.name)
        if denials:
            raise Denied(
                action,
                denials,
                host=container.host,
                object_id=container.container_id,
                object_name=container.name,
            )


def is_decided(operation_id: UUID) -> bool:
    """Whether a policy decides about the start that an operation stands for."""
    operation = _operation(operation_id)
    return not _is_free(_person(operation)) and bool(_bound(_target(operation)))


def permit_start(operation_id: UUID, answer: Answer) -> None:
    """See that the team's policy of now lets what the worker found run. Raises ``Denied``, which is on record."""
    operation = _operation(operation_id)
    for (host_id, container_id), team in _bound(_target(operation)).items():
        denials = _denials(answer, team=team, host_id=host_id, name=operation.object_name)
        if denials:
            denied = Denied(
                operation.kind,
                denials,
                host=operation.host,
                object_id=container_id,
                object_name=operation.object_name,
            )
            record_refusal(denied, actor=operation.actor, origin=Origin(address=operation.address))
            raise denied


def _operation(operation_id: UUID) -> Operation:
    return Operation.objects.select_related("host", "actor").defer("arguments").get(pk=operation_id)


def _person(operation: Operation) -> User | None:
    """Return who asked, within the limits of the token that did."""
    return find_owner(operation.token_id) if operation.token_id is not None else operation.actor


def _is_free(user: User | None) -> bool:
    return user is not None and rights_of(user).everywhere >= Level.OWN


def _target(operation: Operation) -> list[_Target]:
    return [(operation.host_id, operation.object_id)] if operation.host_id is not None else []


def _bound(targets: Collection[_Target]) -> dict[_Target, Team]:
    """Return the containers about which a policy decides, each with its team.

    It has no say about what is nobody's, nor about what was given since it was last changed.
    """
    host_ids, container_ids = [{target[part] for target in targets} for part in (0, 1)]
    owned = Ownership.objects.filter(
        kind=OwnedKind.CONTAINER, host_id__in=host_ids, object_id__in=container_ids
    ).select_related("team")
    made = Reservation.objects.filter(
        host_id__in=host_ids, container_id__in=container_ids, operation_id__isnull=False
    ).values_list("host_id", "container_id")
    by_themselves = set(made)
    teams = {ownership.team_id for ownership in owned}
    versions = PolicyVersion.objects.filter(team_id__in=teams).order_by("number")
    changed_at = dict(versions.values_list("team_id", "created_at"))
    found = {}
    for ownership in owned:
        target = (ownership.host_id, ownership.object_id)
        changed = changed_at.get(ownership.team_id)
        if target in targets and (target in by_themselves or (changed is not None and changed > ownership.since)):
            found[target] = ownership.team
    return found


def _denials(answer: Answer, *, team: Team, host_id: UUID, name: str) -> list[Denial]:
    """Return why the team's policy lets no such container run, as refusals of running this one."""
    message = _("The policy of the team %(team)s does not allow %(name)s any more: %(reason)s")
    advice = _("Ask an admin to start it or to allow it, or duplicate it as the policy wants it.")
    parts = {"team": team.name, "name": name}
    return [
        Denial(denial.field, message % {**parts, "reason": denial.message}, advice, kind=denial.kind)
        for denial in judge(answer, bounds_of(team=team, host_id=host_id))
    ]
