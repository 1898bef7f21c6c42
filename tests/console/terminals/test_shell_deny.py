"""A request for a shell is denied, taken back after it was approved, or withdrawn; what is open by it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.gateway import hub_messages
from console.inventory.models import ObservedContainer
from console.terminals.models import ShellApproval
from tests.console.terminals.oversight import (
    Hub,
    audrey,
    bob,
    container,
    hub,
    mara,
    olga,
    open_terminal,
    red,
    rows,
    set_terms,
)
from tests.console.terminals.test_shell_approve import _guarded, approved, asked, may

__all__ = ["_guarded", "approved", "asked", "audrey", "bob", "container", "hub", "mara", "olga", "red", "set_terms"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


def test_it_is_denied_and_may_be_asked_for_again(
    olga: User, bob: User, asked: ShellApproval, container: ObservedContainer, hub: Hub, client_of: ClientOf
) -> None:
    assert client_of(olga).post(f"/terminals/approvals/{asked.pk}/deny/").status_code == 302
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by) == ("denied", olga)
    assert not may(bob, container)
    assert hub.orders == []
    assert rows("shell.deny") == [("olga", "succeeded", "web-1")]
    again = f"/terminals/approvals/ask/{container.host_id}/{container.container_id}/"
    client_of(bob).post(again, {"reason": "Please", "minutes": "10"})
    assert ShellApproval.objects.filter(state="asked").count() == 1


def test_it_is_taken_back_and_the_shell_ends_at_once(
    olga: User, bob: User, approved: ShellApproval, container: ObservedContainer, hub: Hub, client_of: ClientOf
) -> None:
    session = open_terminal(bob, container)
    client_of(olga).post(f"/terminals/approvals/{approved.pk}/deny/")
    assert not may(bob, container)
    assert hub.orders == [hub_messages.EndTerminal(session=str(session.pk), reason="approval_over", by="olga")]


def test_one_withdraws_what_one_asked_for(bob: User, asked: ShellApproval, client_of: ClientOf) -> None:
    client_of(bob).post(f"/terminals/approvals/{asked.pk}/withdraw/")
    asked.refresh_from_db()
    assert asked.state == "withdrawn"
    assert rows("shell.withdraw") == [("bob", "succeeded", "web-1")]
    answer = client_of(bob).post(f"/terminals/approvals/{asked.pk}/withdraw/", headers={"HX-Request": "true"})
    assert "decided meanwhile" in answer.headers["HX-Trigger"]


def test_one_gives_back_what_one_got(
    bob: User, approved: ShellApproval, container: ObservedContainer, hub: Hub, client_of: ClientOf
) -> None:
    open_terminal(bob, container)
    client_of(bob).post(f"/terminals/approvals/{approved.pk}/withdraw/")
    assert not may(bob, container)
    assert len(hub.orders) == 1


@pytest.mark.parametrize("verb", ["deny", "withdraw"])
@pytest.mark.parametrize(("who", "status"), [("audrey", 403), ("mara", 404), ("charlie", 404)])
def test_others_do_neither(
    who: str,
    status: int,
    verb: str,
    audrey: User,
    mara: User,
    charlie: User,
    asked: ShellApproval,
    client_of: ClientOf,
) -> None:
    browser = client_of(User.objects.get(username=who))
    assert browser.post(f"/terminals/approvals/{asked.pk}/{verb}/").status_code == status
    asked.refresh_from_db()
    assert asked.state == "asked"


def test_who_decides_does_not_withdraw_for_others(olga: User, asked: ShellApproval, client_of: ClientOf) -> None:
    assert client_of(olga).post(f"/terminals/approvals/{asked.pk}/withdraw/").status_code == 403


def test_who_asked_does_not_deny(bob: User, asked: ShellApproval, client_of: ClientOf) -> None:
    assert client_of(bob).post(f"/terminals/approvals/{asked.pk}/deny/").status_code == 403


def test_links_do_neither(olga: User, bob: User, asked: ShellApproval, client_of: ClientOf) -> None:
    assert client_of(olga).get(f"/terminals/approvals/{asked.pk}/deny/").status_code == 405
    assert client_of(bob).get(f"/terminals/approvals/{asked.pk}/withdraw/").status_code == 405
