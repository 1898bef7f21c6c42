"""Removing a container."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.inventory.models import ObservedContainer
from console.operations.models import Operation
from runtime.testing import FakeEngine
from tests.console.containers.conftest import changes, url_of

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


ANONYMOUS = "a" * 64


@pytest.fixture
def with_volumes(container: ObservedContainer) -> ObservedContainer:
    container.mounts = [
        {"kind": "volume", "source": "orders", "target": "/data", "read_only": False},
        {"kind": "volume", "source": ANONYMOUS, "target": "/cache", "read_only": False},
    ]
    container.save(update_fields=["mounts"])
    return container


def test_the_form_says_what_is_lost_and_what_stays(
    alice: User, client_of: ClientOf, with_volumes: ObservedContainer, engine: FakeEngine
) -> None:
    page = client_of(alice).get(url_of(with_volumes, "remove/")).content.decode()

    assert "everything it wrote" in page
    assert "<bdi>orders</bdi>" in page
    assert ANONYMOUS[:12] in page
    assert engine.calls == []


def test_it_is_gone(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, worker: None
) -> None:
    answer = client_of(alice).post(url_of(container, "remove/"), {"force": "1"}, follow=True)

    assert changes(engine) == ["remove_container"]
    assert not ObservedContainer.objects.exists()
    assert "This container no longer exists" in answer.content.decode()
    assert AuditEvent.objects.filter(action="container.remove", outcome="succeeded").count() == 1


def test_a_dialog_leads_back_to_where_it_was_opened(
    alice: User, client_of: ClientOf, container: ObservedContainer, worker: None
) -> None:
    answer = client_of(alice).post(
        url_of(container, "remove/"),
        {"force": "1"},
        HTTP_HX_REQUEST="true",
        HTTP_HX_CURRENT_URL="http://testserver/containers/?state=running",
    )

    assert "/containers/?state=running" in answer.headers["HX-Location"]
    assert "web-1 is removed." in answer.headers["HX-Trigger"]


def test_a_running_one_is_kept_unless_it_may_be_killed(
    alice: User, client_of: ClientOf, container: ObservedContainer, worker: None
) -> None:
    client_of(alice).post(url_of(container, "remove/"))

    operation = Operation.objects.get()
    assert operation.state == "failed"
    assert "stop it first" in operation.next_step
    assert ObservedContainer.objects.exists()


@pytest.mark.parametrize("typed", ["", "web", "WEB-1", "web-1x"])
def test_volumes_need_the_name(
    alice: User, client_of: ClientOf, with_volumes: ObservedContainer, engine: FakeEngine, typed: str
) -> None:
    form = {"force": "1", "volumes": "1", "confirm": typed}

    answer = client_of(alice).post(url_of(with_volumes, "remove/"), form)

    assert answer.status_code == 422
    assert "type the container&#x27;s name" in answer.content.decode()
    assert engine.calls == []


def test_with_the_name_its_unnamed_volumes_go_too(
    alice: User, client_of: ClientOf, with_volumes: ObservedContainer, worker: None
) -> None:
    client_of(alice).post(url_of(with_volumes, "remove/"), {"force": "1", "volumes": "1", "confirm": "web-1"})

    operation = Operation.objects.get()
    assert operation.state == "succeeded"
    assert operation.arguments == {"force": True, "volumes": True}


def test_one_that_is_gone_already_is_done(
    alice: User, client_of: ClientOf, container: ObservedContainer, ask: Callable[..., object], worker: None
) -> None:
    ask("remove_container", container.container_id, force=True)

    client_of(alice).post(url_of(container, "remove/"), {"force": "1"})

    operation = Operation.objects.get()
    assert operation.state == "succeeded"
    assert "gone already" in operation.output


def test_the_page_of_a_removed_one_tells_what_was_done(
    alice: User, client_of: ClientOf, container: ObservedContainer, worker: None
) -> None:
    client = client_of(alice)
    client.post(url_of(container, "remove/"), {"force": "1"})

    page = client.get(url_of(container))

    assert page.status_code == 200
    assert "web-1" in page.content.decode()
    assert "container.remove" in page.content.decode()


def test_a_stranger_finds_nothing_there(
    charlie: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(charlie).get(url_of(container, "remove/")).status_code == 404
    assert client_of(charlie).post(url_of(container, "remove/"), {"force": "1"}).status_code == 404
    assert engine.calls == []


def test_a_link_removes_nothing(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    client_of(alice).get(url_of(container, "remove/") + "?force=1")

    assert engine.calls == []
    assert not Operation.objects.exists()


def test_other_methods_are_refused(alice: User, client_of: ClientOf, container: ObservedContainer) -> None:
    assert client_of(alice).delete(url_of(container, "remove/")).status_code == 405
