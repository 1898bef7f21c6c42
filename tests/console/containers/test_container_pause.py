"""Pausing a container."""

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


def test_it_is_done_and_the_head_of_the_page_shows_it(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, worker: None
) -> None:
    answer = client_of(alice).post(url_of(container, "pause/"), headers=HEADER)

    assert answer.status_code == 200
    assert changes(engine) == ["pause_container"]
    container.refresh_from_db()
    assert container.state == "paused"
    assert "web-1 is paused." in answer.headers["HX-Trigger"]
    assert AuditEvent.objects.filter(action="container.pause", outcome="succeeded").count() == 1


def test_a_stranger_finds_nothing_there(
    charlie: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(charlie).post(url_of(container, "pause/")).status_code == 404
    assert engine.calls == []
    assert not Operation.objects.exists()


def test_a_link_cannot_do_it(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(alice).get(url_of(container, "pause/")).status_code == 405
    assert engine.calls == []


def test_one_that_is_paused_already_is_no_failure(
    alice: User, client_of: ClientOf, container: ObservedContainer, ask: Callable[..., object], worker: None
) -> None:
    ask("pause_container", container.container_id)

    client_of(alice).post(url_of(container, "pause/"))

    assert Operation.objects.get().state == "succeeded"


def test_one_that_does_not_run_cannot_be_paused(
    alice: User, client_of: ClientOf, stopped: ObservedContainer, worker: None
) -> None:
    client_of(alice).post(url_of(stopped, "pause/"))

    operation = Operation.objects.get()
    assert operation.state == "failed"
    assert operation.next_step
