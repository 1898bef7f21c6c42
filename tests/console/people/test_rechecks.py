"""Whoever loses a right is asked for the rest at once, wherever a stream of theirs is open."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.lib.origin import Origin
from console.people.services import change_console_role, suspend_person
from console.people.team_services import change_member_role, remove_member

pytestmark = pytest.mark.django_db
Change = Callable[[User, User, Team], None]


def _demote(alice: User, bob: User, red: Team) -> None:
    membership = Membership.objects.get(team=red, person=bob)
    change_member_role(actor=alice, membership=membership, role=TeamRole.VIEWER, origin=Origin())


def _remove(alice: User, bob: User, red: Team) -> None:
    remove_member(actor=alice, membership=Membership.objects.get(team=red, person=bob), origin=Origin())


def _change_role(alice: User, bob: User, _red: Team) -> None:
    change_console_role(actor=alice, person=bob, role=Role.AUDITOR, origin=Origin())


def _suspend(alice: User, bob: User, _red: Team) -> None:
    suspend_person(actor=alice, person=bob, origin=Origin())


@pytest.mark.parametrize("change", [_demote, _remove, _change_role, _suspend])
def test_their_streams_ask_again(
    change: Change,
    alice: User,
    member: User,
    red: Team,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    told: list[str] = []
    monkeypatch.setattr("console.lib.live._put", told.extend)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        change(alice, member, red)
    assert f"person:{member.pk}" in told
