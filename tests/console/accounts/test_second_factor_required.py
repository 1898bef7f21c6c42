"""A console that asks a second factor of people: until they have one, nothing else is open to them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from console.accounts.middleware import OPEN, OPEN_WITHOUT_SECOND_FACTOR
from console.accounts.models import User
from console.accounts.sessions import find_user, is_session_valid
from tests.console.accounts.second_factors import Clock, SignIn, first_step, set_up_app

pytestmark = pytest.mark.django_db
HERE = "/settings/second-factor/"


@pytest.fixture
def admins(settings: Any) -> None:
    """A console that asks it of admins."""
    settings.REQUIRE_SECOND_FACTOR = "admins"


@pytest.mark.parametrize(
    ("wanted", "of_alice", "of_bob"), [("nobody", False, False), ("admins", True, False), ("everybody", True, True)]
)
def test_it_is_asked_of_whom_the_setting_says(
    wanted: str, of_alice: bool, of_bob: bool, alice: User, bob: User, client_of: SignIn, settings: Any
) -> None:
    settings.REQUIRE_SECOND_FACTOR = wanted
    for person, asked in ((alice, of_alice), (bob, of_bob)):
        answer = client_of(person).get("/")
        assert (answer.status_code == 302 and answer["Location"] == HERE) is asked


@pytest.mark.parametrize("path", ["/", "/settings/", "/hosts/", "/no/such/page/", "/operations/running/", "/audit/"])
def test_every_page_leads_to_the_set_up(path: str, admins: None, alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    for answer in (client.get(path), client.post(path)):
        assert (answer.status_code, answer["Location"]) == (302, HERE)


def test_the_page_says_why_and_stands_alone(admins: None, alice: User, client_of: SignIn) -> None:
    page = client_of(alice).get(HERE).content.decode()
    assert "This console asks it of everybody with your role" in page
    assert "Set up an app" in page
    assert 'action="/accounts/logout/"' in page
    assert "hx-get" not in page, "no part of the frame asks for what is not open"


def test_programs_and_parts_of_pages_are_told(admins: None, alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    program = client.get("/hosts/", HTTP_ACCEPT="application/json")
    assert (program.status_code, program.json()["code"]) == (403, "second_factor_required")
    part = client.get("/operations/running/", HTTP_HX_REQUEST="true")
    assert (part.status_code, part["HX-Redirect"]) == (403, HERE)


def test_theme_language_and_sign_out_stay_open(admins: None, alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    assert client.post("/settings/theme/", {"theme": "dark"}).status_code == 302
    assert client.post("/settings/language/", {"language": "ko"}).status_code == 302
    alice.refresh_from_db()
    assert (alice.theme, alice.language) == ("dark", "ko")
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"


def test_whoever_sets_one_up_goes_on(admins: None, alice: User, clock: Clock) -> None:
    client = Client()
    assert first_step(client).status_code == 302
    assert client.get("/")["Location"] == HERE
    _app, codes = set_up_app(client)
    assert len(codes) == 10
    assert client.get("/").status_code == 200


def test_sockets_are_refused_until_then(admins: None, alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    key = client.session.session_key or ""
    assert find_user(key) is None
    assert not is_session_valid(key, alice.pk)
    set_up_app(client)
    assert find_user(key) == alice
    assert is_session_valid(key, alice.pk)
    Authenticator.objects.filter(user=alice).delete()
    assert not is_session_valid(key, alice.pk), "an open stream ends when it goes"


def test_the_last_one_stays(admins: None, alice: User, client_of: SignIn, clock: Clock) -> None:
    client = client_of(alice)
    set_up_app(client)
    for path in ("off/", "app/remove/"):
        page = client.post(f"{HERE}{path}", follow=True).content.decode()
        assert "wants a second factor of you" in page
    assert Authenticator.objects.count() == 2
    assert "Turn off the second factor" not in client.get(HERE).content.decode()


def test_what_stays_open_is_a_short_list_of_pages_that_are_there() -> None:
    from django.urls import get_resolver

    names = {name for name in get_resolver().reverse_dict if isinstance(name, str)}
    assert names >= OPEN | OPEN_WITHOUT_SECOND_FACTOR
    assert not OPEN & OPEN_WITHOUT_SECOND_FACTOR


def test_a_word_that_is_none_of_the_three_fails_loudly(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import console.settings"],
        env={**os.environ, "PILOTHOUSE_REQUIRE_SECOND_FACTOR": "yes", "PILOTHOUSE_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert "PILOTHOUSE_REQUIRE_SECOND_FACTOR is 'yes'; write nobody, admins or everybody." in result.stderr
