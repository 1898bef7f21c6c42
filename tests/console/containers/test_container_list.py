"""The list of containers."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.accounts.models import User
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer, ObservedLabel
from runtime.testing import FakeEngine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
Observe = Callable[..., ObservedContainer]


@pytest.fixture
def observe(host: Host) -> Observe:
    """Put a row into the inventory, as watch would."""

    def observe_(name: str, **fields: Any) -> ObservedContainer:
        number = ObservedContainer.objects.count()
        values: dict[str, Any] = {
            "host": host,
            "container_id": f"{number:064x}",
            "name": name,
            "image": "nginx:1",
            "image_id": "sha256:0",
            "state": "running",
            "rank": 3,
            "created_at": timezone.now() - timedelta(minutes=number),
            "observed_at": timezone.now(),
            **fields,
        }
        labels = values.get("labels", {})
        pairs = " ".join(f"{key}={value}" for key, value in labels.items())
        ports = " ".join(f"{port['host_port']}:{port['container_port']}" for port in values.get("ports", ()))
        values["search_text"] = f"{name} {values['image']} {values['container_id']} {ports} {pairs}".lower()
        row = ObservedContainer.objects.create(**values)
        ObservedLabel.objects.bulk_create(
            ObservedLabel(container=row, key=key, value=value) for key, value in labels.items()
        )
        return row

    return observe_


def names(page: str) -> list[str]:
    """Return the names of the rows, in order."""
    return re.findall(r'class="row-link"[^>]*><bdi>([^<]*)</bdi>', page)


@pytest.fixture
def get(alice: User, client_of: ClientOf) -> Callable[..., str]:
    client = client_of(alice)

    def get_(query: str = "", headers: dict[str, str] | None = None) -> str:
        answer = client.get(f"/containers/{query}", headers=headers)
        assert answer.status_code == 200
        return answer.content.decode()

    return get_


def test_problems_come_first(get: Callable[..., str], observe: Observe) -> None:
    observe("a-fine")
    observe("z-broken", state="exited", exit_code=1, rank=0)

    assert names(get()) == ["z-broken", "a-fine"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["a", "b", "c"]),
        ("-name", ["c", "b", "a"]),
        ("created", ["a", "c", "b"]),
        ("-created", ["b", "c", "a"]),
        ("image", ["c", "a", "b"]),
        ("host__credentials", ["a", "b", "c"]),
        ("?", ["a", "b", "c"]),
    ],
)
def test_it_is_ordered_as_asked_and_by_nothing_else(
    get: Callable[..., str], observe: Observe, sort: str, expected: list[str]
) -> None:
    now = timezone.now()
    observe("b", image="z:1", created_at=now)
    observe("c", image="a:1", created_at=now - timedelta(hours=1))
    observe("a", image="m:1", created_at=now - timedelta(hours=2))

    assert names(get(f"?sort={sort}")) == expected


@pytest.mark.parametrize("word", ["SHOP", "redis", f"{1:064x}", "8080", "team=red", "shop redis"])
def test_search_looks_at_name_image_id_port_and_label(get: Callable[..., str], observe: Observe, word: str) -> None:
    observe("other")
    observe(
        "shop-1",
        image="redis:7",
        labels={"team": "red"},
        ports=[{"container_port": 80, "protocol": "tcp", "host_ip": "", "host_port": 8080}],
    )

    assert names(get(f"?q={word}")) == ["shop-1"]


@pytest.mark.parametrize("word", ["%25", "_", "a%27 OR 1=1 --", "%00"])
def test_search_takes_its_words_literally(get: Callable[..., str], observe: Observe, word: str) -> None:
    observe("web-1")

    assert names(get(f"?q={word}")) in ([], ["web-1"] if word == "%00" else [])


def test_filters_narrow_and_add_up(get: Callable[..., str], observe: Observe, host: Host) -> None:
    other = Host.objects.create(name="quay", url="unix:///nowhere/quay.sock", state=HostState.REACHABLE)
    observe("one", labels={"team": "red"})
    observe("two", state="exited", labels={"team": "blue"})
    observe("three", host=other, image="redis:7", labels={"team": "red"})
    observe("sick", health="unhealthy")

    assert names(get("?state=exited")) == ["two"]
    assert names(get("?state=exited&state=running&sort=name")) == ["one", "sick", "three", "two"]
    assert names(get("?state=unhealthy")) == ["sick"]
    assert names(get(f"?host={other.pk}")) == ["three"]
    assert names(get("?image=redis:7")) == ["three"]
    assert names(get("?label=team%3Dred&sort=name")) == ["one", "three"]
    assert names(get("?label=team&sort=name")) == ["one", "three", "two"]
    assert names(get(f"?label=team%3Dred&host={host.pk}")) == ["one"]
    assert names(get("?state=exited&image=redis:7")) == []


def test_what_makes_no_sense_in_the_address_is_left_out(get: Callable[..., str], observe: Observe) -> None:
    observe("web-1")

    for query in (
        "?host=x",
        "?state=flying",
        "?page=-1",
        "?page=abc",
        "?page=99999999999",
        "?owner__email=a",
        "?host=",
    ):
        assert names(get(f"?{query}")) == ["web-1"]


def test_it_comes_in_pages_of_fifty(get: Callable[..., str], observe: Observe) -> None:
    for number in range(120):
        observe(f"web-{number:03}")

    pages = [names(get(f"?sort=name&page={number}")) for number in (1, 2, 3)]

    assert [len(page) for page in pages] == [50, 50, 20]
    assert len({name for page in pages for name in page}) == 120
    assert "51–100 of 120" in get("?page=2")
    assert names(get("?sort=name&page=9")) == pages[2]


def test_its_queries_do_not_grow_with_its_rows(alice: User, client_of: ClientOf, observe: Observe) -> None:
    client = client_of(alice)
    observe("web-0")
    client.get("/containers/")
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get("/containers/")
    for number in range(1, 60):
        observe(f"web-{number}", labels={"a": "b"})
    with CaptureQueriesContext(connection) as many:
        client.get("/containers/")

    assert len(many) == len(few) <= 8


def test_ports_are_links_and_addresses_of_both_kinds_are_one(get: Callable[..., str], observe: Observe) -> None:
    port = {"container_port": 80, "protocol": "tcp", "host_port": 8080}
    observe(
        "web-1",
        ports=[
            {**port, "host_ip": "0.0.0.0"},
            {**port, "host_ip": "::"},
            {"container_port": 443, "protocol": "tcp", "host_ip": "10.0.0.9", "host_port": 8443},
            {"container_port": 53, "protocol": "udp", "host_ip": "", "host_port": 53},
            {"container_port": 9000, "protocol": "tcp", "host_ip": "", "host_port": None},
        ],
    )

    page = get()

    assert page.count('href="http://testserver:8080/"') == 1
    assert 'href="https://10.0.0.9:8443/"' in page
    assert "<span>53/udp</span>" in page
    assert "9000" not in page


def test_rows_of_a_host_that_does_not_answer_stay_and_are_marked(
    get: Callable[..., str], observe: Observe, host: Host, engine: FakeEngine
) -> None:
    observe("web-1")
    host.state = HostState.UNREACHABLE
    host.seen_at = timezone.now() - timedelta(minutes=7)
    host.save()

    page = get()

    assert names(page) == ["web-1"]
    assert "data-stale" in page
    assert re.search(r'seen <time datetime="[^"]+" data-relative="short"[^>]*>7 min</time> ago', page)
    assert "harbour does not answer" in page
    assert engine.calls == []


def test_an_empty_list_says_what_to_do_first(get: Callable[..., str], host: Host) -> None:
    page = get()

    assert "No containers yet" in page
    assert "/containers/create/" in page


def test_the_first_container_brings_the_whole_list(get: Callable[..., str], host: Host, observe: Observe) -> None:
    assert 'id="containers" data-live="containers hosts"' in get()
    observe("web-1")

    page = get(headers={"HX-Request": "true", "HX-Target": "containers"})

    assert 'id="containers"' in page
    assert 'id="container-search"' in page


def test_a_list_that_became_empty_does_not_speak_of_filters(get: Callable[..., str], host: Host) -> None:
    page = get(headers={"HX-Request": "true", "HX-Target": "list"})

    assert "No containers any more" in page


def test_without_hosts_it_leads_to_adding_one(get: Callable[..., str]) -> None:
    assert "/hosts/add/" in get()


def test_no_match_offers_to_clear_the_filters(get: Callable[..., str], observe: Observe) -> None:
    observe("web-1")

    page = get("?q=nothing-like-it")

    assert "No container matches" in page
    assert "Clear all filters" in page


def test_a_refresh_asks_for_the_list_alone(get: Callable[..., str], observe: Observe) -> None:
    observe("web-1")

    page = get(headers={"HX-Request": "true", "HX-Target": "list"})

    assert names(page) == ["web-1"]
    assert "<html" not in page


def test_facets_count_under_the_other_filters(alice: User, client_of: ClientOf, observe: Observe, host: Host) -> None:
    observe("one", labels={"team": "red", "pilothouse.operation": "x"})
    observe("two", state="exited", image="redis:7")

    page = client_of(alice).get("/containers/facets/?state=exited").content.decode()

    counts = dict(re.findall(r'<bdi>([^<]*)</bdi></span><span class="count">(\d+)', page))
    assert counts == {"Exited": "1", "Running": "1", "harbour": "1", "redis:7": "1"}
    assert 'aria-current="true"' in page


def test_a_facet_shows_its_dozen_and_finds_among_the_rest(alice: User, client_of: ClientOf, observe: Observe) -> None:
    for number in range(30):
        observe(f"web-{number}", image=f"app-{number}:1", labels={"app": f"a{number}"})
    client = client_of(alice)

    page = client.get("/containers/facets/image/").content.decode()
    found = client.get("/containers/facets/image/?find=APP-29").content.decode()
    label = client.get("/containers/facets/label/?find=a2").content.decode()

    assert page.count("facet-item") == 12
    assert found.count("facet-item") == 1
    assert label.count("facet-item") == 11
    assert client.get("/containers/facets/secret/").status_code == 404


def test_a_chosen_value_stays_visible_without_a_match(alice: User, client_of: ClientOf, observe: Observe) -> None:
    observe("web-1")

    page = client_of(alice).get("/containers/facets/image/?image=gone:1").content.decode()

    assert "gone:1" in page


@pytest.mark.parametrize(
    ("facet", "chosen", "count"), [("image", "rare:1", 1), ("label", "app=rare", 1), ("label", "app", 61)]
)
def test_a_chosen_value_that_is_rare_is_counted_too(
    alice: User, client_of: ClientOf, observe: Observe, facet: str, chosen: str, count: int
) -> None:
    for number in range(60):
        observe(f"web-{number}", image=f"app-{number // 2}:1", labels={"app": f"a{number // 2}"})
    observe("odd-1", image="rare:1", labels={"app": "rare"})

    page = client_of(alice).get(f"/containers/facets/{facet}/", {facet: chosen}).content.decode()

    assert f'<bdi>{chosen}</bdi></span><span class="count">{count}</span>' in page


def test_a_row_looks_closer_without_asking_the_engine(
    alice: User, client_of: ClientOf, observe: Observe, engine: FakeEngine
) -> None:
    row = observe("web-1", command="nginx -g x", labels={"API_TOKEN": "canary-7f3", "team": "red"})
    client = client_of(alice)

    look = client.get(f"/containers/{row.host_id}/{row.container_id}/look/").content.decode()
    menu = client.get(f"/containers/{row.host_id}/{row.container_id}/menu/").content.decode()

    assert "nginx -g x" in look
    assert "team=red" in look
    assert "canary-7f3" not in look
    assert "Remove…" in menu
    assert engine.calls == []


def test_a_stranger_is_refused(charlie: User, client_of: ClientOf, observe: Observe) -> None:
    observe("secret-name")
    client = client_of(charlie)

    for path in ("", "facets/", "facets/image/"):
        answer = client.get(f"/containers/{path}")
        assert answer.status_code == 403
        assert "secret-name" not in answer.content.decode()


def test_other_methods_are_refused(alice: User, client_of: ClientOf) -> None:
    assert client_of(alice).post("/containers/").status_code == 405


@pytest.mark.parametrize(
    "address",
    [
        "/containers/?image=a%00",
        "/containers/?label=a%00=b%00",
        "/containers/?q=%00",
        "/containers/facets/image/?find=a%00",
        "/containers/facets/label/?find=a%00",
        "/containers/facets/host/?find=a%00",
        "/images/?q=a%00",
        "/activity/?kind=a%00",
        "/audit/?q=a%00&person=%00&action=%00",
        "/search/?q=a%00",
    ],
)
def test_a_character_that_no_database_holds_finds_nothing_wrong(
    address: str, alice: User, client_of: Callable[[User], Client]
) -> None:
    assert client_of(alice).get(address).status_code == 200
