"""Setting up an authenticator app, and taking it away again."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.db import connection

from console.accounts.models import User
from console.accounts.sessions import is_session_valid
from console.audit.models import AuditEvent
from console.lib.crypto import decrypt
from tests.console.accounts.second_factors import (
    NOW,
    App,
    Clock,
    SignIn,
    sealed,
    set_up_app,
    shown_codes,
    shown_secret,
)

pytestmark = pytest.mark.django_db
URL = "/settings/second-factor/app/"


def test_the_page_shows_the_key_as_a_picture_and_as_text(alice: User, client_of: SignIn) -> None:
    page = client_of(alice).get(URL).content.decode()
    secret = shown_secret(page)
    assert '<svg class="qr-code"' in page
    assert len(secret) == 32
    address = urlsplit(page.split('href="otpauth:')[1].split('"')[0].replace("&amp;", "&"))
    assert address.path.endswith("Pilothouse%3Aalice")
    assert parse_qs(address.query) == {"secret": [secret], "issuer": ["Pilothouse"]}


def test_to_look_at_it_changes_nothing(alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    client.get(URL)
    assert not Authenticator.objects.exists()
    secret = shown_secret(client.get(URL).content.decode())
    kept = "".join(str(session.get_decoded()) for session in Session.objects.all())
    assert secret not in kept, "until it is set up it is nowhere but in the page"


def test_a_right_code_turns_it_on_and_shows_recovery_codes_once(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    _app, codes = set_up_app(client)
    assert len(set(codes)) == 10
    assert Authenticator.objects.filter(user=alice).count() == 2
    for path in (URL, "/settings/second-factor/", "/settings/"):
        assert not any(code in client.get(path, follow=True).content.decode() for code in codes)


def test_a_wrong_code_leaves_it_off_and_the_key_as_it_was(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    page = client.get(URL).content.decode()
    wrong = f"{(int(App(shown_secret(page)).code()) + 1) % 1_000_000:06}"
    answer = client.post(URL, {"sealed": sealed(page), "code": wrong})
    assert answer.status_code == 422
    assert "This code is not right" in answer.content.decode()
    assert shown_secret(answer.content.decode()) == shown_secret(page)
    assert not Authenticator.objects.exists()


def test_a_wrong_clock_is_named(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    page = client.get(URL).content.decode()
    code = App(shown_secret(page)).code(NOW - 600)
    answer = client.post(URL, {"sealed": sealed(page), "code": code})
    assert "differ by about 10 minutes" in answer.content.decode()
    assert not Authenticator.objects.exists()


def test_another_persons_page_and_an_old_one_are_of_no_use(alice: User, bob: User, client_of: SignIn) -> None:
    page = client_of(bob).get(URL).content.decode()
    for mark in (sealed(page), "", "forged", sealed(page)[:-1] + "x"):
        answer = client_of(alice).post(URL, {"sealed": mark, "code": App(shown_secret(page)).code()})
        assert (answer.status_code, answer["Location"]) == (302, URL)
    assert not Authenticator.objects.exists()


def test_the_secrets_are_encrypted_in_the_database(alice: User, client_of: SignIn, clock: Clock) -> None:
    app, codes = set_up_app(client_of(alice))
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM mfa_authenticator")
        stored = " ".join(str(row[0]) for row in cursor.fetchall())
    assert app.secret not in stored
    assert not any(code.replace(" ", "") in stored for code in codes)
    kept = Authenticator.objects.get(user=alice, type=Authenticator.Type.TOTP).data["secret"]
    assert decrypt(kept) == app.secret
    assert all(app.secret not in str(event.__dict__) for event in AuditEvent.objects.all())


def test_setting_it_up_ends_the_other_sessions(alice: User, client_of: SignIn, clock: Clock) -> None:
    here, there = client_of(alice), client_of(alice)
    for client in (here, there):
        client.get("/settings/")
    other = there.session.session_key or ""
    set_up_app(here)
    assert here.get("/settings/").status_code == 200
    assert there.get("/settings/").status_code == 302
    assert not is_session_valid(other, alice.pk)


def test_a_second_app_is_not_taken(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    page = client.get(URL).content.decode()
    set_up_app(client)
    before = Authenticator.objects.get(type=Authenticator.Type.TOTP).data
    answer = client.post(URL, {"sealed": sealed(page), "code": App(shown_secret(page)).code()})
    assert answer.status_code == 302
    assert Authenticator.objects.get(type=Authenticator.Type.TOTP).data == before


@pytest.mark.parametrize(
    ("path", "action"), [("app/remove/", "second_factor.remove_app"), ("off/", "second_factor.turn_off")]
)
def test_taking_it_away_forgets_all_ends_the_other_sessions_and_is_on_record(
    path: str, action: str, alice: User, client_of: SignIn, clock: Clock
) -> None:
    here, there = client_of(alice), client_of(alice)
    set_up_app(here)
    there = client_of(alice)
    there.get("/settings/")
    here.post(f"/settings/second-factor/{path}")
    assert not Authenticator.objects.exists(), "recovery codes alone are no factor"
    assert here.get("/settings/").status_code == 200
    assert there.get("/settings/").status_code == 302
    event = AuditEvent.objects.get(action=action)
    assert (event.actor_name, event.outcome, event.details["sessions"]) == ("alice", "succeeded", 1)


def test_open_streams_ask_again_at_once(
    alice: User,
    client_of: SignIn,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: object,
) -> None:
    client = client_of(alice)
    set_up_app(client)
    told: list[str] = []
    monkeypatch.setattr("console.lib.live._put", told.extend)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        client.post("/settings/second-factor/off/")
    assert f"person:{alice.pk}" in told


def test_new_recovery_codes_replace_the_old(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    _app, old = set_up_app(client)
    answer = client.post("/settings/second-factor/recovery-codes/")
    new = shown_codes(answer.content.decode())
    assert len(new) == 10
    assert not set(new) & set(old)
    assert "10 left" in client.get("/settings/second-factor/").content.decode()
    assert AuditEvent.objects.filter(action="second_factor.renew_codes", outcome="succeeded").count() == 1


def test_without_a_factor_there_are_no_recovery_codes(alice: User, client_of: SignIn) -> None:
    assert client_of(alice).post("/settings/second-factor/recovery-codes/").status_code == 302
    assert not Authenticator.objects.exists()


def test_a_link_changes_nothing(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    set_up_app(client)
    for path in ("app/remove/", "off/", "recovery-codes/", "keys/options/"):
        assert client.get(f"/settings/second-factor/{path}").status_code == 405
    assert Authenticator.objects.count() == 2
    strict = client_of(alice, enforce_csrf_checks=True)
    assert strict.post("/settings/second-factor/off/").status_code == 403
    assert Authenticator.objects.count() == 2
