"""Signing in with a second factor: after the right password it asks for a code, a recovery code or a key."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from console.accounts import keys
from console.accounts.models import User
from console.audit.models import AuditEvent
from tests.console.accounts.second_factors import (
    NOW,
    PASSWORD,
    App,
    Clock,
    SignIn,
    SoftKey,
    add_key,
    first_step,
    set_up_app,
)

pytestmark = pytest.mark.django_db
URL = "/accounts/second-step/"


@pytest.fixture
def app(alice: User, client_of: SignIn, clock: Clock) -> App:
    """Alice's app; its first code was spent on setting it up."""
    app, _codes = set_up_app(client_of(alice))
    clock.now = NOW + 60
    return app


@pytest.fixture
def key(alice: User, client_of: SignIn) -> SoftKey:
    """Alice's key."""
    key = SoftKey()
    add_key(client_of(alice), key)
    return key


def is_inside(client: Client, **extra: Any) -> bool:
    return bool(client.get("/settings/", **extra).status_code == 200)


def answer_with(client: Client, key: SoftKey) -> Any:
    options = client.post(f"{URL}key/", HTTP_HOST="localhost").json()
    return client.post(URL, {"credential": key.get(options)}, HTTP_HOST="localhost")


def test_the_password_alone_opens_nothing(client: Client, app: App) -> None:
    answer = first_step(client)
    assert (answer.status_code, answer["Location"]) == (302, URL)
    assert not is_inside(client)
    assert client.get("/accounts/login/")["Location"] == URL
    assert "Second step" in client.get(URL).content.decode()


def test_a_code_opens_the_console_and_leads_to_the_page_one_wanted(client: Client, app: App) -> None:
    client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "next": "/settings/"})
    answer = client.post(URL, {"code": app.code(NOW + 60)})
    assert (answer.status_code, answer["Location"]) == (302, "/settings/")
    assert is_inside(client)
    event = AuditEvent.objects.filter(action="account.sign_in").get()
    assert (event.actor_name, event.outcome, event.details) == ("alice", "succeeded", {"second_factor": "totp"})


def test_a_used_code_opens_nothing(app: App) -> None:
    code = app.code(NOW + 60)
    first, second = Client(), Client()
    for client in (first, second):
        first_step(client)
    assert first.post(URL, {"code": code}).status_code == 302
    answer = second.post(URL, {"code": code})
    assert answer.status_code == 422
    assert "was used already" in answer.content.decode()
    assert not is_inside(second)


def test_the_code_that_set_it_up_is_used(client: Client, alice: User, client_of: SignIn, clock: Clock) -> None:
    app, _codes = set_up_app(client_of(alice))
    first_step(client)
    assert client.post(URL, {"code": app.code()}).status_code == 422


@pytest.mark.parametrize(("seconds", "opens"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_one_step_off_and_not_more(
    seconds: int, opens: bool, client: Client, app: App, clock: Clock
) -> None:
    clock.now = NOW + 120
    first_step(client)
    answer = client.post(URL, {"code": app.code(NOW + 120 + seconds)})
    assert is_inside(client) is opens
    if not opens:
        assert "the clock of your device and the clock of this server differ" in answer.content.decode()


def test_a_recovery_code_opens_the_console_once(alice: User, client_of: SignIn, clock: Clock) -> None:
    _app, (code, *_others) = set_up_app(client_of(alice))
    first, second = Client(), Client()
    for client in (first, second):
        first_step(client)
        client.post(URL, {"code": code})
    assert is_inside(first)
    assert not is_inside(second)
    events = AuditEvent.objects.filter(action="account.sign_in").order_by("sequence")
    assert [(event.outcome, event.details) for event in events] == [
        ("succeeded", {"second_factor": "recovery_codes"}),
        ("failed", {"known": True, "step": 2}),
    ]


def test_a_key_opens_the_console(client: Client, key: SoftKey) -> None:
    first_step(client, HTTP_HOST="localhost")
    assert answer_with(client, key)["Location"] == "/"
    assert is_inside(client, HTTP_HOST="localhost")


def test_without_an_app_the_page_asks_for_a_recovery_code(client: Client, key: SoftKey) -> None:
    first_step(client)
    page = client.get(URL).content.decode()
    assert "Recovery code" in page
    assert "digits that your app shows" not in page


def test_another_key_opens_nothing(client: Client, key: SoftKey) -> None:
    first_step(client, HTTP_HOST="localhost")
    answer = answer_with(client, SoftKey(id=key.id))
    assert answer.status_code == 422
    assert "was not accepted" in answer.content.decode()
    assert not is_inside(client, HTTP_HOST="localhost")


def test_an_answer_cannot_be_played_again(key: SoftKey) -> None:
    first, second = Client(), Client()
    for client in (first, second):
        first_step(client, HTTP_HOST="localhost")
    said = key.get(first.post(f"{URL}key/", HTTP_HOST="localhost").json())
    second.post(f"{URL}key/", HTTP_HOST="localhost")
    assert first.post(URL, {"credential": said}, HTTP_HOST="localhost").status_code == 302
    assert second.post(URL, {"credential": said}, HTTP_HOST="localhost").status_code == 422


def test_an_answer_that_another_port_of_this_machine_got_opens_nothing(client: Client, key: SoftKey) -> None:
    first_step(client, HTTP_HOST="localhost")
    key.origin = "http://localhost:9999"
    assert answer_with(client, key).status_code == 422


def test_a_copied_key_is_noticed(alice: User, client: Client, key: SoftKey) -> None:
    key.counter = 7
    first_step(client, HTTP_HOST="localhost")
    assert answer_with(client, key).status_code == 302
    copy, other = key, Client()
    copy.counter = 3
    first_step(other, HTTP_HOST="localhost")
    assert answer_with(other, copy).status_code == 422


def test_a_passkey_that_does_not_count_is_taken_every_time(alice: User, client_of: SignIn) -> None:
    key = SoftKey(counts=False)
    add_key(client_of(alice), key)
    for _ in range(2):
        client = Client()
        first_step(client, HTTP_HOST="localhost")
        assert answer_with(client, key).status_code == 302


@pytest.mark.parametrize(
    "said", ["{}", "[]", "[" * 5000, '{"id":"eA","rawId":"eA","response":{},"type":"public-key"}', "é"]
)
def test_what_is_no_answer_opens_nothing(said: str, client: Client, key: SoftKey) -> None:
    first_step(client, HTTP_HOST="localhost")
    client.post(f"{URL}key/", HTTP_HOST="localhost")
    assert client.post(URL, {"credential": said}, HTTP_HOST="localhost").status_code == 422


def test_the_sixth_wrong_code_is_not_looked_at_whatever_the_browser_claims(app: App) -> None:
    wrong = f"{(int(app.code(NOW + 60)) + 1) % 1_000_000:06}"
    for number in range(5):
        client = Client()
        first_step(client)
        answer = client.post(URL, {"code": wrong}, HTTP_X_FORWARDED_FOR=f"198.51.100.{number}")
        assert answer.status_code == 422
    client = Client()
    first_step(client)
    answer = client.post(URL, {"code": app.code(NOW + 60)}, HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert answer.status_code == 429
    assert "Wait five minutes" in answer.content.decode()
    assert not is_inside(client)


def test_right_codes_do_not_forgive_the_wrong_ones_of_an_address(app: App, clock: Clock) -> None:
    for number in range(10):
        assert Client().post("/accounts/login/", {"login": f"name{number}", "password": "x"}).status_code == 422
        if number < 9:
            client = Client()
            clock.now = NOW + 60 + 30 * number
            first_step(client)
            client.post(URL, {"code": app.code(clock.now)})
            assert is_inside(client)
    assert Client().post("/accounts/login/", {"login": "name10", "password": "x"}).status_code == 429


@pytest.mark.parametrize("code", ["a" * 4097, "1\x002"])
def test_what_no_person_types_is_refused(code: str, client: Client, app: App) -> None:
    first_step(client)
    assert client.post(URL, {"code": code}).status_code == 400


def test_without_the_first_step_there_is_no_second(client: Client, app: App) -> None:
    for answer in (client.get(URL), client.post(URL, {"code": app.code(NOW + 60)}), client.post(f"{URL}key/")):
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")


def test_one_can_start_again_as_somebody_else(client: Client, app: App, bob: User) -> None:
    first_step(client)
    assert client.post(URL, {"start-again": "1"})["Location"] == "/accounts/login/"
    assert client.get("/accounts/login/").status_code == 200
    assert first_step(client, "bob")["Location"] == "/"


def _new_password(alice: User) -> None:
    alice.set_password("another one entirely")
    alice.save()


def _suspend(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


def _reset(alice: User) -> None:
    Authenticator.objects.filter(user=alice).delete()


@pytest.mark.parametrize("change", [_new_password, _suspend, _reset])
def test_what_changes_between_the_steps_undoes_the_first(change: Any, alice: User, client: Client, app: App) -> None:
    first_step(client)
    change(alice)
    answer = client.post(URL, {"code": app.code(NOW + 60)})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    assert not is_inside(client)
    assert not AuditEvent.objects.filter(action="account.sign_in", outcome="succeeded").exists()


def test_the_session_has_a_new_key_after_the_second_step(client: Client, app: App) -> None:
    first_step(client)
    before = client.session.session_key
    client.post(URL, {"code": app.code(NOW + 60)})
    assert client.session.session_key != before


def test_a_form_without_its_token_is_refused(app: App) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(URL, {"code": app.code(NOW + 60)}).status_code == 403


def test_neither_codes_nor_answers_reach_the_record_or_the_log(
    client: Client, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    code = app.code(NOW + 60)
    with caplog.at_level("DEBUG"):
        first_step(client)
        client.post(URL, {"code": "000111"})
        client.post(URL, {"code": code})
    kept = caplog.text + "".join(str(event.__dict__) for event in AuditEvent.objects.all())
    assert code not in kept
    assert "000111" not in kept


def test_of_allauths_own_pages_none_is_there(alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    for path in ("2fa/", "2fa/authenticate/", "2fa/totp/activate/", "2fa/webauthn/", "reauthenticate/"):
        assert client.get(f"/accounts/{path}").status_code == 404


def test_keys_are_not_asked_where_browsers_know_none(client: Client, key: SoftKey) -> None:
    first_step(client)
    assert client.post(f"{URL}key/").status_code == 400
    assert keys.why_not(client.get(URL).wsgi_request) != ""
