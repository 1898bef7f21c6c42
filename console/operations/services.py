"""Asking for changes, stopping them, asking again."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from console.accounts.models import User
from console.audit.models import Outcome
from console.audit.services import record
from console.hosts.models import Host
from console.lib.live import notify
from console.lib.origin import Origin
from console.lib.text import one_line
from console.operations.access import makes, team_behind
from console.operations.dispatch import wake
from console.operations.errors import Impossible
from console.operations.models import ENDED, Operation, OperationState
from console.operations.registry import find

#: Seconds that a view waits at the most for a change that most often is quick.
PATIENCE = 2.0
#: Seconds between its looks at the row.
_FIRST_LOOK, _LONGEST_LOOK = 0.005, 0.05


def enqueue(
    *,
    actor: User,
    kind: str,
    host: Host | None,
    team_id: UUID | None = None,
    object_id: str = "",
    object_name: str = "",
    arguments: dict[str, Any] | None = None,
    origin: Origin | None = None,
    retry_of: Operation | None = None,
) -> Operation:
    """``actor`` asks for a change, which a worker makes: its row and its audit row, in one transaction.

    Returns at once, whether Redis is there or not. ``arguments`` are plain JSON and are kept encrypted. The operation
    is for the team that owns the object now to see, also when the object is gone; what makes an object names in
    ``team_id`` who shall own it. Raises whatever its kind refuses it with.
    """
    arguments = arguments or {}
    known = find(kind)
    with transaction.atomic():
        operation = Operation.objects.create(
            actor=actor,
            token_id=actor.auth_token.pk if actor.auth_token is not None else None,
            kind=kind,
            host=host,
            team_id=team_id or team_behind(kind, host_id=host.pk if host is not None else None, object_id=object_id),
            object_id=one_line(object_id, limit=300),
            object_name=one_line(object_name, limit=300),
            holds_secrets=known is not None and known.has_secrets(arguments),
            arguments=arguments,  # type: ignore[misc]  # the field holds JSON, and text only in the database
            address=origin.address if origin else "",
            language=translation.get_language() or "",
            retry_of=retry_of,
            dispatched_at=timezone.now(),
        )
        if known is not None and known.accept is not None:
            known.accept(operation)
        record(
            actor=actor,
            action=kind,
            outcome=Outcome.ACCEPTED,
            host=host,
            object_id=object_id,
            object_name=operation.object_name,
            operation_id=operation.pk,
            origin=origin,
            details={"retry_of": str(retry_of.pk)} if retry_of is not None else None,
        )
        wake(operation.pk)
        notify("operations", f"operation:{operation.pk}")
    return operation


def wait_for(operation: Operation, *, timeout: float = 60.0) -> Operation:
    """Return ``operation`` as it is once it ended, or after ``timeout`` seconds, at the most ``PATIENCE``."""
    until = time.monotonic() + min(PATIENCE, timeout)
    pause = _FIRST_LOOK
    states = Operation.objects.filter(pk=operation.pk).values_list("state", flat=True)
    while states.get() not in ENDED and time.monotonic() + pause < until:
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_LOOK)
    operation.refresh_from_db()
    return operation


def cancel_operation(*, actor: User, operation: Operation, origin: Origin | None = None) -> Operation:
    """``actor`` stops ``operation``: a queued one at once, a running one as soon as its worker sees it (a second).

    Raises ``Impossible`` when it has ended already, or when its kind cannot be stopped half way.
    """
    now = timezone.now()
    row = Operation.objects.filter(pk=operation.pk)
    kind = find(operation.kind)
    with transaction.atomic():
        if row.filter(state=OperationState.QUEUED).update(
            state=OperationState.CANCELLED, ended_at=now, cancel_requested_at=now
        ):
            outcome = Outcome.CANCELLED
        elif kind is None or not kind.cancellable:
            if not row.active().exists():
                raise _has_ended()
            raise Impossible(
                _("This cannot be stopped half way."), next_step=_("Wait for its end; it does not take long.")
            )
        elif row.filter(state=OperationState.RUNNING).update(cancel_requested_at=now):
            outcome = Outcome.ACCEPTED
        else:
            raise _has_ended()
        for action, how in (
            ("operation.cancel", Outcome.ACCEPTED),
            # A running one gets the row of its end from the worker.
            *([(operation.kind, outcome)] if outcome == Outcome.CANCELLED else []),
        ):
            record(
                actor=actor,
                action=action,
                outcome=how,
                host=operation.host,
                object_id=operation.object_id,
                object_name=operation.object_name,
                operation_id=operation.pk,
                origin=origin,
            )
        notify("operations", f"operation:{operation.pk}")
    operation.refresh_from_db()
    return operation


def _has_ended() -> Impossible:
    return Impossible(_("This has ended already."), next_step=_("Reload to see how."))


def retry_operation(*, actor: User, operation: Operation, origin: Origin | None = None) -> Operation:
    """``actor`` asks for the same change again; returns the new operation.

    Raises ``Impossible`` when it has not ended, when its kind cannot be repeated, when its host is gone, or when a
    password that it needs was forgotten.
    """
    kind = find(operation.kind)
    if not operation.is_ended:
        raise Impossible(_("This is still going on."), next_step=_("Wait for its end, or cancel it first."))
    if kind is None or not kind.retries:
        raise Impossible(_("This cannot be repeated."), next_step=_("Ask for it anew where you asked first."))
    if operation.host is None:
        raise Impossible(
            _("Its host was removed from this console."), next_step=_("Add the host again, then ask for it anew.")
        )
    if kind.misses_secrets(operation.arguments):
        raise Impossible(
            _("The password that was typed for this is not kept any more."),
            next_step=_("Ask for it anew where you asked first, and type the password again."),
        )
    return enqueue(
        actor=actor,
        kind=operation.kind,
        host=operation.host,
        # A create knows its object only afterwards; asked for again it makes another, for the same team.
        team_id=operation.team_id if makes(operation.kind) else None,
        object_id="" if makes(operation.kind) else operation.object_id,
        object_name=operation.object_name,
        arguments=operation.arguments,
        origin=origin,
        retry_of=operation,
    )
