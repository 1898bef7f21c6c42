"""What a handler wants of the database while it runs: the worker's thread does it."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.operations import worker
from console.operations.models import Operation, OperationState
from console.operations.registry import OperationContext
from tests.console.operations.conftest import Handle


def _name_of(username: str) -> str:
    return f"{User.objects.get(username=username).username} by {threading.current_thread().name}"


def test_a_handler_reads_the_database_in_the_workers_thread(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        context.output(await context.in_database(_name_of, "alice"))

    handle(handler)
    worker.run(operation.pk)
    operation.refresh_from_db()
    assert operation.output == f"alice by {threading.current_thread().name}\n"


def test_what_goes_wrong_there_is_raised_where_the_handler_waits(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        with pytest.raises(User.DoesNotExist):
            await context.in_database(_name_of, "nobody")
        context.output("went on")

    handle(handler)
    worker.run(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.output) == (OperationState.SUCCEEDED, "went on\n")


def test_the_row_of_the_end_names_what_was_learnt_before_it_asked(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        context.identify(object_id="c" * 64, object_name="web-2")
        await context.in_database(_name_of, "alice")

    handle(handler)
    worker.run(operation.pk)
    event = AuditEvent.objects.get(outcome="succeeded")
    assert (event.object_id, event.object_name) == ("c" * 64, "web-2")


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_away_it_is_asked_again(
    operation: Operation, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "TICK", 0.02)
    failures = iter([OperationalError("database is locked"), OperationalError("the server has gone away")])

    def ask() -> str:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        return "answered"

    async def handler(context: OperationContext) -> None:
        context.output(await context.in_database(ask))

    handle(handler)
    worker.run(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.output) == (OperationState.SUCCEEDED, "answered\n")


def test_a_kind_may_change_what_it_is_asked_for_before_it_is_accepted(
    handle: Handle, request: pytest.FixtureRequest
) -> None:
    seen: list[object] = []

    async def handler(context: OperationContext) -> None:
        seen.append(context.arguments)

    def accept(operation: Operation) -> None:
        operation.arguments = {"port": 8001}
        operation.save(update_fields=["arguments"])

    handle(handler, accept=accept)
    operation: Operation = request.getfixturevalue("ask")(arguments={"port": 0})
    worker.run(operation.pk)
    assert seen == [{"port": 8001}]


def test_what_a_kind_refuses_leaves_no_row(handle: Handle, request: pytest.FixtureRequest) -> None:
    async def handler(context: OperationContext) -> None:
        raise AssertionError("never")

    def accept(operation: Operation) -> None:
        raise RuntimeError("no room")

    handle(handler, accept=accept)
    with pytest.raises(RuntimeError, match="no room"):
        request.getfixturevalue("ask")()
    assert not Operation.objects.exists()
