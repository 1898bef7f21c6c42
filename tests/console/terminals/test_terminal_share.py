"""The owner of a terminal lets somebody watch it or type into it; nobody gets more than they could do themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import Membership, TeamRole, User
from console.gateway import hub_messages
from console.inventory.models import ObservedContainer
from console.lib.problems import Missing
from console.rbac.access import Refused
from console.terminals.access import access_terminal, place_of
from console.terminals.models import ShellApproval, TerminalSession, TerminalShare
from console.terminals.oversight_services import share_terminal
from tests.console.terminals.oversight import (
    Hub,
    audrey,
    bob,
    container,
    fresh,
    hub,
    mara,
    olga,
    page_of,
    red,
    rows,
    session,
    set_terms,
    vera,
)

__all__ = ["audrey", "bob", "container", "hub", "mara", "olga", "page_of", "red", "session", "set_terms", "vera"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


@pytest.fixture
def url(session: TerminalSession) -> str:
    return f"/terminals/{session.pk}/share/"


def test_a_colleague_types_beside_the_owner(
    bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    assert not place_of(mara, session).watches
    answer = client_of(bob).post(url, {"person": str(mara.pk), "role": "type"}, headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert "mara may watch and type" in answer.headers["HX-Trigger"]
    place = place_of(fresh(mara), session)
    assert (place.watches, place.types, place.owns, place.oversees) == (True, True, False, False)
    assert hub.orders == [hub_messages.SetPerson(session=str(session.pk), person=str(mara.pk), views=True, types=True)]
    assert rows("terminal.share") == [("bob", "succeeded", "web-1")]


def test_who_may_type_may_be_left_to_watch(
    bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    for role, types in (("type", True), ("watch", False)):
        client_of(bob).post(url, {"person": str(mara.pk), "role": role})
        assert place_of(fresh(mara), session).types is types
    assert place_of(fresh(mara), session).watches
    assert TerminalShare.objects.count() == 1
    assert [order.types for order in hub.orders if isinstance(order, hub_messages.SetPerson)] == [True, False]


def test_who_only_reads_the_container_only_watches(
    bob: User, vera: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    answer = client_of(bob).post(url, {"person": str(vera.pk), "role": "type"})
    assert answer.status_code == 422
    assert "could not open such a shell" in answer.content.decode()
    assert not TerminalShare.objects.exists()
    assert client_of(bob).post(url, {"person": str(vera.pk), "role": "watch"}).status_code == 302
    assert place_of(fresh(vera), session).watches
    # Even where the database said otherwise: the rights of now decide.
    TerminalShare.objects.update(types=True)
    assert not place_of(fresh(vera), session).types
    with pytest.raises(Refused):
        access_terminal(fresh(vera), session.pk, "terminal.type")


@pytest.mark.parametrize("who", ["charlie", "audrey", "bob"])
def test_nobody_else_can_be_chosen(
    who: str,
    bob: User,
    charlie: User,
    audrey: User,
    session: TerminalSession,
    url: str,
    hub: Hub,
    client_of: ClientOf,
) -> None:
    person = User.objects.get(username=who)
    answer = client_of(bob).post(url, {"person": str(person.pk), "role": "watch"})
    assert answer.status_code == 422
    assert hub.orders == []
    assert not TerminalShare.objects.exists()


def test_the_auditor_watches_nothing_live_even_when_somebody_let_him(
    bob: User, audrey: User, session: TerminalSession, hub: Hub
) -> None:
    share_terminal(actor=bob, session=session, person=audrey, types=True)
    assert not place_of(audrey, session).watches
    assert not place_of(audrey, session).types
    with pytest.raises(Refused):
        access_terminal(audrey, session.pk, "terminal.watch")


def test_a_guest_who_leaves_the_team_is_a_guest_no_more(
    bob: User, mara: User, session: TerminalSession, hub: Hub
) -> None:
    share_terminal(actor=bob, session=session, person=mara, types=True)
    Membership.objects.filter(person=mara).delete()
    assert not place_of(fresh(mara), session).watches
    with pytest.raises(Missing):
        access_terminal(fresh(mara), session.pk, "terminal.watch")


def test_a_guest_whose_role_shrinks_only_watches(bob: User, mara: User, session: TerminalSession, hub: Hub) -> None:
    share_terminal(actor=bob, session=session, person=mara, types=True)
    Membership.objects.filter(person=mara).update(role=TeamRole.VIEWER)
    place = place_of(fresh(mara), session)
    assert (place.watches, place.types) == (True, False)


def test_a_guest_shares_it_with_nobody(
    bob: User, mara: User, vera: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    share_terminal(actor=bob, session=session, person=mara, types=True)
    answer = client_of(mara).post(url, {"person": str(vera.pk), "role": "watch"})
    assert answer.status_code == 403
    assert TerminalShare.objects.count() == 1
    assert rows("terminal.share")[-1] == ("mara", "denied", "web-1")


def test_who_oversees_it_does_not_share_it_either(
    olga: User, mara: User, url: str, hub: Hub, client_of: ClientOf
) -> None:
    assert client_of(olga).post(url, {"person": str(mara.pk), "role": "watch"}).status_code == 403
    assert hub.orders == []


@pytest.mark.parametrize("who", ["charlie", "mara", "vera"])
def test_for_others_it_does_not_exist(
    who: str, charlie: User, mara: User, vera: User, url: str, hub: Hub, client_of: ClientOf
) -> None:
    answer = client_of(User.objects.get(username=who)).post(url, {"person": str(vera.pk), "role": "watch"})
    assert answer.status_code == 404
    assert hub.orders == []


def test_it_is_shared_although_the_hub_is_away(
    bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    hub.is_away = True
    assert client_of(bob).post(url, {"person": str(mara.pk), "role": "watch"}).status_code == 302
    assert place_of(fresh(mara), session).watches


def test_the_dialog_names_who_may_be_let_in_and_who_is(
    bob: User,
    mara: User,
    vera: User,
    alice: User,
    charlie: User,
    session: TerminalSession,
    url: str,
    hub: Hub,
    client_of: ClientOf,
) -> None:
    share_terminal(actor=bob, session=session, person=vera, types=False)
    text = client_of(bob).get(url, headers={"HX-Request": "true"}).content.decode()
    assert "Share the terminal in web-1" in text
    for person in (mara, vera, alice):
        assert f'value="{person.pk}"' in text
    assert str(charlie.pk) not in text
    assert f"/terminals/{session.pk}/share/{vera.pk}/remove/" in text


def test_the_guest_finds_it_on_the_list(
    bob: User, mara: User, session: TerminalSession, hub: Hub, page_of: Callable[[User], str]
) -> None:
    assert str(session.pk) not in page_of(mara)
    share_terminal(actor=bob, session=session, person=mara, types=False)
    text = page_of(mara)
    assert str(session.pk) in text
    assert "shared with you" in text


def test_a_link_shares_nothing(bob: User, mara: User, url: str, hub: Hub, client_of: ClientOf) -> None:
    client_of(bob).get(url, {"person": str(mara.pk), "role": "type"})
    assert not TerminalShare.objects.exists()


def test_where_an_approval_is_needed_a_guest_needs_one_to_type(
    bob: User,
    mara: User,
    session: TerminalSession,
    container: ObservedContainer,
    url: str,
    hub: Hub,
    client_of: ClientOf,
    set_terms: Callable[..., None],
) -> None:
    set_terms(shell_approval=True)
    now = timezone.now()
    approved = {
        "team_id": session.host.ownerships.get().team_id,
        "host": session.host,
        "container_id": container.container_id,
        "container_name": container.name,
        "reason": "x",
        "minutes": 30,
        "state": "approved",
        "until": now + timedelta(minutes=30),
    }
    ShellApproval.objects.create(person=bob, **approved)
    assert client_of(bob).post(url, {"person": str(mara.pk), "role": "type"}).status_code == 422
    assert client_of(bob).post(url, {"person": str(mara.pk), "role": "watch"}).status_code == 302
    assert not place_of(fresh(mara), session).types
    ShellApproval.objects.create(person=mara, **approved)
    assert client_of(bob).post(url, {"person": str(mara.pk), "role": "type"}).status_code == 302
    assert place_of(fresh(mara), session).types


def test_the_terminal_itself_asks_and_is_answered_in_json(
    bob: User, mara: User, vera: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    browser, program = client_of(bob), {"Accept": "application/json"}
    people = f"/terminals/{session.pk}/people/"
    assert browser.post(url, {"person": str(mara.pk), "role": "type"}, headers=program).status_code == 200
    answer = browser.post(url, {"person": str(vera.pk), "role": "type"}, headers=program)
    assert answer.status_code == 422
    assert "could not open such a shell" in answer.json()["message"]
    assert browser.get(people, headers=program).json() == [
        {"id": str(mara.pk), "name": "mara", "may_type": True, "shared": "types"},
        {"id": str(vera.pk), "name": "vera", "may_type": False, "shared": ""},
    ]
    assert client_of(mara).get(people).status_code == 403
