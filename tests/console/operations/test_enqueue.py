"""Asking for a change: two rows in one transaction, and a wake-up that may be lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import translation

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.hosts.models import Host
from console.lib.origin import Origin
from console.operations import dispatch, services
from console.operations.models import Operation, OperationState
from console.operations.services import enqueue, wait_for
from tests.console.operations.conftest import Ask


def test_the_operation_and_its_audit_row_are_written(alice: User, host: Host) -> None:
    origin = Origin(address="192.0.2.7", user_agent="a browser")

    operation = enqueue(
        actor=alice, kind="container.start", host=host, object_id="c" * 64, object_name="web-1", origin=origin
    )

    assert (operation.state, operation.address) == (OperationState.QUEUED, "192.0.2.7")
    event = AuditEvent.objects.get()
    assert (event.action, event.outcome, event.actor, event.host_id) == ("container.start", "accepted", alice, host.pk)
    assert (event.object_id, event.object_name, event.operation_id) == ("c" * 64, "web-1", operation.pk)
    assert (event.address, event.user_agent) == ("192.0.2.7", "a browser")


def test_without_its_audit_row_there_is_no_operation(alice: User, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_fields: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(services, "record", fail)
    with pytest.raises(RuntimeError):
        enqueue(actor=alice, kind="container.start", host=host)
    assert not Operation.objects.exists()


def test_a_worker_is_woken_only_after_the_commit(
    alice: User,
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    woken: list[object] = []
    monkeypatch.setattr(dispatch, "_put", woken.append)

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        operation = enqueue(actor=alice, kind="container.start", host=host)
        assert woken == []
    assert woken == [operation.pk]


def test_arguments_are_encrypted_at_rest(ask: Ask) -> None:
    operation = ask(arguments={"password": "hunter2-secret"})

    with connection.cursor() as cursor:
        cursor.execute("SELECT arguments FROM operations_operation")
        (stored,) = cursor.fetchone()
    assert "hunter2" not in stored
    assert Operation.objects.get(pk=operation.pk).arguments == {"password": "hunter2-secret"}


def test_it_remembers_the_language_of_whoever_asked(ask: Ask) -> None:
    with translation.override("ko"):
        assert ask().language == "ko"


def test_a_redis_that_is_gone_delays_nobody(committed: Ask) -> None:
    begun = time.monotonic()
    operation = committed()
    assert time.monotonic() - begun < 1
    assert Operation.objects.get(pk=operation.pk).state == OperationState.QUEUED


def test_wake_ups_that_cannot_leave_hold_up_none_behind_them() -> None:
    for _ in range(10):
        dispatch._put(uuid4())

    limit = time.monotonic() + 5
    while not dispatch._waiting.empty() and time.monotonic() < limit:
        time.sleep(0.05)
    assert dispatch._waiting.empty()


def test_waiting_ends_with_the_operation(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = ask()
    Operation.objects.filter(pk=operation.pk).update(state=OperationState.SUCCEEDED)
    monkeypatch.setattr(services, "PATIENCE", 60.0)

    assert wait_for(operation).state == OperationState.SUCCEEDED


def test_waiting_gives_up_in_time(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PATIENCE", 60.0)
    assert wait_for(ask(), timeout=0.05).state == OperationState.QUEUED
