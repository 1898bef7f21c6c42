"""Fetching and authorising in one call."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.inventory.models import ObservedVolume
from console.lib.problems import Missing
from console.operations.models import Operation, OperationQuerySet
from console.rbac.access import check, check_somewhere
from console.rbac.models import OwnedKind, owner_of


def access_operations(user: User) -> OperationQuerySet:
    """Return the operations that ``user`` may know of. Raises ``Refused`` when he may know of none by his role."""
    check_somewhere(user, "operation.view")
    operations: OperationQuerySet = Operation.objects.visible_to(user)
    return operations


def access_operation(user: User, operation_id: UUID, action: str) -> Operation:
    """Return the operation for ``user`` to do ``action`` with.

    Raises ``Missing`` when he may not know of it or it is not there, ``Refused`` when he may see it and not act.
    Whoever repeats it must be allowed to do what it does.
    """
    found = Operation.objects.visible_to(user).select_related("host", "actor").filter(pk=operation_id)
    operation = found.defer("arguments").first()
    if operation is None:
        raise Missing(_("This operation does not exist."))
    actions = (action, operation.kind) if action == "operation.retry" else (action,)
    for each in actions:
        check(
            user,
            each,
            team_id=operation.team_id,
            host=operation.host,
            object_id=operation.object_id,
            object_name=operation.object_name,
        )
    return operation


def makes(kind: str) -> bool:
    """Whether an operation of ``kind`` makes the object that it is about."""
    return kind.endswith(".create")


def team_behind(kind: str, *, host_id: UUID | None, object_id: str) -> UUID | None:
    """Return the team that owns what an operation of ``kind`` is about, as of now; ``None`` when nobody does."""
    subject = kind.partition(".")[0]
    if host_id is None or not object_id or subject not in OwnedKind.values:
        return None
    return owner_of(host_id=host_id, kind=subject, object_id=object_id)


def team_of_now(operation: Operation) -> UUID | None:
    """Return the team whose people may have ``operation`` done, as of now."""
    if makes(operation.kind):
        return operation.team_id
    owner = team_behind(operation.kind, host_id=operation.host_id, object_id=operation.object_id)
    if owner is None and operation.kind == "volume.remove" and operation.attempts > 1:
        # The run before this may have removed it and died: nobody owns what is gone, and nothing is left to refuse.
        is_there = ObservedVolume.objects.filter(host=operation.host, name=operation.object_id).exists()
        return None if is_there else operation.team_id
    return owner
