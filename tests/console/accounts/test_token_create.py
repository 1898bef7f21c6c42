"""Making an API token: shown once, kept as a hash, never for longer than a year."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts import tokens
from console.accounts.models import ApiToken, Membership, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.lib.bearer import TOKEN
from tests.console.tokens import issue

URL = "/settings/tokens/create/"
FORM = {"name": "backup script", "scope": "read", "team": "", "days": "30"}
ClientOf = Callable[..., Client]
pytestmark = pytest.mark.django_db


def shown(page: str) -> str:
    found = re.search(r'id="token-text">([^<]+)<', page)
    assert found, page
    return found[1]


def test_it_is_shown_once_and_only_its_hash_is_kept(bob: User, client_of: ClientOf) -> None:
    browser = client_of(bob)
    answer = browser.post(URL, FORM)
    text = shown(answer.content.decode())
    token = ApiToken.objects.get()
    secret = text.removeprefix(f"{token.prefix}_")

    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store, private"
    assert TOKEN.fullmatch(text)
    assert len(bytes.fromhex(secret)) * 8 == 256
    assert token.token_hash == hashlib.sha256(text.encode()).hexdigest()
    assert secret not in str(ApiToken.objects.values().get())
    page = browser.get("/settings/").content.decode()
    assert token.prefix in page
    assert secret not in page
    assert browser.get(URL, headers={"Accept": "text/html"})["Location"] == "/settings/", "a reload shows it no more"


def test_it_is_what_the_form_said(bob: User, client_of: ClientOf) -> None:
    red = Team.objects.create(name="red")
    Membership.objects.create(team=red, person=bob, role=TeamRole.MEMBER)
    client_of(bob).post(URL, {**FORM, "scope": "operate", "team": str(red.pk), "days": "7"})
    token = ApiToken.objects.get()

    assert (token.owner, token.name, token.scope, token.team) == (bob, "backup script", "operate", red)
    assert abs(token.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    assert token.last_used_at is None


def test_two_share_nothing(bob: User) -> None:
    first, second = issue(bob), issue(bob)
    assert first.token.prefix != second.token.prefix
    assert first.text.rpartition("_")[2] != second.text.rpartition("_")[2]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 61),
        ("name", "two\nlines"),
        ("scope", "own"),
        ("scope", ""),
        ("days", "366"),
        ("days", "0"),
        ("days", ""),
        ("team", "11111111-1111-4111-8111-111111111111"),
    ],
)
def test_what_the_form_does_not_offer_is_refused(bob: User, client_of: ClientOf, field: str, value: str) -> None:
    answer = client_of(bob).post(URL, {**FORM, field: value})
    assert answer.status_code == 422
    assert not ApiToken.objects.exists()


def test_a_team_of_others_is_not_offered(bob: User, alice: User, client_of: ClientOf) -> None:
    blue = Team.objects.create(name="blue")
    assert "blue" not in client_of(bob).get("/settings/").content.decode()
    assert client_of(bob).post(URL, {**FORM, "team": str(blue.pk)}).status_code == 422
    assert client_of(alice).post(URL, {**FORM, "team": str(blue.pk)}).status_code == 200, "an admin sees every team"


def test_one_too_many_is_refused(bob: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.accounts.forms.MOST_TOKENS", 2)
    issue(bob)
    issue(bob)
    answer = client_of(bob).post(URL, FORM)
    assert answer.status_code == 422
    assert "You have 2 tokens already" in answer.content.decode()


def test_it_is_on_record_without_the_secret(bob: User, client_of: ClientOf) -> None:
    text = shown(client_of(bob).post(URL, FORM).content.decode())
    row = AuditEvent.objects.get(action="token.create")
    assert (row.actor_name, row.outcome, row.details["scope"]) == ("bob", "succeeded", "read")
    assert row.object_name == f"backup script ({text[:15]})"
    assert text.rpartition("_")[2] not in str(row.__dict__)


def test_a_stranger_is_refused(client: Client) -> None:
    assert client.post(URL, FORM)["Location"].startswith("/accounts/login/")


def test_neither_a_link_nor_another_site_makes_one(bob: User, client_of: ClientOf) -> None:
    assert client_of(bob).get(URL).status_code == 405
    assert client_of(bob, enforce_csrf_checks=True).post(URL, FORM).status_code == 403
    assert not ApiToken.objects.exists()


def test_what_has_not_worked_for_long_is_thrown_away(bob: User) -> None:
    old, expired, revoked, good = (issue(bob).token.pk for _ in range(4))
    now = timezone.now()
    ApiToken.objects.filter(pk=old).update(expires_at=now - tokens.KEEP - timedelta(days=1))
    ApiToken.objects.filter(pk=expired).update(expires_at=now - timedelta(days=1))
    ApiToken.objects.filter(pk=revoked).update(revoked_at=now - tokens.KEEP - timedelta(days=1))
    tokens.sweep_tokens()
    assert set(ApiToken.objects.values_list("pk", flat=True)) == {expired, good}
