"""A terminal is ended by its owner, by an owner of the team, or by an admin; and everybody there is told by whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import Membership, Team, TeamRole, TokenScope, User
from console.gateway import hub_messages
from console.terminals.models import TerminalSession
from console.terminals.oversight_services import share_terminal
from tests.console.terminals.oversight import Hub, audrey, bob, container, hub, mara, olga, red, rows, session
from tests.console.tokens import issue, program

__all__ = ["audrey", "bob", "container", "hub", "mara", "olga", "red", "session"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


@pytest.fixture
def url(session: TerminalSession) -> str:
    return f"/terminals/{session.pk}/end/"


@pytest.mark.parametrize(
    ("who", "reason"), [("bob", "closed"), ("olga", "ended_by_admin"), ("alice", "ended_by_admin")]
)
def test_it_is_ended(
    who: str, reason: str, alice: User, olga: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    answer = client_of(User.objects.get(username=who)).post(url, headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert hub.orders == [hub_messages.EndTerminal(session=str(session.pk), reason=reason, by=who)]
    assert rows("terminal.end") == [(who, "accepted", "web-1")]


def test_who_lost_the_right_to_open_it_still_ends_what_is_theirs(
    bob: User, url: str, hub: Hub, client_of: ClientOf
) -> None:
    Membership.objects.filter(person=bob).delete()
    assert client_of(bob).post(url).status_code == 302
    assert len(hub.orders) == 1


def test_a_token_that_does_not_reach_to_shells_ends_none(
    bob: User, session: TerminalSession, url: str, hub: Hub
) -> None:
    assert program(issue(bob, scope=TokenScope.OPERATE).text).post(url).status_code == 403
    assert hub.orders == []
    assert program(issue(bob, name="robot 2").text).post(url).status_code == 200
    assert len(hub.orders) == 1


def test_a_token_for_another_team_knows_of_no_terminal(bob: User, url: str, hub: Hub) -> None:
    blue = Team.objects.create(name="Blue")
    Membership.objects.create(team=blue, person=bob, role=TeamRole.OWNER)
    robot = program(issue(bob, team=blue).text)
    assert robot.get("/terminals/").json()["items"] == []
    assert robot.post(url).status_code == 404


@pytest.mark.parametrize(("is_away", "words"), [(True, "hub does not answer"), (False, "has ended meanwhile")])
def test_what_the_hub_did_not_do_is_said_and_on_record(
    is_away: bool, words: str, bob: User, url: str, hub: Hub, client_of: ClientOf
) -> None:
    hub.is_away, hub.is_empty = is_away, not is_away
    answer = client_of(bob).post(url, headers={"HX-Request": "true"})
    assert words in answer.headers["HX-Trigger"]
    assert [outcome for _who, outcome, _name in rows("terminal.end")] == ["accepted", "failed"]


def test_a_guest_ends_nothing(
    bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    share_terminal(actor=bob, session=session, person=mara, types=True)
    hub.orders.clear()
    assert client_of(mara).post(url).status_code == 403
    assert hub.orders == []
    assert rows("terminal.end") == [("mara", "denied", "web-1")]


@pytest.mark.parametrize(("who", "status"), [("audrey", 403), ("mara", 404), ("charlie", 404)])
def test_others_do_not(
    who: str, status: int, audrey: User, mara: User, charlie: User, url: str, hub: Hub, client_of: ClientOf
) -> None:
    assert client_of(User.objects.get(username=who)).post(url).status_code == status
    assert hub.orders == []


def test_a_link_ends_nothing(bob: User, url: str, hub: Hub, client_of: ClientOf) -> None:
    assert client_of(bob).get(url).status_code == 405
    assert hub.orders == []
