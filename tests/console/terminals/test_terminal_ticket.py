"""Asking for a terminal: a ticket, posted, single use, bound to person, session and container."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.hosts.models import Host
from console.terminals.models import TerminalSession, TerminalTicket
from runtime.testing import FakeEngine
from tests.console.terminals.conftest import observe

pytestmark = pytest.mark.django_db
URL = "/terminals/tickets/"
CONTAINER = "a" * 64
ClientOf = Callable[..., Client]


@pytest.fixture
def form(host: Host) -> dict[str, str]:
    """What the page posts for a shell."""
    observe(host, CONTAINER)
    return {"host": str(host.pk), "container": CONTAINER, "kind": "exec", "command": "", "user": ""}


def test_it_is_issued_and_recorded(alice: User, client_of: ClientOf, form: dict[str, str]) -> None:
    client = client_of(alice)
    answer = client.post(URL, form)
    assert answer.status_code == 200
    session = TerminalSession.objects.get()
    assert answer.json()["session"] == str(session.pk)
    ticket = TerminalTicket.objects.get()
    assert ticket.hash == hashlib.sha256(answer.json()["ticket"].encode()).hexdigest()
    assert session.person == alice
    assert session.session_key == client.session.session_key
    assert ticket.until - timezone.now() <= timedelta(seconds=30)
    event = AuditEvent.objects.get(action="container.terminal")
    assert (event.outcome, event.actor, event.object_id) == ("accepted", alice, CONTAINER)
    assert answer.json()["ticket"] not in str(event.details)


def test_no_engine_is_asked(alice: User, client_of: ClientOf, form: dict[str, str], engine: FakeEngine) -> None:
    client_of(alice).post(URL, form)
    assert engine.calls == []


def test_a_command_is_taken_apart_and_never_interpreted(alice: User, client_of: ClientOf, form: dict[str, str]) -> None:
    client_of(alice).post(URL, {**form, "command": "env -i 'two words' $(id) ; rm", "user": "1000:1000"})
    assert TerminalSession.objects.get().parameters == {
        "command": ["env", "-i", "two words", "$(id)", ";", "rm"],
        "user": "1000:1000",
    }


def test_the_record_names_the_program_and_keeps_no_argument(
    alice: User, client_of: ClientOf, form: dict[str, str]
) -> None:
    client_of(alice).post(URL, {**form, "command": "mysql -psecret"})
    details = AuditEvent.objects.get(action="container.terminal").details
    assert (details["program"], details["arguments"]) == ("mysql", 1)
    assert "secret" not in str(details)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("command", "echo 'never closed", "quotation mark"),
        ("command", "x" * 2001, "2000"),
        ("command", "a\0b", "Null"),
        ("user", "a b", "user is a name"),
        ("user", "root\n", ""),
        ("user", "../../etc", "user is a name"),
        ("user", "$(id)", "user is a name"),
        ("kind", "privileged", "privileged"),
        ("container", "a" * 12, "full id"),
        ("container", "../json", "full id"),
        ("container", "A" * 64, "full id"),
        ("host", "harbour", "UUID"),
    ],
)
def test_wrong_input_is_named(
    field: str, value: str, words: str, alice: User, client_of: ClientOf, form: dict[str, str]
) -> None:
    answer = client_of(alice).post(URL, {**form, field: value})
    if not words:
        assert answer.status_code == 200  # surrounding white space is not part of a name
        return
    assert answer.status_code == 422
    assert words in answer.json()["errors"][field]
    assert not TerminalSession.objects.exists()


def test_a_stranger_is_refused(charlie: User, client_of: ClientOf, form: dict[str, str], engine: FakeEngine) -> None:
    answer = client_of(charlie).post(URL, form)
    assert answer.status_code in (403, 404)
    assert not TerminalSession.objects.exists()
    assert engine.calls == []


def test_nobody_gets_one(client: Client, form: dict[str, str]) -> None:
    assert client.post(URL, form).status_code in (302, 401, 403)
    assert not TerminalSession.objects.exists()


def test_an_unknown_container_is_not_found(alice: User, client_of: ClientOf, form: dict[str, str]) -> None:
    assert client_of(alice).post(URL, {**form, "container": "b" * 64}).status_code == 404


def test_a_link_cannot_issue_one(alice: User, client_of: ClientOf, form: dict[str, str]) -> None:
    assert client_of(alice).get(URL, form).status_code == 405
    assert not TerminalSession.objects.exists()


def test_another_site_cannot_post_for_one(alice: User, client_of: ClientOf, form: dict[str, Any]) -> None:
    answer = client_of(alice, enforce_csrf_checks=True).post(URL, form)
    assert answer.status_code == 403
    assert not TerminalSession.objects.exists()


def test_the_main_process_is_a_right_of_its_own(alice: User, client_of: ClientOf, form: dict[str, str]) -> None:
    client_of(alice).post(URL, {**form, "kind": "attach"})
    assert AuditEvent.objects.filter(action="container.attach").exists()
