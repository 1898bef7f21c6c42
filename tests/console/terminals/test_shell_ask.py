"""Where the policy lets nobody into a shell without an approval, people ask for one, and say why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import User
from console.inventory.models import ObservedContainer
from console.terminals.models import ShellApproval, TerminalSession
from tests.console.terminals.oversight import (
    CONTAINER,
    Hub,
    audrey,
    bob,
    container,
    hub,
    mara,
    olga,
    page_of,
    red,
    rows,
    set_terms,
    vera,
)

__all__ = ["audrey", "bob", "container", "hub", "mara", "olga", "page_of", "red", "set_terms", "vera"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]
PageOf = Callable[[User], str]
ASKED = {"reason": "Restore <b>Monday</b>", "minutes": "30"}


@pytest.fixture(autouse=True)
def _guarded(set_terms: Callable[..., None], hub: Hub) -> None:
    set_terms(shell_approval=True)


@pytest.fixture
def url(container: ObservedContainer) -> str:
    return f"/terminals/approvals/ask/{container.host_id}/{CONTAINER}/"


def ticket(browser: Client, container: ObservedContainer, **more: str) -> Any:
    form = {"host": str(container.host_id), "container": CONTAINER, **more}
    return browser.post("/terminals/tickets/", form, headers={"Accept": "application/json"})


@pytest.mark.parametrize("kind", ["exec", "attach"])
@pytest.mark.parametrize("who", ["bob", "olga", "alice"])
def test_without_an_approval_nobody_opens_a_shell(
    who: str, kind: str, alice: User, bob: User, olga: User, container: ObservedContainer, client_of: ClientOf
) -> None:
    answer = ticket(client_of(User.objects.get(username=who)), container, kind=kind)
    assert answer.status_code == 403
    assert answer.json()["code"] == "approval_needed"
    assert "Ask for one" in answer.json()["next_step"]
    assert not TerminalSession.objects.exists()
    assert rows("container.terminal" if kind == "exec" else "container.attach") == [(who, "denied", "web-1")]


def test_where_the_policy_asks_for_none_nothing_changes(
    bob: User, container: ObservedContainer, url: str, client_of: ClientOf, set_terms: Callable[..., None]
) -> None:
    set_terms(shell_approval=False)
    assert ticket(client_of(bob), container).status_code == 200
    answer = client_of(bob).post(url, ASKED)
    assert (answer.status_code, answer.headers["Location"][-10:]) == (302, "/terminal/")
    assert not ShellApproval.objects.exists()


def test_one_asks_and_whoever_decides_sees_it(
    alice: User, bob: User, olga: User, mara: User, audrey: User, url: str, client_of: ClientOf, page_of: PageOf
) -> None:
    answer = client_of(bob).post(url, ASKED, headers={"HX-Request": "true"})
    assert answer.status_code == 204
    request = ShellApproval.objects.get()
    assert (request.person, request.minutes, request.state, request.team.name) == (bob, 30, "asked", "Red")
    assert rows("shell.ask") == [("bob", "accepted", "web-1")]
    decides = f"/terminals/approvals/{request.pk}/approve/"
    for person, sees, may in ((alice, True, True), (olga, True, True), (bob, True, False), (audrey, True, False)):
        text = page_of(person)
        assert ("Restore &lt;b&gt;Monday&lt;/b&gt;" in text) is sees
        assert (decides in text) is may, person.username
    assert "Monday" not in page_of(mara)
    assert "1 request for a shell waits for you" in client_of(olga).get("/terminals/waiting/").content.decode()
    assert "waits for you" not in client_of(bob).get("/terminals/waiting/").content.decode()


def test_one_asks_once(bob: User, url: str, client_of: ClientOf) -> None:
    client_of(bob).post(url, ASKED)
    answer = client_of(bob).post(url, ASKED, headers={"HX-Request": "true"})
    assert "already" in answer.headers["HX-Trigger"]
    assert ShellApproval.objects.count() == 1
    assert len(rows("shell.ask")) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("reason", ""), ("reason", "x" * 301), ("minutes", "4"), ("minutes", "241"), ("minutes", "")],
)
def test_mistakes_are_said(field: str, value: str, bob: User, url: str, client_of: ClientOf) -> None:
    assert client_of(bob).post(url, ASKED | {field: value}).status_code == 422
    assert not ShellApproval.objects.exists()


@pytest.mark.parametrize(("who", "status"), [("vera", 403), ("audrey", 403), ("charlie", 404)])
def test_who_could_have_no_shell_asks_for_none(
    who: str, status: int, vera: User, audrey: User, charlie: User, url: str, client_of: ClientOf
) -> None:
    browser = client_of(User.objects.get(username=who))
    assert browser.get(url).status_code == status
    assert browser.post(url, ASKED).status_code == status
    assert not ShellApproval.objects.exists()


def test_a_link_asks_for_nothing(bob: User, url: str, client_of: ClientOf) -> None:
    assert client_of(bob).get(url, ASKED).status_code == 200
    assert not ShellApproval.objects.exists()
