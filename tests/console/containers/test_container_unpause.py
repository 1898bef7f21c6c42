"""Resuming a paused container."""

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


@pytest.fixture
def paused(container: ObservedContainer, ask: Callable[..., object], engine: FakeEngine) -> ObservedContainer:
    ask("pause_container", container.container_id)
    engine.calls.clear()
    return container


def test_it_goes_on(
    alice: User, client_of: ClientOf, paused: ObservedContainer, engine: FakeEngine, worker: None
) -> None:
    answer = client_of(alice).post(url_of(paused, "unpause/"), headers=HEADER)

    assert answer.status_code == 200
    assert changes(engine) == ["unpause_container"]
    paused.refresh_from_db()
    assert paused.state == "running"
    assert AuditEvent.objects.filter(action="container.unpause", outcome="succeeded").count() == 1


def test_one_that_runs_already_is_no_failure(
    alice: User, client_of: ClientOf, container: ObservedContainer, worker: None
) -> None:
    client_of(alice).post(url_of(container, "unpause/"))

    assert Operation.objects.get().state == "succeeded"


def test_a_stranger_finds_nothing_there(
    charlie: User, client_of: ClientOf, paused: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(charlie).post(url_of(paused, "unpause/")).status_code == 404
    assert engine.calls == []


def test_a_link_cannot_do_it(alice: User, client_of: ClientOf, paused: ObservedContainer) -> None:
    assert client_of(alice).get(url_of(paused, "unpause/")).status_code == 405
