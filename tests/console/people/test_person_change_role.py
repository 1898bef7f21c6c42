"""Changing what somebody may do in the whole console."""

from __future__ import annotations

import pytest

from console.accounts.models import Role, User
from console.audit.models import AuditEvent
from tests.console.people.conftest import Sign, rows


def url(person: User) -> str:
    return f"/people/{person.pk}/role/"


@pytest.mark.parametrize("role", ["admin", "auditor"])
def test_an_admin_changes_it(alice: User, bob: User, client_of: Sign, role: str) -> None:
    assert client_of(alice).post(url(bob), {"role": role})["Location"] == "/people/"
    assert User.objects.get(pk=bob.pk).role == role
    event = AuditEvent.objects.get(action="person.change_role")
    assert (event.object_name, event.details) == ("bob", {"before": "user", "role": role})


def test_the_new_role_holds_from_the_next_page_on(alice: User, bob: User, client_of: Sign) -> None:
    browser = client_of(bob)
    assert browser.get("/people/").status_code == 403
    client_of(alice).post(url(bob), {"role": "auditor"})
    assert browser.get("/people/").status_code == 200
    client_of(alice).post(url(bob), {"role": "user"})
    assert browser.get("/people/").status_code == 403


def test_the_last_admin_stays_one(alice: User, client_of: Sign) -> None:
    answer = client_of(alice).post(url(alice), {"role": "auditor"})
    assert answer.status_code == 403
    assert "last active admin" in answer.content.decode()
    assert User.objects.get(pk=alice.pk).role == Role.ADMIN
    assert rows("person.change_role") == [("alice", "denied")]


def test_the_same_role_again_is_no_act(alice: User, bob: User, client_of: Sign) -> None:
    client_of(alice).post(url(bob), {"role": "user"})
    assert rows("person.change_role") == []


@pytest.mark.parametrize("role", ["root", "", "owner"])
def test_a_role_that_does_not_exist_is_refused(alice: User, bob: User, client_of: Sign, role: str) -> None:
    assert client_of(alice).post(url(bob), {"role": role}).status_code == 400
    assert User.objects.get(pk=bob.pk).role == Role.USER


def test_nobody_raises_themselves(owner: User, charlie: User, dora: User, client_of: Sign) -> None:
    assert client_of(dora).post(url(dora), {"role": "admin"}).status_code == 403
    for person in (owner, charlie):
        assert client_of(person).post(url(person), {"role": "admin"}).status_code == 404
    assert not User.objects.filter(role=Role.ADMIN).exists()
    assert rows("person.change_role") == [("dora", "denied")]


def test_a_link_changes_nothing(alice: User, bob: User, client_of: Sign) -> None:
    assert client_of(alice).get(url(bob), {"role": "admin"}).status_code == 405
