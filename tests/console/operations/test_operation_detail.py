"""One operation: the page, the dock's panel and the top bar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.operations import queries, worker
from console.operations.errors import Reason
from console.operations.models import Operation, OperationState
from tests.console.operations.conftest import Ask

SignIn = Callable[..., Client]
PROGRESS = {
    "phases": ["pull", "create"],
    "current": 3_000_000,
    "total": 9_000_000,
    "unit": "bytes",
    "layers": [
        {"id": "a" * 12, "phase": "done", "current": 1_000_000, "total": 1_000_000},
        {"id": "b" * 12, "phase": "downloading", "current": 2_000_000, "total": 8_000_000},
    ],
}


@pytest.fixture
def running(ask: Ask) -> Operation:
    operation = ask(kind="container.create")
    worker.claim(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(
        progress=PROGRESS, message="Pulling demo:latest", output="one\n<b>two</b>\n"
    )
    operation.refresh_from_db()
    return operation


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the pages of operations be made a while after a moment, exactly."""

    def pass_(moment: datetime, **length: int) -> None:
        monkeypatch.setattr(queries, "timezone", SimpleNamespace(now=lambda: moment + timedelta(**length)))

    return pass_


@pytest.mark.parametrize("name", ["operation-detail", "operation-panel"])
def test_progress_is_shown_layer_by_layer_in_bytes(
    running: Operation, alice: User, client_of: SignIn, name: str
) -> None:
    text = client_of(alice).get(reverse(name, args=[running.pk])).content.decode()
    assert "Pulling demo:latest" in text
    assert "3.0 MB / 9.0 MB" in text
    assert "2.0 MB / 8.0 MB" in text
    assert "1 of 2 layers" in text
    assert 'aria-current="step"' in text
    assert "&lt;b&gt;two&lt;/b&gt;" in text
    assert "<b>two</b>" not in text
    assert reverse("operation-cancel", args=[running.pk]) in text


@pytest.mark.parametrize("name", ["operation-detail", "operation-panel", "operation-indicator", "activity"])
def test_what_goes_on_says_for_how_long(
    running: Operation, alice: User, client_of: SignIn, pass_time: Callable[..., None], name: str
) -> None:
    pass_time(running.started_at, minutes=3, seconds=7)
    url = reverse(name, args=[running.pk] if name in ("operation-detail", "operation-panel") else [])

    text = client_of(alice).get(url).content.decode()

    assert text.count('data-elapsed="187"') == 1
    assert "3 min 7 s" in text


def test_what_waits_says_for_how_long_and_what_ended_counts_no_more(
    ask: Ask, alice: User, client_of: SignIn, pass_time: Callable[..., None]
) -> None:
    operation = ask()
    client = client_of(alice)
    url = reverse("operation-detail", args=[operation.pk])
    pass_time(operation.created_at, seconds=40)
    assert 'data-elapsed="40"' in client.get(url).content.decode()

    now = timezone.now()
    Operation.objects.filter(pk=operation.pk).update(
        state=OperationState.SUCCEEDED, started_at=now - timedelta(seconds=30), ended_at=now
    )
    text = client.get(url).content.decode()
    assert "Took 30 s." in text
    assert "data-elapsed" not in text


def test_a_failure_shows_cause_and_next_step(ask: Ask, alice: User, client_of: SignIn) -> None:
    operation = ask()
    claimed = worker.claim(operation.pk)
    assert claimed is not None
    sentence = "The disk of harbour is full.\nno space left on device"
    reason = Reason(code="no_space", sentence=sentence, next_step="Make room first.")
    worker.end(claimed, worker.End(OperationState.FAILED, reason))
    text = client_of(alice).get(reverse("operation-detail", args=[operation.pk])).content.decode()
    for words in ("The disk of harbour is full.", "no space left on device", "Make room first."):
        assert words in text
    assert reverse("operation-retry", args=[operation.pk]) in text
    assert reverse("operation-cancel", args=[operation.pk]) not in text


def test_arguments_are_never_shown(ask: Ask, alice: User, client_of: SignIn) -> None:
    operation = ask(kind="image.pull", arguments={"credentials": {"password": "hunter2-secret"}})
    for name in ("operation-detail", "operation-panel"):
        answer = client_of(alice).get(reverse(name, args=[operation.pk]))
        assert b"hunter2" not in answer.content


def test_what_does_not_exist_and_what_is_not_yours_look_the_same(
    operation: Operation, charlie: User, client_of: SignIn
) -> None:
    client = client_of(charlie)
    json = {"Accept": "application/json"}
    hidden = client.get(reverse("operation-detail", args=[operation.pk]), headers=json)
    missing = client.get(reverse("operation-detail", args=["00000000-0000-4000-8000-000000000000"]), headers=json)
    assert hidden.status_code == missing.status_code == 404
    assert hidden.json()["message"] == missing.json()["message"] == "This operation does not exist."


@pytest.mark.parametrize("name", ["operation-detail", "operation-panel"])
def test_nothing_changes_by_a_post(operation: Operation, alice: User, client_of: SignIn, name: str) -> None:
    assert client_of(alice).post(reverse(name, args=[operation.pk])).status_code == 405


def test_the_bar_counts_what_goes_on(running: Operation, ask: Ask, alice: User, client_of: SignIn) -> None:
    ask()
    answer = client_of(alice).get(reverse("operation-indicator"))
    assert answer.context["indicator"].active_count == 2
    assert "2 operations are going on" in answer.content.decode()


def test_the_bar_tells_only_the_end_of_what_took_longer_than_its_view_waited(
    ask: Ask, alice: User, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.operations.queries.PATIENCE", 2.0)
    now = timezone.now()
    for seconds, name in ((0.3, "quick"), (30, "slow")):
        operation = ask(object_name=name)
        Operation.objects.filter(pk=operation.pk).update(
            state=OperationState.SUCCEEDED, created_at=now - timedelta(seconds=seconds), ended_at=now
        )
    rows = client_of(alice).get(reverse("operation-indicator")).context["indicator"].recent
    assert {row.operation.object_name: row.is_news for row in rows} == {"quick": False, "slow": True}


def test_the_bar_shows_a_stranger_nothing(operation: Operation, charlie: User, client_of: SignIn) -> None:
    answer = client_of(charlie).get(reverse("operation-indicator"))
    assert "No operation is going on" in answer.content.decode()
    assert b"web-1" not in answer.content
    assert not AuditEvent.objects.filter(outcome="denied").exists(), "every page of his asks for the bar"
