"""Removing a host: the console forgets it, the machine notices nothing."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.inventory.services import apply_containers
from runtime.testing import FakeEngine
from tests.console.inventory.conftest import container

Sign = Callable[..., Client]


def url(host: Host) -> str:
    return reverse("host-remove", args=[host.id])


def test_it_says_what_stays_and_asks_for_the_name(alice: User, client_of: Sign, host: Host) -> None:
    apply_containers(host, containers=[container("a"), container("b")], asked_at=timezone.now())
    page = client_of(alice).get(url(host)).content.decode()
    assert "Its 2 containers keep their state" in page
    assert "harbour" in page
    assert Host.objects.exists()


def test_the_typed_name_removes_it_and_what_was_seen_there(
    alice: User, client_of: Sign, host: Host, engine: FakeEngine
) -> None:
    apply_containers(host, containers=[container("a", labels={"x": "1"})], asked_at=timezone.now())
    answer = client_of(alice).post(url(host), {"confirmation": "harbour"})
    assert answer.headers["Location"] == "/hosts/"
    assert not Host.objects.exists()
    assert not ObservedContainer.objects.exists()
    assert engine.calls == [], "the engine is not asked for anything"
    event = AuditEvent.objects.get(action="host.remove")
    assert (event.host_name, event.object_id, event.outcome) == ("harbour", str(host.id), "succeeded")


def test_another_name_removes_nothing(alice: User, client_of: Sign, host: Host) -> None:
    answer = client_of(alice).post(url(host), {"confirmation": "Harbour"})
    assert answer.status_code == 422
    assert "Type “harbour” exactly" in answer.content.decode()
    assert Host.objects.exists()


def test_looking_removes_nothing(alice: User, client_of: Sign, host: Host) -> None:
    client_of(alice).get(url(host), {"confirmation": "harbour"})
    assert Host.objects.exists()


def test_the_stranger_does_not_learn_that_it_exists(charlie: User, client_of: Sign, host: Host) -> None:
    assert client_of(charlie).post(url(host), {"confirmation": "harbour"}).status_code == 404
    assert Host.objects.exists()
