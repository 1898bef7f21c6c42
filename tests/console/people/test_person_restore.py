"""Letting somebody in again after a suspension."""

from __future__ import annotations

import pytest
from django.test import Client

from console.accounts.models import User
from tests.console.people.conftest import Sign, rows


@pytest.fixture
def out(bob: User) -> User:
    """Bob, suspended."""
    User.objects.filter(pk=bob.pk).update(is_active=False)
    return bob


def url(person: User) -> str:
    return f"/people/{person.pk}/restore/"


def test_they_sign_in_with_the_password_they_had(alice: User, out: User, client_of: Sign) -> None:
    assert client_of(alice).post(url(out)).status_code == 302
    signed_in = Client().post("/accounts/login/", {"login": "bob", "password": "correct horse battery"})
    assert signed_in.status_code == 302
    assert rows("person.restore") == [("alice", "succeeded")]


def test_a_session_from_before_stays_dead(alice: User, bob: User, client_of: Sign) -> None:
    old = client_of(bob)
    old.get("/settings/")
    # As if its sign-in had been under way while the suspension looked for sessions.
    User.objects.filter(pk=bob.pk).update(is_active=False)
    client_of(alice).post(url(bob))
    assert old.get("/settings/").status_code == 302


def test_somebody_who_is_in_is_left_alone(alice: User, bob: User, client_of: Sign) -> None:
    browser = client_of(bob)
    browser.get("/settings/")
    client_of(alice).post(url(bob))
    assert browser.get("/settings/").status_code == 200
    assert rows("person.restore") == []


def test_nobody_else_may(out: User, charlie: User, dora: User, client_of: Sign) -> None:
    assert client_of(dora).post(url(out)).status_code == 403
    assert client_of(charlie).post(url(out)).status_code == 404
    assert client_of(dora).get(url(out)).status_code == 405
    assert not User.objects.get(pk=out.pk).is_active
    assert rows("person.restore") == [("dora", "denied")]
