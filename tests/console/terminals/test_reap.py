"""The worker's look: what a hub that died left in containers is ended, and what the hub ended is noted."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.gateway import HubAway, NotFound, Unreachable, hub_messages
from console.hosts.models import Host
from console.terminals import services
from console.terminals.models import TerminalSession, TerminalState, TerminalTicket
from console.terminals.tasks import LOOK_EVERY, look

pytestmark = pytest.mark.django_db
HUB = "a" * 32
DEAD_HUB = "d" * 32


class Engine:
    """Knows what was to be killed, and what comes of it."""

    def __init__(self) -> None:
        self.killed: list[str] = []
        self.answer: bool | Exception = True

    async def kill_execs(self, _container_id: str, *, marker: str) -> bool:
        self.killed.append(marker)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class SaidHub:
    """A hub that holds what it is told to, and remembers its orders."""

    def __init__(self) -> None:
        self.terminals: dict[str, dict[str, Any]] = {}
        self.orders: list[hub_messages.Order] = []
        self.is_away = False

    def ask(self, order: hub_messages.Order) -> dict[str, Any]:
        if self.is_away:
            raise HubAway("no hub")
        if isinstance(order, hub_messages.ListTerminals):
            return {"hub": HUB, "terminals": list(self.terminals.values())}
        self.orders.append(order)
        return {}

    def hold(
        self, session: TerminalSession, *, ended: hub_messages.Ended | None = None, owner_is_there: bool = False
    ) -> None:
        self.terminals[str(session.pk)] = {
            "session": str(session.pk),
            "state": "open" if ended is None else "ended",
            "viewers": [{"owns": True}] if owner_is_there else [],
            "ended": None if ended is None else asdict(ended),
        }


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engine:
    found = Engine()
    monkeypatch.setattr(services, "open_engine", lambda _endpoint: found)
    return found


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> SaidHub:
    said = SaidHub()
    monkeypatch.setattr(services, "ask_hub", said.ask)
    return said


def session(host: Host, alice: User, **values: Any) -> TerminalSession:
    given = {
        "person": alice,
        "host": host,
        "container_id": "a" * 64,
        "container_name": "web-1",
        "state": TerminalState.OPEN,
        "opened_at": timezone.now() - timedelta(hours=1),
        "holder": DEAD_HUB,
        **values,
    }
    return TerminalSession.objects.create(**given)


def state_of(row: TerminalSession) -> str:
    row.refresh_from_db()
    return row.state


def test_a_lost_right_reaches_a_terminal_that_nobody_is_at_within_five_seconds() -> None:
    assert LOOK_EVERY < 5


def test_what_no_hub_holds_is_ended(host: Host, alice: User, engines: Engine) -> None:
    left = session(host, alice)
    look()
    assert engines.killed == [DEAD_HUB]
    assert (state_of(left), left.end_reason) == (TerminalState.ENDED, "the stream hub ended")
    event = AuditEvent.objects.get()
    assert (event.actor_name, event.outcome) == ("system:reaper", "failed")


def test_what_was_opened_just_now_may_be_on_its_way_to_the_hub(host: Host, alice: User, engines: Engine) -> None:
    fresh = session(host, alice, opened_at=timezone.now() - timedelta(seconds=5), holder="")
    look()
    assert engines.killed == []
    assert state_of(fresh) == TerminalState.OPEN


def test_what_the_hub_holds_is_left_alone(
    host: Host, alice: User, engines: Engine, hub: SaidHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "may_go_on", lambda _session: True)
    held = session(host, alice, holder=HUB)
    hub.hold(held)
    look()
    assert (engines.killed, hub.orders) == ([], [])
    assert state_of(held) == TerminalState.OPEN


def test_a_hub_that_is_away_says_nothing_about_its_terminals(
    host: Host, alice: User, engines: Engine, hub: SaidHub
) -> None:
    held = session(host, alice)
    hub.is_away = True
    look()
    assert engines.killed == []
    assert state_of(held) == TerminalState.OPEN


def test_a_terminal_that_nobody_is_at_ends_with_its_owners_session(
    host: Host, alice: User, engines: Engine, hub: SaidHub
) -> None:
    signed_out = session(host, alice, holder=HUB, session_key="gone")
    hub.hold(signed_out)
    look()
    assert hub.orders == [hub_messages.EndTerminal(session=str(signed_out.pk), reason="revoked")]


def test_who_is_at_their_terminal_is_asked_there(host: Host, alice: User, engines: Engine, hub: SaidHub) -> None:
    attended = session(host, alice, holder=HUB, session_key="gone")
    hub.hold(attended, owner_is_there=True)
    look()
    assert hub.orders == []


def test_what_the_hub_holds_and_nobody_ordered_is_ended(hub: SaidHub, host: Host, alice: User) -> None:
    ended = session(host, alice, state=TerminalState.ENDED)
    hub.hold(ended)
    look()
    assert hub.orders == [hub_messages.EndTerminal(session=str(ended.pk), reason="unknown")]


def test_what_ended_while_nobody_looked_is_noted_and_forgotten(
    host: Host, alice: User, engines: Engine, hub: SaidHub
) -> None:
    row = session(host, alice, holder=HUB)
    hub.hold(row, ended=hub_messages.Ended(reason="exited", exit_code=3))
    look()
    assert (state_of(row), row.exit_code, row.end_reason) == (TerminalState.ENDED, 3, "the process ended")
    assert hub.orders == [hub_messages.ForgetTerminal(session=str(row.pk))]
    assert AuditEvent.objects.get().actor == alice


def test_what_the_hub_could_not_end_is_ended_first_and_noted_then(
    host: Host, alice: User, engines: Engine, hub: SaidHub
) -> None:
    row = session(host, alice, holder=HUB)
    hub.hold(row, ended=hub_messages.Ended(reason="idle", clean=False))
    engines.answer = Unreachable("away")
    look()
    assert (engines.killed, state_of(row), hub.orders) == ([str(row.pk)], TerminalState.OPEN, [])
    engines.answer = True
    look()
    assert state_of(row) == TerminalState.ENDED
    assert "nobody typed" in row.end_reason
    assert hub.orders == [hub_messages.ForgetTerminal(session=str(row.pk))]


def test_a_container_that_delays_the_reaper_delays_nobody_elses_end(
    host: Host, alice: User, engines: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "KILL_PATIENCE", 0.05)
    slow = session(host, alice, container_id="b" * 64)
    other = session(host, alice)

    async def kill_execs(container_id: str, *, marker: str) -> bool:
        if container_id == "b" * 64:
            await asyncio.sleep(3600)
        return True

    monkeypatch.setattr(engines, "kill_execs", kill_execs)
    look()
    assert (state_of(other), state_of(slow)) == (TerminalState.ENDED, TerminalState.OPEN)


@pytest.mark.parametrize("trouble", [Unreachable("away"), False])
def test_what_cannot_be_ended_is_tried_again(
    host: Host, alice: User, engines: Engine, trouble: bool | Exception
) -> None:
    left = session(host, alice)
    engines.answer = trouble
    look()
    assert state_of(left) == TerminalState.OPEN
    engines.answer = True
    look()
    assert state_of(left) == TerminalState.ENDED


def test_a_container_that_is_gone_holds_nothing(host: Host, alice: User, engines: Engine) -> None:
    left = session(host, alice)
    engines.answer = NotFound("no such container")
    look()
    assert state_of(left) == TerminalState.ENDED


def test_what_one_hub_left_in_a_container_goes_together(host: Host, alice: User, engines: Engine) -> None:
    for _session in range(3):
        session(host, alice)
    session(host, alice, container_id="b" * 64)
    look()
    assert engines.killed == [DEAD_HUB, DEAD_HUB]
    assert not TerminalSession.objects.exclude(state=TerminalState.ENDED).exists()


def test_what_the_living_hub_lost_goes_alone(host: Host, alice: User, engines: Engine) -> None:
    lost = session(host, alice, holder=HUB)
    look()
    assert engines.killed == [str(lost.pk)]


def test_a_ticket_that_nobody_used_is_forgotten(host: Host, alice: User, engines: Engine) -> None:
    stale = session(host, alice, state=TerminalState.ISSUED, opened_at=None)
    TerminalSession.objects.filter(pk=stale.pk).update(created_at=timezone.now() - timedelta(minutes=5))
    fresh = session(host, alice, state=TerminalState.ISSUED, opened_at=None)
    for row, left in ((stale, -300), (fresh, 20)):
        TerminalTicket.objects.create(
            hash=str(row.pk), session=row, person=alice, until=timezone.now() + timedelta(seconds=left)
        )
    look()
    assert list(TerminalSession.objects.all()) == [fresh]
    assert TerminalTicket.objects.get().session == fresh
    assert engines.killed == []
