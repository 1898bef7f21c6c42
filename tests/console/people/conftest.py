"""A team, and ways into it: alice runs the console, bob is in the team, charlie is a stranger, dora looks on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.people.invitation_services import invite

Sign = Callable[..., Client]
GOOD = {"username": "erin", "password": "correct horse battery", "password_again": "correct horse battery"}


@pytest.fixture
def red(db: None) -> Team:
    """The team."""
    return Team.objects.create(name="red")


@pytest.fixture
def blue(db: None) -> Team:
    """Another team, of strangers."""
    return Team.objects.create(name="blue")


@pytest.fixture
def owner(bob: User, red: Team) -> User:
    """Bob, as the owner of the team."""
    return join(bob, red, TeamRole.OWNER)


@pytest.fixture
def member(bob: User, red: Team) -> User:
    """Bob, as a member of the team."""
    return join(bob, red, TeamRole.MEMBER)


@pytest.fixture
def dora(db: None) -> User:
    """The auditor."""
    return User.objects.create_user("dora", "correct horse battery", role=Role.AUDITOR)


def join(person: User, team: Team, role: str) -> User:
    """Put somebody into a team; return them as a new request would fetch them."""
    Membership.objects.create(person=person, team=team, role=role)
    return User.objects.get(pk=person.pk)


def role_in(team: Team, person: User) -> str | None:
    """What somebody is in a team."""
    return Membership.objects.filter(team=team, person=person).values_list("role", flat=True).first()


def token_of(actor: User, **wanted: object) -> str:
    """Invite, and return the token."""
    from console.lib.origin import Origin

    issued = invite(actor=actor, origin=Origin(), **wanted)  # type: ignore[arg-type]
    return issued.token


def rows(action: str) -> list[tuple[str, str]]:
    """Who did the action, and how it ended, oldest first."""
    found = AuditEvent.objects.filter(action=action).order_by("sequence")
    return [(event.actor_name, event.outcome) for event in found]
