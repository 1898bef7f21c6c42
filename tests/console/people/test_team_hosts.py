"""Giving a team hosts to work on, and taking them: admins do."""

from __future__ import annotations

import pytest

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.hosts.models import Host
from console.rbac.models import HostGrant, OwnedKind, Ownership
from tests.console.people.conftest import Sign, rows


def give(team: Team) -> str:
    return f"/people/teams/{team.pk}/hosts/grant/"


def take(team: Team, host: Host) -> str:
    return f"/people/teams/{team.pk}/hosts/{host.pk}/revoke/"


@pytest.fixture
def granted(red: Team, host: Host) -> HostGrant:
    """The team may work on the host."""
    return HostGrant.objects.create(team=red, host=host)


def test_an_admin_gives_a_host(alice: User, member: User, red: Team, host: Host, client_of: Sign) -> None:
    assert not Host.objects.visible_to(member).exists()
    answer = client_of(alice).post(give(red), {"host": str(host.pk)})
    assert answer["Location"] == f"/people/teams/{red.pk}/"
    assert Host.objects.visible_to(User.objects.get(pk=member.pk)).get() == host
    event = AuditEvent.objects.get(action="team.grant_host")
    assert (event.actor_name, event.host_name, event.object_name) == ("alice", "harbour", "red")


def test_a_host_that_it_has_is_not_offered_again(
    alice: User, red: Team, host: Host, granted: HostGrant, client_of: Sign
) -> None:
    assert client_of(alice).post(give(red), {"host": str(host.pk)}).status_code == 422
    assert HostGrant.objects.count() == 1
    assert rows("team.grant_host") == []


def test_an_admin_takes_it_and_what_the_team_owns_there_stays_its_own(
    alice: User, red: Team, host: Host, granted: HostGrant, client_of: Sign
) -> None:
    Ownership.objects.create(host=host, team=red, kind=OwnedKind.CONTAINER, object_id="a" * 64)
    assert client_of(alice).post(take(red, host)).status_code == 302
    assert not HostGrant.objects.exists()
    assert Ownership.objects.exists()
    assert rows("team.revoke_host") == [("alice", "succeeded")]


def test_a_host_that_it_does_not_have_cannot_be_taken(
    alice: User, blue: Team, host: Host, granted: HostGrant, client_of: Sign
) -> None:
    assert client_of(alice).post(take(blue, host)).status_code == 404
    assert HostGrant.objects.exists()


def test_nobody_else_gives_or_takes(
    owner: User, charlie: User, dora: User, red: Team, host: Host, granted: HostGrant, client_of: Sign
) -> None:
    for person, status in ((owner, 403), (dora, 403), (charlie, 404)):
        assert client_of(person).post(give(red), {"host": str(host.pk)}).status_code == status
        assert client_of(person).post(take(red, host)).status_code == status
    assert HostGrant.objects.get() == granted
    assert rows("team.grant_host") == rows("team.revoke_host") == [("bob", "denied"), ("dora", "denied")]


def test_links_change_nothing(alice: User, red: Team, host: Host, granted: HostGrant, client_of: Sign) -> None:
    assert client_of(alice).get(take(red, host)).status_code == 405
    client_of(alice).get(give(red), {"host": str(host.pk)})
    assert HostGrant.objects.get() == granted
