"""Revoking an invitation: the link stops working at once."""

from __future__ import annotations

from django.test import Client
from django.utils import timezone

from console.accounts.models import Invitation, Team, User
from tests.console.people.conftest import GOOD, Sign, rows, token_of


def url() -> str:
    return f"/people/invitations/{Invitation.objects.get().pk}/revoke/"


def test_an_admin_revokes_any(alice: User, owner: User, red: Team, client: Client, client_of: Sign) -> None:
    token = token_of(owner, team=red)
    assert client_of(alice).post(url())["Location"] == "/people/"
    assert client.post(f"/invitations/{token}/", GOOD).status_code == 404
    assert rows("team.revoke_invitation") == [("alice", "succeeded")]


def test_an_owner_revokes_those_to_their_team(alice: User, owner: User, red: Team, client_of: Sign) -> None:
    token_of(alice, team=red)
    assert client_of(owner).post(url())["Location"] == f"/people/teams/{red.pk}/"
    assert Invitation.objects.get().revoked_at is not None


def test_one_that_was_used_stays_used(alice: User, client_of: Sign) -> None:
    token_of(alice)
    Invitation.objects.update(used_at=timezone.now())
    page = client_of(alice).post(url(), follow=True).content.decode()
    assert "was used, revoked or too old already" in page
    assert Invitation.objects.get().revoked_at is None
    assert rows("person.revoke_invitation") == []


def test_a_member_and_a_stranger_do_not_know_of_it(
    alice: User, member: User, charlie: User, red: Team, client_of: Sign
) -> None:
    token_of(alice, team=red)
    for person in (member, charlie):
        assert client_of(person).post(url()).status_code == 404
    assert Invitation.objects.get().revoked_at is None


def test_an_owner_does_not_know_of_one_to_the_console(alice: User, owner: User, client_of: Sign) -> None:
    token_of(alice)
    assert client_of(owner).post(url()).status_code == 404


def test_the_auditor_sees_it_and_may_not(alice: User, dora: User, client_of: Sign) -> None:
    token_of(alice, note="for Erin")
    assert "for Erin" in client_of(dora).get("/people/").content.decode()
    assert client_of(dora).post(url()).status_code == 403
    assert Invitation.objects.get().revoked_at is None
    assert rows("person.revoke_invitation") == [("dora", "denied")]


def test_a_link_revokes_nothing(alice: User, client_of: Sign) -> None:
    token_of(alice)
    assert client_of(alice).get(url()).status_code == 405
