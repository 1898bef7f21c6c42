"""The pages of teams: one's own, and all of them for those who look after the console."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from console.accounts.models import Team, TeamRole, User
from console.hosts.models import Host
from console.inventory.services import apply_containers
from console.lib.amounts import MIB
from console.policies.models import PolicyVersion, Reservation, ReservedPort
from console.policies.rules import Rules, to_json
from console.rbac.models import HostGrant, OwnedKind, Ownership
from tests.console.inventory.conftest import container
from tests.console.people.conftest import Sign, join, rows


def url(team: Team) -> str:
    return f"/people/teams/{team.pk}/"


@pytest.fixture
def owned(host: Host, red: Team, alice: User) -> str:
    """A container of the team, on a host of its."""
    found = container("web-1")
    apply_containers(host, containers=[found], asked_at=timezone.now())
    HostGrant.objects.create(team=red, host=host)
    Ownership.objects.create(
        host=host, team=red, kind=OwnedKind.CONTAINER, object_id=found.container_id, given_by=alice
    )
    return str(found.container_id)


def test_it_shows_its_people_its_hosts_and_what_it_owns(
    member: User, red: Team, host: Host, owned: str, client_of: Sign
) -> None:
    page = client_of(member).get(url(red)).content.decode()
    for words in ("bob", "Member", "harbour", "web-1", "alice", f"/containers/{host.pk}/{owned}/"):
        assert words in page


def test_it_says_what_of_the_quota_each_container_holds(
    owner: User, red: Team, blue: Team, host: Host, owned: str, client_of: Sign
) -> None:
    share = Reservation.objects.create(
        team=red, host=host, container_id=owned, nano_cpus=5 * 10**8, memory_bytes=256 * MIB, disk_bytes=2048 * MIB
    )
    for port in (8004, 8001):
        ReservedPort.objects.create(reservation=share, host=host, protocol="tcp", port=port)
    for team in (red, red, blue):
        Reservation.objects.create(team=team, host=host, operation_id=uuid4(), memory_bytes=7 * MIB)
    page = client_of(owner).get(url(red)).content.decode()
    assert "0.5 CPUs · 256 MB of memory · 2 GB of disk · ports 8001, 8004" in page
    assert "2 more containers are being made and count in the quota already." in page


@pytest.mark.parametrize(("taken", "level"), [(1, "normal"), (2, "raised"), (3, "high")])
def test_a_full_quota_is_told_from_one_that_is_exceeded(
    owner: User, red: Team, host: Host, owned: str, client_of: Sign, taken: int, level: str
) -> None:
    HostGrant.objects.update(containers=2)
    for _number in range(taken):
        Reservation.objects.create(team=red, host=host, operation_id=uuid4())
    page = client_of(owner).get(url(red)).content.decode()
    [gauge] = re.findall(r'data-level="(\w+)">.{0,200}?>Containers<', page)
    assert (gauge, f"{taken} of 2" in page) == (level, True)


def test_what_nobody_has_seen_of_late_is_named_by_its_id(member: User, red: Team, host: Host, client_of: Sign) -> None:
    Ownership.objects.create(host=host, team=red, kind=OwnedKind.CONTAINER, object_id="f" * 64)
    page = client_of(member).get(url(red)).content.decode()
    assert "f" * 12 in page
    assert "not seen now" in page


def test_members_and_auditors_find_nothing_to_press(
    member: User, dora: User, red: Team, owned: str, client_of: Sign
) -> None:
    for person in (member, dora):
        page = client_of(person).get(url(red)).content.decode()
        for address in ("/invite/", "/role/", "/members/", "/revoke/", "/grant/", "/rename/"):
            assert address not in page, address
    assert f"{url(red)}leave/" in client_of(member).get(url(red)).content.decode()
    assert f"{url(red)}leave/" not in client_of(dora).get(url(red)).content.decode()


def test_to_a_stranger_it_does_not_exist(alice: User, owner: User, charlie: User, blue: Team, client_of: Sign) -> None:
    join(charlie, blue, TeamRole.OWNER)
    assert client_of(owner).get(url(blue)).status_code == 404
    assert client_of(alice).get(url(blue)).status_code == 200
    assert rows("team.view") == []


def test_the_list_holds_ones_own_teams(
    alice: User, owner: User, charlie: User, dora: User, blue: Team, client_of: Sign
) -> None:
    own = client_of(owner).get("/people/teams/").content.decode()
    assert "red" in own
    assert "blue" not in own
    for person in (alice, dora):
        page = client_of(person).get("/people/teams/").content.decode()
        assert "red" in page
        assert "blue" in page
    assert client_of(charlie).get("/people/teams/").status_code == 403


def test_the_list_counts_without_multiplying(
    alice: User, red: Team, blue: Team, owner: User, charlie: User, host: Host, client_of: Sign
) -> None:
    join(charlie, red, TeamRole.VIEWER)
    HostGrant.objects.create(team=red, host=host)
    for number in range(3):
        Ownership.objects.create(host=host, team=red, kind=OwnedKind.CONTAINER, object_id=f"{number:064x}")
    teams = {team.name: team for team in client_of(alice).get("/people/teams/").context["teams"]}
    red_row, blue_row = teams["red"], teams["blue"]
    assert (red_row.people_count, red_row.host_count, red_row.container_count) == (2, 1, 3)
    assert (blue_row.people_count, blue_row.host_count, blue_row.container_count) == (0, 0, 0)


def test_more_of_everything_costs_no_more_queries(
    owner: User,
    red: Team,
    host: Host,
    client_of: Sign,
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    client = client_of(owner)
    client.get(url(red))
    for number in range(30):
        join(User.objects.create(username=f"person{number}"), red, TeamRole.VIEWER)
        Ownership.objects.create(host=host, team=red, kind=OwnedKind.CONTAINER, object_id=f"{number:064x}")
        share = Reservation.objects.create(team=red, host=host, container_id=f"{number:064x}")
        ReservedPort.objects.create(reservation=share, host=host, protocol="tcp", port=8000 + number)
        Team.objects.create(name=f"team{number}")
    with django_assert_max_num_queries(18):
        assert client.get(url(red)).status_code == 200
    with django_assert_max_num_queries(8):
        assert client.get("/people/teams/").status_code == 200


def test_a_team_that_can_create_nothing_yet_says_what_is_missing(
    alice: User, red: Team, host: Host, client_of: Sign
) -> None:
    page = client_of(alice).get(url(red)).content.decode()
    assert "It has no host: give it one, or a part of one." in page
    assert f"{url(red)}policy/edit/" in page

    HostGrant.objects.create(team=red, host=host)
    PolicyVersion.objects.create(team=red, number=1, content=to_json(Rules(images=("nginx",))), author_name="alice")
    page = client_of(alice).get(url(red)).content.decode()
    assert "can create nothing yet" not in page
    assert f"/containers/create/?team={red.pk}" in page
