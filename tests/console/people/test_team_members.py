"""Who is what in a team: its owners say, and a team keeps one."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from console.accounts.models import Membership, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.lib.origin import Origin
from console.people.team_services import LastOwner, change_member_role, leave
from tests.console.people.conftest import Sign, join, role_in, rows


def address(team: Team, person: User, act: str) -> str:
    return f"/people/teams/{team.pk}/members/{person.pk}/{act}/"


def test_an_owner_changes_a_role(owner: User, charlie: User, red: Team, client_of: Sign) -> None:
    join(charlie, red, TeamRole.VIEWER)
    answer = client_of(owner).post(address(red, charlie, "role"), {"role": "owner"})
    assert answer["Location"] == f"/people/teams/{red.pk}/"
    assert role_in(red, charlie) == "owner"
    event = AuditEvent.objects.get(action="team.change_role")
    assert event.details == {"person": "charlie", "before": "viewer", "role": "owner"}


def test_an_owner_removes_a_member_who_then_finds_no_team(
    owner: User, charlie: User, red: Team, client_of: Sign
) -> None:
    join(charlie, red, TeamRole.MEMBER)
    browser = client_of(charlie)
    assert browser.get(f"/people/teams/{red.pk}/").status_code == 200
    client_of(owner).post(address(red, charlie, "remove"))
    assert browser.get(f"/people/teams/{red.pk}/").status_code == 404
    assert rows("team.remove_member") == [("bob", "succeeded")]


def test_anybody_leaves(member: User, red: Team, client_of: Sign) -> None:
    assert client_of(member).post(f"/people/teams/{red.pk}/leave/")["Location"] == "/"
    assert role_in(red, member) is None
    assert rows("team.leave") == [("bob", "succeeded")]


@pytest.mark.parametrize("act", ["role", "remove", "leave"])
def test_the_last_owner_stays_and_it_says_why(owner: User, charlie: User, red: Team, client_of: Sign, act: str) -> None:
    # An owner who is suspended cannot look after anything.
    join(charlie, red, TeamRole.OWNER)
    User.objects.filter(pk=charlie.pk).update(is_active=False)
    url = f"/people/teams/{red.pk}/leave/" if act == "leave" else address(red, owner, act)
    answer = client_of(owner).post(url, {"role": "member"})
    assert answer.status_code == 403
    assert "bob is the last active owner of the team red" in answer.content.decode()
    assert role_in(red, owner) == "owner"
    action = {"role": "team.change_role", "remove": "team.remove_member", "leave": "team.leave"}[act]
    assert rows(action) == [("bob", "denied")]


def test_an_admin_may_leave_a_team_without_owners(alice: User, owner: User, red: Team, client_of: Sign) -> None:
    assert client_of(alice).post(address(red, owner, "role"), {"role": "viewer"}).status_code == 302
    assert role_in(red, owner) == "viewer"


@pytest.mark.parametrize("act", ["role", "remove"])
def test_a_member_may_not_even_for_themselves(
    member: User, charlie: User, red: Team, client_of: Sign, act: str
) -> None:
    join(charlie, red, TeamRole.OWNER)
    for person in (member, charlie):
        assert client_of(member).post(address(red, person, act), {"role": "owner"}).status_code == 403
    assert (role_in(red, member), role_in(red, charlie)) == ("member", "owner")


@pytest.mark.parametrize("act", ["role", "remove"])
def test_strangers_and_auditors_change_nothing(
    owner: User, charlie: User, dora: User, red: Team, blue: Team, client_of: Sign, act: str
) -> None:
    join(charlie, blue, TeamRole.OWNER)
    assert client_of(charlie).post(address(red, owner, act), {"role": "viewer"}).status_code == 404
    assert client_of(dora).post(address(red, owner, act), {"role": "viewer"}).status_code == 403
    assert client_of(owner).post(address(red, charlie, act), {"role": "viewer"}).status_code == 404, "not in this team"
    assert (role_in(red, owner), role_in(blue, charlie)) == ("owner", "owner")


def test_nobody_leaves_a_team_they_are_not_in(
    alice: User, charlie: User, dora: User, red: Team, client_of: Sign
) -> None:
    for person in (alice, charlie, dora):
        assert client_of(person).post(f"/people/teams/{red.pk}/leave/").status_code == 404


@pytest.mark.parametrize("role", ["admin", "", "king"])
def test_a_role_that_does_not_exist_is_refused(
    owner: User, charlie: User, red: Team, client_of: Sign, role: str
) -> None:
    join(charlie, red, TeamRole.VIEWER)
    assert client_of(owner).post(address(red, charlie, "role"), {"role": role}).status_code == 400
    assert role_in(red, charlie) == "viewer"


def test_links_change_nothing(owner: User, red: Team, client_of: Sign) -> None:
    for url in (address(red, owner, "role"), address(red, owner, "remove"), f"/people/teams/{red.pk}/leave/"):
        assert client_of(owner).get(url, {"role": "viewer"}).status_code == 405
        assert client_of(owner, enforce_csrf_checks=True).post(url, {"role": "viewer"}).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_of_owners_who_leave_and_demote_at_once_one_stays() -> None:
    red = Team.objects.create(name="red")
    owners = [join(User.objects.create(username=f"owner{number}"), red, TeamRole.OWNER) for number in range(6)]
    places = [Membership.objects.select_related("team", "person").get(team=red, person=person) for person in owners]
    start = threading.Barrier(len(owners))
    refused: list[str] = []

    def race(number: int) -> None:
        start.wait()
        try:
            if number % 2:
                leave(actor=owners[number], membership=places[number], origin=Origin())
            else:
                change_member_role(
                    actor=owners[number], membership=places[number], role=TeamRole.VIEWER, origin=Origin()
                )
        except LastOwner:
            refused.append(owners[number].username)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(number,)) for number in range(len(owners))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = Membership.objects.filter(team=red, role=TeamRole.OWNER)
    assert [membership.person.username for membership in left] == refused
