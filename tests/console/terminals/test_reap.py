"""What a web process that died left in containers is ended by the worker, within a minute."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.gateway import NotFound, Unreachable
from console.hosts.models import Host
from console.terminals import services
from console.terminals.models import TerminalSession, TerminalState
from console.terminals.tasks import REAP_EVERY
from console.terminals.tasks import reap as look

pytestmark = pytest.mark.django_db


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


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engine:
    found = Engine()
    monkeypatch.setattr(services, "open_engine", lambda _endpoint: found)
    return found


def session(host: Host, alice: User, *, lease_ago: int, **values: Any) -> TerminalSession:
    now = timezone.now()
    given = {
        "person": alice,
        "host": host,
        "container_id": "a" * 64,
        "container_name": "web-1",
        "ticket_hash": f"{TerminalSession.objects.count():064}",
        "ticket_until": now - timedelta(hours=1),
        "state": TerminalState.OPEN,
        "opened_at": now - timedelta(hours=1),
        "lease_until": now - timedelta(seconds=lease_ago),
        **values,
    }
    return TerminalSession.objects.create(**given)


def reap() -> None:
    """Look twice: what only one look found is not ended yet."""
    look()
    look()


def test_lease_and_reaper_together_take_less_than_a_minute() -> None:
    assert services.LEASE.total_seconds() + 2 * REAP_EVERY <= 40, "and twenty seconds to kill in"


def test_after_a_sleep_of_the_machine_what_is_held_is_renewed_in_time(host: Host, alice: User, engines: Engine) -> None:
    asleep, gone = session(host, alice, lease_ago=3600), session(host, alice, lease_ago=3600)
    look()
    assert engines.killed == []
    services.renew_leases([asleep.pk])
    TerminalSession.objects.filter(pk=asleep.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    look()
    assert engines.killed == [gone.marker]


def test_a_container_that_delays_the_reaper_delays_nobody_elses_end(
    host: Host, alice: User, engines: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "KILL_PATIENCE", 0.05)
    session(host, alice, lease_ago=1, container_id="b" * 64)
    other = session(host, alice, lease_ago=1)

    async def kill_execs(container_id: str, *, marker: str) -> bool:
        if container_id == "b" * 64:
            await asyncio.sleep(3600)
        return True

    monkeypatch.setattr(engines, "kill_execs", kill_execs)
    reap()
    other.refresh_from_db()
    assert other.state == TerminalState.ENDED
    assert TerminalSession.objects.get(container_id="b" * 64).state == TerminalState.OPEN


def test_what_nobody_holds_is_ended(host: Host, alice: User, engines: Engine) -> None:
    left = session(host, alice, lease_ago=1)
    reap()
    left.refresh_from_db()
    assert engines.killed == [left.marker]
    assert (left.state, left.end_reason) == (TerminalState.ENDED, "the web process ended")
    event = AuditEvent.objects.get()
    assert event.actor_name == "system:reaper"


def test_what_somebody_holds_is_left_alone(host: Host, alice: User, engines: Engine) -> None:
    held = session(host, alice, lease_ago=-20)
    reap()
    held.refresh_from_db()
    assert engines.killed == []
    assert held.state == TerminalState.OPEN


@pytest.mark.parametrize("trouble", [Unreachable("away"), False])
def test_what_cannot_be_ended_is_tried_again(
    host: Host, alice: User, engines: Engine, trouble: bool | Exception
) -> None:
    left = session(host, alice, lease_ago=1)
    engines.answer = trouble
    reap()
    left.refresh_from_db()
    assert engines.killed == [left.marker]
    assert left.state == TerminalState.OPEN
    engines.answer = True
    look()
    left.refresh_from_db()
    assert left.state == TerminalState.ENDED


def test_a_container_that_is_gone_holds_nothing(host: Host, alice: User, engines: Engine) -> None:
    left = session(host, alice, lease_ago=1)
    engines.answer = NotFound("no such container")
    reap()
    left.refresh_from_db()
    assert left.state == TerminalState.ENDED


def test_one_host_that_is_away_does_not_keep_the_others_waiting(host: Host, alice: User, engines: Engine) -> None:
    first = session(host, alice, lease_ago=1)
    second = session(host, alice, lease_ago=1)
    engines.answer = Unreachable("away")
    reap()
    assert set(engines.killed) == {first.marker, second.marker}


def test_what_one_process_left_in_a_container_goes_together(host: Host, alice: User, engines: Engine) -> None:
    for _session in range(3):
        session(host, alice, lease_ago=1, holder="f" * 32)
    session(host, alice, lease_ago=1, holder="f" * 32, container_id="b" * 64)
    reap()
    assert engines.killed == ["f" * 32, "f" * 32]
    assert not TerminalSession.objects.exclude(state=TerminalState.ENDED).exists()


def test_a_process_that_lives_keeps_its_other_sessions(host: Host, alice: User, engines: Engine) -> None:
    lost = session(host, alice, lease_ago=30, holder="f" * 32)
    late = session(host, alice, lease_ago=1, holder="f" * 32)
    held = session(host, alice, lease_ago=-20, holder="f" * 32)
    reap()
    assert engines.killed == [lost.marker]
    for one in (late, held):
        one.refresh_from_db()
        assert one.state == TerminalState.OPEN


def test_a_ticket_that_nobody_used_is_forgotten(host: Host, alice: User, engines: Engine) -> None:
    session(host, alice, lease_ago=0, state=TerminalState.ISSUED, lease_until=None)
    fresh = session(
        host,
        alice,
        lease_ago=0,
        state=TerminalState.ISSUED,
        lease_until=None,
        ticket_until=timezone.now() + timedelta(seconds=20),
    )
    reap()
    assert list(TerminalSession.objects.all()) == [fresh]
    assert engines.killed == []
