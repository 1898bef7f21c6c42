"""Who oversees a terminal has it take no input for a while; its owner cannot undo that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.gateway import hub_messages
from console.terminals.models import TerminalSession
from tests.console.terminals.oversight import Hub, audrey, bob, container, hub, mara, olga, red, rows, session

__all__ = ["audrey", "bob", "container", "hub", "mara", "olga", "red", "session"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


@pytest.mark.parametrize("who", ["olga", "alice"])
def test_it_is_locked_and_unlocked(
    who: str, alice: User, olga: User, session: TerminalSession, hub: Hub, client_of: ClientOf
) -> None:
    browser = client_of(User.objects.get(username=who))
    for verb, locked in (("lock", True), ("unlock", False)):
        assert browser.post(f"/terminals/{session.pk}/{verb}/", headers={"HX-Request": "true"}).status_code == 204
        assert hub.orders.pop() == hub_messages.LockTerminal(session=str(session.pk), locked=locked, by=who)
        assert rows(f"terminal.{verb}") == [(who, "accepted", "web-1")]


@pytest.mark.parametrize("verb", ["lock", "unlock"])
@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("audrey", 403), ("mara", 404), ("charlie", 404)])
def test_others_do_not(
    who: str,
    status: int,
    verb: str,
    audrey: User,
    mara: User,
    charlie: User,
    session: TerminalSession,
    hub: Hub,
    client_of: ClientOf,
) -> None:
    assert client_of(User.objects.get(username=who)).post(f"/terminals/{session.pk}/{verb}/").status_code == status
    assert hub.orders == []


def test_without_the_hub_nothing_is_claimed(
    olga: User, session: TerminalSession, hub: Hub, client_of: ClientOf
) -> None:
    hub.is_away = True
    text = client_of(olga).post(f"/terminals/{session.pk}/lock/", follow=True).content.decode()
    assert "The stream hub does not answer, so nothing was done." in text
    assert [outcome for _who, outcome, _name in rows("terminal.lock")] == ["accepted", "failed"]
