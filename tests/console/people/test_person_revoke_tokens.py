"""Revoking every API token of somebody else."""

from __future__ import annotations

import pytest

from console.accounts.models import ApiToken, User
from console.audit.models import AuditEvent
from tests.console.people.conftest import Sign, rows
from tests.console.tokens import issue, program


def url(person: User) -> str:
    return f"/people/{person.pk}/tokens/revoke/"


def test_every_one_of_theirs_ends_and_nobody_elses(alice: User, bob: User, client_of: Sign) -> None:
    bobs, own = [issue(bob), issue(bob)], issue(alice)
    assert client_of(alice).post(url(bob))["Location"] == "/people/"
    assert [program(issued.text).get("/containers/").status_code for issued in bobs] == [401, 401]
    assert program(own.text).get("/containers/").status_code == 200
    event = AuditEvent.objects.get(action="person.revoke_tokens")
    assert (event.actor_name, event.object_name, event.details) == ("alice", "bob", {"tokens": 2})


def test_the_page_says_how_many_there_are(alice: User, bob: User, client_of: Sign) -> None:
    issue(bob)
    issue(bob)
    dead = issue(bob)
    ApiToken.objects.filter(pk=dead.token.pk).update(revoked_at="2026-01-01T00:00:00Z")
    browser = client_of(alice)
    page = browser.get("/people/").content.decode()
    assert '<td data-label="API tokens">2</td>' in page
    assert page.count("Revoke API tokens…") == 1
    browser.post(url(bob))
    assert "Revoke API tokens…" not in browser.get("/people/").content.decode()


def test_none_is_nothing_to_record(alice: User, bob: User, client_of: Sign) -> None:
    assert client_of(alice).post(url(bob)).status_code == 302
    assert rows("person.revoke_tokens") == []


def test_nobody_else_may(bob: User, owner: User, charlie: User, dora: User, client_of: Sign) -> None:
    issue(bob)
    assert client_of(dora).post(url(bob)).status_code == 403
    for person in (owner, charlie):
        assert client_of(person).post(url(bob)).status_code == 404
    assert ApiToken.objects.usable().count() == 1
    assert rows("person.revoke_tokens") == [("dora", "denied")]


def test_no_token_does_it(alice: User, bob: User) -> None:
    issue(bob)
    assert program(issue(alice).text).post(url(bob)).status_code == 403
    assert ApiToken.objects.usable().count() == 2


def test_a_link_revokes_nothing(alice: User, bob: User, client_of: Sign) -> None:
    issue(bob)
    assert client_of(alice).get(url(bob)).status_code == 405
    assert client_of(alice, enforce_csrf_checks=True).post(url(bob)).status_code == 403
    assert ApiToken.objects.usable().exists()


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Every test here looks into it."""
