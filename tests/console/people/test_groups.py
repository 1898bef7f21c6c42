"""Groups from single sign-on: which teams they lead to, and what of that a person has."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from console.accounts.models import GroupMapping, Membership, Role, Source, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.lib.origin import Origin
from console.people.group_services import align
from console.people.services import change_console_role
from console.people.team_services import change_member_role
from console.sign_in import OidcSettings, Roles, SignIn
from tests.console.people.conftest import Sign, join, role_in, rows

pytestmark = pytest.mark.django_db


def lead(group: str, team: Team, role: str = TeamRole.MEMBER, *, source: str = Source.OIDC) -> GroupMapping:
    """Let a group lead to a team."""
    return GroupMapping.objects.create(source=source, group=group, team=team, role=role)


def come(person: User, *groups: str, source: Source = Source.OIDC) -> User:
    """Sign in, in these groups; return the person as a new request would fetch them."""
    align(person, source=source, groups=frozenset(groups), origin=Origin())
    return User.objects.get(pk=person.pk)


@pytest.fixture
def roles(settings: object) -> None:
    """Groups that give a role in the console."""
    settings.SIGN_IN = SignIn(  # type: ignore[attr-defined]
        oidc=OidcSettings(
            issuer="https://id.example.com",
            client_id="x",
            roles=Roles(admin_groups=frozenset({"captains"}), auditor_groups=frozenset({"lookouts"})),
        )
    )


# What a sign-in does


def test_a_group_puts_its_people_into_the_team_and_takes_them_out(bob: User, red: Team, blue: Team) -> None:
    lead("sailors", red)
    lead("cooks", blue)
    come(bob, "sailors", "strangers")
    assert (role_in(red, bob), role_in(blue, bob)) == ("member", None)
    come(bob, "cooks")
    assert (role_in(red, bob), role_in(blue, bob)) == (None, "member")
    come(bob)
    assert (role_in(red, bob), role_in(blue, bob)) == (None, None)
    assert rows("team.add_member") == [("system:oidc", "succeeded")] * 2
    assert rows("team.remove_member") == [("system:oidc", "succeeded")] * 2


def test_the_role_follows_and_of_two_groups_the_one_that_grants_more_counts(bob: User, red: Team) -> None:
    mapping = lead("sailors", red, TeamRole.VIEWER)
    come(bob, "sailors")
    assert role_in(red, bob) == "viewer"
    lead("officers", red, TeamRole.OWNER)
    come(bob, "sailors", "officers")
    assert role_in(red, bob) == "owner"
    come(bob, "sailors")
    assert role_in(red, bob) == "viewer"
    mapping.delete()
    come(bob, "sailors")
    assert role_in(red, bob) is None
    event = AuditEvent.objects.filter(action="team.change_role").order_by("sequence").first()
    assert event is not None
    assert event.details == {"person": "bob", "before": "viewer", "role": "owner"}


def test_what_was_given_by_hand_is_left_alone(bob: User, red: Team) -> None:
    join(bob, red, TeamRole.VIEWER)
    lead("sailors", red, TeamRole.OWNER)
    come(bob, "sailors")
    assert role_in(red, bob) == "viewer"
    come(bob)
    assert role_in(red, bob) == "viewer"


def test_a_role_that_a_person_changes_is_by_hand_from_then_on(alice: User, bob: User, red: Team) -> None:
    lead("sailors", red)
    come(bob, "sailors")
    membership = Membership.objects.get(person=bob)
    change_member_role(actor=alice, membership=membership, role=TeamRole.OWNER, origin=Origin())
    come(bob, "sailors")
    come(bob)
    assert role_in(red, bob) == "owner"


def test_groups_of_another_source_count_for_nothing(bob: User, red: Team, blue: Team) -> None:
    lead("sailors", red, source=Source.LDAP)
    lead("sailors", blue)
    come(bob, "sailors", source=Source.LDAP)
    come(bob, "strangers")
    assert (role_in(red, bob), role_in(blue, bob)) == ("member", None)


def test_a_group_is_named_exactly(bob: User, red: Team) -> None:
    lead("sailors", red)
    come(bob, "Sailors", "sailors ", "sail")
    assert role_in(red, bob) is None


@pytest.mark.parametrize("groups", [(), ("strangers",)])
def test_their_streams_ask_again_when_they_lose_the_group(
    bob: User,
    red: Team,
    groups: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    lead("sailors", red)
    come(bob, "sailors")
    told: list[str] = []
    monkeypatch.setattr("console.lib.live._put", told.extend)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        come(bob, *groups)
    assert f"person:{bob.pk}" in told


def test_a_sign_in_that_changes_nothing_records_nothing(roles: None, bob: User, red: Team) -> None:
    lead("sailors", red)
    come(bob, "sailors", "captains")
    count = AuditEvent.objects.count()
    come(bob, "sailors", "captains")
    assert AuditEvent.objects.count() == count


def test_groups_give_roles_in_the_console_and_take_them(roles: None, alice: User, bob: User) -> None:
    assert come(bob, "captains", "lookouts").role == Role.ADMIN
    assert come(bob, "lookouts").role == Role.AUDITOR
    assert come(bob).role == Role.USER
    assert rows("person.change_role") == [("system:oidc", "succeeded")] * 3


def test_a_role_that_a_person_gave_is_left_alone(roles: None, alice: User, bob: User) -> None:
    assert come(alice).role == Role.ADMIN
    change_console_role(actor=alice, person=bob, role=Role.AUDITOR, origin=Origin())
    assert come(bob, "captains").role == Role.AUDITOR
    assert come(bob).role == Role.AUDITOR


def test_the_last_admin_stays_one_and_that_is_on_record(roles: None, bob: User) -> None:
    assert come(bob, "captains").role == Role.ADMIN
    assert come(bob).role == Role.ADMIN
    assert rows("person.change_role") == [("system:oidc", "succeeded"), ("anonymous", "denied")]
    User.objects.create_user("erin", "correct horse battery", role=Role.ADMIN)
    assert come(bob).role == Role.USER


# The page


def test_an_admin_maps_a_group(alice: User, red: Team, client_of: Sign) -> None:
    browser = client_of(alice)
    wanted = {"source": "oidc", "group": "sailors", "team": str(red.pk), "role": "viewer"}
    assert browser.post("/people/groups/map/", wanted)["Location"] == "/people/groups/"
    page = browser.get("/people/groups/").content.decode()
    assert "sailors" in page
    assert "Viewer" in page
    again = browser.post("/people/groups/map/", wanted)
    assert again.status_code == 422
    assert "leads to this team already" in again.content.decode()
    event = AuditEvent.objects.get(action="group.map")
    assert (event.object_name, event.details) == ("red", {"source": "oidc", "group": "sailors", "role": "viewer"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "elsewhere"},
        {"group": ""},
        {"group": "x" * 256},
        {"group": "x\0y"},
        {"team": "00000000-0000-4000-8000-000000000000"},
        {"team": "red"},
        {"role": "captain"},
    ],
)
def test_what_makes_no_sense_is_not_mapped(alice: User, red: Team, client_of: Sign, wrong: dict[str, str]) -> None:
    wanted = {"source": "oidc", "group": "sailors", "team": str(red.pk), "role": "viewer"} | wrong
    assert client_of(alice).post("/people/groups/map/", wanted).status_code == 422
    assert not GroupMapping.objects.exists()


def test_an_admin_removes_a_mapping(alice: User, red: Team, client_of: Sign) -> None:
    mapping = lead("sailors", red)
    browser = client_of(alice)
    assert browser.get(f"/people/groups/{mapping.pk}/unmap/", HTTP_ACCEPT="application/json").status_code == 405
    assert browser.post(f"/people/groups/{mapping.pk}/unmap/")["Location"] == "/people/groups/"
    assert browser.post(f"/people/groups/{mapping.pk}/unmap/").status_code == 404
    assert not GroupMapping.objects.exists()
    assert rows("group.unmap") == [("alice", "succeeded")]


def test_an_auditor_looks_and_changes_nothing(dora: User, red: Team, client_of: Sign) -> None:
    mapping = lead("sailors", red)
    browser = client_of(dora)
    page = browser.get("/people/groups/")
    assert page.status_code == 200
    assert "Map a group" not in page.content.decode()
    assert browser.get("/people/groups/map/").status_code == 403
    assert browser.post(f"/people/groups/{mapping.pk}/unmap/").status_code == 403
    assert rows("group.unmap") == [("dora", "denied")]


def test_an_owner_of_a_team_does_not_know_of_it(owner: User, red: Team, client_of: Sign) -> None:
    mapping = lead("sailors", red)
    browser = client_of(owner)
    assert browser.get("/people/groups/").status_code == 403
    assert browser.post("/people/groups/map/", {}).status_code == 403
    assert browser.post(f"/people/groups/{mapping.pk}/unmap/").status_code == 404


def test_the_page_says_which_groups_give_roles(roles: None, alice: User, client_of: Sign) -> None:
    page = client_of(alice).get("/people/groups/").content.decode()
    assert "captains" in page
    assert "lookouts" in page


def test_a_member_by_a_group_is_marked(alice: User, bob: User, red: Team, client_of: Sign) -> None:
    lead("sailors", red)
    come(bob, "sailors")
    page = client_of(alice).get(f"/people/teams/{red.pk}/").content.decode()
    assert "by a group" in page
    assert "come back with their next sign-in" in page


def test_a_hostile_name_of_a_group_is_text(alice: User, red: Team, client_of: Sign) -> None:
    lead("<img src=x onerror=alert(1)>", red)
    assert "<img src=x" not in client_of(alice).get("/people/groups/").content.decode()
