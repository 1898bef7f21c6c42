"""The logs of several containers on one page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import User
from console.inventory.models import ObservedContainer
from runtime.testing import FakeEngine
from tests.console.containers.conftest import url_of

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
URL = "/containers/logs/"


def key(container: ObservedContainer) -> str:
    return f"{container.host_id}/{container.container_id}"


def test_the_page_names_each_container_and_asks_no_engine(
    alice: User, client_of: ClientOf, make_container: Callable[..., ObservedContainer], engine: FakeEngine
) -> None:
    containers = [make_container("web-1"), make_container("db-1")]
    page = client_of(alice).get(URL, {"ids": [key(container) for container in containers]}).content.decode()
    found = re.search(r'data-sources="([^"]*)"', page)
    assert found
    sources = json.loads(unescape(found.group(1)))
    assert [source["name"] for source in sources] == ["web-1", "db-1"]
    assert [f"{source['host']}/{source['container']}" for source in sources] == [key(each) for each in containers]
    assert engine.calls == []


def test_a_hostile_name_stays_text(alice: User, client_of: ClientOf, container: ObservedContainer) -> None:
    ObservedContainer.objects.update(name='"><img src=x onerror=alert(1)>')
    page = client_of(alice).get(URL, {"ids": key(container)}).content.decode()
    assert "<img src=x" not in page


@pytest.mark.parametrize(
    ("ids", "status"),
    [
        ([], 404),
        (["nonsense"], 400),
        (["x/" + "a" * 64], 400),
        ([f"{'0' * 8}-0000-0000-0000-{'0' * 12}/{'b' * 64}"], 404),
    ],
)
def test_what_is_no_choice_is_told(alice: User, client_of: ClientOf, ids: list[str], status: int) -> None:
    assert client_of(alice).get(URL, {"ids": ids}).status_code == status


def test_twenty_are_the_most(alice: User, client_of: ClientOf, container: ObservedContainer) -> None:
    answer = client_of(alice).get(URL, {"ids": [f"{container.host_id}/{number:064x}" for number in range(21)]})
    assert answer.status_code == 400
    assert "at most 20" in answer.content.decode()


def test_one_that_may_not_be_read_keeps_all_of_them_closed(
    charlie: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine
) -> None:
    answer: Any = client_of(charlie).get(URL, {"ids": key(container)})
    assert answer.status_code in (403, 404)
    assert "web-1" not in answer.content.decode()
    assert engine.calls == []


def test_a_containers_logs_lead_to_those_of_its_stack(
    alice: User, client_of: ClientOf, make_container: Callable[..., ObservedContainer]
) -> None:
    project = (("com.docker.compose.project", "shop & co"),)
    first, second = (make_container(name, labels=project) for name in ("shop-web", "shop-db"))
    alone = make_container("alone", labels=(("com.docker.compose.project", "other"),))
    page = client_of(alice).get(url_of(first, "logs/")).content.decode()
    link = re.search(r'href="(/containers/logs/[^"]*)"', page)
    assert link
    assert "Logs of the whole stack shop &amp; co" in page
    merged = client_of(alice).get(unescape(link.group(1))).content.decode()
    assert first.container_id in merged
    assert second.container_id in merged
    assert "/containers/logs/" not in client_of(alice).get(url_of(alone, "logs/")).content.decode()
