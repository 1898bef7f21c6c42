"""The owner of a terminal puts somebody out: at once where the hub hears of it, at their next look if not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.gateway import hub_messages
from console.lib.problems import Missing
from console.terminals.access import access_terminal, place_of
from console.terminals.models import TerminalSession
from console.terminals.oversight_services import share_terminal
from tests.console.terminals.oversight import (
    Hub,
    bob,
    container,
    fresh,
    hub,
    mara,
    olga,
    red,
    rows,
    session,
)

__all__ = ["bob", "container", "hub", "mara", "olga", "red", "session"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


@pytest.fixture
def url(bob: User, mara: User, session: TerminalSession, hub: Hub) -> str:
    """Where bob puts mara out, who types in his terminal."""
    share_terminal(actor=bob, session=session, person=mara, types=True)
    hub.orders.clear()
    return f"/terminals/{session.pk}/share/{mara.pk}/remove/"


@pytest.mark.parametrize("is_away", [False, True])
def test_the_guest_is_out(
    is_away: bool, bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    hub.is_away = is_away
    answer = client_of(bob).post(url, headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert "mara is out" in answer.headers["HX-Trigger"]
    order = hub_messages.SetPerson(session=str(session.pk), person=str(mara.pk), views=False)
    assert hub.orders == ([] if is_away else [order])
    assert not place_of(fresh(mara), session).watches
    with pytest.raises(Missing):
        access_terminal(fresh(mara), session.pk, "terminal.watch")
    assert rows("terminal.unshare") == [("bob", "succeeded", "web-1")]


def test_who_is_out_already_is_not_put_out_again(bob: User, url: str, hub: Hub, client_of: ClientOf) -> None:
    client_of(bob).post(url)
    assert client_of(bob).post(url).status_code == 404
    assert len(rows("terminal.unshare")) == 1


def test_a_guest_puts_nobody_out(mara: User, url: str, hub: Hub, client_of: ClientOf) -> None:
    assert client_of(mara).post(url).status_code == 403
    assert hub.orders == []


def test_for_a_stranger_it_does_not_exist(charlie: User, url: str, hub: Hub, client_of: ClientOf) -> None:
    assert client_of(charlie).post(url).status_code == 404
    assert hub.orders == []


def test_a_link_puts_nobody_out(bob: User, mara: User, session: TerminalSession, url: str, client_of: ClientOf) -> None:
    assert client_of(bob).get(url).status_code == 405
    assert place_of(fresh(mara), session).types
