"""The page of everybody, for those who run the console or look after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from console.accounts.models import Team, TeamRole, User
from tests.console.people.conftest import Sign, join, rows, token_of


def test_it_shows_who_is_there_with_role_teams_and_state(
    alice: User, owner: User, charlie: User, client_of: Sign
) -> None:
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    page = client_of(alice).get("/people/").content.decode()
    for words in ("alice", "bob", "charlie", "red", "Owner", "Suspended", "Admin"):
        assert words in page


def test_the_auditor_reads_it_without_a_thing_to_press(alice: User, dora: User, client_of: Sign) -> None:
    token_of(alice)
    page = client_of(dora).get("/people/").content.decode()
    assert "alice" in page
    for address in ("/suspend/", "/role/", "/revoke/", "/people/invite/"):
        assert address not in page


def test_nobody_else_does(owner: User, charlie: User, client_of: Sign) -> None:
    for person in (owner, charlie):
        assert client_of(person).get("/people/").status_code == 403
    assert rows("person.view") == [("bob", "denied"), ("charlie", "denied")]


def test_the_search_finds_by_name_and_by_e_mail(alice: User, bob: User, charlie: User, client_of: Sign) -> None:
    User.objects.filter(pk=bob.pk).update(name="Robert Tables", email="bob@example.com")
    for search in ("tables", "bob@example", "ROBERT bob"):
        page = client_of(alice).get("/people/", {"q": search}).content.decode()
        assert "Robert Tables" in page
        assert "charlie" not in page
    assert "Nobody matches" in client_of(alice).get("/people/", {"q": "nobody\0"}).content.decode()


def test_a_page_that_does_not_exist_is_the_nearest(alice: User, client_of: Sign) -> None:
    for number in ("0", "-1", "999999999999", "x"):
        assert client_of(alice).get("/people/", {"page": number}).status_code == 200


def test_more_people_cost_no_more_queries(
    alice: User, red: Team, client_of: Sign, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    client = client_of(alice)
    client.get("/people/")
    for number in range(40):
        join(User.objects.create(username=f"person{number}"), red, TeamRole.VIEWER)
        token_of(alice, team=red)
    with django_assert_max_num_queries(12):
        assert client.get("/people/").status_code == 200


def test_the_sidebar_leads_there_by_who_one_is(
    alice: User, owner: User, charlie: User, dora: User, client_of: Sign
) -> None:
    def entries(person: User) -> list[str]:
        page = client_of(person).get("/settings/").content.decode()
        return [
            address for address in ("/people/", "/people/teams/", "/audit/") if f'href="{address}" data-nav' in page
        ]

    assert entries(alice) == entries(dora) == ["/people/", "/audit/"]
    assert entries(owner) == ["/people/teams/"]
    assert entries(charlie) == []
