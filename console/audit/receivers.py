"""What people do with their accounts, put on record."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from console.accounts.models import User
from console.accounts.signals import account_acted
from console.audit.services import record
from console.lib.origin import Origin


@receiver(account_acted)
def record_account_act(
    *,
    action: str,
    outcome: str,
    actor: User | None,
    object_id: str,
    object_name: str,
    origin: Origin,
    details: dict[str, Any],
    **_kwargs: Any,
) -> None:
    """Append the row, in the transaction of the act."""
    record(
        actor=actor,
        action=action,
        outcome=outcome,
        object_id=object_id,
        object_name=object_name,
        origin=origin,
        details=details,
    )
