"""Signing in by OpenID Connect: who is let in, as whom, and what is not believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from console.accounts import oidc
from console.accounts.models import Role, User
from console.audit.models import AuditEvent
from console.sign_in import OidcSettings, SignIn
from tests.console.accounts.conftest import come_back, leave, sign_in_by
from tests.provider import CLIENT_ID, CLIENT_SECRET, Provider, new_key, running_provider

pytestmark = pytest.mark.django_db
Claims = dict[str, Any]


def who_is_in(client: Client) -> str:
    """The user name of who is signed in; empty when nobody is."""
    answer = client.get("/settings/")
    return str(answer.context["user"].username) if answer.status_code == 200 else ""


def why() -> str:
    """What the audit says of the last failed sign-in."""
    event = AuditEvent.objects.filter(action="account.sign_in").order_by("sequence").last()
    assert event is not None
    assert event.outcome == "failed"
    return f"{event.details['code']}: {event.details['reason']}"


# Who comes in


def test_who_comes_for_the_first_time_gets_an_account_of_their_own(provider: Provider, client: Client) -> None:
    provider.claims |= {"name": "Erin Example", "email": "erin@example.com", "email_verified": True}
    answer = sign_in_by(provider, client)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    erin = User.objects.get()
    assert who_is_in(client) == "erin"
    assert (erin.username, erin.name, erin.email, erin.role) == ("erin", "Erin Example", "erin@example.com", Role.USER)
    assert not erin.has_usable_password()
    events = AuditEvent.objects.order_by("sequence").values_list("action", "actor_name", "outcome")
    assert list(events) == [("account.create", "erin", "succeeded"), ("account.sign_in", "erin", "succeeded")]


def test_who_comes_again_is_the_same_whatever_they_are_called_now(provider: Provider, client: Client) -> None:
    sign_in_by(provider, client)
    provider.claims |= {"preferred_username": "alice", "name": "Erin Other"}
    again = Client()
    sign_in_by(provider, again)
    assert who_is_in(again) == "erin"
    assert User.objects.get().name == "Erin Other"


def test_a_name_that_was_changed_here_stays_until_it_changes_there(provider: Provider, client: Client) -> None:
    provider.claims["name"] = "Erin Example"
    sign_in_by(provider, client)
    User.objects.update(name="E.")
    sign_in_by(provider, Client())
    assert User.objects.get().name == "E."
    provider.claims["name"] = "Erin Other"
    sign_in_by(provider, Client())
    assert User.objects.get().name == "Erin Other"


def test_one_goes_on_to_the_page_one_wanted_and_to_no_other_site(provider: Provider, client: Client) -> None:
    assert sign_in_by(provider, client, next="/settings/")["Location"] == "/settings/"
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        assert sign_in_by(provider, Client(), next=target)["Location"] == "/"


@pytest.mark.parametrize("verified", [None, False, "true", "false", 1, [True], {"": True}])
def test_an_address_that_is_not_verified_is_not_taken_over(
    provider: Provider, client: Client, verified: object
) -> None:
    provider.claims |= {"email": "erin@example.com", "email_verified": verified}
    sign_in_by(provider, client)
    assert User.objects.get().email == ""


def test_neither_name_nor_address_leads_to_an_account_that_is_there(
    provider: Provider, client: Client, alice: User
) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@example.com")
    provider.claims |= {"preferred_username": "Alice", "email": "alice@example.com", "email_verified": True}
    sign_in_by(provider, client)
    assert who_is_in(client) == "Alice-2"
    assert User.objects.get(username="Alice-2").role == Role.USER
    assert not SocialAccount.objects.filter(user=alice).exists()


@pytest.mark.parametrize(
    ("claimed", "username"),
    [
        ("erin@example.com", "erin@example.com"),
        ("Erin Example", "Erin.Example"),
        ("<script>alert(1)</script>", "script.alert.1.script"),
        ("\u202enire", "u202enire"),
        ("a" * 500, "a" * 60),
        ("한나", "한나"),
        ("", "person"),
        ("///", "person"),
        ({"not": "text"}, "person"),
        (None, "person"),
    ],
)
def test_a_user_name_is_made_of_what_is_claimed(
    provider: Provider, client: Client, claimed: object, username: str
) -> None:
    provider.claims["preferred_username"] = claimed
    sign_in_by(provider, client)
    assert User.objects.get().username == username


def test_the_same_subject_at_another_issuer_is_somebody_else(
    provider: Provider, client: Client, settings: object
) -> None:
    sign_in_by(provider, client)
    with running_provider() as other:
        settings.SIGN_IN = SignIn(  # type: ignore[attr-defined]
            oidc=OidcSettings(issuer=other.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        )
        another = Client()
        sign_in_by(other, another)
    assert (who_is_in(client), who_is_in(another)) == ("erin", "erin-2")


def test_a_suspended_person_stays_outside(provider: Provider, client: Client) -> None:
    sign_in_by(provider, Client())
    User.objects.update(is_active=False)
    answer = sign_in_by(provider, client)
    assert answer.status_code == 403
    assert "suspended" in answer.content.decode()
    assert who_is_in(client) == ""
    assert why() == "suspended: suspended"


def test_the_user_information_adds_what_the_token_does_not_say_and_overrules_nothing(
    provider: Provider, client: Client
) -> None:
    provider.claims["name"] = "of the token"
    provider.user_info = {
        "sub": "erin-at-acme",
        "name": "of the information",
        "email": "e@example.com",
        "email_verified": True,
    }
    sign_in_by(provider, client)
    erin = User.objects.get()
    assert (erin.name, erin.email) == ("of the token", "e@example.com")


def test_the_session_has_a_new_key_after_signing_in(provider: Provider, client: Client) -> None:
    url = provider.visit(leave(client))
    before = client.session.session_key
    come_back(client, url)
    assert client.session.session_key != before


def test_nobody_else_has_the_verifier_state_and_nonce_of_a_sign_in(provider: Provider, client: Client) -> None:
    first, second = (parse_qs(urlsplit(leave(client)).query) for _ in range(2))
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name][0]) >= 16


# What is not believed


def _with(**claims: Any) -> Callable[[Provider, Claims], str]:
    def sign(provider: Provider, usual: Claims) -> str:
        changed = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return provider.signed(changed)

    return sign


def _unsigned(_provider: Provider, claims: Claims) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def _by_public_key(provider: Provider, claims: Claims) -> str:
    """HS256, with the public key for a secret: whoever verifies by the token's own algorithm believes it."""
    parts = ({"alg": "HS256", "typ": "JWT", "kid": provider.key_id}, claims)
    signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    mac = hmac.new(provider.public_pem, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _by_another_key(provider: Provider, claims: Claims) -> str:
    return provider.signed(claims, key=new_key())


def _by_an_unknown_key_id(provider: Provider, claims: Claims) -> str:
    return provider.signed(claims, kid="another")


def _changed_afterwards(provider: Provider, claims: Claims) -> str:
    header, _claims, signature = provider.signed(claims).split(".")
    other = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "the-boss"}).encode()).rstrip(b"=").decode()
    return f"{header}.{other}.{signature}"


@pytest.mark.parametrize(
    "sign",
    [
        pytest.param(_unsigned, id="alg none"),
        pytest.param(_by_public_key, id="HS256 with the public key"),
        pytest.param(_by_another_key, id="another key"),
        pytest.param(_by_an_unknown_key_id, id="unknown key id"),
        pytest.param(_changed_afterwards, id="changed after signing"),
        pytest.param(_with(iss="https://evil.example"), id="another issuer"),
        pytest.param(_with(iss=None), id="no issuer"),
        pytest.param(_with(aud="somebody-else"), id="another audience"),
        pytest.param(_with(aud=None), id="no audience"),
        pytest.param(_with(aud=[CLIENT_ID, "somebody-else"]), id="two audiences, nobody named"),
        pytest.param(_with(azp="somebody-else"), id="for another client"),
        pytest.param(_with(exp=int(time.time()) - 3600), id="expired"),
        pytest.param(_with(exp=None), id="no end"),
        pytest.param(_with(iat=None), id="no beginning"),
        pytest.param(_with(iat=int(time.time()) + 3600), id="of the future"),
        pytest.param(_with(nonce=None), id="no nonce"),
        pytest.param(_with(nonce="another"), id="another nonce"),
        pytest.param(_with(nonce=["a", "list"]), id="a list for a nonce"),
        pytest.param(_with(sub=None), id="no subject"),
        pytest.param(_with(sub=""), id="an empty subject"),
        pytest.param(_with(sub=7), id="a number for a subject"),
        pytest.param(_with(sub="x" * 192), id="an endless subject"),
    ],
)
def test_a_token_that_proves_nothing_lets_nobody_in(
    provider: Provider, client: Client, sign: Callable[[Provider, Claims], str]
) -> None:
    provider.sign = sign
    answer = sign_in_by(provider, client)
    if answer.status_code == 302:
        pytest.fail("signed in")
    assert answer.status_code == 403
    assert "cannot be believed" in answer.content.decode()
    assert why().startswith("untrusted: ")
    assert not User.objects.exists()


@pytest.mark.parametrize("extra", [{"aud": [CLIENT_ID]}, {"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}])
def test_a_list_of_audiences_is_good_when_we_asked(provider: Provider, client: Client, extra: Claims) -> None:
    provider.claims |= extra
    assert sign_in_by(provider, client).status_code == 302


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"jwks_uri": None},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": ["http://127.0.0.1/"]},
    ],
)
def test_a_provider_that_describes_another_is_not_followed(
    provider: Provider, client: Client, description: Claims
) -> None:
    provider.description = description
    answer = client.post("/accounts/oidc/", HTTP_ACCEPT="text/html")
    assert answer.status_code == 403
    assert "cannot be believed" in answer.content.decode()


def test_user_information_about_somebody_else_is_refused(provider: Provider, client: Client) -> None:
    provider.user_info = {"sub": "the-boss", "groups": ["admins"]}
    assert sign_in_by(provider, client).status_code == 403
    assert "somebody else" in why()
    assert not User.objects.exists()


def test_an_answer_that_names_another_provider_is_not_taken_to_this_one(provider: Provider, client: Client) -> None:
    url = provider.visit(leave(client)).replace(f"iss={provider.url}", "iss=https://evil.example")
    assert come_back(client, url).status_code == 403
    assert not any(path == "/token" for path, _form in provider.asked)


# What was not begun here


def test_a_way_back_that_was_not_begun_in_this_browser_leads_nowhere(provider: Provider, client: Client) -> None:
    url = provider.visit(leave(Client()))
    for wrong in (url, url.split("state=")[0] + "code=x", url.replace("state=", "state=x")):
        answer = come_back(client, wrong)
        assert answer.status_code == 400
        assert "was not begun in this browser" in answer.content.decode()
    assert why().startswith("stale: ")
    assert not any(path == "/token" for path, _form in provider.asked)


def test_a_way_back_works_once(provider: Provider, client: Client) -> None:
    url = provider.visit(leave(client))
    assert come_back(client, url).status_code == 302
    client.post("/accounts/logout/")
    assert come_back(client, url).status_code == 400


def test_a_way_back_that_took_too_long_leads_nowhere(
    provider: Provider, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = provider.visit(leave(client))
    monkeypatch.setattr("allauth.socialaccount.internal.statekit.STATE_TTL", -1)
    assert come_back(client, url).status_code == 400


def test_a_code_of_another_sign_in_is_worth_nothing(provider: Provider, client: Client) -> None:
    """Its challenge and nonce are of the other session: PKCE at the provider, and the nonce here."""
    stolen = parse_qs(urlsplit(provider.visit(leave(Client()))).query)["code"][0]
    url = provider.visit(leave(client))
    own = parse_qs(urlsplit(url).query)["code"][0]
    answer = come_back(client, url.replace(own, stolen))
    assert answer.status_code == 502
    assert who_is_in(client) == ""
    assert why() == "garbled: the provider said invalid_grant"


def test_who_says_no_there_is_told_so(provider: Provider, client: Client) -> None:
    answer = sign_in_by(provider, client, error="access_denied")
    assert answer.status_code == 403
    assert "did not sign you in" in answer.content.decode()
    assert why() == "declined: the provider said access_denied"


# What the provider does wrong


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys", "/userinfo"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (302, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"null"),
        (200, b"{}"),
        (200, b"[" * 100_000),
        (200, b'{"keys": 1, "id_token": 1, "access_token": 1, "issuer": 1}'),
    ],
    ids=["500", "302", "html", "list", "null", "empty", "deep", "wrong types"],
)
def test_whatever_it_answers_there_is_a_page_and_nobody_is_in(
    provider: Provider, client: Client, path: str, status: int, body: bytes
) -> None:
    provider.user_info = {"sub": "erin-at-acme"}
    if path.startswith("/."):
        provider.instead[path] = (status, body)
        answer = client.post("/accounts/oidc/", HTTP_ACCEPT="text/html")
    else:
        url = provider.visit(leave(client))
        provider.instead[path] = (status, body)
        answer = come_back(client, url)  # type: ignore[assignment]
    assert answer.status_code in (403, 502)
    assert "You are not signed in" in answer.content.decode()
    assert not User.objects.exists()
    assert not any(path == "/elsewhere" for path, _form in provider.asked)


@pytest.mark.parametrize(("size", "status"), [(0, 302), (1, 502), (oidc.ANSWER_BYTES * 99, 502)])
def test_an_answer_has_a_size(provider: Provider, client: Client, size: int, status: int) -> None:
    url = provider.visit(leave(client))
    provider.padding = oidc.ANSWER_BYTES + size
    assert come_back(client, url).status_code == status


def test_what_could_hold_a_token_is_kept_nowhere(
    provider: Provider, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    url = provider.visit(leave(client))
    provider.instead["/token"] = (200, b'{"id_token": "s3cr3t"}')
    come_back(client, url)
    assert why() == "garbled: an answer without a token"
    assert "s3cr3t" not in caplog.text


def test_a_provider_that_is_away_is_said_to_be_and_passwords_work(
    client: Client, alice: User, settings: object
) -> None:
    settings.SIGN_IN = SignIn(oidc=OidcSettings(issuer="http://127.0.0.1:9", client_id="x", name="Acme"))  # type: ignore[attr-defined]
    answer = client.post("/accounts/oidc/", HTTP_ACCEPT="text/html")
    assert answer.status_code == 502
    assert "Acme does not answer" in answer.content.decode()
    assert why().startswith("unreachable: ")
    client.post("/accounts/login/", {"login": "alice", "password": "correct horse battery"})
    assert who_is_in(client) == "alice"


def test_an_answer_that_takes_too_long_is_not_waited_for(
    provider: Provider, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1_000_000, 100))
    monkeypatch.setattr(oidc.time, "monotonic", lambda: next(clock))  # type: ignore[attr-defined]
    assert client.post("/accounts/oidc/").status_code == 502
    assert "took more than" in why()


def test_nobody_is_sent_there_endlessly(provider: Provider, client: Client, settings: object) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"single_sign_on": "3/m/ip"}  # type: ignore[attr-defined]
    assert [client.post("/accounts/oidc/").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert client.get("/accounts/oidc/callback/").status_code == 429


# The pages


def test_the_sign_in_page_has_the_button(provider: Provider, client: Client) -> None:
    page = client.get("/accounts/login/?next=/audit/").content.decode()
    assert "Sign in with Acme" in page
    assert page.count('value="/audit/"') == 2


def test_without_a_provider_there_is_neither_button_nor_address(client: Client) -> None:
    assert "Sign in with" not in client.get("/accounts/login/").content.decode()
    assert client.post("/accounts/oidc/").status_code == 404
    assert client.get("/accounts/oidc/callback/").status_code == 404


def test_it_begins_with_a_form_of_ours(provider: Provider, client: Client) -> None:
    assert client.get("/accounts/oidc/").status_code in (302, 405)
    assert Client(enforce_csrf_checks=True).post("/accounts/oidc/").status_code == 403
    assert provider.asked == []


def test_who_is_signed_in_needs_not_go(provider: Provider, client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/accounts/oidc/")["Location"] == "/"


def test_of_django_allauth_no_page_is_there(client: Client, alice: User) -> None:
    client.force_login(alice)
    for path in ("3rdparty/", "social/connections/", "social/signup/", "oidc/acme/login/", "signup/"):
        assert client.get(f"/accounts/{path}").status_code == 404
