"""Changing one's password."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.accounts.sessions import is_session_valid
from console.audit.models import AuditEvent

OLD, NEW = "correct horse battery", "a staple for the paper"
FORM = {"current": OLD, "password": NEW, "password_again": NEW}
pytestmark = pytest.mark.django_db


def test_the_new_password_counts_and_the_old_does_not(alice: User, client_of: Callable[..., Client]) -> None:
    assert client_of(alice).post("/settings/password/", FORM).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert not alice.check_password(OLD)


def test_other_sessions_end_and_this_one_goes_on_under_a_new_key(
    alice: User,
    client_of: Callable[..., Client],
    django_capture_on_commit_callbacks: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = client_of(alice), client_of(alice)
    for client in (here, there):
        client.get("/settings/")
    old_key, other_key = here.session.session_key or "", there.session.session_key or ""
    told: list[str] = []
    monkeypatch.setattr("console.lib.live._put", told.extend)

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        here.post("/settings/password/", FORM)
    assert here.get("/settings/").status_code == 200
    assert there.get("/settings/").status_code == 302
    assert f"person:{alice.pk}" in told, "open streams ask again at once"
    assert not is_session_valid(old_key, alice.pk)
    assert not is_session_valid(other_key, alice.pk)
    assert is_session_valid(here.session.session_key or "", alice.pk)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("current", "wrong", "This is not your present password."),
        ("password", "short", "too short"),
        ("password_again", "another one, differing", "differ"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(
    alice: User, client_of: Callable[..., Client], field: str, value: str, said: str
) -> None:
    form = {**FORM, field: value} if field != "password" else {**FORM, "password": value, "password_again": value}
    answer = client_of(alice).post("/settings/password/", form)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert value not in answer.content.decode() or field == "password"
    alice.refresh_from_db()
    assert alice.check_password(OLD)


def test_guessing_the_present_password_is_limited(alice: User, client_of: Callable[..., Client]) -> None:
    client = client_of(alice)
    statuses = [client.post("/settings/password/", {**FORM, "current": "wrong"}).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    assert client.post("/settings/password/", FORM).status_code == 429


def test_it_is_on_record_without_any_password(alice: User, client_of: Callable[..., Client]) -> None:
    client_of(alice).post("/settings/password/", FORM)
    row = AuditEvent.objects.get(action="password.change")
    assert (row.actor_name, row.outcome) == ("alice", "succeeded")
    assert OLD not in str(row.__dict__)
    assert NEW not in str(row.__dict__)


def test_a_stranger_is_refused(client: Client) -> None:
    assert client.post("/settings/password/", FORM)["Location"].startswith("/accounts/login/")


def test_a_link_changes_nothing(alice: User, client_of: Callable[..., Client]) -> None:
    assert client_of(alice).get("/settings/password/").status_code == 405
