"""Security keys: adding, renaming and removing them, and what is not taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from console.accounts import keys
from console.accounts.models import User
from console.audit.models import AuditEvent
from tests.console.accounts.second_factors import Clock, SignIn, SoftKey, add_key, shown_codes

pytestmark = pytest.mark.django_db
ADD = "/settings/second-factor/keys/add/"
OPTIONS = "/settings/second-factor/keys/options/"


def test_a_key_is_added_under_its_name_with_recovery_codes(alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    answer = add_key(client, SoftKey())
    assert len(shown_codes(answer.content.decode())) == 10
    assert "blue key" in client.get("/settings/second-factor/").content.decode()
    event = AuditEvent.objects.get(action="second_factor.add_key")
    assert (event.actor_name, event.outcome, event.details["key"]) == ("alice", "succeeded", "blue key")


def test_a_second_key_brings_no_other_recovery_codes(alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    add_key(client, SoftKey())
    answer = add_key(client, SoftKey(), name="laptop")
    assert (answer.status_code, answer["Location"]) == (302, "/settings/second-factor/")
    assert [key.data["name"] for key in keys.keys_of(alice)] == ["blue key", "laptop"]


def test_the_browser_is_told_which_keys_are_there_already(alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    add_key(client, SoftKey())
    options = client.post(OPTIONS, HTTP_HOST="localhost").json()["publicKey"]
    assert len(options["excludeCredentials"]) == 1
    assert options["rp"]["id"] == "localhost"
    assert options["user"]["name"] == "alice"


def _refused(client: Client, credential: str) -> None:
    answer = client.post(ADD, {"name": "x", "credential": credential}, HTTP_HOST="localhost")
    assert answer.status_code == 422
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("origin", ["http://localhost:9999", "https://localhost", "http://evil.example"])
def test_an_answer_made_for_another_site_is_refused(origin: str, alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    options = client.post(OPTIONS, HTTP_HOST="localhost").json()
    _refused(client, SoftKey(origin=origin).create(options))


def test_a_challenge_counts_once_and_for_five_minutes(alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    options = client.post(OPTIONS, HTTP_HOST="localhost").json()
    _refused(client, "{}")
    _refused(client, SoftKey().create(options))
    options = client.post(OPTIONS, HTTP_HOST="localhost").json()
    clock.now += 300
    _refused(client, SoftKey().create(options))


def test_an_answer_without_a_question_is_refused(alice: User, bob: User, client_of: SignIn) -> None:
    options = client_of(bob).post(OPTIONS, HTTP_HOST="localhost").json()
    _refused(client_of(alice), SoftKey().create(options))


def _hostile() -> list[Any]:
    whole = {
        "id": "eA",
        "rawId": "eA",
        "type": "public-key",
        "response": {"clientDataJSON": "e30", "attestationObject": "oA"},
    }
    return [
        "",
        "[]",
        "null",
        "{",
        "[" * 5000,
        json.dumps({}),
        json.dumps(whole | {"response": {}}),
        json.dumps(whole | {"response": None}),
        json.dumps(whole),
        json.dumps(whole | {"rawId": 5}),
        json.dumps(whole | {"response": {"clientDataJSON": "🙂", "attestationObject": "!"}}),
        "x" * (keys.ANSWER_LENGTH + 1),
    ]


@pytest.mark.parametrize("credential", _hostile())
def test_what_is_no_answer_is_refused(credential: str, alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    client.post(OPTIONS, HTTP_HOST="localhost")
    _refused(client, credential)


def test_there_is_a_bound(alice: User, client_of: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST", 2)
    client = client_of(alice)
    for number in range(3):
        answer = add_key(client, SoftKey(), name=str(number))
    assert answer.status_code == 422
    assert len(keys.keys_of(alice)) == 2


def test_a_key_is_renamed(alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    add_key(client, SoftKey())
    (key,) = keys.keys_of(alice)
    url = f"/settings/second-factor/keys/{key.pk}/rename/"
    assert 'value="blue key"' in client.get(url).content.decode()
    assert client.post(url, {"name": "a\nb\u202ec"}).status_code == 422
    assert client.post(url, {"name": "red key"}).status_code == 302
    key.refresh_from_db()
    assert key.data["name"] == "red key"
    assert AuditEvent.objects.get(action="second_factor.rename_key").details == {"before": "blue key", "key": "red key"}


def test_the_last_key_takes_the_recovery_codes_with_it(alice: User, client_of: SignIn) -> None:
    here = client_of(alice)
    add_key(here, SoftKey())
    there = client_of(alice)
    there.get("/settings/")
    (key,) = keys.keys_of(alice)
    here.post(f"/settings/second-factor/keys/{key.pk}/remove/")
    assert not Authenticator.objects.exists()
    assert there.get("/settings/").status_code == 302
    assert AuditEvent.objects.get(action="second_factor.remove_key").details == {"key": "blue key", "sessions": 1}


@pytest.mark.parametrize("path", ["rename", "remove"])
def test_somebody_elses_key_is_unknown(path: str, alice: User, bob: User, client_of: SignIn) -> None:
    add_key(client_of(alice), SoftKey())
    (key,) = keys.keys_of(alice)
    stranger = client_of(bob)
    theirs = stranger.post(f"/settings/second-factor/keys/{key.pk}/{path}/", {"name": "mine"})
    nobodys = stranger.post(f"/settings/second-factor/keys/987654/{path}/", {"name": "mine"})
    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert keys.keys_of(alice)[0].data["name"] == "blue key"


@pytest.mark.parametrize(
    ("host", "said"),
    [("127.0.0.1", "Open this console as http://localhost:"), ("testserver", "only over HTTPS"), ("localhost", "")],
)
def test_where_browsers_use_no_keys_the_page_says_why(host: str, said: str, alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    page = client.get("/settings/second-factor/", HTTP_HOST=host).content.decode()
    assert (said in page) if said else ("Add a key" in page)
    assert client.post(OPTIONS, HTTP_HOST=host).status_code == (400 if said else 200)
