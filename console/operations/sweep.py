"""Finding operations that nobody cares for: their worker died, or their wake-up was lost."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db.models import Q
from django.utils import timezone, translation

from console.lib.crypto import Undecryptable
from console.operations import errors
from console.operations.dispatch import wake
from console.operations.models import Operation, OperationState
from console.operations.registry import kinds
from console.operations.worker import ATTEMPTS, End, end, held
from console.policies.quotas import free_dead

logger = structlog.get_logger(__name__)

#: Seconds after which a wake-up that nobody followed is sent again.
WAKE_AGAIN_AFTER = 10
#: Ended operations are kept this long; audit rows for ever.
KEEP = timedelta(days=90)
#: What a retry needs and nobody else may find is kept this long after an end that was no success.
KEEP_SECRETS = timedelta(hours=1)
_MOST_AT_ONCE = 200


def sweep() -> None:
    """Queue again, or fail, what dead workers left behind; wake workers for what waits too long.

    Shares of quotas that nothing will ever use go back at the same time.
    """
    now = timezone.now()
    expired = Operation.objects.filter(state=OperationState.RUNNING, lease_until__lt=now)
    for operation in expired.defer("arguments", "output").select_related("host", "actor")[:_MOST_AT_ONCE]:
        logger.warning("lease_expired", operation_id=str(operation.pk), attempts=operation.attempts)
        if operation.attempts >= ATTEMPTS:
            with translation.override(operation.language or None):
                reason = errors.crashed(operation.attempts)
            end(operation, End(OperationState.FAILED, reason), component="sweep")
        elif (
            held(operation)
            .filter(lease_until__lt=now)
            .update(state=OperationState.QUEUED, lease_owner="", lease_until=None, dispatched_at=now)
        ):
            wake(operation.pk)
    free_dead(active=Operation.objects.active().values("pk"))
    asleep = Q(dispatched_at=None) | Q(dispatched_at__lt=now - timedelta(seconds=WAKE_AGAIN_AFTER))
    waiting = Operation.objects.claimable().filter(asleep).order_by("created_at", "pk")
    for operation_id in list(waiting.values_list("pk", flat=True)[:_MOST_AT_ONCE]):
        queued = Operation.objects.filter(asleep, pk=operation_id, state=OperationState.QUEUED)
        if queued.update(dispatched_at=now):
            wake(operation_id)


def forget_secrets() -> None:
    """Take the secrets out of operations whose retries had their time; success did so at once."""
    by_name = {kind.name: kind for kind in kinds() if kind.secrets}
    due = Operation.objects.ended().filter(
        kind__in=by_name, holds_secrets=True, ended_at__lt=timezone.now() - KEEP_SECRETS
    )
    for operation in due.defer("arguments", "output")[:_MOST_AT_ONCE]:
        kind = by_name[operation.kind]
        try:
            arguments = kind.without_secrets(operation.arguments)
        except Undecryptable:
            arguments = dict.fromkeys(kind.secrets)
        Operation.objects.filter(pk=operation.pk).update(arguments=arguments, holds_secrets=False)


def forget_old() -> int:
    """Remove operations that ended long ago; returns how many."""
    old = Operation.objects.ended().filter(ended_at__lt=timezone.now() - KEEP)
    removed = 0
    while ids := list(old.order_by("ended_at").values_list("pk", flat=True)[:500]):
        removed += Operation.objects.filter(pk__in=ids).delete()[0]
    return removed
