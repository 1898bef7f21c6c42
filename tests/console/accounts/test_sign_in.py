"""Signing in: with the right password, and not too often with a wrong one."""

from __future__ import annotations

import logging

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from console.accounts.models import User
from console.audit.models import AuditEvent

PASSWORD = "correct horse battery"
pytestmark = pytest.mark.django_db


def attempt(client: Client, name: str, password: str, **extra: str) -> tuple[int, str]:
    answer = client.post("/accounts/login/", {"login": name, "password": password}, **extra)  # type: ignore[arg-type]
    return answer.status_code, answer.content.decode()


def test_the_right_password_opens_the_console(client: Client, alice: User) -> None:
    answer = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.get("/settings/").status_code == 200


def test_the_name_may_be_written_in_any_case(client: Client, alice: User) -> None:
    assert attempt(client, "ALICE", PASSWORD)[0] == 302


def test_one_goes_on_to_the_page_one_wanted(client: Client, alice: User) -> None:
    answer = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "next": "/settings/"})
    assert answer["Location"] == "/settings/"


def test_the_page_one_wanted_survives_a_wrong_password(client: Client, alice: User) -> None:
    wrong = client.post("/accounts/login/", {"login": "alice", "password": "no", "next": "/settings/"})
    assert 'value="/settings/"' in wrong.content.decode()


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "javascript:alert(1)",
        "/\\evil.example",
        "http://127.0.0.1/another/port",
        "http://testserver/",
    ],
)
def test_one_is_not_sent_to_another_site(client: Client, alice: User, target: str) -> None:
    answer = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "next": target})
    assert answer["Location"] == "/"


def test_a_wrong_password_says_so_and_keeps_the_name(client: Client, alice: User) -> None:
    status, page = attempt(client, "alice", "wrong")
    assert status == 422
    assert "The user name or the password is not right" in page
    assert 'value="alice"' in page
    assert "wrong" not in page


def test_an_unknown_name_is_answered_like_a_wrong_password(client: Client, alice: User) -> None:
    def without_what_differs(page: str, name: str) -> str:
        return page.replace(name, "")

    known, unknown = attempt(client, "alice", "wrong"), attempt(Client(), "nobody", "wrong")
    assert known[0] == unknown[0]
    assert len(without_what_differs(known[1], "alice")) == len(without_what_differs(unknown[1], "nobody"))


def test_a_suspended_person_stays_outside(client: Client, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_active=False)
    status, page = attempt(client, "bob", PASSWORD)
    assert status == 422
    assert "not right" in page
    assert client.get("/settings/").status_code == 302


def test_the_sixth_wrong_password_is_not_looked_at_whatever_the_browser_claims(client: Client, alice: User) -> None:
    for number in range(5):
        assert attempt(client, "alice", "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")[0] == 422
    for password in ("wrong", PASSWORD):
        status, page = attempt(client, "alice", password, HTTP_X_FORWARDED_FOR="203.0.113.9")
        assert status == 429
        assert "Wait five minutes" in page


def test_another_host_name_or_case_brings_no_further_attempts(client: Client, alice: User, settings: object) -> None:
    settings.ALLOWED_HOSTS = ["*"]  # type: ignore[attr-defined]
    for number in range(5):
        attempt(client, "alice", "wrong", HTTP_HOST=f"name{number}.test")
    assert attempt(client, "Alice", PASSWORD, HTTP_HOST="another.test")[0] == 429


def test_one_persons_limit_is_not_anothers(client: Client, alice: User, bob: User) -> None:
    for _ in range(6):
        attempt(client, "alice", "wrong")
    assert attempt(client, "bob", PASSWORD)[0] == 302


def test_an_address_that_tries_many_names_is_stopped_too(client: Client) -> None:
    statuses = [
        attempt(client, f"name{number}", "wrong", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")[0]
        for number in range(11)
    ]
    assert statuses == [422] * 10 + [429]


@pytest.mark.parametrize(
    ("name", "password"),
    [("a" * 4097, "x"), ("alice", "x" * 4097), ("ali\0ce", "x"), ("alice", "x\0y"), ("alice", "한" * 1366)],
)
def test_what_no_person_types_is_refused(client: Client, alice: User, name: str, password: str) -> None:
    status, page = attempt(client, name, password)
    assert status == 400
    assert "4 KiB" in page or "NUL" in page
    assert not AuditEvent.objects.exists()


def test_ten_megabytes_are_refused(client: Client) -> None:
    assert attempt(client, "a" * 10_000_000, "x")[0] in (400, 413)


def test_the_session_has_a_new_key_after_signing_in(client: Client, alice: User) -> None:
    session = client.session
    session["planted"] = True
    session.save()
    attempt(client, "alice", PASSWORD)
    assert client.session.session_key != session.session_key


def test_success_and_failure_are_on_record(client: Client, alice: User) -> None:
    attempt(client, "alice", "wrong")
    attempt(client, "alice", PASSWORD)
    rows = AuditEvent.objects.filter(action="account.sign_in").order_by("sequence")
    assert [(row.outcome, row.actor_name, row.object_name) for row in rows] == [
        ("failed", "anonymous", "alice"),
        ("succeeded", "alice", "alice"),
    ]


def test_a_password_typed_into_the_name_is_kept_nowhere(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        attempt(client, "hunter2 is my password", "oops")
    row = AuditEvent.objects.get(action="account.sign_in")
    assert "hunter2" not in str(row.__dict__)
    assert row.object_name.startswith("#")
    assert "hunter2" not in caplog.text
    assert "oops" not in caplog.text


def test_there_is_no_sign_up_and_no_password_mail(client: Client) -> None:
    for name in ("account_signup", "account_reset_password", "account_email", "account_inactive"):
        with pytest.raises(NoReverseMatch):
            reverse(name)
    page = client.get("/accounts/login/").content.decode()
    assert "signup" not in page
    assert "reset" not in page


def test_who_is_signed_in_is_sent_on(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get("/accounts/login/")["Location"] == "/"


def test_a_form_without_its_token_is_refused(alice: User) -> None:
    assert attempt(Client(enforce_csrf_checks=True), "alice", PASSWORD)[0] == 403
