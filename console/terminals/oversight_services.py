"""What people do to terminals that run: share them, hand them over, speak into them, lock them, end them.

The record comes first, then the hub is told. The rights are in the database: who is let in or put out there is so at
their next look, whether the hub heard of it or not; it only makes it happen at once, and says why.
"""

from __future__ import annotations

from typing import Any

import structlog
from django.db import transaction

from console import gateway
from console.accounts.models import User
from console.accounts.sessions import last_session_key
from console.audit.models import Outcome
from console.audit.services import record
from console.gateway import HubAway, HubRefused, hub_messages
from console.lib.live import notify
from console.lib.origin import Origin
from console.recordings.services import pass_recording_on
from console.terminals.models import TerminalSession, TerminalShare, TerminalState

logger = structlog.get_logger(__name__)

#: Why a terminal ended, as the hub tells its viewers.
BY_OWNER = "closed"
BY_OVERSEER = "ended_by_admin"


class NotDone(Exception):
    """The hub did not do it: it is away, or knows nothing of the terminal (any more)."""

    def __init__(self, *, is_away: bool) -> None:
        super().__init__("the hub is away" if is_away else "the terminal has ended")
        self.is_away = is_away


class NotSignedIn(Exception):
    """Nobody owns a terminal who is signed in nowhere."""


def _record(
    session: TerminalSession,
    *,
    actor: User | None,
    action: str,
    origin: Origin | None,
    outcome: Outcome = Outcome.SUCCEEDED,
    component: str = "",
    **details: Any,
) -> None:
    record(
        actor=actor,
        component=component,
        action=action,
        outcome=outcome,
        host=session.host,
        object_id=session.container_id,
        object_name=session.container_name,
        origin=origin,
        details={"session": str(session.pk), **details},
    )


def _tell(*orders: hub_messages.Order) -> None:
    """Have the hub do at once what the database says already; who does not hear of it finds out at its next look."""
    for order in orders:
        try:
            gateway.ask_hub(order)
        except (HubAway, HubRefused) as error:
            logger.info("hub not told", order=order.type, error=str(error))


def _order(
    order: hub_messages.Order,
    session: TerminalSession,
    *,
    actor: User,
    action: str,
    origin: Origin | None,
    **details: Any,
) -> None:
    """Put an order on record, then give it; one that was not carried out has a second row. Raises ``NotDone``."""
    with transaction.atomic():
        _record(session, actor=actor, action=action, origin=origin, outcome=Outcome.ACCEPTED, **details)
    try:
        gateway.ask_hub(order)
    except (HubAway, HubRefused) as error:
        with transaction.atomic():
            _record(session, actor=actor, action=action, origin=origin, outcome=Outcome.FAILED, reason=str(error))
        raise NotDone(is_away=isinstance(error, HubAway)) from error
    notify("terminals")


# Sharing


def share_terminal(
    *, actor: User, session: TerminalSession, person: User, types: bool, origin: Origin | None = None
) -> TerminalShare:
    """``actor`` lets ``person`` watch the terminal, or type into it; somebody who is there already may do so now."""
    with transaction.atomic():
        share, _created = TerminalShare.objects.update_or_create(
            session=session, person=person, defaults={"types": types, "by": actor}
        )
        _record(session, actor=actor, action="terminal.share", origin=origin, person=person.username, types=types)
        notify("terminals")
    _tell(hub_messages.SetPerson(session=str(session.pk), person=str(person.pk), views=True, types=types))
    return share


def unshare_terminal(*, actor: User, session: TerminalSession, person: User, origin: Origin | None = None) -> None:
    """``actor`` puts ``person`` out of the terminal."""
    with transaction.atomic():
        removed, _kinds = TerminalShare.objects.filter(session=session, person=person).delete()
        if not removed:
            return
        _record(session, actor=actor, action="terminal.unshare", origin=origin, person=person.username)
        notify("terminals")
    _tell(hub_messages.SetPerson(session=str(session.pk), person=str(person.pk), views=False))


def hand_over_terminal(*, actor: User, session: TerminalSession, person: User, origin: Origin | None = None) -> None:
    """``actor`` makes the terminal that of ``person``, and stays as one it is shared with.

    Raises ``NotDone``, and ``NotSignedIn`` for somebody who would lose it at once: it ends with a sign-in of its owner.
    """
    session_key = last_session_key(person)
    if not session_key:
        raise NotSignedIn
    with transaction.atomic():
        given = TerminalSession.objects.filter(pk=session.pk, state=TerminalState.OPEN, person=actor)
        if not given.update(person=person, session_key=session_key):
            raise NotDone(is_away=False)
        # Else who gave it away, and was put out of it since, would go on watching it by its recording.
        pass_recording_on(session.pk, person=person)
        TerminalShare.objects.filter(session=session, person=person).delete()
        TerminalShare.objects.update_or_create(session=session, person=actor, defaults={"types": True, "by": person})
        _record(session, actor=actor, action="terminal.hand_over", origin=origin, person=person.username)
        notify("terminals")
    name = str(session.pk)
    _tell(
        hub_messages.SetPerson(session=name, person=str(person.pk), types=True, owns=True),
        hub_messages.SetPerson(session=name, person=str(actor.pk), types=True),
    )


# Oversight


def end_terminal(*, actor: User, session: TerminalSession, origin: Origin | None = None) -> None:
    """``actor`` ends the terminal and what runs in it. Raises ``NotDone``."""
    reason = BY_OWNER if session.person_id == actor.pk else BY_OVERSEER
    order = hub_messages.EndTerminal(session=str(session.pk), reason=reason, by=actor.username)
    _order(order, session, actor=actor, action="terminal.end", origin=origin, owner=_owner(session))


def lock_terminal(*, actor: User, session: TerminalSession, locked: bool, origin: Origin | None = None) -> None:
    """``actor`` has the terminal take no input from anybody, or take it again. Raises ``NotDone``."""
    order = hub_messages.LockTerminal(session=str(session.pk), locked=locked, by=actor.username)
    action = "terminal.lock" if locked else "terminal.unlock"
    _order(order, session, actor=actor, action=action, origin=origin, owner=_owner(session))


def message_terminal(*, actor: User, session: TerminalSession, text: str, origin: Origin | None = None) -> None:
    """``actor`` shows ``text`` beside the terminal to everybody who is there. Raises ``NotDone``."""
    order = hub_messages.TellTerminal(session=str(session.pk), text=text, by=actor.username)
    _order(order, session, actor=actor, action="terminal.message", origin=origin, owner=_owner(session), text=text)


def _owner(session: TerminalSession) -> str:
    return session.person.username if session.person is not None else ""
