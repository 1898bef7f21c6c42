"""One wish for many containers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.containers import action_views
from console.inventory.models import ObservedContainer
from console.operations.models import Operation
from runtime.testing import FakeEngine
from tests.console.containers.conftest import changes

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def key(container: ObservedContainer) -> str:
    return f"{container.host_id}/{container.container_id}"


@pytest.fixture
def three(make_container: Callable[..., ObservedContainer], engine: FakeEngine) -> list[ObservedContainer]:
    found = [make_container(f"web-{number}") for number in (1, 2, 3)]
    engine.calls.clear()
    return found


@pytest.mark.parametrize(
    ("verb", "call", "word"),
    [
        ("stop", "stop_container", "Stop: 3 containers, 3 done."),
        ("restart", "restart_container", "Restart: 3 containers, 3 done."),
        ("start", "start_container", "Start: 3 containers, 3 done."),
        ("remove", "remove_container", "Remove: 3 containers, 3 done."),
    ],
)
def test_each_becomes_an_operation_and_a_sentence_sums_up(
    alice: User,
    client_of: ClientOf,
    three: list[ObservedContainer],
    engine: FakeEngine,
    worker: None,
    verb: str,
    call: str,
    word: str,
) -> None:
    ids = {"ids": [key(container) for container in three]}

    answer = client_of(alice).post(f"/containers/bulk/{verb}/?sort=name", ids, follow=True)

    assert answer.redirect_chain == [("/containers/?sort=name", 302)]
    assert word in answer.content.decode()
    assert changes(engine) == [call] * 3
    assert {operation.kind for operation in Operation.objects.all()} == {f"container.{verb}"}
    assert Operation.objects.filter(state="succeeded").count() == 3


def test_all_that_match_the_filters_may_be_meant(
    alice: User, client_of: ClientOf, three: list[ObservedContainer], engine: FakeEngine, worker: None
) -> None:
    client_of(alice).post("/containers/bulk/stop/?q=web-2", {"all": "1"})

    assert [operation.object_name for operation in Operation.objects.all()] == ["web-2"]


def test_failures_are_counted(
    alice: User, client_of: ClientOf, three: list[ObservedContainer], ask: Callable[..., object], worker: None
) -> None:
    ask("remove_container", three[0].container_id, force=True)

    answer = client_of(alice).post(
        "/containers/bulk/stop/", {"ids": [key(container) for container in three]}, follow=True
    )

    assert "3 containers, 2 done, 1 failed" in answer.content.decode()


def test_one_that_does_not_exist_stops_them_all_and_none_is_named(
    alice: User, client_of: ClientOf, three: list[ObservedContainer], engine: FakeEngine
) -> None:
    ids = [*map(key, three), f"{three[0].host_id}/{'0' * 64}"]

    answer = client_of(alice).post("/containers/bulk/remove/?q=nothing-like-it&sort=name", {"ids": ids}, follow=True)

    assert answer.redirect_chain == [("/containers/?q=nothing-like-it&sort=name", 302)]
    assert "At least one of these containers does not exist any more" in answer.content.decode()
    assert "web-1" not in answer.content.decode()
    assert engine.calls == []
    assert not Operation.objects.exists()


@pytest.mark.parametrize("word", ["web-1", "x/y", f"{'0' * 8}/{'a' * 64}", "../../etc"])
def test_a_choice_that_is_no_id_is_told(
    alice: User, client_of: ClientOf, three: list[ObservedContainer], engine: FakeEngine, word: str
) -> None:
    answer = client_of(alice).post("/containers/bulk/stop/", {"ids": [word]}, follow=True)

    assert "is no container" in answer.content.decode()
    assert engine.calls == []


def test_nothing_chosen_does_nothing(alice: User, client_of: ClientOf, three: list[ObservedContainer]) -> None:
    answer = client_of(alice).post("/containers/bulk/stop/", follow=True)

    assert "Choose containers first" in answer.content.decode()
    assert not Operation.objects.exists()


@pytest.mark.parametrize(("most", "done"), [(3, 3), (2, 0)])
def test_there_is_a_bound(
    alice: User,
    client_of: ClientOf,
    three: list[ObservedContainer],
    worker: None,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    done: int,
) -> None:
    monkeypatch.setattr(action_views, "MOST_IN_BULK", most)

    client_of(alice).post("/containers/bulk/stop/", {"all": "1"})

    assert Operation.objects.count() == done


def test_a_stranger_is_refused_whatever_he_chooses(
    charlie: User, client_of: ClientOf, three: list[ObservedContainer], engine: FakeEngine
) -> None:
    answer = client_of(charlie).post("/containers/bulk/stop/", {"ids": [key(three[0])]})

    assert answer.status_code == 403
    assert engine.calls == []
    assert not Operation.objects.exists()


def test_other_verbs_and_methods_are_refused(alice: User, client_of: ClientOf) -> None:
    client = client_of(alice)

    assert client.post("/containers/bulk/explode/", {"all": "1"}).status_code == 404
    assert client.get("/containers/bulk/stop/").status_code == 405


def test_a_stranger_who_chooses_everything_is_refused(
    charlie: User, client_of: ClientOf, three: list[ObservedContainer], engine: FakeEngine
) -> None:
    answer = client_of(charlie).post("/containers/bulk/stop/", {"all": "1"})

    assert answer.status_code == 403
    assert engine.calls == []
    assert AuditEvent.objects.get(outcome="denied").action == "container.stop"
