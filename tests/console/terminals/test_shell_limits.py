"""One person has only so many terminals open in what a team owns; the refusal names the rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.terminals.models import TerminalSession
from tests.console.terminals.conftest import observe
from tests.console.terminals.oversight import Hub, bob, container, hub, mara, open_terminal, red, rows, set_terms
from tests.console.terminals.test_shell_ask import ticket

__all__ = ["bob", "container", "hub", "mara", "red", "set_terms"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


@pytest.fixture(autouse=True)
def _bounded(set_terms: Callable[..., None], hub: Hub) -> None:
    set_terms(shells_at_once=2)


def test_at_the_bound_and_beyond_it(bob: User, container: ObservedContainer, client_of: ClientOf) -> None:
    open_terminal(bob, container)
    assert ticket(client_of(bob), container).status_code == 200
    answer = ticket(client_of(bob), container)
    assert answer.status_code == 403
    assert answer.json()["code"] == "policy.shells_at_once"
    assert "2 terminals open" in answer.json()["message"]
    assert TerminalSession.objects.count() == 2
    assert rows("container.terminal")[-1] == ("bob", "denied", "web-1")


def test_only_what_is_open_of_ones_own_in_that_team_counts(
    alice: User, bob: User, mara: User, host: Host, container: ObservedContainer, client_of: ClientOf
) -> None:
    open_terminal(mara, container)
    open_terminal(mara, container)
    open_terminal(bob, container, state="ended")
    elsewhere = observe(host, "c" * 64, name="other")
    open_terminal(bob, elsewhere)
    open_terminal(bob, container)
    assert ticket(client_of(bob), container).status_code == 200
    assert ticket(client_of(bob), container).status_code == 403
    assert ticket(client_of(alice), container).status_code == 200


def test_who_owns_everything_is_bound_by_no_policy(
    alice: User, container: ObservedContainer, client_of: ClientOf
) -> None:
    for _terminal in range(3):
        assert ticket(client_of(alice), container).status_code == 200
