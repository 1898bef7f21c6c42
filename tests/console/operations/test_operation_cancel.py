"""Stopping an operation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.operations import errors, views, worker
from console.operations.errors import Impossible
from console.operations.models import Operation, OperationState
from console.operations.registry import OperationContext
from console.operations.services import cancel_operation
from runtime.testing import FakeEngine
from tests.console.operations.conftest import Ask, Handle

SignIn = Callable[..., Client]


def _url(operation: Operation) -> str:
    return reverse("operation-cancel", args=[operation.pk])


def test_a_queued_one_is_cancelled_at_once(
    operation: Operation, alice: User, client_of: SignIn, engine: FakeEngine
) -> None:
    answer = client_of(alice).post(_url(operation))
    assert answer.status_code == 302
    operation.refresh_from_db()
    assert operation.state == OperationState.CANCELLED
    worker.run(operation.pk)
    assert engine.calls == []
    events = AuditEvent.objects.order_by("sequence").values_list("action", "outcome")
    assert list(events) == [
        ("container.start", "accepted"),
        ("operation.cancel", "accepted"),
        ("container.start", "cancelled"),
    ]


def test_a_running_one_is_asked_to_stop(operation: Operation, alice: User, client_of: SignIn, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        return

    handle(handler, cancellable=True)
    worker.claim(operation.pk)
    client_of(alice).post(_url(operation))
    operation.refresh_from_db()
    assert operation.state == OperationState.RUNNING
    assert operation.is_stopping


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (worker.CANCELLED, "cancelled."),
        (worker.SUCCEEDED, "it was done before it could be cancelled."),
        (worker.End(OperationState.FAILED, errors.broken()), "it failed before it could be cancelled."),
        (None, "it stops as soon as it can."),
    ],
)
def test_what_is_said_is_what_became_of_it(
    operation: Operation,
    alice: User,
    client_of: SignIn,
    handle: Handle,
    monkeypatch: pytest.MonkeyPatch,
    outcome: worker.End | None,
    words: str,
) -> None:
    async def handler(context: OperationContext) -> None:
        return

    handle(handler, cancellable=True)
    claimed = worker.claim(operation.pk)
    assert claimed is not None

    def end_meanwhile(asked: Operation) -> Operation:
        if outcome is not None:
            worker.end(claimed, outcome)
        asked.refresh_from_db()
        return asked

    monkeypatch.setattr(views, "wait_for", end_meanwhile)
    answer = client_of(alice).post(_url(operation), HTTP_HX_REQUEST="true")
    assert f"Start web-1: {words}" in answer.headers["HX-Trigger"]


def test_a_handlers_own_words_on_its_cancellation_are_kept_and_shown(
    committed: Ask, handle: Handle, beside: Callable[[Operation], threading.Thread], client_of: SignIn
) -> None:
    running = threading.Event()

    async def handler(context: OperationContext) -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            raise errors.Halted("cancelled", "Half of it is done.", next_step="Undo it.") from cancelled

    handle(handler, cancellable=True)
    operation = committed()
    thread = beside(operation)
    assert running.wait(20)
    client = client_of(User.objects.get(username="alice"))
    client.post(_url(operation))
    thread.join(20)

    operation.refresh_from_db()
    assert (operation.state, operation.error) == (OperationState.CANCELLED, "Half of it is done.")
    page = client.get(reverse("operation-detail", args=[operation.pk])).content.decode()
    assert "Half of it is done." in page
    assert "Undo it." in page
    assert 'data-tone="danger"' not in page


def test_a_running_one_of_a_kind_that_cannot_stop_goes_on(operation: Operation, alice: User, client_of: SignIn) -> None:
    worker.claim(operation.pk)
    answer = client_of(alice).post(_url(operation), HTTP_HX_REQUEST="true")
    assert "cannot be stopped half way" in answer.headers["HX-Trigger"]
    operation.refresh_from_db()
    assert operation.cancel_requested_at is None


def test_one_that_ended_stays_as_it_ended(operation: Operation, alice: User, client_of: SignIn) -> None:
    claimed = worker.claim(operation.pk)
    assert claimed is not None
    worker.end(claimed, worker.SUCCEEDED)
    answer = client_of(alice).post(_url(operation), HTTP_HX_REQUEST="true")
    assert "has ended already" in answer.headers["HX-Trigger"]
    operation.refresh_from_db()
    assert operation.state == OperationState.SUCCEEDED


def test_a_stranger_is_refused(operation: Operation, charlie: User, client_of: SignIn) -> None:
    assert client_of(charlie).post(_url(operation)).status_code == 404
    operation.refresh_from_db()
    assert operation.state == OperationState.QUEUED


def test_the_signed_out_are_sent_to_sign_in(operation: Operation, client: Client) -> None:
    answer = client.post(_url(operation))
    assert answer.status_code == 302
    assert "/accounts/login/" in answer.headers["Location"]
    operation.refresh_from_db()
    assert operation.state == OperationState.QUEUED


def test_only_a_post_cancels(operation: Operation, alice: User, client_of: SignIn) -> None:
    assert client_of(alice).get(_url(operation)).status_code == 405


def test_without_the_forms_mark_nothing_happens(operation: Operation, alice: User, client_of: SignIn) -> None:
    assert client_of(alice, enforce_csrf_checks=True).post(_url(operation)).status_code == 403
    operation.refresh_from_db()
    assert operation.state == OperationState.QUEUED


@pytest.mark.parametrize("first", ["cancel", "claim"])
def test_two_tabs_doing_opposite_things_end_in_one_clear_state(
    ask: Ask, handle: Handle, alice: User, first: str
) -> None:
    ran: list[str] = []

    async def handler(context: OperationContext) -> None:
        ran.append("ran")

    handle(handler)
    operation = ask()
    if first == "cancel":
        cancel_operation(actor=alice, operation=operation)
        worker.run(operation.pk)
        assert (ran, operation.state) == ([], OperationState.CANCELLED)
    else:
        worker.run(operation.pk)
        with pytest.raises(Impossible):
            cancel_operation(actor=alice, operation=operation)
        operation.refresh_from_db()
        assert (ran, operation.state) == (["ran"], OperationState.SUCCEEDED)
