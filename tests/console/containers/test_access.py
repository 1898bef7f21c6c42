"""Who may see a container and not act on it is refused with the reason, and nothing reaches the engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.inventory.models import ObservedContainer
from console.operations.models import Operation
from runtime.testing import FakeEngine
from tests.console.containers.conftest import url_of

pytestmark = pytest.mark.django_db
ACTIONS = ("start", "stop", "restart", "kill", "pause", "unpause", "rename", "remove")


@pytest.fixture
def watcher(alice: User, client_of: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch) -> Client:
    """The browser of somebody who may see everything and do nothing."""
    monkeypatch.setattr("console.rbac.access.allowed", lambda _user, action, **_of: action.endswith(".view"))
    monkeypatch.setattr("console.rbac.access.allowed_somewhere", lambda _user, action: action.endswith(".view"))
    return client_of(alice)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_refused_by_name(
    watcher: Client, container: ObservedContainer, engine: FakeEngine, action: str
) -> None:
    answer = watcher.post(url_of(container, f"{action}/"), {"name": "shop", "force": "1"})

    assert answer.status_code == 403
    event = AuditEvent.objects.get()
    assert (event.action, event.outcome) == (f"container.{action}", "denied")
    assert (event.object_id, event.object_name) == (container.container_id, "web-1")
    assert engine.calls == []
    assert not Operation.objects.exists()


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "remove"])
def test_so_is_a_wish_for_many(
    watcher: Client, container: ObservedContainer, stopped: ObservedContainer, engine: FakeEngine, verb: str
) -> None:
    ids = [f"{one.host_id}/{one.container_id}" for one in (container, stopped)]
    engine.calls.clear()

    assert watcher.post(f"/containers/bulk/{verb}/", {"ids": ids}).status_code == 403
    assert engine.calls == []
    assert not Operation.objects.exists()


@pytest.mark.parametrize("tab", ["logs", "terminal", "stats", "configuration", "inspect"])
def test_so_are_the_tabs_that_show_more(
    watcher: Client, container: ObservedContainer, engine: FakeEngine, tab: str
) -> None:
    assert watcher.get(url_of(container, f"{tab}/")).status_code == 403
    assert watcher.get(url_of(container, f"{tab}/"), headers={"HX-Request": "true"}).status_code == 403
    assert engine.calls == []


def test_so_are_masked_values_and_new_containers(
    watcher: Client, container: ObservedContainer, engine: FakeEngine
) -> None:
    form = {"kind": "environment", "name": "PATH"}

    assert watcher.post(url_of(container, "reveal/"), form).status_code == 403
    assert watcher.get("/containers/create/").status_code == 403
    assert watcher.post("/containers/create/", {"host": str(container.host_id), "image": "x"}).status_code == 403
    assert engine.calls == []


def test_what_may_be_seen_is_seen(watcher: Client, container: ObservedContainer) -> None:
    assert watcher.get(url_of(container)).status_code == 200
    assert watcher.get(url_of(container, "activity/")).status_code == 200
