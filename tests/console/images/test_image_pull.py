"""Pulling an image."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.gateway import RegistryCredentials
from console.hosts.models import Host
from console.inventory.models import ObservedImage
from console.operations import sweep
from console.operations.models import Operation, OperationState
from runtime.testing import FakeEngine
from tests.console.images.conftest import changes

SignIn = Callable[..., Client]
URL = "/images/pull/"


def _form(host: Host, reference: str = "demo:latest", **fields: str) -> dict[str, str]:
    return {"host": str(host.pk), "reference": reference, **fields}


def test_an_image_is_pulled_and_shown(
    host: Host, alice: User, client_of: SignIn, run_operations: Callable[[], None]
) -> None:
    answer = client_of(alice).post(URL, _form(host, "demo"))
    operation = Operation.objects.get()
    assert answer.headers["Location"] == reverse("operation-detail", args=[operation.pk])
    run_operations()

    operation.refresh_from_db()
    assert operation.state == OperationState.SUCCEEDED
    assert operation.object_name == "demo:latest"
    assert operation.progress["current"] == operation.progress["total"] == 4_000_200
    assert [layer["phase"] for layer in operation.progress["layers"]] == ["done"] * 3
    assert [layer["total"] for layer in operation.progress["layers"]] == [3_000_000, 1_000_000, 200]
    assert "Status: Downloaded newer image for demo:latest" in operation.output
    assert ObservedImage.objects.filter(name="demo:latest").exists(), "the list shows it when the page asks"
    assert operation.result["image_id"] == ObservedImage.objects.get(name="demo:latest").image_id


def test_pulling_again_is_no_error(
    host: Host, alice: User, client_of: SignIn, run_operations: Callable[[], None]
) -> None:
    client = client_of(alice)
    for _time in range(2):
        client.post(URL, _form(host))
        run_operations()
    assert set(Operation.objects.values_list("state", flat=True)) == {OperationState.SUCCEEDED}


def test_an_unknown_image_fails_with_a_next_step(
    host: Host, alice: User, client_of: SignIn, run_operations: Callable[[], None]
) -> None:
    client_of(alice).post(URL, _form(host, "no/such:1"))
    run_operations()
    operation = Operation.objects.get()
    assert (operation.state, operation.error_code) == (OperationState.FAILED, "image_missing")
    assert "no/such:1" in operation.error
    assert operation.next_step.startswith("Check name and tag")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("", "This field is required"),
        ("Nginx", "no capital letters"),
        ("nginx latest", "no spaces"),
        ("https://registry.example.com/app", "Leave out"),
        ("../../etc/passwd", "no image reference"),
        ("nginx:1:2", "no image reference"),
        ("a" * 64, "image&#x27;s id"),
        ("nginx?x=1", "no image reference"),
        ("x/" * 200, "at most 300"),
    ],
)
def test_bad_references_are_refused_with_how_to_write_them(
    host: Host, alice: User, client_of: SignIn, engine: FakeEngine, reference: str, words: str
) -> None:
    answer = client_of(alice).post(URL, _form(host, reference))
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Operation.objects.exists()
    assert changes(engine) == []


@pytest.mark.parametrize(
    ("reference", "complete"),
    [
        ("nginx", "nginx:latest"),
        ("nginx:1.27", "nginx:1.27"),
        ("registry.example.com:5000/team/app", "registry.example.com:5000/team/app:latest"),
        ("app@sha256:" + "a" * 64, "app@sha256:" + "a" * 64),
    ],
)
def test_references_are_made_complete(
    host: Host, alice: User, client_of: SignIn, reference: str, complete: str
) -> None:
    client_of(alice).post(URL, _form(host, reference))
    assert Operation.objects.get().arguments == {"reference": complete}


def test_registry_credentials_reach_the_registry_and_nobody_else(
    host: Host,
    alice: User,
    client_of: SignIn,
    engine: FakeEngine,
    run_operations: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[RegistryCredentials | None] = []
    pull = engine.pull_image

    def spy(reference: str, *, credentials: RegistryCredentials | None = None) -> Any:
        seen.append(credentials)
        return pull("demo:latest", credentials=credentials)

    monkeypatch.setattr(engine, "pull_image", spy)
    form = _form(host, "registry.example.com/demo:1", username="robot", password="hunter2-secret")
    client_of(alice).post(URL, form)
    run_operations()

    expected = RegistryCredentials(username="robot", password="hunter2-secret", server_address="registry.example.com")
    assert seen == [expected]
    with connection.cursor() as cursor:
        for table in ("operations_operation", "audit_auditevent"):
            cursor.execute(f"SELECT * FROM {table}")
            assert "hunter2" not in str(cursor.fetchall())
    page = client_of(alice).get(reverse("operation-detail", args=[Operation.objects.get().pk]))
    assert b"hunter2" not in page.content


_CREDENTIALS = {"username": "robot", "password": "hunter2-secret", "server_address": "registry.example.com"}
_PRIVATE = {"reference": "registry.example.com/demo:1", "username": "robot", "password": "hunter2-secret"}


def test_a_registry_password_is_forgotten_when_the_pull_has_succeeded(
    host: Host, alice: User, client_of: SignIn, engine: FakeEngine, run_operations: Callable[[], None]
) -> None:
    engine.registry["registry.example.com/demo:1"] = (10,)
    client_of(alice).post(URL, _form(host, **_PRIVATE))
    assert Operation.objects.get().arguments["credentials"] == _CREDENTIALS
    run_operations()

    operation = Operation.objects.get()
    assert operation.state == OperationState.SUCCEEDED
    assert operation.arguments == {"reference": "registry.example.com/demo:1", "credentials": None}
    assert not operation.holds_secrets


def test_after_a_failure_it_is_kept_for_a_retry_and_forgotten_after_an_hour(
    host: Host, alice: User, client_of: SignIn, run_operations: Callable[[], None]
) -> None:
    client = client_of(alice)
    client.post(URL, _form(host, **_PRIVATE))
    run_operations()
    failed = Operation.objects.get()
    assert failed.state == OperationState.FAILED
    retry = reverse("operation-retry", args=[failed.pk])
    sweep.forget_secrets()
    client.post(retry)
    again = Operation.objects.get(retry_of=failed)
    assert again.arguments["credentials"] == _CREDENTIALS

    Operation.objects.update(ended_at=timezone.now() - sweep.KEEP_SECRETS - timedelta(seconds=1))
    sweep.forget_secrets()

    failed.refresh_from_db()
    assert failed.arguments == {"reference": "registry.example.com/demo:1", "credentials": None}
    again.refresh_from_db()
    assert again.arguments["credentials"] == _CREDENTIALS, "it has not ended"
    answer = client.post(retry, HTTP_HX_REQUEST="true")
    assert "type the password again" in answer.headers["HX-Trigger"]
    assert Operation.objects.count() == 2


def test_one_that_cannot_be_read_is_forgotten_too(
    host: Host, alice: User, client_of: SignIn, run_operations: Callable[[], None]
) -> None:
    client_of(alice).post(URL, _form(host, **_PRIVATE))
    run_operations()
    Operation.objects.update(ended_at=timezone.now() - timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE operations_operation SET arguments = 'of another key'")
    sweep.forget_secrets()
    assert Operation.objects.get().arguments == {"credentials": None}


def test_a_pull_without_a_password_can_be_retried_for_ever(
    host: Host, alice: User, client_of: SignIn, run_operations: Callable[[], None]
) -> None:
    client = client_of(alice)
    client.post(URL, _form(host, "registry.example.com/demo:1"))
    run_operations()
    failed = Operation.objects.get()
    Operation.objects.update(ended_at=timezone.now() - timedelta(days=1))
    sweep.forget_secrets()
    client.post(reverse("operation-retry", args=[failed.pk]))
    assert Operation.objects.filter(retry_of=failed).exists()


@pytest.mark.parametrize("field", ["username", "password"])
def test_user_and_password_come_together(host: Host, alice: User, client_of: SignIn, field: str) -> None:
    answer = client_of(alice).post(URL, _form(host, **{field: "something"}))
    assert answer.status_code == 422
    assert b"something" not in answer.content or field == "username", "a password is never sent back"
    assert not Operation.objects.exists()


def test_an_unknown_host_is_refused(host: Host, alice: User, client_of: SignIn) -> None:
    form = _form(host) | {"host": "00000000-0000-4000-8000-000000000000"}
    assert client_of(alice).post(URL, form).status_code == 422
    assert not Operation.objects.exists()


def test_the_form_begins_with_what_a_link_says(host: Host, alice: User, client_of: SignIn) -> None:
    text = client_of(alice).get(f"{URL}?reference=nginx:1.27&host={host.pk}").content.decode()
    assert 'value="nginx:1.27"' in text
    assert f'value="{host.pk}" selected' in text


def test_a_stranger_is_refused(host: Host, charlie: User, client_of: SignIn, engine: FakeEngine) -> None:
    assert client_of(charlie).get(URL).status_code == 403
    assert client_of(charlie).post(URL, _form(host)).status_code == 403
    assert not Operation.objects.exists()
    assert engine.calls == []
    assert set(AuditEvent.objects.values_list("action", "outcome")) == {("image.pull", "denied")}


def test_only_get_and_post_are_known(alice: User, client_of: SignIn) -> None:
    assert client_of(alice).put(URL).status_code == 405
