"""How far a token reaches: its scope, its team, its owner's rights of now, and never what takes a person."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import get_resolver

from console.accounts.models import ApiToken, Membership, Role, Team, TeamRole, TokenScope, User
from console.audit.models import AuditEvent
from console.containers.services import assign_container
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.operations.models import Operation
from console.rbac.models import HostGrant
from console.rbac.policy import ACTIONS, IN_PERSON, Level, allowed, allowed_somewhere, rights_of
from runtime.testing import FakeEngine
from tests.console.accounts.test_signed_in import _paths
from tests.console.containers.conftest import MakeContainer, changes, url_of
from tests.console.tokens import issue, program

ClientOf = Callable[..., Client]
pytestmark = pytest.mark.django_db
OPERATE = ("start/", "stop/", "restart/", "kill/", "pause/", "unpause/")


@pytest.fixture(autouse=True)
def _no_limits_from_before() -> None:
    cache.clear()


@pytest.fixture
def red(host: Host) -> Team:
    team = Team.objects.create(name="red")
    HostGrant.objects.create(team=team, host=host)
    return team


@pytest.fixture
def blue(host: Host) -> Team:
    team = Team.objects.create(name="blue")
    HostGrant.objects.create(team=team, host=host)
    return team


@pytest.fixture
def owned(container: ObservedContainer, red: Team, alice: User) -> ObservedContainer:
    """A container of the team red."""
    assign_container(actor=alice, container=container, team=red)
    return container


def join(person: User, team: Team, role: str) -> User:
    Membership.objects.create(person=person, team=team, role=role)
    return User.objects.get(pk=person.pk)


def through(token: ApiToken) -> User:
    """The token's owner, as a request with it has them."""
    owner = User.objects.get(pk=token.owner_id)
    owner.auth_token = token
    return owner


def test_one_that_reads_reads_and_changes_nothing(
    alice: User, container: ObservedContainer, engine: FakeEngine
) -> None:
    issued = issue(alice, scope=TokenScope.READ)
    robot = program(issued.text)
    assert robot.get(url_of(container)).status_code == 200
    for part in (*OPERATE, "remove/", "rename/", "reveal/", "assign/"):
        answer = robot.post(url_of(container, part))
        assert (answer.status_code, answer.json()["code"]) == (403, "token_scope"), part
    for method in ("put", "patch", "delete"):
        assert getattr(robot, method)(url_of(container)).status_code == 403
    assert not Operation.objects.exists()
    assert changes(engine) == []
    row = AuditEvent.objects.filter(action="token.use").first()
    assert row is not None
    assert (row.actor_name, row.outcome, row.object_id) == ("alice", "denied", str(issued.token.pk))


def test_one_that_operates_starts_and_stops_and_goes_no_further(
    alice: User, container: ObservedContainer, run_operations: Callable[[], None], engine: FakeEngine
) -> None:
    robot = program(issue(alice, scope=TokenScope.OPERATE).text)
    for part in OPERATE:
        assert robot.post(url_of(container, part), {"signal": "SIGHUP"}).status_code == 202, part
    made = Operation.objects.count()
    for part in ("remove/", "rename/", "reveal/", "assign/"):
        answer = robot.post(url_of(container, part), {"name": "other"})
        assert (answer.status_code, answer.json()["code"].partition(".")[0]) == (403, "policy"), part
    assert Operation.objects.count() == made
    run_operations()
    assert "remove_container" not in engine.calls


def test_one_that_may_everything_removes_too(
    alice: User, container: ObservedContainer, run_operations: Callable[[], None], engine: FakeEngine
) -> None:
    answer = program(issue(alice).text).post(url_of(container, "remove/"), {"force": "1"})
    assert answer.status_code == 202
    run_operations()
    assert changes(engine) == ["remove_container"]


def test_none_reaches_further_than_its_owner_now(bob: User, red: Team, owned: ObservedContainer) -> None:
    robot = program(issue(join(bob, red, TeamRole.MEMBER)).text)
    assert robot.post(url_of(owned, "stop/")).status_code == 202
    Membership.objects.filter(person=bob).update(role=TeamRole.VIEWER)
    assert robot.post(url_of(owned, "stop/")).status_code == 403
    assert robot.get(url_of(owned)).status_code == 200
    Membership.objects.filter(person=bob).delete()
    assert robot.get(url_of(owned)).status_code == 404


def test_what_is_not_its_owners_is_not_there(charlie: User, owned: ObservedContainer, engine: FakeEngine) -> None:
    robot = program(issue(charlie).text)
    never_was = url_of(owned).replace(owned.container_id, "0" * 64)
    theirs, nothing = robot.get(url_of(owned)), robot.get(never_was)
    assert theirs.status_code == nothing.status_code == 404
    assert {**theirs.json(), "request_id": ""} == {**nothing.json(), "request_id": ""}
    assert robot.post(url_of(owned, "start/")).status_code == 404
    assert engine.calls == []


def test_one_for_a_team_sees_that_team_alone(
    alice: User, bob: User, red: Team, blue: Team, owned: ObservedContainer, make_container: MakeContainer
) -> None:
    other, nobodys = make_container("blue-1"), make_container("nobodys-1")
    assign_container(actor=alice, container=other, team=blue)
    join(bob, red, TeamRole.OWNER)
    both = join(bob, blue, TeamRole.OWNER)

    for owner in (alice, both):
        robot = program(issue(owner, team=red).text)
        assert [item["name"] for item in robot.get("/containers/").json()["items"]] == [owned.name]
        assert robot.post(url_of(owned, "stop/")).status_code == 202
        for hidden in (other, nobodys):
            assert robot.get(url_of(hidden)).status_code == 404
            assert robot.post(url_of(hidden, "stop/")).status_code == 404
        for page in ("/hosts/", "/images/", "/people/", "/audit/"):
            assert robot.get(page).status_code == 403, "what is everybody's is no team's"
        assert {item["object"]["name"] for item in robot.get("/activity/").json()["items"]} == {owned.name}


def test_one_for_a_team_that_its_owner_left_sees_nothing(bob: User, red: Team, owned: ObservedContainer) -> None:
    robot = program(issue(join(bob, red, TeamRole.OWNER), team=red).text)
    Membership.objects.all().delete()
    assert robot.get(url_of(owned)).status_code == 404


def test_one_for_a_team_goes_with_it(alice: User, red: Team) -> None:
    issued = issue(alice, team=red)
    red.delete()
    assert program(issued.text).get("/containers/").status_code == 401


def test_no_scope_that_nobody_knows_reaches_anything(alice: User) -> None:
    token = issue(alice).token
    token.scope = "future"
    assert not any(allowed(through(token), action) for action in ACTIONS)


@pytest.mark.parametrize("scope", TokenScope.values)
def test_what_takes_a_person_no_token_does(scope: str, alice: User, red: Team) -> None:
    token = issue(alice, scope=scope).token
    assert {name for name in ACTIONS if name.startswith("person.")} - {"person.view"} < IN_PERSON
    for action in IN_PERSON:
        assert not allowed(through(token), action, team_id=red.pk), action
        assert not allowed_somewhere(through(token), action), action
        assert allowed(alice, action, team_id=red.pk), action


@pytest.mark.parametrize(
    ("scope", "everywhere"),
    [(TokenScope.READ, Level.LOGS), (TokenScope.OPERATE, Level.OPERATE), (TokenScope.ALL, Level.OWN)],
)
def test_a_scope_is_a_ceiling_and_no_gift(scope: str, everywhere: Level, alice: User, bob: User, red: Team) -> None:
    assert rights_of(through(issue(alice, scope=scope).token)).everywhere == everywhere
    viewer = join(bob, red, TeamRole.VIEWER)
    rights = rights_of(through(issue(viewer, scope=scope).token))
    assert (rights.everywhere, rights.over(red.pk)) == (Level.NONE, Level.LOGS)


def test_none_looks_after_an_account(alice: User) -> None:
    robot = program(issue(alice).text)
    accounts = [path for path, _name in _paths(get_resolver().url_patterns) if re.match(r"/(settings|accounts)/", path)]
    assert len(accounts) > 10
    for path in (*accounts, "/invitations/sample/", "/invitations/sample/join/"):
        for method in ("get", "post"):
            answer = getattr(robot, method)(path)
            assert answer.status_code in (403, 404), (method, path)
            assert answer.status_code == 404 or answer.json()["code"] == "token_in_person", (method, path)
    assert ApiToken.objects.count() == 1


def test_none_invites_or_changes_people(alice: User, bob: User) -> None:
    robot = program(issue(alice).text)
    for path in ("/people/invite/", f"/people/{bob.pk}/suspend/", f"/people/{bob.pk}/role/"):
        assert robot.post(path, {"role": Role.ADMIN}).status_code == 403, path
    assert User.objects.get(pk=bob.pk).role == Role.USER


def test_none_opens_a_shell(alice: User, container: ObservedContainer) -> None:
    robot = program(issue(alice).text)
    wanted = {"host": str(container.host_id), "container": container.container_id, "kind": "exec", "command": "sh"}
    answer = robot.post("/terminals/tickets/", wanted)
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.container.terminal")


def test_what_it_asked_for_is_done_in_its_name(
    alice: User, container: ObservedContainer, run_operations: Callable[[], None]
) -> None:
    issued = issue(alice, scope=TokenScope.OPERATE, name="nightly")
    program(issued.text).post(url_of(container, "stop/"))
    run_operations()
    rows = AuditEvent.objects.filter(action="container.stop").order_by("sequence")
    assert [(row.actor_name, row.outcome, row.details["token"]) for row in rows] == [
        ("alice", "accepted", f"nightly ({issued.token.prefix})"),
        ("alice", "succeeded", f"nightly ({issued.token.prefix})"),
    ]


@pytest.mark.parametrize("how", ["revoked", "gone", "narrowed"])
def test_what_it_asked_for_is_not_done_once_it_may_not(
    how: str, alice: User, container: ObservedContainer, run_operations: Callable[[], None], engine: FakeEngine
) -> None:
    issued = issue(alice)
    program(issued.text).post(url_of(container, "stop/"))
    if how == "revoked":
        ApiToken.objects.update(revoked_at="2026-01-01T00:00:00Z")
    elif how == "gone":
        ApiToken.objects.all().delete()
    else:
        ApiToken.objects.update(scope=TokenScope.READ)
    run_operations()
    operation = Operation.objects.get()
    assert (operation.state, operation.error_code) == ("failed", "policy")
    assert changes(engine) == []
    row = AuditEvent.objects.get(action="container.stop", outcome="denied")
    assert (row.actor_name, row.details["code"]) == (
        "alice",
        "policy.container.stop" if how == "narrowed" else "bad_token",
    )


def test_a_person_may_repeat_what_a_token_asked_for(
    alice: User, client_of: ClientOf, container: ObservedContainer, run_operations: Callable[[], None]
) -> None:
    program(issue(alice).text).post(url_of(container, "stop/"))
    ApiToken.objects.all().delete()
    run_operations()
    client_of(alice).post(f"/operations/{Operation.objects.get().pk}/retry/")
    run_operations()
    assert Operation.objects.get(retry_of__isnull=False).state == "succeeded"
