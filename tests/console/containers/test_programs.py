"""What programs are answered: the data of the pages as JSON, and each change as an operation to follow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import Team, User
from console.containers import queries
from console.containers.services import assign_container
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedImage
from console.operations.models import Operation
from runtime.testing import FakeEngine
from tests.console.containers.conftest import MakeContainer, url_of
from tests.console.tokens import issue, program

ClientOf = Callable[..., Client]
JSON = {"Accept": "application/json"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def robot(alice: User) -> Client:
    return program(issue(alice).text)


def test_a_session_that_accepts_json_gets_what_a_token_gets(
    alice: User, client_of: ClientOf, robot: Client, container: ObservedContainer
) -> None:
    for path in ("/containers/", url_of(container), "/hosts/", "/images/", "/activity/"):
        by_session, by_token = client_of(alice).get(path, headers=JSON), robot.get(path)
        assert by_session["Content-Type"] == "application/json", path
        assert by_session.json() == by_token.json(), path


def test_a_container_in_the_list(
    robot: Client, alice: User, container: ObservedContainer, stopped: ObservedContainer, host: Host
) -> None:
    red = Team.objects.create(name="red")
    assign_container(actor=alice, container=container, team=red)
    found = robot.get("/containers/").json()
    assert (found["total"], found["previous"], found["next"]) == (2, None, None)
    (item,) = [item for item in found["items"] if item["name"] == "web-1"]
    assert item.pop("created_at")
    assert item == {
        "id": container.container_id,
        "name": "web-1",
        "url": url_of(container),
        "host": {"id": str(host.pk), "name": "harbour"},
        "team": {"id": str(red.pk), "name": "red"},
        "image": "starter:latest",
        "command": container.command,
        "state": "running",
        "health": "none",
        "exit_code": None,
        "ports": [],
        "networks": container.networks,
        "stale": False,
    }


def test_the_list_has_the_filters_and_pages_of_its_page(
    robot: Client, make_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE_SIZE", 2)
    for number in range(3):
        make_container(f"web-{number}", start=number > 0)
    make_container("queue")

    def names(path: str) -> list[str]:
        return [item["name"] for item in robot.get(path).json()["items"]]

    assert names("/containers/?state=running&sort=-name") == ["web-2", "web-1"]
    first = robot.get("/containers/?q=web&sort=name").json()
    assert (first["total"], first["next"]) == (3, "/containers/?q=web&sort=name&page=2")
    assert names(first["next"]) == ["web-2"]
    assert robot.get(first["next"]).json()["previous"] == "/containers/?q=web&sort=name"
    assert names("/containers/?owner__password=x&fields=environment&host=nonsense&q=queue") == ["queue"]


def test_one_container_says_more_and_no_secret(robot: Client, make_container: MakeContainer) -> None:
    container = make_container(labels=(("app", "web"), ("api_key", "hunter2hunter2")))
    found = robot.get(url_of(container)).json()
    assert found["id"] == container.container_id
    assert found["labels"]["app"] == "web"
    assert "hunter2" not in str(found)


def test_one_that_is_gone_is_not_found(
    robot: Client, container: ObservedContainer, run_operations: Callable[[], None]
) -> None:
    robot.post(url_of(container, "remove/"), {"force": "1"})
    run_operations()
    answer = robot.get(url_of(container))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "kill", "pause", "unpause", "remove"])
def test_a_change_answers_at_once_with_its_operation(
    robot: Client, container: ObservedContainer, verb: str, run_operations: Callable[[], None], engine: FakeEngine
) -> None:
    answer = robot.post(url_of(container, f"{verb}/"), {"force": "1"})
    operation = Operation.objects.get()
    assert answer.status_code == 202
    assert answer["Location"] == answer.json()["url"] == f"/operations/{operation.pk}/"
    assert (answer.json()["kind"], answer.json()["state"]) == (f"container.{verb}", "queued")
    assert engine.calls == [], "nobody waited for it"

    run_operations()
    followed = robot.get(answer["Location"]).json()
    assert followed["id"] == str(operation.pk)
    assert followed["state"] in ("succeeded", "failed")
    assert (followed["error"] is None) == (followed["state"] == "succeeded")
    assert followed["actor"] == "alice"
    assert "arguments" not in followed


def test_many_at_once_are_all_asked_for_or_none_is(
    robot: Client, bob: User, container: ObservedContainer, stopped: ObservedContainer
) -> None:
    both = [f"{each.host_id}/{each.container_id}" for each in (container, stopped)]
    gone = f"{container.host_id}/{'0' * 64}"

    nobody = robot.post("/containers/bulk/stop/", {"ids": []})
    missing = robot.post("/containers/bulk/stop/", {"ids": [*both, gone]})
    assert (nobody.status_code, missing.status_code) == (422, 404)
    assert not Operation.objects.exists()

    done = robot.post("/containers/bulk/stop/", {"ids": both})
    assert (done.status_code, done.json()["total"]) == (202, 2)
    assert {item["object"]["name"] for item in done.json()["items"]} == {"web-1", "stopped-1"}


def test_a_failure_says_cause_and_next_step(
    robot: Client, make_container: MakeContainer, run_operations: Callable[[], None]
) -> None:
    broken = make_container("broken-1", start=False, command=("nosuchprogram",))
    url = robot.post(url_of(broken, "start/"))["Location"]
    run_operations()
    error = robot.get(url).json()["error"]
    assert error["code"] == "command_missing"
    assert error["next_step"]


def test_what_a_form_would_say_is_a_problem(robot: Client, container: ObservedContainer, engine: FakeEngine) -> None:
    kill = robot.post(url_of(container, "kill/"), {"signal": "SIGNONE"})
    remove = robot.post(url_of(container, "remove/"), {"volumes": "1"})
    assert (kill.status_code, kill.json()["code"]) == (422, "invalid")
    assert "Choose one of the signals" in kill.json()["message"]
    assert "type the container's name, web-1" in remove.json()["message"]
    assert not Operation.objects.exists()


def test_a_create_answers_alike(robot: Client, host: Host, engine: FakeEngine) -> None:
    wrong = robot.post("/containers/create/", {"host": str(host.pk), "name": "no good", "image": "starter:latest"})
    right = robot.post("/containers/create/", {"host": str(host.pk), "name": "good", "image": "starter:latest"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid")
    assert (right.status_code, right.json()["kind"]) == (202, "container.create")


def test_activity_lists_operations_with_its_filters(robot: Client, container: ObservedContainer) -> None:
    robot.post(url_of(container, "stop/"))
    robot.post(url_of(container, "start/"))
    found = robot.get("/activity/?kind=container.stop").json()
    assert (found["total"], [item["kind"] for item in found["items"]]) == (1, ["container.stop"])


def test_a_cancel_answers_with_the_operation_and_says_what_forbids_it(
    robot: Client, container: ObservedContainer, run_operations: Callable[[], None]
) -> None:
    url = robot.post(url_of(container, "stop/"))["Location"]
    cancelled = robot.post(f"{url}cancel/")
    again = robot.post(f"{url}cancel/")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    assert (again.status_code, again.json()["code"]) == (409, "impossible")
    assert robot.post(f"{url}retry/").status_code == 202


def test_hosts_and_images(robot: Client, host: Host, container: ObservedContainer) -> None:
    ObservedImage.objects.create(
        host=host,
        image_id=f"sha256:{'a' * 64}",
        tags=["nginx:1"],
        name="nginx:1",
        search_text="nginx:1",
        size_bytes=7,
        created_at=container.created_at,
        observed_at=container.created_at,
    )
    (card,) = robot.get("/hosts/").json()["items"]
    assert (card["id"], card["state"], card["containers"], card["running"]) == (str(host.pk), "reachable", 1, 1)
    assert "credentials" not in card
    (image,) = robot.get("/images/?q=nginx").json()["items"]
    assert (image["id"], image["tags"], image["size_bytes"]) == (f"sha256:{'a' * 64}", ["nginx:1"], 7)


def test_a_page_stays_a_page_for_people(alice: User, client_of: ClientOf, container: ObservedContainer) -> None:
    for accept in ("text/html,application/json", "*/*", ""):
        answer = client_of(alice).get("/containers/", headers={"Accept": accept})
        assert answer["Content-Type"].startswith("text/html"), accept
