"""The list of kept logs: who reads what, and how it is narrowed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import Team, User
from console.logs.models import KeptLog, KeptState
from tests.console.logs.conftest import MakeLog, line

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def names(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"/logs/{query}", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    return sorted(item["name"] for item in answer.json()["items"])


@pytest.fixture
def three(red: Team, blue: Team, make_log: MakeLog) -> list[KeptLog]:
    return [
        make_log(red, [line(1, "one")], name="red-web", image="nginx:1", search_text="red-web nginx:1"),
        make_log(blue, [line(1, "two")], name="blue-web", digit="b", search_text="blue-web starter:latest"),
        make_log(None, [line(1, "three")], name="web", digit="c", state=KeptState.KEEPING, keep_until=None),
    ]


def test_each_reads_their_teams_and_admins_read_all(
    alice: User, bob: User, charlie: User, client_of: ClientOf, three: list[KeptLog]
) -> None:
    assert names(client_of(bob)) == ["red-web"]
    assert names(client_of(charlie)) == ["blue-web"]
    assert names(client_of(alice)) == ["blue-web", "red-web", "web"]

    page = client_of(bob).get("/logs/").content.decode()
    assert "red-web" in page
    assert "blue" not in page


def test_it_is_narrowed(alice: User, client_of: ClientOf, red: Team, three: list[KeptLog]) -> None:
    client = client_of(alice)

    assert names(client, "?q=NGINX red") == ["red-web"]
    assert names(client, f"?team={red.pk}") == ["red-web"]
    assert names(client, "?team=nobody") == ["web"]
    assert names(client, "?state=living") == ["web"]
    assert names(client, "?state=gone") == ["blue-web", "red-web"]
    assert names(client, f"?host={three[0].host_id}") == ["blue-web", "red-web", "web"]
    assert names(client, "?host=8d3e5a3e-0000-4000-8000-000000000000") == []
    assert names(client, "?host=nonsense&team=%00&state=x&page=-1") == ["blue-web", "red-web", "web"]
    page = client.get("/logs/?q=nothing+like+it").content.decode()
    assert "Nothing matches" in page


def test_another_teams_name_is_no_way_in(bob: User, client_of: ClientOf, blue: Team, three: list[KeptLog]) -> None:
    client = client_of(bob)

    assert names(client, f"?team={blue.pk}") == []
    assert "blue" not in client.get(f"/logs/?team={blue.pk}").content.decode().replace(str(blue.pk), "")


def test_an_empty_list_says_what_to_do(
    alice: User, bob: User, client_of: ClientOf, red: Team, settings: object
) -> None:
    assert "Nothing is kept yet" in client_of(bob).get("/logs/").content.decode()
    red.policy_versions.all().delete()
    assert "No logs are kept" in client_of(bob).get("/logs/").content.decode()
    assert "No logs are kept" in client_of(alice).get("/logs/").content.decode()


def test_who_is_in_no_team_is_refused(charlie: User, client_of: ClientOf) -> None:
    assert client_of(charlie).get("/logs/").status_code == 403
    assert client_of(charlie).post("/logs/").status_code in (403, 405)


def test_what_keeps_it_from_being_kept_is_said(bob: User, client_of: ClientOf, red: Team, make_log: MakeLog) -> None:
    make_log(red, [], state=KeptState.KEEPING, keep_until=None, closed_at=None, problem="no_room")

    page = client_of(bob).get("/logs/").content.decode()

    assert "not kept at the moment" in page
    assert "The disk of this console is full." in page


def test_hostile_names_are_text(bob: User, client_of: ClientOf, red: Team, make_log: MakeLog) -> None:
    make_log(red, [], name="<script>alert(1)</script>", image="<img src=x>")

    page = client_of(bob).get("/logs/").content.decode()

    assert "<script>alert(1)" not in page
    assert "<img src=x>" not in page
