"""The page of the record."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.audit.services import record
from console.lib.origin import Origin

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


def test_an_admin_reads_who_did_what(alice: User, client_of: ClientOf) -> None:
    record(actor=alice, action="container.start", outcome="succeeded", object_name="web-1", origin=Origin("192.0.2.1"))
    page = client_of(alice).get("/audit/").content.decode()
    for text in ("alice", "container.start", "web-1", "192.0.2.1", "Succeeded"):
        assert text in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action=container.stop", {"stopped"}),
        ("person=bob", {"pulled"}),
        ("outcome=failed", {"stopped"}),
        ("q=PULL", {"pulled"}),
        ("q=" + "a" * 64, {"started"}),
        ("person=bob&outcome=failed", set()),
    ],
)
def test_rows_are_found_by_action_person_outcome_and_object(
    alice: User, bob: User, client_of: ClientOf, query: str, expected: set[str]
) -> None:
    record(actor=alice, action="container.start", outcome="succeeded", object_name="started", object_id="a" * 64)
    record(actor=alice, action="container.stop", outcome="failed", object_name="stopped")
    record(actor=bob, action="image.pull", outcome="succeeded", object_name="pulled")
    page = client_of(alice).get(f"/audit/?{query}", HTTP_HX_REQUEST="true", HTTP_HX_TARGET="audit-rows")
    assert {name for name in ("started", "stopped", "pulled") if name in page.content.decode()} == expected


def test_pages_follow_each_other_without_repeating(alice: User, client_of: ClientOf) -> None:
    for number in range(120):
        record(actor=alice, action="a.b", outcome="succeeded", object_name=f"object-{number:03}.")
    client, seen, url = client_of(alice), [], "/audit/"
    for _ in range(3):
        answer = client.get(url)
        seen += [event.sequence for event in answer.context["page"].events]
        record(actor=alice, action="a.b", outcome="succeeded", object_name="meanwhile")
        url = f"/audit/?{answer.context['next_query']}"
    assert seen == list(range(120, 0, -1))


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "before=99999999999999999999", "outcome=x", "q=" + "y" * 999]
)
def test_a_senseless_filter_is_no_failure(alice: User, client_of: ClientOf, query: str) -> None:
    assert client_of(alice).get(f"/audit/?{query}").status_code == 200


def test_nobody_else_reads_it_and_the_attempt_is_on_record(bob: User, client_of: ClientOf) -> None:
    answer = client_of(bob).get("/audit/", REMOTE_ADDR="192.0.2.9")
    assert answer.status_code == 403
    row = AuditEvent.objects.get()
    assert (row.actor_name, row.action, row.outcome, row.address) == ("bob", "audit.view", "denied", "192.0.2.9")
    assert row.details == {"code": "policy.audit.view"}


def test_a_program_is_refused_with_a_code(bob: User, client_of: ClientOf) -> None:
    answer = client_of(bob).get("/audit/", HTTP_ACCEPT="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.audit.view")


def test_who_is_refused_too_often_does_not_fill_the_record(bob: User, client_of: ClientOf) -> None:
    client = client_of(bob)
    for _ in range(70):
        assert client.get("/audit/").status_code == 403
    rows = AuditEvent.objects.order_by("sequence")
    assert rows.count() == 60
    assert rows[59].details["more"] == "only logged"


def test_a_stranger_is_refused(client: Client) -> None:
    assert client.get("/audit/")["Location"].startswith("/accounts/login/")
    assert not AuditEvent.objects.exists()


def test_it_cannot_be_posted_to(alice: User, client_of: ClientOf) -> None:
    assert client_of(alice).post("/audit/").status_code == 405


def test_hostile_names_are_text(alice: User, client_of: ClientOf) -> None:
    record(
        actor=alice,
        action="container.create",
        outcome="failed",
        object_name="<img src=x onerror=alert(1)>",
        origin=Origin("192.0.2.1", "<script>alert(2)</script>"),
        details={"<b>items</b>": "</script><script>alert(3)</script>", "items": "not a method"},
    )
    page = client_of(alice).get("/audit/").content.decode()
    for markup in ("<img src=x", "<script>alert", "<b>items"):
        assert markup not in page
    assert "not a method" in page
