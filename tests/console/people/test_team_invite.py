"""Inviting to a team: its owners do, to it alone and to no role in the console."""

from __future__ import annotations

from console.accounts.models import Invitation, Role, Team, TeamRole, User
from tests.console.people.conftest import Sign, rows

FORM = {"note": "Erin", "team_role": "viewer", "days": "1"}


def url(team: Team) -> str:
    return f"/people/teams/{team.pk}/invite/"


def test_an_owner_invites_to_their_team(owner: User, red: Team, client_of: Sign) -> None:
    answer = client_of(owner).post(url(red), FORM)
    assert "/invitations/" in answer.content.decode()
    invitation = Invitation.objects.get()
    assert (invitation.team, invitation.team_role, invitation.role) == (red, TeamRole.VIEWER, Role.USER)
    assert rows("team.invite") == [("bob", "succeeded")]


def test_a_role_in_the_console_that_an_owner_slips_in_is_not_read(owner: User, red: Team, client_of: Sign) -> None:
    client_of(owner).post(url(red), FORM | {"role": "admin"})
    assert Invitation.objects.get().role == Role.USER


def test_the_page_of_the_team_lists_it_for_owners_alone(owner: User, charlie: User, red: Team, client_of: Sign) -> None:
    from tests.console.people.conftest import join

    client_of(owner).post(url(red), FORM)
    viewer = join(charlie, red, TeamRole.VIEWER)
    assert "Erin" in client_of(owner).get(f"/people/teams/{red.pk}/").content.decode()
    assert "Erin" not in client_of(viewer).get(f"/people/teams/{red.pk}/").content.decode()


def test_a_member_is_refused(member: User, red: Team, client_of: Sign) -> None:
    assert client_of(member).post(url(red), FORM).status_code == 403
    assert not Invitation.objects.exists()
    assert rows("team.invite") == [("bob", "denied")]


def test_the_auditor_is_refused(dora: User, red: Team, client_of: Sign) -> None:
    assert client_of(dora).post(url(red), FORM).status_code == 403
    assert not Invitation.objects.exists()


def test_to_a_stranger_the_team_does_not_exist(owner: User, charlie: User, blue: Team, client_of: Sign) -> None:
    assert client_of(charlie).post(url(blue), FORM).status_code == 404
    assert client_of(owner).post(url(blue), FORM).status_code == 404
    assert not Invitation.objects.exists()
    assert rows("team.invite") == []
