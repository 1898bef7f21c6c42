"""Resetting somebody's second factor: they sign in with the password alone, after every session has ended."""

from __future__ import annotations

import io

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.management import CommandError, call_command
from django.test import Client

from console.accounts import codes
from console.accounts.models import User
from console.accounts.sessions import is_session_valid
from console.audit.models import AuditEvent
from tests.console.people.conftest import Sign, rows

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


def url(person: User) -> str:
    return f"/people/{person.pk}/reset-second-factor/"


@pytest.fixture
def guarded(bob: User) -> User:
    """Bob, with an app and recovery codes."""
    codes.add_app(bob, secret=codes.new_secret(), counter=0)
    codes.renew_recovery_codes(bob)
    return bob


def test_the_password_alone_signs_them_in_again(alice: User, guarded: User, client_of: Sign) -> None:
    before = Client().post("/accounts/login/", {"login": "bob", "password": PASSWORD})
    assert before["Location"] == "/accounts/second-step/"
    assert client_of(alice).post(url(guarded))["Location"] == "/people/"
    assert not Authenticator.objects.exists()
    assert Client().post("/accounts/login/", {"login": "bob", "password": PASSWORD})["Location"] == "/"


def test_every_session_and_stream_of_theirs_ends(
    alice: User,
    guarded: User,
    client_of: Sign,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: object,
) -> None:
    browser = client_of(guarded)
    browser.get("/settings/")
    key = UserSession.objects.get(user=guarded).session_key
    told: list[str] = []
    monkeypatch.setattr("console.lib.live._put", told.extend)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        client_of(alice).post(url(guarded))
    assert f"person:{guarded.pk}" in told
    assert browser.get("/settings/").status_code == 302
    assert not is_session_valid(key, guarded.pk)
    event = AuditEvent.objects.get(action="person.reset_second_factor")
    assert (event.actor_name, event.object_name, event.outcome, event.details) == (
        "alice",
        "bob",
        "succeeded",
        {"sessions": 1},
    )


def test_it_is_offered_for_those_who_have_one(alice: User, bob: User, guarded: User, client_of: Sign) -> None:
    page = client_of(alice).get("/people/").content.decode()
    assert url(guarded) in page
    assert url(alice) not in page


def test_where_there_is_none_nothing_is_done(alice: User, bob: User, client_of: Sign) -> None:
    page = client_of(alice).post(url(bob), follow=True).content.decode()
    assert "bob has no second factor." in page
    assert rows("person.reset_second_factor") == []


def test_nobody_else_may(alice: User, guarded: User, charlie: User, dora: User, client_of: Sign) -> None:
    assert client_of(dora).post(url(guarded)).status_code == 403
    assert client_of(charlie).post(url(guarded)).status_code == 404
    assert client_of(guarded).post(url(guarded)).status_code == 404
    assert Authenticator.objects.count() == 2
    assert rows("person.reset_second_factor") == [("dora", "denied")]


def test_a_link_resets_nothing(alice: User, guarded: User, client_of: Sign) -> None:
    assert client_of(alice).get(url(guarded)).status_code == 405
    assert client_of(alice, enforce_csrf_checks=True).post(url(guarded)).status_code == 403
    assert Authenticator.objects.count() == 2


def test_the_machine_that_runs_the_console_can_do_it_too(guarded: User) -> None:
    out = io.StringIO()
    call_command("reset_second_factor", "BOB", stdout=out)
    assert "bob signs in with the password alone now." in out.getvalue()
    assert rows("person.reset_second_factor") == [("system:manage", "succeeded")]
    for name, said in (("bob", "has no second factor"), ("nobody", "Nobody here is called nobody")):
        with pytest.raises(CommandError, match=said):
            call_command("reset_second_factor", name)
