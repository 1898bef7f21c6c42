"""The page of the record."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent, Outcome
from console.audit.services import record, record_refusal
from console.hosts.models import Host
from console.lib.origin import Origin
from console.policies.refusals import Denied
from console.policies.rules import Denial
from console.rbac.access import Refused

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
        ("host=harbour", {"started"}),
        ("host=harb", set()),
        ("object=started", {"started"}),
        ("object=" + "a" * 12, {"started"}),
        ("object=start", set()),
        ("address=192.0.2.7", {"started"}),
        ("address=192.0.2", set()),
        ("host=harbour&person=bob", set()),
    ],
)
def test_rows_are_found_by_action_person_outcome_host_object_and_address(
    alice: User, bob: User, host: Host, client_of: ClientOf, query: str, expected: set[str]
) -> None:
    record(
        actor=alice,
        action="container.start",
        outcome="succeeded",
        host=host,
        object_name="started",
        object_id="a" * 64,
        origin=Origin("192.0.2.7"),
    )
    record(actor=alice, action="container.stop", outcome="failed", object_name="stopped")
    record(actor=bob, action="image.pull", outcome="succeeded", object_name="pulled")
    assert found(client_of(alice), query) == expected


def found(browser: Client, query: str) -> set[str]:
    page = browser.get(f"/audit/?{query}", HTTP_HX_REQUEST="true", HTTP_HX_TARGET="audit-rows")
    return set(re.findall("started|stopped|pulled", page.content.decode()))


@pytest.mark.parametrize(
    "text",
    [
        "ALICE",
        "ner.sta",
        "Start",
        "AAAAAAAA",
        "harb",
        "192.0.2.7",
        "a whale",
        "고래",
        '"deep": true',
        "100%_of",
        "ted\\n",
        "alice harbour whale",
    ],
)
def test_a_search_looks_into_every_column_and_the_details(
    alice: User, bob: User, host: Host, client_of: ClientOf, text: str
) -> None:
    record(
        actor=alice,
        action="container.start",
        outcome="succeeded",
        host=host,
        object_name="started\\nowhere",
        object_id="a" * 64,
        origin=Origin("192.0.2.7"),
        details={"why": "A Whale, 고래", "100%_of": {"deep": True}},
    )
    record(actor=bob, action="image.pull", outcome="succeeded", object_name="pulled", details={"why": "100 of 7"})
    assert found(client_of(alice), urlencode({"q": text})) == {"started"}
    assert found(client_of(alice), urlencode({"q": f"{text} absent"})) == set()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"since": "2026-03-01T12:00:00Z"}, {"stopped", "pulled"}),
        ({"since": "2026-03-01T12:00:01Z"}, {"pulled"}),
        ({"until": "2026-03-01T12:00:00Z"}, {"started", "stopped"}),
        ({"until": "2026-03-01T20:59:59+09:00"}, {"started"}),
        ({"since": "2026-03-01T21:00:00+09:00", "until": "2026-03-01T12:00:00"}, {"stopped"}),
    ],
)
def test_rows_are_found_by_when_they_were_written(
    alice: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, query: dict[str, str], expected: set[str]
) -> None:
    browser = client_of(alice)
    for name, hour in (("started", 11), ("stopped", 12), ("pulled", 13)):
        monkeypatch.setattr(
            "console.audit.services.timezone.now", lambda hour=hour: datetime(2026, 3, 1, hour, tzinfo=UTC)
        )
        record(actor=alice, action="a.b", outcome="succeeded", object_name=name)
    monkeypatch.undo()
    assert found(browser, urlencode(query)) == expected


def test_the_next_page_and_the_files_are_of_the_same_filter(alice: User, client_of: ClientOf) -> None:
    for _number in range(60):
        record(actor=alice, action="a.b", outcome="succeeded", object_name="one")
    query = {"since": "2026-03-01T12:00:00Z", "person": "alice", "q": "one"}
    page = client_of(alice).get(f"/audit/?{urlencode(query)}")
    assert dict(parse_qsl(page.context["next_query"])) == {**query, "before": "11"}
    for name, value in query.items():
        assert f'<input type="hidden" name="{name}" value="{value}">' in page.content.decode()


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
    "query", ["before=x", "before=-1", "before=99999999999999999999", "q=%00", "object=%25", "host=%F0%9F%90%8B"]
)
def test_a_senseless_filter_is_no_failure(alice: User, client_of: ClientOf, query: str) -> None:
    assert client_of(alice).get(f"/audit/?{query}").status_code == 200


@pytest.mark.parametrize(
    ("query", "label"),
    [
        ("outcome=x", "Outcome"),
        ("q=" + "y" * 999, "Search"),
        ("since=yesterday", "Since"),
        ("until=0001-01-01T00:00:00%2B14:00", "Until"),
        ("since=2026-03-02T00:00Z&until=2026-03-01T00:00Z", "Until"),
    ],
)
def test_what_makes_no_sense_in_a_filter_is_said(alice: User, client_of: ClientOf, query: str, label: str) -> None:
    page = client_of(alice).get(f"/audit/?{query}").content.decode()
    assert "makes no sense" in page
    assert f"<p>{label}: " in page


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


def test_a_row_says_why_somebody_was_refused(alice: User, bob: User, client_of: ClientOf) -> None:
    denial = Denial("image", "The image evil:1 is not allowed for the team Red.", "Choose another.")
    record_refusal(Denied("container.create", [denial]), actor=bob)
    record_refusal(Refused("audit.view"), actor=bob)
    record(actor=bob, action="container.start", outcome=Outcome.FAILED, details={"code": "port_taken"})
    record(actor=bob, action="container.stop", outcome=Outcome.SUCCEEDED, details={"code": "all well"})
    page = client_of(alice).get("/audit/").content.decode()
    said = re.findall(r'<p class="audit-reason muted small"><bdi>(.*?)</bdi></p>', page)
    assert said == ["port_taken", "policy.audit.view", "The image evil:1 is not allowed for the team Red."]
    assert AuditEvent.objects.get(action="container.create").details["code"] == "policy.image"
