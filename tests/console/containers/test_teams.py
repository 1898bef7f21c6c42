"""What a team owns, its people see and use as far as their role goes; for everybody else it is not there."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bench.seed import fill_teams
from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.containers.services import assign_container, start_container
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.operations.consumers import _known
from console.operations.models import Operation, OperationState
from console.operations.worker import run
from console.rbac.models import HostGrant, Ownership
from runtime.testing import FakeEngine
from tests.console.containers.conftest import MakeContainer, url_of

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]
FRAGMENT = {"HX-Request": "true"}

#: What each person's role lets them do to the team's container, and what a refusal looks like.
LOOK = ("", "live/", "header/", "row/", "look/", "menu/", "activity/")
READ = ("logs/", "configuration/", "inspect/")
ACTS = {
    "start/": "operate",
    "stop/": "operate",
    "restart/": "operate",
    "pause/": "operate",
    "unpause/": "operate",
    "kill/": "operate",
    "rename/": "edit",
    "remove/": "edit",
    "reveal/": "edit",
    "assign/": "admin",
}
REACH = {
    "admin": {"look", "read", "operate", "shell", "edit", "admin"},
    "owner": {"look", "read", "operate", "shell", "edit"},
    "member": {"look", "read", "operate", "shell", "edit"},
    "viewer": {"look", "read"},
    "auditor": {"look", "read"},
    "stranger": set(),
    "other team": set(),
}


@pytest.fixture
def red(db: None, host: Host) -> Team:
    team = Team.objects.create(name="red")
    HostGrant.objects.create(team=team, host=host)
    return team


@pytest.fixture
def blue(db: None, host: Host) -> Team:
    team = Team.objects.create(name="blue")
    HostGrant.objects.create(team=team, host=host)
    return team


@pytest.fixture
def owned(container: ObservedContainer, red: Team, alice: User) -> ObservedContainer:
    """A container of the team red."""
    assign_container(actor=alice, container=container, team=red)
    return container


@pytest.fixture
def as_(red: Team, blue: Team, client_of: ClientOf) -> Callable[[str], Client]:
    """The browser of somebody with a role."""

    def sign_in(who: str) -> Client:
        return client_of(person(who, red=red, blue=blue))

    return sign_in


def person(who: str, *, red: Team, blue: Team) -> User:
    role = {"admin": Role.ADMIN, "auditor": Role.AUDITOR}.get(who, Role.USER)
    user = User.objects.create_user(who.replace(" ", "-"), "correct horse battery", role=role)
    if who in TeamRole.values:
        Membership.objects.create(team=red, person=user, role=who)
    if who == "other team":
        Membership.objects.create(team=blue, person=user, role=TeamRole.OWNER)
    return User.objects.get(pk=user.pk)


def expected(who: str, wanted: str) -> int:
    if wanted in REACH[who]:
        return 200
    return 403 if "look" in REACH[who] else 404


@pytest.mark.parametrize("who", REACH)
def test_every_page_of_it_knows_who_asks(
    who: str, owned: ObservedContainer, as_: Callable[[str], Client], engine: FakeEngine
) -> None:
    browser = as_(who)
    for wanted, parts in (("look", LOOK), ("read", READ), ("look", ("stats/",)), ("shell", ("terminal/",))):
        for part in parts:
            engine.calls.clear()
            answer = browser.get(url_of(owned, part))
            assert answer.status_code == expected(who, wanted), part
            assert answer.status_code == 200 or engine.calls == [], part


@pytest.mark.parametrize("who", REACH)
def test_every_change_to_it_knows_who_asks(
    who: str, owned: ObservedContainer, as_: Callable[[str], Client], engine: FakeEngine
) -> None:
    browser = as_(who)
    for part, wanted in ACTS.items():
        engine.calls.clear()
        before = Operation.objects.count()
        form = {"name": "other-name" if part == "rename/" else owned.name, "kind": "environment", "force": "1"}
        code = browser.post(url_of(owned, part), form).status_code
        if wanted in REACH[who]:
            # There is no such value to reveal; all else is there.
            assert code in (200, 204, 302, 422) or (code, part) == (404, "reveal/"), part
        else:
            assert code == expected(who, wanted), part
            assert engine.calls == []
            assert Operation.objects.count() == before
            denied = AuditEvent.objects.filter(outcome="denied", action=f"container.{part[:-1]}")
            assert denied.exists() == ("look" in REACH[who])


def test_what_is_not_theirs_looks_like_what_never_was(owned: ObservedContainer, as_: Callable[[str], Client]) -> None:
    browser = as_("other team")
    never = url_of(owned).replace(owned.container_id, "f" * 64)
    for part in ("", "logs/", "terminal/", "activity/", "inspect/", "menu/"):
        theirs = browser.get(url_of(owned, part)).content.replace(owned.container_id.encode(), b"f" * 64)
        nobodys = browser.get(f"{never}{part}").content
        assert _without_token(theirs) == _without_token(nobodys), part


def _without_token(page: bytes) -> bytes:
    """The page without what is of one answer only: tokens, and the request's id."""
    lines = [line for line in page.splitlines() if b"csrf" not in line.lower() and b"nonce" not in line]
    return re.sub(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"an id", b"\n".join(lines))


def test_lists_counts_and_search_hold_what_is_theirs(
    owned: ObservedContainer, make_container: MakeContainer, as_: Callable[[str], Client]
) -> None:
    make_container("nobodys-1")
    member, other = as_("member"), as_("other team")
    page = member.get("/containers/").content.decode()
    assert "web-1" in page
    assert "nobodys-1" not in page
    assert "1–1 of 1" in page
    assert "web-1" not in other.get("/containers/").content.decode()
    assert "web-1" not in other.get("/containers/?q=web").content.decode()
    assert "starter" not in other.get("/containers/facets/").content.decode()
    assert "web-1" in member.get("/search/?q=web").content.decode()
    for text in ("web", "restart web", owned.container_id[:12], "starter"):
        assert "web-1" not in other.get("/search/", {"q": text}).content.decode()
    assert "nobodys-1" not in member.get("/").content.decode()


def test_a_wish_for_many_with_one_of_others_does_nothing(
    owned: ObservedContainer, make_container: MakeContainer, as_: Callable[[str], Client], engine: FakeEngine
) -> None:
    other = make_container("nobodys-1")
    ids = [f"{one.host_id}/{one.container_id}" for one in (owned, other)]
    answer = as_("member").post("/containers/bulk/stop/", {"ids": ids}, follow=True)
    assert "nobodys-1" not in answer.content.decode()
    assert not Operation.objects.exists()
    assert engine.calls == []


def test_what_they_did_is_seen_by_their_team_alone(
    owned: ObservedContainer, alice: User, as_: Callable[[str], Client]
) -> None:
    operation = start_container(actor=alice, container=owned)
    viewer, other = as_("viewer"), as_("other team")
    assert viewer.get(f"/operations/{operation.pk}/").status_code == 200
    assert viewer.post(f"/operations/{operation.pk}/cancel/").status_code == 403
    assert other.get(f"/operations/{operation.pk}/").status_code == 404
    assert "web-1" in viewer.get("/activity/").content.decode()
    assert "web-1" not in other.get("/activity/").content.decode()


def test_the_worker_asks_for_the_rights_of_now(
    owned: ObservedContainer, red: Team, blue: Team, alice: User, engine: FakeEngine
) -> None:
    bob = person("member", red=red, blue=blue)
    operation = start_container(actor=bob, container=owned)
    assign_container(actor=alice, container=owned, team=blue)
    engine.calls.clear()
    run(operation.pk)
    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == (OperationState.FAILED, "policy")
    assert "start_container" not in engine.calls


def test_signals_name_only_what_a_person_may_know(
    owned: ObservedContainer, make_container: MakeContainer, red: Team, blue: Team, alice: User
) -> None:
    other = make_container("nobodys-1")
    mine, theirs = start_container(actor=alice, container=owned), start_container(actor=alice, container=other)
    topics = [
        "containers",
        f"container:{owned.host_id}:{owned.container_id}",
        f"container:{other.host_id}:{other.container_id}",
        f"operation:{mine.pk}",
        f"operation:{theirs.pk}",
    ]
    assert _known(person("viewer", red=red, blue=blue), topics) == [topics[0], topics[1], topics[3]]
    assert _known(person("other team", red=red, blue=blue), topics) == [topics[0]]


def test_a_members_list_asks_as_often_for_many_as_for_few(client_of: ClientOf) -> None:
    def queries() -> int:
        client = client_of(User.objects.get(username="team-0-person-0"))
        with CaptureQueriesContext(connection) as asked:
            assert client.get("/containers/").content.count(b"data-row") in (10, 20)
        return len(asked)

    fill_teams(teams=2, people=2, containers=20, password="correct horse")
    few = queries()
    fill_teams(teams=10, people=10, containers=200, password="correct horse")
    assert queries() == few


def test_hosts_and_images_are_not_for_teams(host: Host, as_: Callable[[str], Client]) -> None:
    member = as_("owner")
    for path in ("/hosts/", f"/hosts/{host.pk}/", "/images/", "/audit/"):
        assert member.get(path).status_code == 403, path
    stranger = as_("stranger")
    assert stranger.get(f"/hosts/{host.pk}/").status_code == 404
    auditor = as_("auditor")
    for path in ("/hosts/", f"/hosts/{host.pk}/", "/images/", "/audit/"):
        assert auditor.get(path).status_code == 200, path
    assert auditor.get("/containers/create/").status_code == 403


def test_giving_taking_and_giving_on_are_recorded(
    container: ObservedContainer, red: Team, blue: Team, as_: Callable[[str], Client]
) -> None:
    admin = as_("admin")
    for team in (red, blue, None):
        assert admin.post(url_of(container, "assign/"), {"team": str(team.pk) if team else ""}).status_code == 302
    assert not Ownership.objects.exists()
    events = AuditEvent.objects.filter(action="container.assign").order_by("sequence")
    given = [(event.details["before"], event.details["team"]) for event in events]
    assert given == [("", "red"), ("red", "blue"), ("blue", "")]


@pytest.mark.parametrize("team", ["nobody", "00000000-0000-0000-0000-000000000000", "\0"])
def test_a_team_that_is_not_there_is_named_a_mistake(
    container: ObservedContainer, as_: Callable[[str], Client], team: str
) -> None:
    answer = as_("admin").post(url_of(container, "assign/"), {"team": team})
    assert answer.status_code == 422
    assert "There is no such team any more" in answer.content.decode()
    assert not Ownership.objects.exists()


def test_who_loses_it_is_asked_at_once(
    owned: ObservedContainer,
    red: Team,
    blue: Team,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., object],
) -> None:
    bob = person("member", red=red, blue=blue)
    told: list[str] = []
    monkeypatch.setattr("console.lib.live._put", told.extend)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[attr-defined]
        assign_container(actor=alice, container=owned, team=None)
    assert f"person:{bob.pk}" in told
