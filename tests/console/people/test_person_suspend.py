"""Suspending somebody: they are out at once, and somebody who runs the console always stays."""

from __future__ import annotations

import threading

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from console.accounts.models import Role, User
from console.accounts.sessions import is_session_valid
from console.audit.models import AuditEvent
from console.lib.origin import Origin
from console.people.services import LastAdmin, change_console_role, suspend_person
from tests.console.people.conftest import Sign, rows


def url(person: User) -> str:
    return f"/people/{person.pk}/suspend/"


def test_every_session_ends_and_the_right_password_helps_no_more(alice: User, bob: User, client_of: Sign) -> None:
    browsers = [client_of(bob) for _ in range(2)]
    for browser in browsers:
        assert browser.get("/settings/").status_code == 200
    keys = list(UserSession.objects.filter(user=bob).values_list("session_key", flat=True))
    assert client_of(alice).post(url(bob))["Location"] == "/people/"
    assert [browser.get("/settings/").status_code for browser in browsers] == [302, 302]
    assert not any(is_session_valid(key, bob.pk) for key in keys)
    assert not Session.objects.filter(session_key__in=keys).exists()
    assert not UserSession.objects.filter(user=bob).exists()
    assert Client().post("/accounts/login/", {"login": "bob", "password": "correct horse battery"}).status_code == 422
    event = AuditEvent.objects.get(action="person.suspend")
    assert (event.actor_name, event.object_name, event.outcome, event.details["sessions"]) == (
        "alice",
        "bob",
        "succeeded",
        2,
    )


def test_the_last_admin_stays_and_it_says_why(alice: User, client_of: Sign) -> None:
    answer = client_of(alice).post(url(alice), HTTP_HX_REQUEST="true")
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "alice is the last active admin" in page
    assert "Make somebody else an admin first." in page
    assert User.objects.get(pk=alice.pk).is_active
    assert rows("person.suspend") == [("alice", "denied")]


def test_a_suspended_admin_does_not_count(alice: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(role=Role.ADMIN, is_active=False)
    with pytest.raises(LastAdmin):
        suspend_person(actor=alice, person=alice, origin=Origin())


def test_with_another_admin_an_admin_may_go(alice: User, bob: User, client_of: Sign) -> None:
    User.objects.filter(pk=bob.pk).update(role=Role.ADMIN)
    client_of(alice).post(url(bob))
    assert not User.objects.get(pk=bob.pk).is_active


def test_twice_is_once(alice: User, bob: User, client_of: Sign) -> None:
    for _ in range(2):
        client_of(alice).post(url(bob))
    assert rows("person.suspend") == [("alice", "succeeded")]


def test_nobody_else_may(alice: User, owner: User, charlie: User, dora: User, client_of: Sign) -> None:
    assert client_of(dora).post(url(charlie)).status_code == 403
    for person in (owner, charlie):
        assert client_of(person).post(url(alice)).status_code == 404
    assert User.objects.filter(is_active=False).count() == 0
    assert rows("person.suspend") == [("dora", "denied")]


def test_a_link_suspends_nobody(alice: User, bob: User, client_of: Sign) -> None:
    assert client_of(alice).get(url(bob)).status_code == 405
    assert client_of(alice, enforce_csrf_checks=True).post(url(bob)).status_code == 403
    assert User.objects.get(pk=bob.pk).is_active


@pytest.mark.django_db(transaction=True)
def test_of_admins_who_suspend_and_demote_each_other_at_once_one_stays() -> None:
    admins = [User.objects.create_user(f"admin{number}", "correct horse", role=Role.ADMIN) for number in range(6)]
    start = threading.Barrier(len(admins))
    refused: list[str] = []

    def race(number: int) -> None:
        actor, person = admins[number], admins[number - 1]
        start.wait()
        try:
            if number % 2:
                suspend_person(actor=actor, person=person, origin=Origin())
            else:
                change_console_role(actor=actor, person=person, role=Role.USER, origin=Origin())
        except LastAdmin:
            refused.append(person.username)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(number,)) for number in range(len(admins))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = User.objects.filter(role=Role.ADMIN, is_active=True)
    assert [admin.username for admin in left] == refused
