"""What dead workers and lost wake-ups leave behind."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console.audit.models import AuditEvent
from console.operations import sweep, worker
from console.operations.models import Operation, OperationState
from tests.console.operations.conftest import Ask


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Whom the sweep woke."""
    found: list[object] = []
    monkeypatch.setattr(sweep, "wake", found.append)
    return found


def _age(operation: Operation, **fields: object) -> None:
    Operation.objects.filter(pk=operation.pk).update(**fields)


def _dead(operation: Operation, *, attempts: int = 1) -> None:
    worker.claim(operation.pk)
    _age(operation, lease_until=timezone.now() - timedelta(seconds=1), attempts=attempts)


def test_an_operation_whose_worker_died_is_queued_again(operation: Operation, woken: list[object]) -> None:
    _dead(operation)
    sweep.sweep()
    operation.refresh_from_db()
    assert (operation.state, operation.lease_owner, operation.lease_until) == (OperationState.QUEUED, "", None)
    assert woken == [operation.pk]


def test_one_whose_worker_lives_is_left_alone(operation: Operation, woken: list[object]) -> None:
    worker.claim(operation.pk)
    sweep.sweep()
    operation.refresh_from_db()
    assert operation.state == OperationState.RUNNING
    assert woken == []


def test_after_three_deaths_it_fails_with_the_reason(operation: Operation, woken: list[object]) -> None:
    _dead(operation, attempts=3)
    sweep.sweep()
    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == (OperationState.FAILED, "crashed")
    assert operation.next_step
    event = AuditEvent.objects.latest("sequence")
    assert (event.outcome, event.actor, event.actor_name) == ("failed", None, "system:sweep")
    assert woken == []


def test_the_claim_before_the_sweep_cannot_end_it(operation: Operation, woken: list[object]) -> None:
    late = worker.claim(operation.pk)
    assert late is not None
    _age(operation, lease_until=timezone.now() - timedelta(seconds=1))
    sweep.sweep()
    assert worker.end(late, worker.SUCCEEDED) is False
    again = worker.claim(operation.pk)
    assert again is not None
    assert (again.fence, again.attempts) == (2, 2)
    assert worker.end(late, worker.SUCCEEDED) is False
    assert worker.end(again, worker.SUCCEEDED) is True


def test_a_lost_wake_up_is_sent_again(operation: Operation, woken: list[object]) -> None:
    _age(operation, dispatched_at=timezone.now() - timedelta(seconds=sweep.WAKE_AGAIN_AFTER + 1))
    sweep.sweep()
    assert woken == [operation.pk]
    sweep.sweep()
    assert woken == [operation.pk], "not at every sweep"


def test_one_that_was_never_sent_is_sent(operation: Operation, woken: list[object]) -> None:
    _age(operation, dispatched_at=None)
    sweep.sweep()
    assert woken == [operation.pk]


def test_a_fresh_one_is_left_to_its_wake_up(operation: Operation, woken: list[object]) -> None:
    sweep.sweep()
    assert woken == []


def test_one_that_waits_for_another_on_its_object_is_not_woken(ask: Ask, woken: list[object]) -> None:
    first, second = ask(object_id="c" * 64), ask(object_id="c" * 64)
    long_ago = timezone.now() - timedelta(minutes=1)
    for each in (first, second):
        _age(each, dispatched_at=long_ago)
    sweep.sweep()
    assert woken == [first.pk]


def test_old_operations_go_and_audit_rows_stay(operation: Operation, ask: Ask) -> None:
    recent = ask()
    for each, ended_at in ((operation, timezone.now() - timedelta(days=91)), (recent, timezone.now())):
        _age(each, state=OperationState.SUCCEEDED, ended_at=ended_at)
    waiting = ask()
    _age(waiting, created_at=timezone.now() - timedelta(days=200))

    assert sweep.forget_old() == 1
    assert set(Operation.objects.values_list("pk", flat=True)) == {recent.pk, waiting.pk}
    assert AuditEvent.objects.filter(operation_id=operation.pk).exists()
