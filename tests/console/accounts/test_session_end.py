"""The list of one's sessions, and ending them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.accounts.sessions import describe_user_agent, is_session_valid, list_sessions, note_session, sweep_sessions
from console.audit.models import AuditEvent
from console.lib.origin import Origin

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)
pytestmark = pytest.mark.django_db


def visit(client: Client, user_agent: str = FIREFOX, address: str = "192.0.2.1") -> str:
    assert client.get("/settings/", HTTP_USER_AGENT=user_agent, REMOTE_ADDR=address).status_code == 200
    return client.session.session_key or ""


def test_the_list_names_device_and_address_with_this_one_first(alice: User, client_of: Callable[..., Client]) -> None:
    here, there = client_of(alice), client_of(alice)
    key = visit(here)
    visit(there, IPHONE, "198.51.100.20")
    found = list_sessions(alice, current_key=key)
    assert [(one.device, one.address, one.is_current, one.is_phone) for one in found] == [
        ("Firefox on Linux", "192.0.2.1", True, False),
        ("Safari on iPhone", "198.51.100.20", False, True),
    ]
    page = here.get("/settings/").content.decode()
    assert "Safari on iPhone" in page
    assert "198.51.100.20" in page


def test_ending_one_closes_it_and_nothing_else(alice: User, client_of: Callable[..., Client]) -> None:
    here, there = client_of(alice), client_of(alice)
    visit(here)
    key = visit(there, IPHONE)
    number = UserSession.objects.get(session_key=key).pk
    assert here.post(f"/settings/sessions/{number}/end/").status_code == 302
    assert not is_session_valid(key, alice.pk)
    assert there.get("/settings/").status_code == 302
    assert here.get("/settings/").status_code == 200
    row = AuditEvent.objects.get(action="session.end")
    assert (row.actor_name, row.details["device"]) == ("alice", "Safari on iPhone")


def test_ending_all_others_keeps_this_one(alice: User, bob: User, client_of: Callable[..., Client]) -> None:
    here, others, bobs = client_of(alice), [client_of(alice) for _ in range(3)], client_of(bob)
    for client in (here, *others, bobs):
        visit(client)
    here.post("/settings/sessions/end-others/")
    assert here.get("/settings/").status_code == 200
    assert [client.get("/settings/").status_code for client in others] == [302] * 3
    assert bobs.get("/settings/").status_code == 200


def test_a_stranger_cannot_end_anothers_session(alice: User, charlie: User, client_of: Callable[..., Client]) -> None:
    key = visit(client_of(alice))
    number = UserSession.objects.get(session_key=key).pk
    refused = client_of(charlie).post(f"/settings/sessions/{number}/end/")
    unknown = client_of(charlie).post("/settings/sessions/999999/end/")
    assert refused.status_code == unknown.status_code == 404
    assert is_session_valid(key, alice.pk)
    assert not AuditEvent.objects.filter(action="session.end").exists()


def test_a_link_ends_nothing(alice: User, client_of: Callable[..., Client]) -> None:
    client = client_of(alice)
    visit(client)
    number = UserSession.objects.get().pk
    assert client.get(f"/settings/sessions/{number}/end/").status_code == 405
    assert client.get("/settings/sessions/end-others/").status_code == 405


def test_a_session_that_expired_is_not_listed(alice: User, client_of: Callable[..., Client]) -> None:
    key = visit(client_of(alice))
    Session.objects.filter(session_key=key).update(expire_date=timezone.now() - timedelta(seconds=1))
    assert list_sessions(alice, current_key="") == []
    assert not is_session_valid(key, alice.pk)


def test_the_sweep_throws_away_what_has_run_out_and_nothing_else(alice: User, client_of: Callable[..., Client]) -> None:
    here, there = client_of(alice), client_of(alice)
    kept, gone = visit(here), visit(there)
    Session.objects.filter(session_key=gone).update(expire_date=timezone.now() - timedelta(seconds=1))
    sweep_sessions()
    assert list(Session.objects.values_list("session_key", flat=True)) == [kept]
    assert list(UserSession.objects.values_list("session_key", flat=True)) == [kept]
    assert here.get("/settings/").status_code == 200


def test_being_seen_is_written_once_a_minute(
    alice: User, client_of: Callable[..., Client], django_assert_num_queries: Callable[..., object]
) -> None:
    key = visit(client_of(alice))
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        note_session(user=alice, session_key=key, origin=Origin("192.0.2.1", FIREFOX))
    UserSession.objects.update(last_seen_at=timezone.now() - timedelta(minutes=2))
    note_session(user=alice, session_key=key, origin=Origin("192.0.2.1", FIREFOX))
    assert timezone.now() - UserSession.objects.get().last_seen_at < timedelta(minutes=1)


def test_validity_follows_person_password_and_owner(alice: User, bob: User, client_of: Callable[..., Client]) -> None:
    key = visit(client_of(alice))
    assert is_session_valid(key, alice.pk)
    assert not is_session_valid(key, bob.pk)
    assert not is_session_valid("", alice.pk)
    assert not is_session_valid("0" * 32, alice.pk)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert not is_session_valid(key, alice.pk)
    User.objects.filter(pk=alice.pk).update(is_active=True)
    alice.set_password("changed by somebody else")
    alice.save()
    assert not is_session_valid(key, alice.pk)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iPhone"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/18.0 Safari/605", "Safari on macOS"),
        ("curl/8.5.0", "curl"),
        ("python-requests/2.32", "A script"),
        ("", "An unknown browser"),
        ("<img src=x onerror=alert(1)>", "An unknown browser"),
    ],
)
def test_browsers_are_named_in_words(user_agent: str, words: str) -> None:
    assert describe_user_agent(user_agent) == words
