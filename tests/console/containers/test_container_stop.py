"""Stopping a container."""

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
    answer = client_of(alice).post(url_of(container, "stop/"), headers=HEADER)

    assert answer.status_code == 200
    assert changes(engine) == ["stop_container"]
    container.refresh_from_db()
    assert container.state == "exited"
    assert "web-1 is stopped." in answer.headers["HX-Trigger"]
    assert AuditEvent.objects.filter(action="container.stop", outcome="succeeded").count() == 1


def test_a_stranger_finds_nothing_there(
    charlie: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(charlie).post(url_of(container, "stop/")).status_code == 404
    assert engine.calls == []
    assert not Operation.objects.exists()


def test_a_link_cannot_do_it(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(alice).get(url_of(container, "stop/")).status_code == 405
    assert engine.calls == []


def test_one_that_has_stopped_stays_stopped(
    alice: User, client_of: ClientOf, stopped: ObservedContainer, worker: None
) -> None:
    client_of(alice).post(url_of(stopped, "stop/"))

    assert Operation.objects.get().state == "succeeded"


def test_one_that_is_gone_is_told_as_gone(
    alice: User, client_of: ClientOf, container: ObservedContainer, ask: Callable[..., object], worker: None
) -> None:
    ask("remove_container", container.container_id, force=True)

    answer = client_of(alice).post(url_of(container, "stop/"), headers=HEADER)

    operation = Operation.objects.get()
    assert (operation.state, operation.error_code) == ("failed", "container_missing")
    assert answer.status_code == 204


def test_opposite_wishes_of_two_tabs_end_in_one_clear_state(
    alice: User, client_of: ClientOf, container: ObservedContainer, run_operations: Callable[[], None]
) -> None:
    from console.containers.services import start_container, stop_container

    stop_container(actor=alice, container=container)
    start_container(actor=alice, container=container)
    run_operations()

    assert [operation.state for operation in Operation.objects.all()] == ["succeeded", "succeeded"]
    container.refresh_from_db()
    assert container.state == "running"
