"""The page behind an invitation's link: it works once, for whoever comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from console.accounts.models import Invitation, Membership, Role, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.lib.origin import Origin
from console.people.invitation_services import (
    AlreadyMember,
    InvitationSpent,
    UsernameTaken,
    accept_as_member,
    accept_as_new_person,
)
from tests.console.people.conftest import GOOD, Sign, join, role_in, rows, token_of


def url(token: str) -> str:
    return f"/invitations/{token}/"


def test_a_new_person_chooses_name_and_password_and_is_in(alice: User, red: Team, client: Client) -> None:
    token = token_of(alice, team=red, team_role=TeamRole.MEMBER, role=Role.AUDITOR)
    page = client.get(url(token)).content.decode()
    assert "red" in page
    assert 'name="username"' in page
    answer = client.post(url(token), GOOD)
    assert (answer.status_code, answer["Location"]) == (302, f"/people/teams/{red.pk}/")
    erin = User.objects.get(username="erin")
    assert (erin.role, role_in(red, erin)) == (Role.AUDITOR, "member")
    assert client.get("/settings/").status_code == 200
    assert Invitation.objects.get().used_by == erin


def test_without_a_team_they_are_in_the_console_alone(alice: User, client: Client) -> None:
    answer = client.post(url(token_of(alice)), GOOD)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert User.objects.get(username="erin").role == Role.USER
    assert not Membership.objects.exists()


def test_joining_is_on_record(alice: User, red: Team, client: Client) -> None:
    token = token_of(alice, team=red)
    client.post(url(token), GOOD, REMOTE_ADDR="192.0.2.7")
    event = AuditEvent.objects.get(action="account.accept_invitation")
    assert (event.actor_name, event.address, event.details["team"]) == ("erin", "192.0.2.7", "red")
    assert token not in str(event.details)


def test_who_is_signed_in_joins_by_a_button_and_keeps_their_role(
    alice: User, charlie: User, red: Team, client_of: Sign
) -> None:
    token = token_of(alice, team=red, team_role=TeamRole.OWNER, role=Role.ADMIN)
    client = client_of(charlie)
    assert "Join red as Owner" in client.get(url(token)).content.decode()
    assert role_in(red, charlie) is None, "looking changes nothing"
    assert client.post(url(token))["Location"] == f"/people/teams/{red.pk}/"
    assert role_in(red, charlie) == "owner"
    assert User.objects.get(pk=charlie.pk).role == Role.USER
    assert rows("account.accept_invitation") == [("charlie", "succeeded")]


def test_who_is_in_the_team_already_leaves_the_link_to_somebody_else(
    alice: User, member: User, charlie: User, red: Team, client_of: Sign
) -> None:
    token = token_of(alice, team=red, team_role=TeamRole.OWNER)
    client = client_of(member)
    assert "already" in client.get(url(token)).content.decode()
    assert client.post(url(token)).status_code == 409
    assert role_in(red, member) == "member"
    assert client_of(charlie).post(url(token)).status_code == 302


def test_who_has_an_account_does_not_use_up_a_link_that_makes_one(
    alice: User, charlie: User, client: Client, client_of: Sign
) -> None:
    token = token_of(alice, role=Role.ADMIN)
    assert "Sign out" in client_of(charlie).get(url(token)).content.decode()
    assert client_of(charlie).post(url(token)).status_code == 409
    assert User.objects.get(pk=charlie.pk).role == Role.USER
    assert client.post(url(token), GOOD).status_code == 302


@pytest.mark.parametrize("change", ["used", "revoked", "expired", "unknown"])
def test_a_link_that_is_spent_says_the_same_whatever_the_reason(
    alice: User, charlie: User, red: Team, client: Client, client_of: Sign, change: str
) -> None:
    now = timezone.now()
    token = token_of(alice, team=red)
    if change == "unknown":
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    else:
        field = {"used": "used_at", "revoked": "revoked_at", "expired": "expires_at"}[change]
        Invitation.objects.update(**{field: now - timedelta(seconds=1)})
    for browser in (client, client_of(charlie)):
        for answer in (browser.get(url(token)), browser.post(url(token), GOOD)):
            assert answer.status_code == 404
            assert "was mistyped, used, revoked or is too old" in answer.content.decode()
            assert "red" not in answer.content.decode().replace("mistyped, used", "")
    assert not Membership.objects.exists()
    assert not User.objects.filter(username="erin").exists()
    assert rows("account.accept_invitation") == []


def suspend(inviter: User) -> None:
    User.objects.filter(pk=inviter.pk).update(is_active=False)


def demote(inviter: User) -> None:
    User.objects.filter(pk=inviter.pk).update(role=Role.USER)
    Membership.objects.filter(person=inviter).update(role=TeamRole.MEMBER)


def put_out(inviter: User) -> None:
    User.objects.filter(pk=inviter.pk).update(role=Role.USER)
    Membership.objects.filter(person=inviter).delete()


def remove(inviter: User) -> None:
    User.objects.filter(pk=inviter.pk).delete()


@pytest.mark.parametrize("happens", [suspend, demote, put_out, remove])
@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_link_falls_with_the_right_of_who_gave_it(
    alice: User, owner: User, red: Team, client: Client, who: str, happens: Callable[[User], None]
) -> None:
    inviter = alice if who == "alice" else owner
    token = token_of(inviter, team=red)
    happens(inviter)
    assert client.get(url(token)).status_code == 404
    assert client.post(url(token), GOOD).status_code == 404
    assert not User.objects.filter(username="erin").exists()
    assert Invitation.objects.get().used_at is None


def test_an_owner_who_was_an_admin_cannot_make_admins_by_an_old_link(alice: User, red: Team, client: Client) -> None:
    token = token_of(alice, team=red, role=Role.ADMIN)
    User.objects.filter(pk=alice.pk).update(role=Role.USER)
    join(alice, red, TeamRole.OWNER)
    assert client.post(url(token), GOOD).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("password", "short", "too short"),
        ("password_again", "something else entirely", "differ"),
        ("username", "alice", "already"),
        ("username", "ALICE", "already"),
    ],
)
def test_a_mistake_is_named_and_the_link_stays_good(
    alice: User, client: Client, field: str, value: str, said: str
) -> None:
    token = token_of(alice)
    again = {"password_again": value} if field == "password" else {}
    answer = client.post(url(token), {**GOOD, field: value, **again})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert client.post(url(token), GOOD).status_code == 302


def test_a_name_that_somebody_got_a_moment_ago_leaves_the_link_good(alice: User) -> None:
    token = token_of(alice)
    with pytest.raises(UsernameTaken):
        accept_as_new_person(token=token, username="Alice", password="correct horse", origin=Origin())
    assert Invitation.objects.get().used_at is None
    assert rows("account.accept_invitation") == []


def test_joining_twice_leaves_the_second_link_good(alice: User, charlie: User, red: Team) -> None:
    first, second = token_of(alice, team=red), token_of(alice, team=red)
    accept_as_member(token=first, person=charlie, origin=Origin())
    with pytest.raises(AlreadyMember):
        accept_as_member(token=second, person=charlie, origin=Origin())
    assert Invitation.objects.filter(used_at=None).count() == 1


def test_a_form_without_its_mark_is_refused(alice: User, red: Team, charlie: User, client_of: Sign) -> None:
    token = token_of(alice, team=red)
    assert client_of(charlie, enforce_csrf_checks=True).post(url(token)).status_code == 403
    assert Client(enforce_csrf_checks=True).post(url(token), GOOD).status_code == 403
    assert not Membership.objects.exists()


def test_other_methods_are_refused(alice: User, client: Client) -> None:
    assert client.put(url(token_of(alice))).status_code == 405


def at_once(count: int, act: Callable[[int], object]) -> tuple[int, int]:
    """Let as many do it at the same time; return how many did, and how many found the link spent."""
    start = threading.Barrier(count)
    won: list[int] = []
    lost: list[int] = []

    def race(number: int) -> None:
        start.wait()
        try:
            act(number)
        except InvitationSpent:
            lost.append(number)
        else:
            won.append(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(won), len(lost)


@pytest.mark.django_db(transaction=True)
def test_of_ten_new_people_at_once_one_wins() -> None:
    alice = User.objects.create_user("alice", "correct horse", role=Role.ADMIN)
    token = token_of(alice, role=Role.ADMIN)

    def accept(number: int) -> None:
        accept_as_new_person(token=token, username=f"racer{number}", password="correct horse", origin=Origin())

    assert at_once(10, accept) == (1, 9)
    assert User.objects.count() == 2
    assert len(rows("account.accept_invitation")) == 1


@pytest.mark.django_db(transaction=True)
def test_of_ten_who_have_accounts_at_once_one_joins() -> None:
    alice = User.objects.create_user("alice", "correct horse", role=Role.ADMIN)
    red = Team.objects.create(name="red")
    people = [User.objects.create_user(f"racer{number}", "correct horse") for number in range(10)]
    join_ = partial(accept_as_member, token=token_of(alice, team=red), origin=Origin())
    assert at_once(10, lambda number: join_(person=people[number])) == (1, 9)
    assert red.memberships.count() == 1
