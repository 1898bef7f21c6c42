"""Issuing tickets, opening and ending sessions, and bringing the stream hub and the database together."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from console.accounts.models import User
from console.accounts.sessions import is_session_valid
from console.audit.models import AuditEvent, Outcome
from console.audit.services import record
from console.gateway import BackendError, HubAway, HubRefused, NotFound, ask_hub, hub_messages, open_engine, submit
from console.inventory.models import ObservedContainer
from console.lib.crypto import Undecryptable
from console.lib.live import notify
from console.lib.origin import Origin
from console.recordings.services import finish_all_but, finish_recording
from console.terminals.access import ACTIONS, check_room, rights_at, why_lost
from console.terminals.models import TerminalSession, TerminalState, TerminalTicket

logger = structlog.get_logger(__name__)

TICKET_LIFE: Final = timedelta(seconds=30)
#: A session that was opened so long ago and that no hub knows is lost; a younger one may be on its way to the hub.
GRACE: Final = timedelta(seconds=15)
#: How long we go on trying to end what a dead hub left on a host that does not answer.
REAP_PATIENCE: Final = timedelta(days=1)
#: Killing looks at every process of a container: a hundred at once would stand in each other's way.
KILLS_AT_ONCE: Final = 4
#: Seconds for one of them. What answers is the container's own shell: it may say and delay what it likes.
KILL_PATIENCE: Final = 30.0

#: Within it, who comes back to somebody else's terminal is on record once.
VISIT: Final = timedelta(hours=1)

#: Topic of pages that list terminals.
TOPIC: Final = "terminals"

#: How a terminal ended, by the hub's code; in the record's language, not the person's.
_REASONS: Final = {
    "exited": "the process ended",
    "closed": "its owner closed it",
    "idle": "nobody typed for as long as the policy allows",
    "age": "it was open for as long as the policy allows",
    "abandoned": "nobody came back to it",
    "revoked": "the person's session or rights ended",
    "unrecorded": "it could not be recorded any more, and the policy asks for a recording",
    "hub": "the stream hub was stopped",
    "lost": "the stream hub ended",
    "unknown": "the console did not know it",
    "ended_by_admin": "it was ended by who oversees it",
    "approval_over": "the time it was approved for was over",
}
#: Those that were nobody's wish count as failed.
_FAILURES: Final = frozenset({"engine", "unrecorded", "hub", "lost"})

_looking = threading.Lock()


class TicketSpent(Exception):
    """The ticket was used, has expired, or was issued to somebody else."""


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


def _describe(parameters: dict[str, Any]) -> dict[str, Any]:
    """What the record keeps of them: the program, not its arguments, which may hold a password, and for ever."""
    program, *arguments = parameters.get("command") or ("",)
    return {"user": parameters.get("user", ""), "program": program, "arguments": len(arguments)}


# Tickets


def _new_ticket(session: TerminalSession, *, person: User, session_key: str) -> str:
    ticket = secrets.token_urlsafe(32)
    TerminalTicket.objects.create(
        hash=_hash(ticket),
        session=session,
        person=person,
        session_key=session_key,
        until=timezone.now() + TICKET_LIFE,
    )
    return ticket


def issue_ticket(
    *,
    actor: User,
    session_key: str,
    container: ObservedContainer,
    kind: str,
    parameters: dict[str, Any],
    origin: Origin,
    title: str = "",
) -> tuple[str, TerminalSession]:
    """``actor`` may open one terminal within 30 s; return the ticket, of which only the hash is kept.

    Raises ``ShellRefused`` when they have as many open as the policy allows.
    """
    with transaction.atomic():
        check_room(actor, container, kind=kind)
        session = TerminalSession.objects.create(
            person=actor,
            host=container.host,
            container_id=container.container_id,
            container_name=container.name,
            kind=kind,
            parameters=parameters,
            title=title,
            session_key=session_key,
        )
        ticket = _new_ticket(session, person=actor, session_key=session_key)
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


def issue_return(*, actor: User, session_key: str, session: TerminalSession, origin: Origin) -> str:
    """``actor``, who is at the terminal or may be, may come (back) to it within 30 s; return the ticket.

    Who comes to somebody else's is on record, once an hour: every lost network would be.
    """
    with transaction.atomic():
        if session.person_id != actor.pk:
            _record_visit(session, actor=actor, origin=origin)
        return _new_ticket(session, person=actor, session_key=session_key)


def _record_visit(session: TerminalSession, *, actor: User, origin: Origin) -> None:
    lately = AuditEvent.objects.filter(
        action="terminal.watch",
        actor=actor,
        object_id=session.container_id,
        outcome=Outcome.ACCEPTED,
        occurred_at__gt=timezone.now() - VISIT,
    )
    if any(event.details.get("session") == str(session.pk) for event in lately):
        return
    record(
        actor=actor,
        action="terminal.watch",
        outcome=Outcome.ACCEPTED,
        host=session.host,
        object_id=session.container_id,
        object_name=session.container_name,
        origin=origin,
        details={"session": str(session.pk), "owner": session.person.username if session.person else ""},
    )


def redeem_ticket(*, actor: User, session_key: str, ticket: str) -> tuple[TerminalSession, bool]:
    """Return the session that ``ticket`` was issued for, and whether it is yet to be opened, by who asks.

    Raises ``TicketSpent``; one of two attempts at once wins.
    """
    now = timezone.now()
    mine = TerminalTicket.objects.filter(hash=_hash(ticket), person=actor, session_key=session_key)
    with transaction.atomic():
        if mine.filter(used_at=None, until__gt=now).update(used_at=now) != 1:
            raise TicketSpent
        session = TerminalSession.objects.select_related("host").get(tickets__hash=_hash(ticket))
        fresh = TerminalSession.objects.filter(pk=session.pk, state=TerminalState.ISSUED, person=actor)
        is_new = fresh.update(state=TerminalState.OPEN, opened_at=now) == 1
        if not is_new and session.state == TerminalState.ISSUED:
            raise TicketSpent  # nobody but who asked for it opens it
        if not is_new and session.person_id == actor.pk and session.session_key != session_key:
            TerminalSession.objects.filter(pk=session.pk).update(session_key=session_key)
    return session, is_new


# The life of a session


def note_opened(session_id: UUID, *, hub: str) -> None:
    """The hub with this id holds the session now."""
    TerminalSession.objects.filter(pk=session_id).update(holder=hub)
    notify(TOPIC)


def end_session(
    *,
    session_id: UUID,
    reason: str,
    exit_code: int | None = None,
    component: str = "",
    outcome: Outcome | None = Outcome.SUCCEEDED,
    code: str = "",
    by: str = "",
) -> bool:
    """Note how a session ended, once; return whether this call did.

    ``code`` is the hub's for ``reason``, and ``by`` whose wish it was: pages say them in the reader's language.
    ``outcome`` is the audit row's; ``None`` when the end has a row already, as a refusal does.
    """
    with transaction.atomic():
        ended = TerminalSession.objects.filter(pk=session_id, state=TerminalState.OPEN).update(
            state=TerminalState.ENDED,
            ended_at=timezone.now(),
            exit_code=exit_code,
            end_reason=reason[:200],
            end_code=code[:30],
            ended_by=by[:120],
        )
        if not ended:
            return False
        session = TerminalSession.objects.select_related("host", "person").get(pk=session_id)
        finish_recording(session_id)
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
        notify(TOPIC, f"container:{session.host_id}:{session.container_id}")
    return True


def note_end(session_id: UUID, ended: hub_messages.Ended, *, component: str = "") -> bool:
    """Note what the hub says of the end of a session. What may be left in the container is ended first, elsewhere."""
    reason = _REASONS.get(ended.reason, ended.reason.replace("_", " "))
    if ended.reason == "engine" and ended.error is not None:
        reason = str(ended.error.get("message", "")) or reason
    if ended.by and ended.reason != "closed":
        reason = f"{reason}, by {ended.by}"
    outcome = Outcome.FAILED if ended.reason in _FAILURES else Outcome.SUCCEEDED
    if ended.reason in ("revoked", "abandoned", "idle", "age"):
        outcome = Outcome.CANCELLED
    return end_session(
        session_id=session_id,
        reason=reason,
        exit_code=ended.exit_code,
        component=component,
        outcome=outcome,
        code=ended.reason,
        by=ended.by,
    )


# The hub and the database, brought together


def look_after_terminals() -> int:
    """Note what ended in the hub, end what may not go on, and what no hub holds any more; return how many ended.

    One look at a time: a second one beside it would only do the same work again.
    """
    if not _looking.acquire(blocking=False):
        return 0
    try:
        now = timezone.now()
        # A ticket nobody used has opened nothing.
        TerminalTicket.objects.filter(until__lt=now - TICKET_LIFE).delete()
        TerminalSession.objects.filter(state=TerminalState.ISSUED, created_at__lt=now - 2 * TICKET_LIFE).delete()
        try:
            answer = ask_hub(hub_messages.ListTerminals())
        except (HubAway, HubRefused) as error:
            logger.warning("hub not asked", error=str(error))
            return 0
        held = {terminal["session"]: terminal for terminal in answer["terminals"]}
        rows = TerminalSession.objects.filter(state=TerminalState.OPEN).select_related("host", "person")
        sessions = {str(session.pk): session for session in rows}
        finish_all_but([session.pk for session in sessions.values()])
        ended = _note_ended(held, sessions)
        _end_forbidden(held, sessions)
        lost = [
            session
            for key, session in sessions.items()
            if key not in held and session.opened_at is not None and session.opened_at < now - GRACE
        ]
        return ended + _reap(lost, living=answer["hub"])
    finally:
        _looking.release()


def _order(order: hub_messages.Order) -> bool:
    """Have the hub do it; it may have ended meanwhile, and then there is nothing to do."""
    try:
        ask_hub(order)
    except (HubAway, HubRefused) as error:
        logger.info("hub order not carried out", order=order.type, error=str(error))
        return False
    return True


def _note_ended(held: dict[str, dict[str, Any]], sessions: dict[str, TerminalSession]) -> int:
    ends = {
        key: hub_messages.Ended(**terminal["ended"]) for key, terminal in held.items() if terminal["ended"] is not None
    }
    noted = {key: session for key in ends if (session := sessions.pop(key, None)) is not None}
    unclean = [session for key, session in noted.items() if not ends[key].clean]
    if unclean:
        left = {session.pk for session, clean in _kill_everything(unclean, living="") if not clean}
        noted = {key: session for key, session in noted.items() if session.pk not in left}
    count = 0
    for key, ended in ends.items():
        session = noted.get(key)
        if session is not None:
            count += note_end(session.pk, ended, component="" if ended.reason in ("exited", "closed") else "hub")
        if session is not None or ended.clean:
            _order(hub_messages.ForgetTerminal(session=key))
    return count


def _end_forbidden(held: dict[str, dict[str, Any]], sessions: dict[str, TerminalSession]) -> None:
    """End the terminals of people who may not have them any more; those that somebody is at ask for themselves."""
    known: dict[tuple[Any, ...], bool] = {}
    for key, terminal in held.items():
        session = sessions.get(key)
        if terminal["state"] != "open":
            continue
        if session is None:
            if not TerminalSession.objects.filter(pk=key).exclude(state=TerminalState.ENDED).exists():
                _order(hub_messages.EndTerminal(session=key, reason="unknown"))
            continue
        if any(viewer["owns"] for viewer in terminal["viewers"]):
            continue
        question = (session.person_id, session.session_key, session.host_id, session.container_id, session.kind)
        if question not in known:
            known[question] = may_go_on(session)
        if not known[question]:
            _order(hub_messages.EndTerminal(session=key, reason=why_lost(session.person, session)))


def may_go_on(session: TerminalSession) -> bool:
    """Whether the session's owner is signed in still, and may have this terminal."""
    person = session.person
    if person is None or not person.is_active or not is_session_valid(session.session_key, person.pk):
        return False
    return rights_at(person, session) is not None


def _reap(lost: Iterable[TerminalSession], *, living: str) -> int:
    """End what sessions of a hub that is gone left running in containers; return how many were ended."""
    reaped = 0
    for session, clean in _kill_everything(list(lost), living=living):
        if clean:
            reaped += note_end(session.pk, hub_messages.Ended(reason="lost"), component="reaper")
    return reaped


def _kill_everything(sessions: list[TerminalSession], *, living: str) -> list[tuple[TerminalSession, bool]]:
    """End what the sessions left; return of each whether nothing is left, or it was tried for long enough."""
    if not sessions:
        return []
    old = timezone.now() - REAP_PATIENCE
    found = submit(lambda: _kill_all(sessions, living=living)).result()
    return [(session, clean or (session.opened_at or old) < old) for session, clean in found]


async def _kill_all(sessions: list[TerminalSession], *, living: str) -> list[tuple[TerminalSession, bool]]:
    """Kill beside each other, a few on each host, so that neither a hundred nor a dead host takes its minute.

    What one dead hub held in one container is killed in one go, by its name within the markers.
    """
    turns = {session.host_id: asyncio.Semaphore(KILLS_AT_ONCE) for session in sessions}
    kills: dict[tuple[UUID, str, str], list[TerminalSession]] = {}
    for session in sessions:
        is_whole = living and session.holder and session.holder != living
        marker = session.holder if is_whole else session.marker
        kills.setdefault((session.host_id, session.container_id, marker), []).append(session)

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
