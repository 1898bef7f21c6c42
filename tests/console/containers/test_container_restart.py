"""Restarting a container."""

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
    answer = client_of(alice).post(url_of(container, "restart/"), headers=HEADER)

    assert answer.status_code == 200
    assert changes(engine) == ["restart_container"]
    container.refresh_from_db()
    assert container.state == "running"
    assert "web-1 was restarted." in answer.headers["HX-Trigger"]
    assert AuditEvent.objects.filter(action="container.restart", outcome="succeeded").count() == 1


def test_a_stranger_finds_nothing_there(
    charlie: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(charlie).post(url_of(container, "restart/")).status_code == 404
    assert engine.calls == []
    assert not Operation.objects.exists()


def test_a_link_cannot_do_it(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(alice).get(url_of(container, "restart/")).status_code == 405
    assert engine.calls == []
