"""No limits from before, and a provider to sign in by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from console.sign_in import OidcSettings, SignIn
from tests.console.accounts.second_factors import Clock
from tests.provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider


@pytest.fixture(autouse=True)
def _no_limits_from_before(db: None) -> None:
    """Limits live in the cache's table, which no rollback of one test clears for the next."""
    cache.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that codes, keys and proofs see; it stands still."""
    return Clock.install(monkeypatch)


@pytest.fixture(scope="session")
def _running_provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def provider(_running_provider: Provider, settings: object) -> Provider:
    """A provider, known to the console, that behaves until a test says otherwise."""
    running = _running_provider
    running.__dict__.update({k: v for k, v in vars(Provider(url=running.url)).items() if k != "key"})
    settings.SIGN_IN = SignIn(  # type: ignore[attr-defined]
        oidc=OidcSettings(issuer=running.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, name="Acme")
    )
    return running


def sign_in_by(provider: Provider, client: Client, *, error: str = "", **form: str) -> HttpResponse:
    """Press the button, do what the provider asks, and come back; return what is answered then."""
    return come_back(client, provider.visit(leave(client, **form), error=error))


def leave(client: Client, **form: str) -> str:
    """Press the button; return where the browser is sent."""
    answer = client.post("/accounts/oidc/", form)
    assert answer.status_code == 200, answer.content.decode()
    return str(answer.context["url"])


def come_back(client: Client, url: str) -> HttpResponse:
    """Follow the provider's way back."""
    assert url.startswith("http://testserver/accounts/oidc/callback/?")
    return client.get(url.removeprefix("http://testserver"), HTTP_ACCEPT="text/html")  # type: ignore[return-value]
