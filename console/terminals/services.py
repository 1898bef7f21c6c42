"""Issuing tickets, opening and ending sessions, and ending what a crash left behind."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Outcome
from console.audit.services import record
from console.gateway import BackendError, NotFound, open_engine, submit
from console.inventory.models import ObservedContainer
from console.lib.crypto import Undecryptable
from console.lib.live import notify
from console.lib.origin import Origin
from console.terminals.models import TerminalKind, TerminalSession, TerminalState

logger = structlog.get_logger(__name__)

TICKET_LIFE = timedelta(seconds=30)
#: A session whose web process lives renews in time; the reaper ends the others. Together under a minute.
LEASE = timedelta(seconds=15)
#: How long the reaper goes on trying to end what a dead web process left on a host that does not answer.
REAP_PATIENCE = timedelta(days=1)

#: Killing looks at every process of a container: a hundred at once would stand in each other's way.
KILLS_AT_ONCE = 4
#: Seconds for one of them. What answers is the container's own shell: it may say and delay what it likes.
KILL_PATIENCE = 30.0

#: This process, among those that hold sessions.
HOLDER = secrets.token_hex(16)

_reaping = threading.Lock()
#: What the last look of the reaper found without a holder, and the end of its lease then.
_lapsed: dict[UUID, datetime | None] = {}

ACTIONS = {TerminalKind.EXEC.value: "container.terminal", TerminalKind.ATTACH.value: "container.attach"}


class TicketSpent(Exception):
    """The ticket was used, has expired, or was issued to somebody else."""


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


def _describe(parameters: dict[str, Any]) -> dict[str, Any]:
    """What the record keeps of them: the program, not its arguments, which may hold a password, and for ever."""
    program, *arguments = parameters.get("command") or ("",)
    return {"user": parameters.get("user", ""), "program": program, "arguments": len(arguments)}


def issue_ticket(
    *,
    actor: User,
    session_key: str,
    container: ObservedContainer,
    kind: str,
    parameters: dict[str, Any],
    origin: Origin,
) -> tuple[str, TerminalSession]:
    """``actor`` may open one terminal within 30 s; return the ticket, of which only the hash is kept."""
    ticket = secrets.token_urlsafe(32)
    with transaction.atomic():
        session = TerminalSession.objects.create(
            person=actor,
            host=container.host,
            container_id=container.container_id,
            container_name=container.name,
            kind=kind,
            parameters=parameters,
            ticket_hash=_hash(ticket),
            ticket_until=timezone.now() + TICKET_LIFE,
            session_key=session_key,
        )
        record(
            actor=actor,
            action=ACTIONS[kind],
            outcome=Outcome.ACCEPTED,
            host=container.host,
            object_id=container.container_id,
            object_name=container.name,
            origin=origin,
            details={"session": str(session.pk), **_describe(parameters)},
        )
    return ticket, session


def redeem_ticket(*, actor: User, session_key: str, ticket: str) -> TerminalSession:
    """Open the session that ``ticket`` was issued for. Raises ``TicketSpent``; one of two attempts at once wins."""
    now = timezone.now()
    opened = TerminalSession.objects.filter(
        ticket_hash=_hash(ticket),
        state=TerminalState.ISSUED,
        ticket_until__gt=now,
        person=actor,
        session_key=session_key,
    ).update(state=TerminalState.OPEN, opened_at=now, lease_until=now + LEASE, holder=HOLDER)
    if opened != 1:
        raise TicketSpent
    return TerminalSession.objects.select_related("host").get(ticket_hash=_hash(ticket))


def renew_leases(session_ids: Collection[UUID]) -> None:
    """Say that the process which holds the sessions is alive."""
    held = TerminalSession.objects.filter(pk__in=session_ids, state=TerminalState.OPEN)
    held.update(lease_until=timezone.now() + LEASE)


def end_session(
    *,
    session_id: UUID,
    reason: str,
    exit_code: int | None = None,
    component: str = "",
    outcome: Outcome | None = Outcome.SUCCEEDED,
) -> bool:
    """Note how a session ended, once; return whether this call did.

    ``outcome`` is the audit row's; ``None`` when the end has a row already, as a refusal does.
    """
    with transaction.atomic():
        ended = TerminalSession.objects.filter(pk=session_id, state=TerminalState.OPEN).update(
            state=TerminalState.ENDED, ended_at=timezone.now(), exit_code=exit_code, end_reason=reason[:200]
        )
        if not ended:
            return False
        session = TerminalSession.objects.select_related("host", "person").get(pk=session_id)
        if outcome is not None:
            record(
                actor=None if component else session.person,
                component=component,
                action=ACTIONS[session.kind],
                outcome=outcome,
                host=session.host,
                object_id=session.container_id,
                object_name=session.container_name,
                details={"session": str(session.pk), "reason": reason, "exit_code": exit_code},
            )
        notify(f"container:{session.host_id}:{session.container_id}")
    return True


def reap_sessions() -> int:
    """End what web processes that died left running in containers; return how many sessions were ended.

    One look at a time: a second one beside it would only do the same work again. And only what two looks found
    without a holder: after a clock was set or a machine slept, every lease has run out until its holder renews it.
    """
    if not _reaping.acquire(blocking=False):
        return 0
    try:
        now = timezone.now()
        # A ticket nobody used has opened nothing.
        TerminalSession.objects.filter(state=TerminalState.ISSUED, ticket_until__lt=now - TICKET_LIFE).delete()
        alive = set(
            TerminalSession.objects.filter(state=TerminalState.OPEN, lease_until__gte=now).values_list(
                "holder", flat=True
            )
        )
        # Leases of one process run out over some seconds: what it held is looked at once all have. One that a living
        # process lost is given another lease's time.
        overdue = Q(lease_until__lt=now - LEASE) | (Q(lease_until__lt=now) & ~Q(holder__in=alive))
        found = list(TerminalSession.objects.filter(overdue, state=TerminalState.OPEN).select_related("host"))
        left = [session for session in found if _lapsed.get(session.pk) == session.lease_until]
        _lapsed.clear()
        _lapsed.update({session.pk: session.lease_until for session in found})
        if not left:
            return 0
        reaped = 0
        for session, clean in submit(lambda: _kill_all(left, alive=alive)).result():
            if clean or (session.lease_until is not None and session.lease_until < now - REAP_PATIENCE):
                reaped += end_session(session_id=session.pk, reason="the web process ended", component="reaper")
        return reaped
    finally:
        _reaping.release()


async def _kill_all(sessions: list[TerminalSession], *, alive: set[str]) -> list[tuple[TerminalSession, bool]]:
    """Kill beside each other, a few on each host, so that neither a hundred nor a dead host takes its minute.

    What one dead process held in one container is killed in one go, by its name within the markers.
    """
    turns = {session.host_id: asyncio.Semaphore(KILLS_AT_ONCE) for session in sessions}
    kills: dict[tuple[UUID, str, str], list[TerminalSession]] = {}
    for session in sessions:
        whole = session.holder if session.holder and session.holder not in alive else session.marker
        kills.setdefault((session.host_id, session.container_id, whole), []).append(session)

    async def kill(marker: str, together: list[TerminalSession]) -> list[tuple[TerminalSession, bool]]:
        async with turns[together[0].host_id]:
            clean = await _kill(together[0], marker=marker)
        return [(session, clean) for session in together]

    found = await asyncio.gather(*(kill(marker, together) for (_host, _container, marker), together in kills.items()))
    return [pair for pairs in found for pair in pairs]


async def _kill(session: TerminalSession, *, marker: str) -> bool:
    """End what carries ``marker`` in the session's container. A main process carries none: it is never touched."""
    try:
        async with asyncio.timeout(KILL_PATIENCE):
            return await open_engine(session.host.endpoint).kill_execs(session.container_id, marker=marker)
    except NotFound:
        return True  # the container is gone, and with it every process
    except (BackendError, Undecryptable, TimeoutError) as error:
        logger.warning("terminal not reaped yet", session=str(session.pk), error=str(error))
        return False
