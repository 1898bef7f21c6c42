"""Under which names the console answers."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from console import settings as ours
from console.accounts.models import User

PROBES = ("/healthz", "/readyz")
LOCAL = ("127.0.0.1:8440", "localhost", "[::1]:8440")


@pytest.fixture
def behind_tls(settings: Any) -> None:
    settings.PUBLIC_URL = "https://console.example.com"
    settings.ALLOWED_HOSTS = ["console.example.com"]


def settings_at(url: str, *, monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> dict[str, Any]:
    """Return the settings of a console whose public address is ``url``."""
    monkeypatch.setenv("PILOTHOUSE_PUBLIC_URL", url)
    monkeypatch.setenv("PILOTHOUSE_DATA_DIR", str(data_dir))
    return runpy.run_path(ours.__file__)


@pytest.mark.parametrize(
    ("url", "hosts", "origins"),
    [
        (
            "http://127.0.0.1:8440",
            ["127.0.0.1", "localhost", "[::1]"],
            ["http://127.0.0.1:8440", "http://localhost:8440", "http://[::1]:8440"],
        ),
        (
            "http://10.0.0.7:8440",
            ["10.0.0.7", "127.0.0.1", "localhost", "[::1]"],
            ["http://10.0.0.7:8440", "http://127.0.0.1:8440", "http://localhost:8440", "http://[::1]:8440"],
        ),
        (
            "http://[fd00::7]",
            ["[fd00::7]", "127.0.0.1", "localhost", "[::1]"],
            ["http://[fd00::7]", "http://127.0.0.1", "http://localhost", "http://[::1]"],
        ),
        ("https://console.example.com", ["console.example.com"], ["https://console.example.com"]),
        ("https://console.example.com:8443", ["console.example.com"], ["https://console.example.com:8443"]),
    ],
)
def test_without_tls_this_machines_own_names_are_answered_too(
    url: str, hosts: list[str], origins: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = settings_at(url, monkeypatch=monkeypatch, data_dir=tmp_path)

    assert found["ALLOWED_HOSTS"] == hosts
    assert found["ALLOWED_ORIGINS"] == found["CSRF_TRUSTED_ORIGINS"] == origins


@pytest.mark.django_db
@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("name", [*LOCAL, "console.example.com"])
def test_probes_are_answered_whatever_the_public_address_is(
    behind_tls: None, client: Client, path: str, name: str
) -> None:
    assert client.get(path, headers={"Host": name}).json()["parts"]["web"] == "alive"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "name", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "127.0.0.1, evil.example", ""]
)
@pytest.mark.parametrize("path", [*PROBES, "/accounts/login/"])
def test_other_names_are_refused_everywhere(behind_tls: None, client: Client, path: str, name: str) -> None:
    assert client.get(path, headers={"Host": name}).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/healthz/", "/healthz/../", "//healthz", "/jsi18n/"])
def test_behind_tls_pages_insist_on_their_name(behind_tls: None, alice: User, path: str, name: str) -> None:
    client = Client()
    client.force_login(alice)

    assert client.get(path, headers={"Host": name}).status_code == 400
