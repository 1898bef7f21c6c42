"""Who oversees a terminal says something to everybody who is at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.gateway import hub_messages
from console.terminals.models import TerminalSession
from tests.console.terminals.oversight import Hub, audrey, bob, container, hub, mara, olga, red, rows, session

__all__ = ["audrey", "bob", "container", "hub", "mara", "olga", "red", "session"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


@pytest.fixture
def url(session: TerminalSession) -> str:
    return f"/terminals/{session.pk}/message/"


def test_it_is_shown_as_it_was_written_and_kept(
    olga: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    text = "Leave by <b>noon</b>, please"
    assert client_of(olga).post(url, {"text": text}, headers={"HX-Request": "true"}).status_code == 204
    assert hub.orders == [hub_messages.TellTerminal(session=str(session.pk), text=text, by="olga")]
    assert AuditEvent.objects.get(action="terminal.message").details["text"] == text


@pytest.mark.parametrize("text", ["", "x" * 301, "a\0b"])
def test_nothing_and_too_much_are_no_messages(text: str, olga: User, url: str, hub: Hub, client_of: ClientOf) -> None:
    assert client_of(olga).post(url, {"text": text}).status_code == 422
    assert hub.orders == []


@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("audrey", 403), ("mara", 404), ("charlie", 404)])
def test_others_do_not(
    who: str, status: int, audrey: User, mara: User, charlie: User, url: str, hub: Hub, client_of: ClientOf
) -> None:
    browser = client_of(User.objects.get(username=who))
    assert browser.get(url).status_code == status
    assert browser.post(url, {"text": "hello"}).status_code == status
    assert hub.orders == []
    if status == 403:
        assert rows("terminal.message")[-1] == (who, "denied", "web-1")
