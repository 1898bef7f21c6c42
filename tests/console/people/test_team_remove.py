"""Removing a team, once it owns nothing."""

from __future__ import annotations

import pytest
from django.utils import timezone

from console.accounts.models import Membership, Team, User
from console.audit.models import AuditEvent
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer
from console.operations.models import Operation, OperationState
from console.rbac.models import HostGrant, OwnedKind, Ownership
from tests.console.people.conftest import GOOD, Sign, rows, token_of


def url(team: Team) -> str:
    return f"/people/teams/{team.pk}/remove/"


def test_its_typed_name_removes_it_with_memberships_grants_and_invitations(
    alice: User, owner: User, red: Team, host: Host, client_of: Sign
) -> None:
    HostGrant.objects.create(team=red, host=host)
    token = token_of(alice, team=red)
    assert client_of(alice).post(url(red), {"confirmation": "red"})["Location"] == "/people/teams/"
    assert not Team.objects.exists()
    assert not Membership.objects.exists()
    assert User.objects.filter(pk=owner.pk).exists()
    assert client_of(owner).post(f"/invitations/{token}/", GOOD).status_code == 404
    event = AuditEvent.objects.get(action="team.remove")
    assert (event.object_name, event.details["people"]) == ("red", ["bob"])


def test_another_name_removes_nothing(alice: User, red: Team, client_of: Sign) -> None:
    answer = client_of(alice).post(url(red), {"confirmation": "Red"})
    assert answer.status_code == 422
    assert "Type “red” exactly" in answer.content.decode()
    assert Team.objects.exists()


def own(team: Team, host: Host, *, is_there: bool) -> None:
    """Give the team a container, which the host has or had."""
    Ownership.objects.create(host=host, team=team, kind=OwnedKind.CONTAINER, object_id="a" * 64)
    if is_there:
        now = timezone.now()
        ObservedContainer.objects.create(
            host=host,
            container_id="a" * 64,
            name="web-1",
            image="demo:1",
            state="exited",
            created_at=now,
            observed_at=now,
        )


def test_a_team_that_owns_something_stays_and_it_says_what(alice: User, red: Team, host: Host, client_of: Sign) -> None:
    own(red, host, is_there=True)
    answer = client_of(alice).post(url(red), {"confirmation": "red"})
    assert answer.status_code == 403
    assert "still owns 1 container" in answer.content.decode()
    assert Team.objects.exists()
    assert rows("team.remove") == [("alice", "denied")]


def test_a_container_that_is_gone_keeps_no_team(alice: User, red: Team, host: Host, client_of: Sign) -> None:
    own(red, host, is_there=False)
    client_of(alice).post(url(red), {"confirmation": "red"})
    assert not Team.objects.exists()


def test_what_a_host_that_does_not_answer_holds_counts(alice: User, red: Team, host: Host, client_of: Sign) -> None:
    own(red, host, is_there=False)
    Host.objects.update(state=HostState.UNREACHABLE)
    assert client_of(alice).post(url(red), {"confirmation": "red"}).status_code == 403
    assert Team.objects.exists()


@pytest.mark.parametrize("state", [OperationState.QUEUED, OperationState.RUNNING])
def test_a_team_for_which_something_is_being_made_stays(
    alice: User, red: Team, host: Host, client_of: Sign, state: str
) -> None:
    Operation.objects.create(kind="container.create", actor=alice, host=host, team=red, state=state)
    answer = client_of(alice).post(url(red), {"confirmation": "red"})
    assert answer.status_code == 403
    assert "still being done" in answer.content.decode()
    assert Team.objects.exists()


def test_nobody_else_removes_it(owner: User, charlie: User, dora: User, red: Team, client_of: Sign) -> None:
    for person, status in ((owner, 403), (dora, 403), (charlie, 404)):
        assert client_of(person).post(url(red), {"confirmation": "red"}).status_code == status
    assert Team.objects.exists()
    assert rows("team.remove") == [("bob", "denied"), ("dora", "denied")]


def test_looking_removes_nothing(alice: User, red: Team, client_of: Sign) -> None:
    client_of(alice).get(url(red), {"confirmation": "red"})
    assert Team.objects.exists()
