"""An admin says what a team's containers may be, after seeing what that would mean for those it has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import Membership, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.containers.services import assign_container
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.inventory.services import observe_container
from console.lib.amounts import MIB
from console.policies.forms import PolicyForm
from console.policies.models import PolicyVersion
from console.policies.queries import ShellTerms, rules_of, terms_of
from console.policies.rules import Recorded, Rules, from_json, to_json
from console.policies.words import describe
from runtime.testing import FakeEngine
from tests.console.containers.conftest import ask, make_container

__all__ = ["ask", "make_container"]

pytestmark = pytest.mark.django_db
MakeContainer = Callable[..., ObservedContainer]
#: As much as an ordinary policy lets one container have.
LIMITS = {"memory_bytes": 512 * MIB, "nano_cpus": 10**9, "pids_limit": 512}


@pytest.fixture
def page(red: Team) -> str:
    return f"/people/teams/{red.pk}/policy/"


@pytest.fixture
def admin(alice: User, client_of: Callable[..., Client]) -> Client:
    return client_of(alice)


def sent(rules: Rules, *, number: int = 1, **fields: Any) -> dict[str, Any]:
    initial = PolicyForm.initial_of(rules, number=number)
    return {name: "on" if value is True else value for name, value in initial.items() if value is not False} | fields


def test_a_policy_is_saved_with_its_author_and_its_difference(admin: Client, page: str, red: Team) -> None:
    before = rules_of(red.pk)
    after = dataclasses.replace(before, images=("nginx:1.*",), root=False, memory_bytes=128 * MIB, labels=("com.a",))
    answer = admin.post(f"{page}edit/", sent(after, note="Less"))
    assert answer.status_code == 302
    assert rules_of(red.pk) == after
    newest = PolicyVersion.objects.order_by("-number").first()
    assert newest is not None
    assert (newest.number, newest.author_name, newest.note) == (2, "alice", "Less")
    event = AuditEvent.objects.get(action="policy.edit")
    assert event.details["root"] == {"before": True, "after": False}
    assert set(event.details) == {"version", "images", "root", "memory_bytes", "labels"}

    text = admin.get(page).content.decode()
    assert "Version 2" in text
    assert "Less" in text
    assert "128 MB" in text


def test_what_was_saved_meanwhile_is_not_overwritten(admin: Client, page: str, red: Team) -> None:
    answer = admin.post(f"{page}edit/", sent(Rules(), number=0))
    assert answer.status_code == 409
    assert "Somebody saved another version meanwhile" in answer.content.decode()
    assert PolicyVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("images", "nginx\nnot an image", "“not an image” names no images"),
        ("labels", "pilot", "own; choose another"),
        ("memory", "1 MB", "at least 6 MB"),
        ("memory", "much", "is no size"),
        ("cpus", "0", "from 0.01"),
        ("pids", "0", "greater than or equal to 1"),
        ("capabilities", "SYS_ADMIN", "not one of the available choices"),
        ("shell_idle_minutes", "-1", "greater than or equal to 0"),
        ("shell_hours", "721", "less than or equal to 720"),
        ("shells_at_once", "0", "greater than or equal to 1"),
        ("recording", "sometimes", "not one of the available choices"),
        ("recording_days", "0", "greater than or equal to 1"),
        ("log_days", "3651", "less than or equal to 3650"),
        ("log_kept", "1023 KB", "at least 1 MB"),
    ],
)
def test_mistakes_are_said_at_their_field(admin: Client, page: str, field: str, value: str, message: str) -> None:
    answer = admin.post(f"{page}edit/", sent(Rules()) | {field: value})
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert PolicyVersion.objects.count() == 1


def test_a_dry_run_names_what_could_not_be_made_again_and_saves_nothing(
    admin: Client, page: str, red: Team, host: Host, alice: User, make_container: MakeContainer, engine: FakeEngine
) -> None:
    for name, fields in (
        ("red-good", {}),
        ("red-host", {"network": "host"}),
        ("red-loud", {"cap_add": ("SYS_ADMIN",)}),
        ("red-large", {"memory_bytes": 0}),
    ):
        made = make_container(name, start=False, **{**LIMITS, **fields})
        assign_container(actor=alice, container=made, team=red)
    make_container("blue-other", start=False, network="host")
    engine.calls.clear()

    answer = admin.post(f"{page}edit/", sent(rules_of(red.pk), submit="try"))

    text = answer.content.decode()
    assert answer.status_code == 200
    assert "3 containers that exist could neither be made nor be started again" in text
    assert "The network host is not allowed for the team Red." in text
    assert "One container of the team Red has at most: 512 MB." in text
    assert "The capability SYS_ADMIN is not allowed for the team Red." in text
    assert "1 container could be made and started again" in text
    assert "blue-other" not in text
    assert PolicyVersion.objects.count() == 1
    assert set(engine.calls) == {"inspect_container", "inspect_image"}


def test_a_dry_run_says_whose_host_does_not_answer(
    admin: Client, page: str, red: Team, alice: User, make_container: MakeContainer
) -> None:
    assign_container(actor=alice, container=make_container("red-far", start=False), team=red)
    Host.objects.update(state="unreachable")
    text = admin.post(f"{page}edit/", sent(rules_of(red.pk), submit="try")).content.decode()
    assert "1 container is not judged: its host does not answer." in text


@pytest.mark.parametrize(("who", "reads", "edits"), [("owner", 200, 403), ("viewer", 200, 403), ("stranger", 404, 404)])
def test_its_people_read_it_and_only_admins_change_it(
    who: str, reads: int, edits: int, red: Team, page: str, bob: User, client_of: Callable[..., Client]
) -> None:
    if who != "stranger":
        Membership.objects.create(team=red, person=bob, role=who)
    browser = client_of(bob)
    assert browser.get(page).status_code == reads
    assert browser.get(f"{page}edit/").status_code == edits
    assert browser.post(f"{page}edit/", sent(Rules(images=("*",)))).status_code == edits
    assert PolicyVersion.objects.count() == 1


def test_every_rule_has_its_words() -> None:
    assert [rule.name for rule in describe(Rules())] == [
        *("images", "commands", "root", "capabilities", "volumes", "tmpfs_bytes"),
        *("networks", "ports", "labels", "memory_bytes", "nano_cpus", "pids", "disk_bytes"),
        *("shells", "shell_approval", "shell_idle_minutes", "shell_hours", "shells_at_once"),
        *("recording", "record_input", "recording_days", "log_days", "log_kept_bytes"),
    ]
    assert {rule.name for rule in describe(Rules())} == {field.name for field in dataclasses.fields(Rules)}


def test_the_terms_of_shells_are_saved_said_and_asked_for_in_one_query(
    admin: Client, page: str, red: Team, django_assert_num_queries: Any
) -> None:
    changed: dict[str, Any] = {
        "shell_approval": True,
        "shell_idle_minutes": 15,
        "shell_hours": 8,
        "shells_at_once": 3,
        "recording": Recorded.REQUIRED,
        "record_input": True,
        "recording_days": 90,
        "log_days": 7,
        "log_kept_bytes": 5 * MIB,
    }
    after = dataclasses.replace(rules_of(red.pk), **changed)
    text = admin.post(f"{page}edit/", sent(after, submit="try")).content.decode()
    assert "required: without a recording there is no shell" in text
    assert rules_of(red.pk) != after, "a try saves nothing"

    assert admin.post(f"{page}edit/", sent(after)).status_code == 302
    assert rules_of(red.pk) == after
    text = admin.get(page).content.decode()
    for words in ("needed, from somebody else", "after 15 minutes", "8 hours", "for 90 days", "for 7 days", "5 MB"):
        assert words in text
    with django_assert_num_queries(1):
        terms = terms_of(red.pk)
    assert terms == ShellTerms(
        open=True,
        needs_approval=True,
        at_once=3,
        idle_seconds=900,
        age_seconds=8 * 3600,
        recording=Recorded.REQUIRED,
        record_input=True,
        recording_days=90,
    )


def test_what_nobody_owns_has_the_terms_of_a_new_team(red: Team) -> None:
    assert terms_of(None) == terms_of(Team.objects.create(name="Blue").pk) == terms_of(red.pk)
    assert (terms_of(None).open, terms_of(None).needs_approval, terms_of(None).recording) == (True, False, "off")


def test_a_policy_from_before_has_the_ordinary_terms() -> None:
    old = {name: value for name, value in to_json(Rules()).items() if name in ("images", "shells", "pids")}
    assert from_json(old) == Rules()


# Shells


@pytest.fixture
def owned(red: Team, alice: User, make_container: MakeContainer) -> ObservedContainer:
    container = make_container("red-web")
    assign_container(actor=alice, container=container, team=red)
    return container


def test_without_shells_nobody_of_the_team_opens_one(
    owned: ObservedContainer, bob: User, alice: User, red: Team, client_of: Callable[..., Client], set_policy: Any
) -> None:
    from console.containers.access import still_allowed

    Membership.objects.create(team=red, person=bob, role=TeamRole.OWNER)
    browser, url = client_of(bob), f"/containers/{owned.host_id}/{owned.container_id}/"

    def may(user: User) -> bool:
        fresh = User.objects.get(pk=user.pk)
        return still_allowed(fresh, host_id=owned.host_id, container_id=owned.container_id, action="container.terminal")

    assert browser.get(f"{url}terminal/").status_code == 200
    assert may(bob)

    set_policy(shells=False)
    answer = browser.get(f"{url}terminal/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.shells")
    assert f"{url}terminal/" not in browser.get(url).content.decode()
    assert not may(bob)
    assert may(alice), "an admin is not bound by it"
    assert client_of(alice).get(f"{url}terminal/").status_code == 200


def test_a_member_renames_within_the_teams_names(
    owned: ObservedContainer,
    bob_in_red: User,
    client_of: Callable[..., Client],
    run_operations: Callable[[], None],
    host: Host,
) -> None:
    url = f"/containers/{owned.host_id}/{owned.container_id}/rename/"
    client_of(bob_in_red).post(url, {"name": "blue-db"})
    run_operations()
    observe_container(host, owned.container_id)
    owned.refresh_from_db()
    assert owned.name == "red-blue-db"
