"""Sending a signal to a container."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.inventory.models import ObservedContainer
from console.operations.models import Operation
from runtime.testing import FakeEngine
from tests.console.containers.conftest import HEADER, changes, url_of

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def test_the_form_offers_signals(alice: User, client_of: ClientOf, container: ObservedContainer) -> None:
    page = client_of(alice).get(url_of(container, "kill/")).content.decode()

    assert "SIGKILL" in page
    assert "SIGHUP" in page


def test_the_chosen_signal_is_sent(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, worker: None
) -> None:
    answer = client_of(alice).post(url_of(container, "kill/"), {"signal": "SIGTERM"}, headers=HEADER)

    assert answer.status_code == 200
    assert changes(engine) == ["kill_container"]
    container.refresh_from_db()
    assert container.exit_code == 143
    assert AuditEvent.objects.filter(action="container.kill", outcome="succeeded").count() == 1


@pytest.mark.parametrize("signal", ["", "9", "SIGKILL; id", "sigkill", "SIGSTOPX", "\x00"])
def test_a_signal_that_is_not_in_the_list_is_refused(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, signal: str
) -> None:
    answer = client_of(alice).post(url_of(container, "kill/"), {"signal": signal})

    assert answer.status_code == 422
    assert "Choose one of the signals" in answer.content.decode()
    assert engine.calls == []


def test_killing_what_has_ended_is_done(
    alice: User, client_of: ClientOf, container: ObservedContainer, ask: Callable[..., object], worker: None
) -> None:
    ask("kill_container", container.container_id)

    client_of(alice).post(url_of(container, "kill/"), {"signal": "SIGKILL"})

    assert Operation.objects.get().state == "succeeded"


def test_another_signal_needs_a_running_container(
    alice: User, client_of: ClientOf, stopped: ObservedContainer, worker: None
) -> None:
    client_of(alice).post(url_of(stopped, "kill/"), {"signal": "SIGHUP"})

    operation = Operation.objects.get()
    assert (operation.state, operation.next_step) == ("failed", "Only a running container takes a signal.")


def test_a_stranger_finds_nothing_there(
    charlie: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(charlie).get(url_of(container, "kill/")).status_code == 404
    assert client_of(charlie).post(url_of(container, "kill/")).status_code == 404
    assert engine.calls == []


def test_other_methods_are_refused(alice: User, client_of: ClientOf, container: ObservedContainer) -> None:
    assert client_of(alice).put(url_of(container, "kill/")).status_code == 405
