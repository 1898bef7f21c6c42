"""A container of the team red with a terminal of bob's, everybody who may come near it, and a hub that only listens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console import gateway
from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.gateway import HubAway, HubRefused, hub_messages
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.policies.models import PolicyVersion
from console.policies.rules import Rules, to_json
from console.rbac.models import OwnedKind, Ownership
from console.terminals.models import TerminalSession
from tests.console.terminals.conftest import observe

CONTAINER = "a" * 64


@dataclass
class Hub:
    """What was ordered, and what it says of its terminals."""

    orders: list[hub_messages.Order] = field(default_factory=list)
    terminals: list[dict[str, Any]] = field(default_factory=list)
    is_away: bool = False
    #: Whether it knows no terminal (any more).
    is_empty: bool = False

    def ask(self, order: hub_messages.Order) -> dict[str, Any]:
        """Carry it out, or say why not."""
        if self.is_away:
            raise HubAway("no hub answers")
        if isinstance(order, hub_messages.ListTerminals):
            return {"terminals": self.terminals}
        self.orders.append(order)
        if self.is_empty:
            raise HubRefused(hub_messages.Refused(code="unknown_session"))
        return {}

    def hold(self, session: TerminalSession, **more: Any) -> None:
        """Hold the terminal, as its list says it."""
        self.terminals.append(
            {
                "session": str(session.pk),
                "container_id": session.container_id,
                "person": str(session.person_id),
                "state": "open",
                "opened_at": time.time() - 60,
                "idle": 7.0,
                "viewers": [],
                "columns": 132,
                "rows": 43,
                "locked": False,
                "recorded": False,
                "bytes_out": 2048,
                "bytes_in": 10,
                "ended": None,
                **more,
            }
        )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """The hub that everybody asks."""
    found = Hub()
    monkeypatch.setattr(gateway, "ask_hub", found.ask)
    return found


@pytest.fixture
def red(db: None) -> Team:
    """The team that owns the container."""
    return Team.objects.create(name="Red")


def join(team: Team, name: str, role: str) -> User:
    """Somebody of the team."""
    person = User.objects.create_user(name, "correct horse battery")
    Membership.objects.create(team=team, person=person, role=role)
    return person


@pytest.fixture
def bob(red: Team) -> User:
    """A member, whose terminal it is."""
    return join(red, "bob", TeamRole.MEMBER)


@pytest.fixture
def mara(red: Team) -> User:
    """Another member."""
    return join(red, "mara", TeamRole.MEMBER)


@pytest.fixture
def vera(red: Team) -> User:
    """A viewer, who opens no shell."""
    return join(red, "vera", TeamRole.VIEWER)


@pytest.fixture
def olga(red: Team) -> User:
    """The team's owner."""
    return join(red, "olga", TeamRole.OWNER)


@pytest.fixture
def audrey(db: None) -> User:
    """The auditor."""
    return User.objects.create_user("audrey", "correct horse battery", role=Role.AUDITOR)


@pytest.fixture
def container(host: Host, red: Team) -> ObservedContainer:
    """The team's container."""
    found = observe(host, CONTAINER)
    Ownership.objects.create(host=host, kind=OwnedKind.CONTAINER, object_id=CONTAINER, team=red)
    return found


def open_terminal(person: User, container: ObservedContainer, **more: Any) -> TerminalSession:
    """A terminal that is open, as the database knows it."""
    return TerminalSession.objects.create(
        person=person,
        host=container.host,
        container_id=container.container_id,
        container_name=container.name,
        **{
            "state": "open",
            "opened_at": timezone.now(),
            **more,
        },
    )


@pytest.fixture
def session(bob: User, container: ObservedContainer) -> TerminalSession:
    """Bob's terminal in it."""
    return open_terminal(bob, container)


@pytest.fixture
def set_terms(red: Team) -> Callable[..., None]:
    """Change the policy of the team."""

    def change(**rules: Any) -> None:
        number = PolicyVersion.objects.filter(team=red).count() + 1
        content = to_json(Rules(**rules))
        PolicyVersion.objects.create(team=red, number=number, content=content, author_name="alice")

    return change


@pytest.fixture
def page_of(client_of: Callable[..., Client]) -> Callable[[User], str]:
    """What somebody reads on the page of terminals."""
    return lambda user: client_of(user).get("/terminals/").content.decode()


def rows(action: str) -> list[tuple[str, str, str]]:
    """The record of an action: who, how it ended, and on what."""
    events = AuditEvent.objects.filter(action=action).order_by("sequence")
    return [(event.actor_name, event.outcome, event.object_name) for event in events]


def fresh(user: User) -> User:
    """Somebody as the database knows them now."""
    return User.objects.get(pk=user.pk)
