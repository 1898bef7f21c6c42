"""Creating and renaming teams: admins do."""

from __future__ import annotations

import pytest

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.lib.origin import Origin
from console.people.team_services import NameTaken, create_team
from tests.console.people.conftest import Sign, rows

URL = "/people/teams/create/"


def test_an_admin_creates_one(alice: User, client_of: Sign) -> None:
    answer = client_of(alice).post(URL, {"name": "red"})
    team = Team.objects.get()
    assert (answer["Location"], team.name) == (f"/people/teams/{team.pk}/", "red")
    assert rows("team.create") == [("alice", "succeeded")]


@pytest.mark.parametrize("name", ["", "RED", "  red ", "a" * 61, "two\nlines", "hidden\u202e"])
def test_a_name_that_is_taken_or_unreadable_is_refused(alice: User, red: Team, client_of: Sign, name: str) -> None:
    assert client_of(alice).post(URL, {"name": name}).status_code == 422
    assert Team.objects.count() == 1
    assert rows("team.create") == []


def test_a_name_that_was_taken_a_moment_ago_leaves_no_row(alice: User, red: Team) -> None:
    with pytest.raises(NameTaken):
        create_team(actor=alice, name="Red", origin=Origin())
    assert rows("team.create") == []


def test_nobody_else_creates_one(owner: User, charlie: User, dora: User, client_of: Sign) -> None:
    for person in (owner, charlie, dora):
        assert client_of(person).post(URL, {"name": "blue"}).status_code == 403
    assert Team.objects.count() == 1
    assert len(rows("team.create")) == 3


def test_looking_creates_nothing(alice: User, client_of: Sign) -> None:
    client_of(alice).get(URL, {"name": "red"})
    assert not Team.objects.exists()


def test_an_admin_renames_one(alice: User, red: Team, blue: Team, client_of: Sign) -> None:
    address = f"/people/teams/{red.pk}/rename/"
    assert client_of(alice).post(address, {"name": "BLUE"}).status_code == 422
    assert client_of(alice).post(address, {"name": "Red"}).status_code == 302
    assert Team.objects.get(pk=red.pk).name == "Red"
    event = AuditEvent.objects.get(action="team.rename")
    assert (event.object_name, event.details["before"]) == ("Red", "red")


def test_its_owner_may_not_rename_it_and_a_stranger_does_not_find_it(
    owner: User, charlie: User, red: Team, client_of: Sign
) -> None:
    address = f"/people/teams/{red.pk}/rename/"
    assert client_of(owner).post(address, {"name": "mine"}).status_code == 403
    assert client_of(charlie).post(address, {"name": "mine"}).status_code == 404
    assert Team.objects.get().name == "red"
    assert rows("team.rename") == [("bob", "denied")]
