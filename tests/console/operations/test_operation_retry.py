"""Asking again for what failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from console.accounts.models import User
from console.operations import worker
from console.operations.errors import host_gone
from console.operations.models import Operation, OperationState
from tests.console.operations.conftest import Ask

SignIn = Callable[..., Client]


def _url(operation: Operation) -> str:
    return reverse("operation-retry", args=[operation.pk])


@pytest.fixture
def failed(ask: Ask) -> Operation:
    operation = ask(object_id="c" * 64, arguments={"grace": 3})
    claimed = worker.claim(operation.pk)
    assert claimed is not None
    worker.end(claimed, worker.End(OperationState.FAILED, host_gone()))
    operation.refresh_from_db()
    return operation


def test_a_new_operation_asks_for_the_same(failed: Operation, alice: User, client_of: SignIn) -> None:
    answer = client_of(alice).post(_url(failed))
    again = Operation.objects.get(retry_of=failed)
    assert answer.headers["Location"] == reverse("operation-detail", args=[again.pk])
    assert (again.kind, again.object_id, again.arguments) == (failed.kind, failed.object_id, {"grace": 3})
    assert (again.state, again.attempts, again.error) == (OperationState.QUEUED, 0, "")
    failed.refresh_from_db()
    assert failed.state == OperationState.FAILED, "the first row keeps telling how it ended"


def test_one_that_goes_on_is_not_doubled(operation: Operation, alice: User, client_of: SignIn) -> None:
    answer = client_of(alice).post(_url(operation), HTTP_HX_REQUEST="true")
    assert "still going on" in answer.headers["HX-Trigger"]
    assert Operation.objects.count() == 1


def test_without_its_host_it_cannot_be_repeated(failed: Operation, alice: User, client_of: SignIn) -> None:
    assert failed.host is not None
    failed.host.delete()
    answer = client_of(alice).post(_url(failed), HTTP_HX_REQUEST="true")
    assert "removed from this console" in answer.headers["HX-Trigger"]
    assert Operation.objects.count() == 1


def test_a_create_makes_another_object(ask: Ask, alice: User, client_of: SignIn) -> None:
    operation = ask(kind="container.create")
    claimed = worker.claim(operation.pk)
    assert claimed is not None
    worker.end(claimed, worker.End(OperationState.FAILED, host_gone()), changes={"object_id": "c" * 64})
    client_of(alice).post(_url(operation))
    assert Operation.objects.get(retry_of=operation).object_id == ""


def test_a_stranger_is_refused(failed: Operation, charlie: User, client_of: SignIn) -> None:
    assert client_of(charlie).post(_url(failed)).status_code == 404
    assert Operation.objects.count() == 1


def test_only_a_post_retries(failed: Operation, alice: User, client_of: SignIn) -> None:
    assert client_of(alice).get(_url(failed)).status_code == 405
