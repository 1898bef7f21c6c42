"""What the palette finds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from bench.seed import fill_inventory
from console.accounts.models import Team, User
from console.gateway import ContainerState
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.inventory.services import apply_containers, observe_images
from console.operations.models import Operation
from console.overview.search import find
from runtime.testing import FakeEngine
from tests.console.inventory.conftest import container, full_id

Sign = Callable[..., Client]


def labels(user: User, text: str) -> dict[str, list[str]]:
    return {group.key: [str(found.label) for found in group.found] for group in find(user, text)}


@pytest.fixture
def _some(host: Host) -> None:
    listing = [
        container("web-1", labels={"team": "blue"}),
        container("a-web"),
        container("db", labels={"used-by": "web-1"}),
        container("other"),
    ]
    apply_containers(host, containers=listing, asked_at=timezone.now())
    observe_images(host)


@pytest.mark.usefixtures("_some")
def test_containers_are_found_by_name_first(alice: User) -> None:
    assert labels(alice, "web")["containers"] == ["web-1", "a-web", "db"]
    assert labels(alice, "WEB-1")["containers"][0] == "web-1"


@pytest.mark.usefixtures("_some")
def test_containers_are_found_by_image_label_and_id(alice: User) -> None:
    assert labels(alice, "team=blue")["containers"] == ["web-1"]
    assert labels(alice, full_id("db")[:10])["containers"] == ["db"]
    assert len(labels(alice, "starter")["containers"]) == 4
    assert labels(alice, "starter other")["containers"] == ["other"], "every word counts"


@pytest.mark.usefixtures("_some")
def test_images_hosts_pages_and_things_to_do_are_found(alice: User) -> None:
    assert labels(alice, "starter")["images"] == ["starter:latest"]
    assert labels(alice, "harb")["hosts"] == ["harbour"]
    assert labels(alice, "activ")["pages"] == ["Activity"]
    assert labels(alice, "add")["actions"] == ["Add a host"]


def test_nothing_typed_offers_where_to_go(alice: User) -> None:
    assert list(labels(alice, "  ")) == ["actions", "pages"]


def test_nothing_found_is_an_empty_answer(alice: User, client_of: Sign) -> None:
    answer = client_of(alice).get("/search/", {"q": "no such thing anywhere"})
    assert (answer.status_code, answer.content.strip()) == (200, b"")


@pytest.mark.usefixtures("_some")
def test_the_answer_can_be_walked_with_the_keyboard(alice: User, client_of: Sign, host: Host) -> None:
    page = client_of(alice).get("/search/", {"q": "web-1"}).content.decode()
    assert 'role="group" aria-label="Containers"' in page
    assert 'role="option"' in page
    assert reverse("container-detail", args=[host.id, full_id("web-1")]) in page


@pytest.mark.parametrize(
    "text", ["%", "_", "'", "\\", "\0", "%' OR 1=1 --", "x" * 10_000, "<b>", "a" * 99 + " " + "b" * 99]
)
@pytest.mark.usefixtures("_some")
def test_odd_input_is_only_text(alice: User, client_of: Sign, text: str) -> None:
    answer = client_of(alice).get("/search/", {"q": text})
    assert answer.status_code == 200
    assert "<b>" not in answer.content.decode()
    assert b"web-1" not in answer.content


def test_a_hostile_name_is_text(alice: User, client_of: Sign, host: Host) -> None:
    apply_containers(host, containers=[container("a", name="<script>x</script>")], asked_at=timezone.now())
    page = client_of(alice).get("/search/", {"q": "script"}).content.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.usefixtures("_some")
def test_the_stranger_finds_only_what_everybody_has(charlie: User, client_of: Sign, engine: FakeEngine) -> None:
    found = labels(charlie, "e")
    assert set(found) == {"pages"}
    assert found["pages"] == ["Overview", "Settings"]
    assert "web-1" not in client_of(charlie).get("/search/", {"q": "web"}).content.decode()


def test_who_is_in_a_team_finds_the_teams_and_not_the_people(alice: User, bob: User) -> None:
    bob.memberships.create(team=Team.objects.create(name="red"))
    assert labels(bob, "people")["pages"] == ["Teams"]
    assert labels(alice, "people")["pages"] == ["People", "Teams"]
    assert labels(alice, "new team")["actions"] == ["Create a team"]


def test_thousands_of_containers_are_searched_with_few_questions(
    alice: User, host: Host, django_assert_max_num_queries: Any
) -> None:
    fill_inventory(host, 3_000)
    assert ObservedContainer.objects.count() == 3_000
    with django_assert_max_num_queries(5):
        groups = find(alice, "service")
    assert len(groups[0].found) == 8


# What can be done with containers


@pytest.fixture
def _states(host: Host) -> None:
    listing = [
        container("web-1"),
        container("web-2", state=ContainerState.EXITED, exit_code=0),
        container("web-3", state=ContainerState.PAUSED),
    ]
    apply_containers(host, containers=listing, asked_at=timezone.now())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("restart web", ["Restart web-1", "Restart web-3"]),
        ("web resta", ["Restart web-1", "Restart web-3"]),
        ("START web", ["Start web-2"]),
        ("resume web", ["Resume web-3"]),
        ("stop web-1", ["Stop web-1"]),
        ("logs web-2", ["Logs: web-2"]),
        ("shell web", ["Terminal: web-1"]),
        ("delete web-2", ["Remove web-2…"]),
        ("kill web-2", []),
        ("restart nothing-like-it", []),
        ("restart", []),
        ("web", []),
    ],
)
@pytest.mark.usefixtures("_states")
def test_a_verb_and_a_name_offer_what_the_state_allows(alice: User, text: str, expected: list[str]) -> None:
    assert labels(alice, text).get("verbs", []) == expected


@pytest.mark.usefixtures("_states")
def test_verbs_are_understood_in_the_language_of_the_reader(alice: User) -> None:
    with override("ko"):
        assert labels(alice, "다시 시작 web-1")["verbs"] == ["web-1 다시 시작"]


@pytest.mark.usefixtures("_states")
def test_what_is_harmless_is_posted_and_what_loses_something_is_asked_for(
    alice: User, client_of: Sign, host: Host
) -> None:
    base = reverse("container-detail", args=[host.id, full_id("web-1")])
    client = client_of(alice)
    assert f'data-post-url="{base}restart/"' in client.get("/search/", {"q": "restart web"}).content.decode()
    for verb in ("remove", "kill"):
        page = client.get("/search/", {"q": f"{verb} web"}).content.decode()
        assert f'data-dialog-url="{base}{verb}/"' in page
        assert "data-post-url" not in page
    assert f'href="{base}terminal/"' in client.get("/search/", {"q": "terminal web"}).content.decode()


@pytest.mark.usefixtures("_states")
def test_a_chosen_container_says_what_can_be_done_with_it(alice: User, client_of: Sign, host: Host) -> None:
    client = client_of(alice)
    url = reverse("search-actions", args=[host.id, full_id("web-2")])
    assert f'data-actions-url="{url}"' in client.get("/search/", {"q": "web-2"}).content.decode()
    page = client.get(url).content.decode()
    assert re.findall(r'palette-label">([^<]+)<', page) == ["Start web-2", "Logs: web-2", "Remove web-2…"]
    assert client.post(url).status_code == 405


@pytest.mark.usefixtures("_states")
def test_the_stranger_is_offered_nothing_to_do(charlie: User, client_of: Sign, host: Host) -> None:
    client = client_of(charlie)
    assert "web-1" not in client.get("/search/", {"q": "restart web"}).content.decode()
    assert client.get(reverse("search-actions", args=[host.id, full_id("web-1")])).status_code == 404


@pytest.mark.usefixtures("_states")
def test_asked_for_from_the_palette_the_page_stays(alice: User, client_of: Sign, host: Host) -> None:
    answer = client_of(alice).post(
        reverse("container-restart", args=[host.id, full_id("web-1")]),
        headers={"HX-Request": "true", "HX-Target": "palette-found", "HX-Current-URL": "http://testserver/activity/"},
    )
    assert (answer.status_code, answer.headers.get("HX-Location")) == (204, None)
    assert "Restart web-1" in answer.headers["HX-Trigger"]
    assert Operation.objects.get().kind == "container.restart"
