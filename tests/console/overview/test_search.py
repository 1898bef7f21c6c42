"""What the palette finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bench.seed import fill_inventory
from console.accounts.models import User
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.inventory.services import apply_containers, observe_images
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


def test_thousands_of_containers_are_searched_with_few_questions(
    alice: User, host: Host, django_assert_max_num_queries: Any
) -> None:
    fill_inventory(host, 3_000)
    assert ObservedContainer.objects.count() == 3_000
    with django_assert_max_num_queries(3):
        groups = find(alice, "service")
    assert len(groups[0].found) == 8
