"""What ended while its person was elsewhere, and that it is told until it was seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.operations.models import Operation, OperationState
from console.operations.queries import notifications
from tests.console.operations.conftest import Ask

SignIn = Callable[..., Client]
URL = "/operations/notifications/"
SEEN_URL = "/operations/notifications/seen/"
End = Callable[..., Operation]


@pytest.fixture
def end(ask: Ask, alice: User) -> End:
    """Let an operation end in some way: by default one of alice's that failed just now."""

    def end_it(
        name: str,
        state: OperationState = OperationState.FAILED,
        *,
        took: float = 1.0,
        at: datetime | None = None,
        **fields: object,
    ) -> Operation:
        operation = ask(object_name=name, **fields)
        ended_at = at or timezone.now()
        Operation.objects.filter(pk=operation.pk).update(
            state=state,
            created_at=ended_at - timedelta(seconds=took),
            ended_at=ended_at,
            error="The port is taken." if state == OperationState.FAILED else "",
            next_step="Choose another." if state == OperationState.FAILED else "",
        )
        return operation

    return end_it


def names(user: User) -> list[str]:
    return [row.operation.object_name for row in notifications(User.objects.get(pk=user.pk)).rows]


def seen(client: Client, until: datetime) -> None:
    assert client.post(SEEN_URL, {"until": until.isoformat()}).status_code == 200


def test_failures_come_first_with_cause_and_next_step(end: End, alice: User, client_of: SignIn) -> None:
    failed = end("web")
    end("db", OperationState.SUCCEEDED, took=60)
    assert names(alice) == ["web", "db"]
    text = client_of(alice).get(URL).content.decode()
    assert "2 notifications that you have not seen" in text
    assert "The port is taken." in text
    assert "Choose another." in text
    assert reverse("operation-detail", args=[failed.pk]) in text


def test_only_what_took_long_or_failed_is_told(end: End, ask: Ask, alice: User) -> None:
    ask(object_name="queued")
    end("quick", OperationState.SUCCEEDED, took=9.9)
    end("cancelled", OperationState.CANCELLED, took=60)
    end("slow", OperationState.SUCCEEDED, took=10.1)
    end("quick failure", took=0.1)
    assert names(alice) == ["quick failure", "slow"]


def test_what_others_asked_for_is_theirs(end: End, alice: User, bob: User) -> None:
    end("bobs", actor=bob)
    assert names(alice) == []
    # Who may know of no operation is told of none, not even of what he asked for when he still might.
    assert names(bob) == []


def test_what_ended_before_the_account_is_no_news(end: End, alice: User) -> None:
    end("old", at=alice.date_joined - timedelta(days=1))
    assert names(alice) == []


def test_marked_as_seen_it_is_gone_and_what_ended_meanwhile_stays(end: End, alice: User, client_of: SignIn) -> None:
    end("first")
    shown = notifications(alice)
    end("meanwhile")
    assert shown.until is not None
    client = client_of(alice)
    answer = client.post(SEEN_URL, {"until": shown.until.isoformat()})
    assert names(alice) == ["meanwhile"]
    assert "1 notification that you have not seen" in answer.content.decode()
    assert "Marked as seen." in answer.headers["HX-Trigger"]
    seen(client, timezone.now())
    assert "Nothing new." in client.get(URL).content.decode()


def test_the_future_cannot_be_seen(end: End, alice: User, client_of: SignIn) -> None:
    seen(client_of(alice), timezone.now() + timedelta(days=400))
    end("later")
    assert names(alice) == ["later"]


def test_what_was_seen_stays_seen(end: End, alice: User, client_of: SignIn) -> None:
    end("web")
    client = client_of(alice)
    seen(client, timezone.now())
    seen(client, timezone.now() - timedelta(days=400))
    assert names(alice) == []


def test_more_than_fit_are_counted(end: End, alice: User, client_of: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.operations.queries._NOTIFICATIONS", 2)
    for number in range(5):
        end(f"web-{number}")
    text = client_of(alice).get(URL).content.decode()
    assert "and 3 more" in text
    assert "5 notifications that you have not seen" in text


@pytest.mark.parametrize("until", ["", "yesterday", "\0", "99999999999"])
def test_a_moment_that_is_none_is_refused(end: End, alice: User, client_of: SignIn, until: str) -> None:
    end("web")
    assert client_of(alice).post(SEEN_URL, {"until": until}).status_code == 400
    assert names(alice) == ["web"]


def test_looking_marks_nothing(end: End, alice: User, client_of: SignIn) -> None:
    end("web")
    client = client_of(alice)
    client.get(URL)
    assert client.get(SEEN_URL).status_code == 405
    assert client.post(URL).status_code == 405
    assert names(alice) == ["web"]


def test_a_post_of_another_site_marks_nothing(end: End, alice: User, client_of: SignIn) -> None:
    end("web")
    answer = client_of(alice, enforce_csrf_checks=True).post(SEEN_URL, {"until": timezone.now().isoformat()})
    assert answer.status_code == 403
    assert names(alice) == ["web"]


def test_a_stranger_is_told_nothing(end: End, charlie: User, client_of: SignIn) -> None:
    end("web")
    answer = client_of(charlie).get(URL)
    assert b"web" not in answer.content
    assert not AuditEvent.objects.filter(outcome="denied").exists(), "every page of his asks for it"


def test_hostile_names_are_text(end: End, alice: User, client_of: SignIn) -> None:
    end("<script>alert(1)</script>")
    text = client_of(alice).get(URL).content.decode()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_it_reads_neither_arguments_nor_output(
    end: End, alice: User, client_of: SignIn, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    for number in range(20):
        end(f"web-{number}", arguments={"secret": "x" * 1000})
    client = client_of(alice)
    client.get(URL)
    with django_assert_max_num_queries(6) as queried:  # type: ignore[attr-defined]
        client.get(URL)
    assert not any('"operations_operation"."arguments"' in query["sql"] for query in queried.captured_queries)
