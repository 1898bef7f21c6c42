"""Shells that somebody else has to approve: asking, deciding, and the end of the time that was given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from console import gateway
from console.accounts.models import Team, User
from console.audit.models import Outcome
from console.audit.services import record
from console.gateway import HubAway, HubRefused, hub_messages
from console.inventory.models import ObservedContainer
from console.lib.live import notify
from console.lib.origin import Origin
from console.terminals.access import APPROVAL_OVER, may_have_shell
from console.terminals.models import ApprovalState, ShellApproval, TerminalSession, TerminalState

logger = structlog.get_logger(__name__)

SHORTEST: Final = 5
LONGEST: Final = 240
#: Who has not been answered by then asks again: nobody is let in days later, when nobody thinks of it any more.
PATIENCE: Final = timedelta(hours=24)
#: Of pages that list requests. Nobody's streams are rechecked besides: that would end them without saying why.
TOPIC: Final = "approvals"


class AskedAlready(Exception):
    """The person has a request for the container that waits."""


class DecidedAlready(Exception):
    """Somebody decided meanwhile, or it was withdrawn, or nobody answered in time."""


def ask_for_shell(
    *,
    actor: User,
    container: ObservedContainer,
    team: Team,
    reason: str,
    minutes: int,
    origin: Origin | None = None,
) -> ShellApproval:
    """``actor`` asks to be let into a shell in ``container``. Raises ``AskedAlready``."""
    try:
        with transaction.atomic():
            approval = ShellApproval.objects.create(
                team=team,
                host=container.host,
                container_id=container.container_id,
                container_name=container.name,
                person=actor,
                reason=reason,
                minutes=minutes,
            )
            _record(
                approval,
                actor=actor,
                action="shell.ask",
                outcome=Outcome.ACCEPTED,
                origin=origin,
                reason=reason,
                minutes=minutes,
            )
            notify(TOPIC)
    except IntegrityError as error:
        raise AskedAlready from error
    return approval


def withdraw_request(*, actor: User, approval: ShellApproval, origin: Origin | None = None) -> None:
    """``actor`` does not need the shell any more, or not longer. Raises ``DecidedAlready``."""
    with transaction.atomic():
        _move(approval, ApprovalState.WITHDRAWN, of=(ApprovalState.ASKED, ApprovalState.APPROVED))
        _record(approval, actor=actor, action="shell.withdraw", origin=origin)
        notify(TOPIC)
    _end_shells(approval, by=actor.username)


def approve_shell(*, actor: User, approval: ShellApproval, minutes: int, origin: Origin | None = None) -> ShellApproval:
    """``actor`` lets the person in for ``minutes`` from now, at most as long as asked. Raises ``DecidedAlready``."""
    now = timezone.now()
    minutes = min(minutes, approval.minutes)
    with transaction.atomic():
        until = now + timedelta(minutes=minutes)
        _move(
            approval, ApprovalState.APPROVED, of=(ApprovalState.ASKED,), decided_by=actor, decided_at=now, until=until
        )
        _record(
            approval,
            actor=actor,
            action="shell.approve",
            origin=origin,
            person=approval.person.username,
            minutes=minutes,
            reason=approval.reason,
        )
        notify(TOPIC)
    return approval


def deny_shell(*, actor: User, approval: ShellApproval, origin: Origin | None = None) -> None:
    """``actor`` does not let the person in, or not longer: shells that are open end. Raises ``DecidedAlready``."""
    now = timezone.now()
    with transaction.atomic():
        before = approval.state
        _move(
            approval,
            ApprovalState.DENIED,
            of=(ApprovalState.ASKED, ApprovalState.APPROVED),
            decided_by=actor,
            decided_at=now,
        )
        _record(
            approval, actor=actor, action="shell.deny", origin=origin, person=approval.person.username, before=before
        )
        notify(TOPIC)
    _end_shells(approval, by=actor.username)


def end_approvals() -> int:
    """End what has lasted its time: approvals with the shells they let into, and requests that nobody answered."""
    now = timezone.now()
    over = Q(state=ApprovalState.APPROVED, until__lte=now) | Q(state=ApprovalState.ASKED, asked_at__lte=now - PATIENCE)
    ended = 0
    for approval in ShellApproval.objects.filter(over).select_related("host", "person"):
        before = approval.state
        with transaction.atomic():
            try:
                _move(approval, ApprovalState.EXPIRED, of=(ApprovalState(before),))
            except DecidedAlready:
                continue
            _record(
                approval,
                actor=None,
                component="approvals",
                action="shell.approve",
                outcome=Outcome.CANCELLED,
                person=approval.person.username,
                reason="its time is over" if before == ApprovalState.APPROVED else "nobody answered",
            )
            notify(TOPIC)
        _end_shells(approval)
        ended += 1
    return ended


def _move(approval: ShellApproval, state: ApprovalState, *, of: tuple[ApprovalState, ...], **fields: Any) -> None:
    """Take the request from one of the states ``of`` to ``state``: of two who decide at once one wins."""
    if not ShellApproval.objects.filter(pk=approval.pk, state__in=of).update(state=state, **fields):
        raise DecidedAlready
    for name, value in {"state": state, **fields}.items():
        setattr(approval, name, value)


def _record(
    approval: ShellApproval,
    *,
    actor: User | None,
    action: str,
    origin: Origin | None = None,
    outcome: Outcome = Outcome.SUCCEEDED,
    component: str = "",
    **details: Any,
) -> None:
    record(
        actor=actor,
        component=component,
        action=action,
        outcome=outcome,
        host=approval.host,
        object_id=approval.container_id,
        object_name=approval.container_name,
        origin=origin,
        details={"request": str(approval.pk), **details},
    )


def _end_shells(approval: ShellApproval, *, by: str = "") -> None:
    """End at once what the approval let into. The guard of the terminals would find it too, at its next look."""
    person = User.objects.get(pk=approval.person_id)
    if may_have_shell(person, host_id=approval.host_id, container_id=approval.container_id):
        return  # let in again since, or the policy asks for no approval any more
    sessions = TerminalSession.objects.filter(
        person_id=approval.person_id,
        host_id=approval.host_id,
        container_id=approval.container_id,
        state=TerminalState.OPEN,
    )
    for session_id in sessions.values_list("pk", flat=True):
        try:
            gateway.ask_hub(hub_messages.EndTerminal(session=str(session_id), reason=APPROVAL_OVER, by=by))
        except (HubAway, HubRefused) as error:
            logger.info("shell not ended yet", session=str(session_id), error=str(error))
