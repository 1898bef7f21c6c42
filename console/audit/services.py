"""Adding to the record of who did what. Nothing changes or removes a row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from console.accounts.confirmation import Unconfirmed
from console.accounts.models import User
from console.audit.chain import digest, lock_head
from console.audit.models import AuditEvent, AuditText, Outcome
from console.lib.live import notify
from console.lib.origin import Origin
from console.lib.text import one_line
from console.rbac.access import NamedHost, Refused

logger = structlog.get_logger(__name__)

#: Refusals of one person that are written within a minute; what goes beyond is only logged.
REFUSALS_A_MINUTE = 60
DETAIL_LENGTH = 500
DETAIL_COUNT = 50


def _cleaned(value: Any, *, depth: int = 0) -> Any:
    """Return ``value`` as JSON that any database gives back as it was, with nothing hostile or endless in it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, dict) and depth < 4:
        return {
            one_line(str(name), limit=100): _cleaned(item, depth=depth + 1)
            for name, item in list(value.items())[:DETAIL_COUNT]
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < 4:
        return [_cleaned(item, depth=depth + 1) for item in list(value)[:DETAIL_COUNT]]
    return one_line(str(value), limit=DETAIL_LENGTH)


def _by_token(actor: User | None) -> dict[str, Any]:
    return {"token": str(actor.auth_token)} if actor is not None and actor.auth_token is not None else {}


def record(
    *,
    actor: User | None,
    action: str,
    outcome: str,
    host: NamedHost | None = None,
    object_id: str = "",
    object_name: str = "",
    operation_id: UUID | None = None,
    origin: Origin | None = None,
    details: dict[str, Any] | None = None,
    component: str = "",
) -> AuditEvent:
    """Append one row to the chain, in the caller's transaction: no act without its row, no row without its act.

    ``component`` names the part of ours that acted when no person did ("watch", "sweep"). Text is cleaned and cut. The
    details name the token, when the person acted by one.
    Other writers wait until the caller's transaction ends, so keep it short.
    """
    with transaction.atomic():
        sequence, previous_hash = lock_head()
        event = AuditEvent(
            sequence=sequence + 1,
            occurred_at=timezone.now(),
            actor=actor,
            actor_name=actor.username if actor else f"system:{component}" if component else "anonymous",
            action=one_line(action, limit=60),
            host_id=host.id if host else None,
            host_name=one_line(host.name, limit=120) if host else "",
            object_id=one_line(object_id, limit=255),
            object_name=one_line(object_name, limit=255),
            outcome=Outcome(outcome).value,
            operation_id=operation_id,
            address=origin.address if origin else "",
            user_agent=one_line(origin.user_agent, limit=200) if origin else "",
            details=_cleaned(_by_token(actor) | (details or {})),
            previous_hash=previous_hash,
        )
        event.hash = digest(event)
        event.save(force_insert=True)
        # Words that a row left behind when somebody cut it off must not keep the next one out.
        AuditText.objects.bulk_create(
            [AuditText(event=event, text=event.words)],
            update_conflicts=True,
            unique_fields=["event"],
            update_fields=["text"],
        )
    notify("audit")
    return event


def _reason(refused: Refused | Unconfirmed) -> dict[str, str]:
    """Return in words why somebody was refused, where that is more than that a role does not allow it."""
    says_more = isinstance(refused, Refused) and refused.code != f"policy.{refused.action}"
    return {"reason": str(refused)} if says_more else {}


def record_refusal(
    refused: Refused | Unconfirmed, *, actor: User | None, origin: Origin | None = None
) -> AuditEvent | None:
    """Append the row of an act that was refused; ``None`` when somebody is refused so often that it is only logged."""
    since = timezone.now() - timedelta(minutes=1)
    lately = AuditEvent.objects.filter(actor=actor, outcome=Outcome.DENIED, occurred_at__gt=since).count()
    logger.warning("refused", action=refused.action, object_id=refused.object_id, lately=lately)
    if lately >= REFUSALS_A_MINUTE:
        return None
    return record(
        actor=actor,
        action=refused.action,
        outcome=Outcome.DENIED,
        host=refused.host,
        object_id=refused.object_id,
        object_name=refused.object_name,
        origin=origin,
        details={
            "code": refused.code,
            **_reason(refused),
            **({"more": "only logged"} if lately == REFUSALS_A_MINUTE - 1 else {}),
        },
    )
