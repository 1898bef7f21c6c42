"""What an API token opens, and how it is refused: always in the same words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone

from console.accounts.models import ApiToken, User
from console.audit.models import AuditEvent
from console.hosts.models import Host
from console.lib import logs
from console.settings import ACCOUNT_RATE_LIMITS
from tests.console.tokens import issue, program

ClientOf = Callable[..., Client]
UNKNOWN = f"ph_{'0' * 12}_{'0' * 64}"
pytestmark = pytest.mark.django_db


def refusal(answer: Any) -> dict[str, Any]:
    """What a refusal says, but for its number."""
    said: dict[str, Any] = answer.json()
    assert said.pop("request_id")
    return {**said, "status": answer.status_code, "header": answer["WWW-Authenticate"]}


def test_it_opens_what_its_owner_may_see(alice: User, host: Host) -> None:
    answer = program(issue(alice).text).get("/hosts/")
    assert answer.status_code == 200
    assert [item["name"] for item in answer.json()["items"]] == ["harbour"]


def test_it_leaves_neither_session_nor_cookie(alice: User) -> None:
    robot = program(issue(alice).text)
    for path in ("/containers/", "/hosts/", "/activity/", "/people/", "/no/such/page/", "/search/?q=web"):
        answer = robot.get(path)
        assert not answer.cookies, path
    # An answer that says something to people does it in a cookie, or in the session.
    assert not robot.post("/people/teams/create/", {"name": "red"}).cookies
    assert not Session.objects.exists()
    assert not UserSession.objects.exists()


def test_of_a_token_and_a_session_only_the_token_counts(alice: User, bob: User, client_of: ClientOf) -> None:
    browser = client_of(alice)
    browser.get("/settings/")
    before = Session.objects.get().session_data
    headers = {"Authorization": f"Bearer {issue(bob).text}"}

    assert browser.get("/hosts/", headers=headers).status_code == 403, "what bob may, not what alice may"
    assert browser.get("/hosts/", headers={"Authorization": f"Bearer {UNKNOWN}"}).status_code == 401
    assert UserSession.objects.get().user == alice, "her session is not taken for his"
    assert browser.get("/hosts/").status_code == 200, "and it goes on"
    assert Session.objects.get().session_data == before


def test_whatever_is_wrong_with_it_is_answered_in_the_same_words(alice: User, bob: User) -> None:
    right, expired, revoked, suspended = issue(alice), issue(alice), issue(alice), issue(bob)
    now = timezone.now()
    ApiToken.objects.filter(pk=expired.token.pk).update(expires_at=now)
    ApiToken.objects.filter(pk=revoked.token.pk).update(revoked_at=now)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    wrong = [
        UNKNOWN,
        expired.text,
        revoked.text,
        suspended.text,
        right.token.prefix,
        right.text[:-1],
        right.text[:-1] + ("0" if right.text[-1] != "0" else "1"),
        right.text + "0",
        right.text.upper(),
        f"{right.token.prefix}_{'0' * 64}",
        right.token.token_hash,
        "eyJhbGciOiJub25lIn0.e30.",
        "",
        "é",
    ]
    answers = [refusal(program(text).get("/hosts/")) for text in wrong]

    assert (answers[0]["status"], answers[0]["code"], answers[0]["header"]) == (401, "bad_token", "Bearer")
    assert all(answer == answers[0] for answer in answers)
    assert program(right.text).get("/hosts/").status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer ", " Bearer"])
def test_the_scheme_is_written_as_one_likes(alice: User, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {issue(alice).text}"}
    assert Client(headers=headers).get("/hosts/").status_code == 200


def test_another_scheme_is_none_of_ours(alice: User, client_of: ClientOf) -> None:
    headers = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
    assert client_of(alice).get("/hosts/", headers=headers).status_code == 200
    assert Client().get("/hosts/", headers=headers).status_code == 302


def test_wrong_ones_are_limited_and_right_ones_are_not(alice: User) -> None:
    limit = int(ACCOUNT_RATE_LIMITS["api_token"].partition("/")[0])
    statuses = [program(UNKNOWN).get("/hosts/").status_code for _ in range(limit + 1)]
    assert statuses == [401] * limit + [429]
    assert program(issue(alice).text).get("/hosts/").status_code == 200


def test_no_form_of_another_site_can_bring_it_so_it_needs_no_mark_of_ours(alice: User) -> None:
    answer = program(issue(alice).text).post("/people/teams/create/", {"name": "red"})
    assert answer.status_code == 302
    assert AuditEvent.objects.filter(action="team.create", outcome="succeeded").exists()


def test_the_record_names_it(alice: User) -> None:
    issued = issue(alice, name="nightly")
    program(issued.text).post("/people/teams/create/", {"name": "red"})
    row = AuditEvent.objects.get(action="team.create")
    assert (row.actor_name, row.details["token"]) == ("alice", f"nightly ({issued.token.prefix})")


def test_being_used_is_written_once_a_minute(
    alice: User, django_assert_num_queries: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    robot, writes = program(issue(alice).text), []

    def watch(execute: Any, sql: str, *arguments: Any) -> Any:
        writes.extend([sql] if sql.startswith("UPDATE") else [])
        return execute(sql, *arguments)

    with connection.execute_wrapper(watch):
        robot.get("/hosts/")
        robot.get("/hosts/")
        assert len(writes) == 1
        ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
        robot.get("/hosts/")
    assert len(writes) == 3
    assert timezone.now() - (ApiToken.objects.get().last_used_at or timezone.now()) < timedelta(minutes=1)


def test_it_reads_while_nothing_can_be_written(alice: User, host: Host) -> None:
    robot = program(issue(alice).text)
    on_sqlite = connection.vendor == "sqlite"
    connection.check_constraints()  # or they would be looked at when the test ends, which counts as writing
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON" if on_sqlite else "SET TRANSACTION READ ONLY")
        try:
            status = robot.get("/hosts/").status_code
        finally:
            if on_sqlite:
                cursor.execute("PRAGMA query_only = OFF")
    assert status == 200


def test_problems_are_told_in_json_whatever_it_accepts(alice: User) -> None:
    robot = program(issue(alice).text)
    missing = robot.get("/no/such/page/", headers={"Accept": "text/html"})
    wrong = robot.get("/containers/bulk/stop/", headers={"Accept": "text/html"})
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.headers["Allow"], wrong.json()["code"]) == (405, "POST", "wrong_method")


def test_what_no_form_could_send_is_refused_rather_than_ignored(alice: User) -> None:
    robot = program(issue(alice).text)
    answer = robot.post("/people/teams/create/", {"name": "red"}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media")
    assert robot.get("/hosts/", headers={"Content-Type": "application/json"}).status_code == 200


@pytest.mark.parametrize("query", ["token={}", "access_token={}", "q=look+at+{}", "{}", "a=1&{}=2", "q=%70h{}"])
def test_in_an_address_it_is_refused_and_reaches_no_log(
    alice: User, client_of: ClientOf, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = issue(alice).text
    written = query.format(text.removeprefix("ph") if "%70h" in query else text)
    formatter = logs.formatter("json", colours=False)
    for client in (Client(), client_of(alice), program(text)):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            answer = client.get(f"/hosts/?{written}", headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "token_in_query")
        assert "Revoke that token" in answer.json()["next_step"]
        lines = "\n".join(formatter.format(record) for record in caplog.records)
        assert "request_finished" in lines
        assert text[-64:] not in lines
        assert text[-64:] not in answer.content.decode()
    assert not AuditEvent.objects.exclude(action="token.create").exists()


def test_in_an_address_a_browser_is_told_on_a_page(alice: User, client_of: ClientOf) -> None:
    answer = client_of(alice).get(f"/hosts/?token={issue(alice).text}", headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "does not belong into an address" in answer.content.decode()


def test_its_beginning_alone_can_be_looked_for(alice: User, client_of: ClientOf) -> None:
    assert client_of(alice).get(f"/audit/?q={issue(alice).token.prefix}").status_code == 200


def test_no_log_shows_one_wherever_it_stands() -> None:
    text = UNKNOWN
    event = {"event": f"GET /ws/?t={text} [accepted]", "said": [f"Bearer {text}"], "exception": f"no\n {text}"}
    cleaned = str(logs.clean(None, "info", event))
    assert text[-64:] not in cleaned
    assert "ph_000000000000_***" in cleaned
