"""Somebody else lets a person into a shell for some minutes; then the shell ends by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.gateway import hub_messages
from console.inventory.models import ObservedContainer
from console.rbac.models import Ownership
from console.terminals.access import may_have_shell
from console.terminals.approval_services import PATIENCE, end_approvals
from console.terminals.models import ShellApproval
from tests.console.terminals.oversight import (
    CONTAINER,
    Hub,
    audrey,
    bob,
    container,
    fresh,
    hub,
    mara,
    olga,
    open_terminal,
    red,
    rows,
    set_terms,
)
from tests.console.terminals.test_shell_ask import ticket

__all__ = ["audrey", "bob", "container", "hub", "mara", "olga", "red", "set_terms"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


@pytest.fixture(autouse=True)
def _guarded(set_terms: Callable[..., None], hub: Hub) -> None:
    set_terms(shell_approval=True)


@pytest.fixture
def asked(bob: User, red: Team, container: ObservedContainer) -> ShellApproval:
    """Bob has asked for half an hour."""
    return ShellApproval.objects.create(
        team=red,
        host=container.host,
        container_id=CONTAINER,
        container_name=container.name,
        person=bob,
        reason="Restore",
        minutes=30,
    )


@pytest.fixture
def url(asked: ShellApproval) -> str:
    return f"/terminals/approvals/{asked.pk}/approve/"


def may(person: User, container: ObservedContainer) -> bool:
    return may_have_shell(fresh(person), host_id=container.host_id, container_id=container.container_id)


@pytest.mark.parametrize("who", ["olga", "alice"])
def test_somebody_else_lets_them_in_for_some_minutes(
    who: str,
    alice: User,
    olga: User,
    bob: User,
    asked: ShellApproval,
    container: ObservedContainer,
    url: str,
    client_of: ClientOf,
) -> None:
    assert not may(bob, container)
    answer = client_of(User.objects.get(username=who)).post(url, {"minutes": "20"}, headers={"HX-Request": "true"})
    assert answer.status_code == 204
    asked.refresh_from_db()
    assert asked.state == "approved"
    assert asked.decided_by is not None
    assert asked.decided_by.username == who
    assert asked.until is not None
    assert timedelta(minutes=19) < asked.until - timezone.now() <= timedelta(minutes=20)
    assert may(bob, container)
    browser = client_of(bob)
    assert ticket(browser, container).status_code == 200
    assert "You are let into a shell" in browser.get("/terminals/waiting/").content.decode()
    assert 'data-dock-open="terminal"' in browser.get("/terminals/").content.decode()
    assert rows("shell.approve") == [(who, "succeeded", "web-1")]
    assert AuditEvent.objects.get(action="shell.approve").details["minutes"] == 20


@pytest.mark.parametrize("minutes", ["31", "4", "", "1000"])
def test_nobody_gives_more_than_was_asked_for(
    minutes: str, olga: User, asked: ShellApproval, url: str, client_of: ClientOf
) -> None:
    assert client_of(olga).post(url, {"minutes": minutes}).status_code == 422
    asked.refresh_from_db()
    assert asked.state == "asked"


@pytest.mark.parametrize("who", ["olga", "alice"])
def test_nobody_approves_their_own_request(
    who: str, alice: User, olga: User, asked: ShellApproval, url: str, client_of: ClientOf
) -> None:
    person = User.objects.get(username=who)
    ShellApproval.objects.update(person=person)
    answer = client_of(person).post(url, {"minutes": "20"}, headers={"Accept": "application/json"})
    assert answer.status_code == 403
    assert "Nobody approves their own request" in answer.json()["message"]
    asked.refresh_from_db()
    assert asked.state == "asked"
    assert rows("shell.approve") == [(who, "denied", "web-1")]


@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("audrey", 403), ("mara", 404), ("charlie", 404)])
def test_others_decide_nothing(
    who: str, status: int, audrey: User, mara: User, charlie: User, asked: ShellApproval, url: str, client_of: ClientOf
) -> None:
    assert client_of(User.objects.get(username=who)).post(url, {"minutes": "20"}).status_code == status
    asked.refresh_from_db()
    assert asked.state == "asked"


def test_it_is_decided_once(olga: User, alice: User, asked: ShellApproval, url: str, client_of: ClientOf) -> None:
    client_of(olga).post(url, {"minutes": "10"})
    answer = client_of(alice).post(url, {"minutes": "30"}, headers={"HX-Request": "true"})
    assert "decided meanwhile" in answer.headers["HX-Trigger"]
    asked.refresh_from_db()
    assert asked.decided_by == olga
    assert len(rows("shell.approve")) == 1


def test_it_lets_nobody_else_in_and_nowhere_else(
    olga: User, mara: User, bob: User, container: ObservedContainer, url: str, client_of: ClientOf
) -> None:
    client_of(olga).post(url, {"minutes": "20"})
    assert not may(mara, container)
    Ownership.objects.create(
        host=container.host, kind="container", object_id="b" * 64, team=Ownership.objects.get().team
    )
    assert not may_have_shell(fresh(bob), host_id=container.host_id, container_id="b" * 64)
    # Given to another team, it is theirs to approve.
    blue = Team.objects.create(name="Blue")
    blue.memberships.create(person=bob, role="member")
    blue.policy_versions.create(number=1, content={"shell_approval": True}, author_name="alice")
    Ownership.objects.filter(object_id=CONTAINER).update(team=blue)
    assert not may(bob, container)


# The end of the time


@pytest.fixture
def approved(asked: ShellApproval) -> ShellApproval:
    """Bob is let in for half an hour."""
    asked.state, asked.until = "approved", timezone.now() + timedelta(minutes=30)
    asked.save()
    return asked


def test_it_ends_by_itself_with_the_shell(
    bob: User, mara: User, approved: ShellApproval, container: ObservedContainer, hub: Hub
) -> None:
    session = open_terminal(bob, container)
    open_terminal(mara, container)
    assert end_approvals() == 0
    assert hub.orders == []

    ShellApproval.objects.update(until=timezone.now())
    assert not may(bob, container), "its time is over at once, whoever notices when"
    assert end_approvals() == 1
    assert hub.orders == [hub_messages.EndTerminal(session=str(session.pk), reason="approval_over")]
    approved.refresh_from_db()
    assert approved.state == "expired"
    assert rows("shell.approve") == [("system:approvals", "cancelled", "web-1")]
    assert end_approvals() == 0


def test_one_that_follows_another_keeps_the_shell(
    bob: User, approved: ShellApproval, container: ObservedContainer, hub: Hub
) -> None:
    open_terminal(bob, container)
    ShellApproval.objects.update(until=timezone.now())
    approved.pk, approved.until = None, timezone.now() + timedelta(minutes=5)
    ShellApproval(
        **{
            field.attname: getattr(approved, field.attname)
            for field in ShellApproval._meta.concrete_fields
            if not field.primary_key
        }
    ).save()
    assert end_approvals() == 1
    assert hub.orders == []


def test_what_nobody_answers_is_over_after_a_day(asked: ShellApproval, hub: Hub) -> None:
    ShellApproval.objects.update(asked_at=timezone.now() - PATIENCE + timedelta(minutes=1))
    assert end_approvals() == 0
    ShellApproval.objects.update(asked_at=timezone.now() - PATIENCE)
    assert end_approvals() == 1
    asked.refresh_from_db()
    assert asked.state == "expired"


def test_without_the_hub_the_approval_ends_all_the_same(
    bob: User, approved: ShellApproval, container: ObservedContainer, hub: Hub
) -> None:
    open_terminal(bob, container)
    hub.is_away = True
    ShellApproval.objects.update(until=timezone.now())
    assert end_approvals() == 1
    assert not may(bob, container)
