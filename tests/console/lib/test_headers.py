"""What every answer carries, and what no header of a client can change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from console.accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.console.lib.troubles")]
EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.mark.parametrize(
    "path", ["/accounts/login/", "/settings/", "/nothing/here/", "/trouble/bug/", "/trouble/refused/", "/jsi18n/"]
)
@pytest.mark.parametrize("who", ["anonymous", "alice"])
def test_pages_and_errors_carry_them(
    path: str, who: str, alice: User, client: Client, client_of: Callable[..., Client]
) -> None:
    visitor = client_of(alice) if who == "alice" else client
    visitor.raise_request_exception = False
    answer = visitor.get(path)
    for name, value in EVERYWHERE.items():
        assert answer[name] == value, name
    assert "camera=()" in answer["Permissions-Policy"]
    assert answer["Cache-Control"] == "no-store, private" or "no-store" in answer["Cache-Control"]
    assert answer["X-Frame-Options"] == "DENY"
    policy = answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-eval'" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert "Server" not in answer


def test_static_files_carry_them_and_may_be_cached(client: Client, settings: object, tmp_path: Path) -> None:
    (tmp_path / "one.css").write_text("body{}")
    settings.STATIC_ROOT = tmp_path  # type: ignore[attr-defined]
    answer = Client().get("/static/one.css")
    assert answer.status_code == 200
    for name, value in EVERYWHERE.items():
        assert answer[name] == value, name
    assert "max-age" in answer["Cache-Control"]


@pytest.mark.parametrize(
    "host", ["evil.example", "testserver.evil.example", "testserver@evil.example", "evil.example:80"]
)
def test_another_host_name_is_refused(client: Client, host: str) -> None:
    answer = client.get("/accounts/login/", HTTP_HOST=host)
    assert answer.status_code == 400
    assert "evil.example" not in answer.content.decode()
    assert "<h1" in answer.content.decode()
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "header", ["HTTP_X_FORWARDED_HOST", "HTTP_X_ORIGINAL_URL", "HTTP_FORWARDED", "HTTP_X_REWRITE_URL", "HTTP_X_HOST"]
)
def test_headers_of_proxies_change_nothing(client: Client, header: str) -> None:
    plain = client.get("/settings/")
    claimed = client.get("/settings/", **{header: "evil.example"})  # type: ignore[arg-type]
    assert (claimed.status_code, claimed["Location"]) == (plain.status_code, plain["Location"])


def test_no_other_origin_is_welcomed(client: Client) -> None:
    answer = client.get("/accounts/login/", HTTP_ORIGIN="https://evil.example")
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
