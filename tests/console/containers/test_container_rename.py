"""Giving a container another name."""

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


def test_it_has_the_new_name(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, worker: None
) -> None:
    answer = client_of(alice).post(url_of(container, "rename/"), {"name": "shop"}, headers=HEADER)

    assert changes(engine) == ["rename_container"]
    container.refresh_from_db()
    assert container.name == "shop"
    assert "shop" in answer.content.decode()
    assert AuditEvent.objects.filter(action="container.rename", outcome="succeeded").count() == 1


@pytest.mark.parametrize("name", ["", "a", "-web", "we b", "web/1", "<b>", "ü-web", "x" * 300, "web\x00"])
def test_a_bad_name_is_refused_and_kept_in_the_form(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, name: str
) -> None:
    answer = client_of(alice).post(url_of(container, "rename/"), {"name": name})

    assert answer.status_code == 422
    assert "two or more letters" in answer.content.decode()
    assert engine.calls == []


def test_a_taken_name_is_told_at_the_field(
    alice: User, client_of: ClientOf, container: ObservedContainer, make_container: Callable[..., ObservedContainer]
) -> None:
    make_container("shop")

    answer = client_of(alice).post(url_of(container, "rename/"), {"name": "shop"})

    assert answer.status_code == 422
    assert "has this name" in answer.content.decode()


def test_a_name_taken_meanwhile_fails_with_a_next_step(
    alice: User,
    client_of: ClientOf,
    container: ObservedContainer,
    make_container: Callable[..., ObservedContainer],
    worker: None,
) -> None:
    make_container("shop").delete()

    client_of(alice).post(url_of(container, "rename/"), {"name": "shop"})

    operation = Operation.objects.get()
    assert (operation.state, operation.next_step) == ("failed", "Choose another name.")


def test_a_stranger_finds_nothing_there(
    charlie: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(charlie).post(url_of(container, "rename/"), {"name": "mine"}).status_code == 404
    assert engine.calls == []


def test_other_methods_are_refused(alice: User, client_of: ClientOf, container: ObservedContainer) -> None:
    assert client_of(alice).delete(url_of(container, "rename/")).status_code == 405
