"""The pages that show hosts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.accounts.models import User
from console.gateway import ContainerState
from console.hosts.models import Host, HostState
from console.hosts.queries import host_cards
from console.inventory.services import apply_containers
from runtime.testing import FakeEngine
from tests.console.inventory.conftest import container

Sign = Callable[..., Client]


def test_an_empty_list_says_how_to_begin(alice: User, client_of: Sign) -> None:
    page = client_of(alice).get("/hosts/").content.decode()
    assert "No host yet" in page
    assert "/hosts/add/" in page
    assert "./pilothouse up" in page


def test_a_card_counts_what_the_host_holds(alice: User, host: Host) -> None:
    listing = [
        container("a"),
        container("b", state=ContainerState.EXITED, exit_code=3, status="Exited (3)"),
        container("c", state=ContainerState.CREATED),
    ]
    apply_containers(host, containers=listing, asked_at=timezone.now())
    card = host_cards(alice)[0]
    assert (card.containers, card.running, card.problems, card.images) == (3, 1, 1, 0)


def test_pages_ask_no_engine_and_few_questions(
    alice: User, client_of: Sign, host: Host, engine: FakeEngine, django_assert_max_num_queries: Any
) -> None:
    for number in range(50):
        Host.objects.create(name=f"h{number}", url=f"unix:///h{number}")
    client = client_of(alice)
    client.get("/hosts/")
    with django_assert_max_num_queries(12):
        client.get("/hosts/")
    client.get(reverse("host-detail", args=[host.id]))
    assert engine.calls == []


def test_a_host_in_trouble_comes_first_with_cause_and_next_step(alice: User, client_of: Sign, host: Host) -> None:
    Host.objects.create(
        name="zebra",
        url="tcp://10.0.0.9:2376",
        state=HostState.FAILING,
        cause="timed_out",
        status="tcp://10.0.0.9:2376 did not answer within 8 s",
        seen_at=timezone.now() - timedelta(hours=1),
    )
    client = client_of(alice)
    _frame, _main, page = client.get("/hosts/").content.decode().partition("<main")
    assert page.index("zebra") < page.index("harbour")
    assert "It accepts connections and does not answer." in page
    assert "Look at the engine&#x27;s own log" in page
    detail = client.get(reverse("host-detail", args=[Host.objects.get(name="zebra").id])).content.decode()
    assert "did not answer within 8 s" in detail


def test_a_host_nobody_looks_at_is_told_as_that(alice: User, client_of: Sign, host: Host) -> None:
    Host.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    assert "watch process" in client_of(alice).get("/hosts/").content.decode()


def test_a_certificate_that_ends_soon_is_told(alice: User, client_of: Sign, host: Host) -> None:
    Host.objects.update(url="tcp://a:1", certificate_expires_at=timezone.now() + timedelta(days=3))
    assert "client certificate ends on" in client_of(alice).get("/hosts/").content.decode()


@pytest.mark.parametrize(("version", "is_told"), [("28.2.2", True), ("29.5.1", False)])
def test_an_engine_with_a_known_hole_is_told(
    version: str, *, is_told: bool, alice: User, client_of: Sign, host: Host
) -> None:
    Host.objects.update(info={"product": "Docker Engine", "version": version, "memory_bytes": 1})
    page = client_of(alice).get(reverse("host-detail", args=[host.id])).content.decode()
    assert ("Docker before 29.5.1" in page) is is_told


def test_strings_of_an_engine_are_text(alice: User, client_of: Sign, host: Host) -> None:
    bad = "<script>alert(1)</script>"
    Host.objects.update(
        info={
            "product": bad,
            "version": bad,
            "operating_system": bad,
            "warnings": [bad],
            "name": bad,
            "memory_bytes": 1,
        },
        status=bad,
        state=HostState.UNREACHABLE,
    )
    for url in ("/hosts/", reverse("host-detail", args=[host.id]), "/"):
        assert bad not in client_of(alice).get(url).content.decode()


def test_htmx_gets_the_cards_alone(alice: User, client_of: Sign, host: Host) -> None:
    headers = {"HX-Request": "true", "HX-Target": "hosts"}
    for url in ("/hosts/", reverse("host-detail", args=[host.id])):
        part = client_of(alice).get(url, headers=headers).content.decode()
        assert "<html" not in part
        assert 'data-live="host' in part


def test_the_stranger_is_refused(charlie: User, client_of: Sign, host: Host) -> None:
    client = client_of(charlie)
    assert client.get("/hosts/").status_code == 403
    assert client.get(reverse("host-detail", args=[host.id])).status_code == 404


def test_only_reading_is_answered(alice: User, client_of: Sign, host: Host) -> None:
    client = client_of(alice)
    assert client.post("/hosts/").status_code == 405
    assert client.post(reverse("host-detail", args=[host.id])).status_code == 405
    assert client.get(reverse("host-test", args=[host.id])).status_code == 405
