"""Every page needs a sign-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from allauth.usersessions.models import UserSession
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import get_converters

from console.accounts.middleware import OPEN
from console.accounts.models import User

pytestmark = pytest.mark.django_db

_SAMPLES = {"uuid": "00000000-0000-4000-8000-000000000000", "int": "1", "full_id": "a" * 64, "path": "a/b"}


def _paths(patterns: list[URLPattern | URLResolver], prefix: str = "/") -> Iterator[tuple[str, str]]:
    converters = {id(type(one)): name for name, one in get_converters().items()}
    for pattern in patterns:
        route = str(pattern.pattern)
        for name, converter in pattern.pattern.converters.items():
            kind = converters.get(id(type(converter)), "str")
            for written in (f"<{kind}:{name}>", f"<{name}>"):
                route = route.replace(written, _SAMPLES.get(kind, "sample"))
        if isinstance(pattern, URLResolver):
            yield from _paths(pattern.url_patterns, prefix + route)
        else:
            yield prefix + route, pattern.name or ""


def test_no_path_but_the_named_few_answers_a_stranger(client: Client) -> None:
    closed = [(path, name) for path, name in _paths(get_resolver().url_patterns) if name not in OPEN]
    assert len(closed) > 10
    for path, name in closed:
        for method in ("get", "post"):
            answer = getattr(client, method)(path)
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/accounts/login/"), (path, name)


def test_a_path_that_does_not_exist_looks_the_same(client: Client) -> None:
    assert client.get("/no/such/page/")["Location"] == "/accounts/login/?next=%2Fno%2Fsuch%2Fpage%2F"


def test_htmx_is_sent_to_the_sign_in_page_and_back_to_the_page_it_was_on(client: Client) -> None:
    answer = client.get("/settings/", HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL="http://testserver/audit/?q=web")
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/accounts/login/?next=%2Faudit%2F%3Fq%3Dweb"


def test_a_program_is_told_in_json(client: Client) -> None:
    answer = client.get("/settings/", HTTP_ACCEPT="application/json")
    assert answer.status_code == 401
    assert answer.json()["code"] == "signed_out"


def test_pages_can_be_read_while_nothing_can_be_written(alice: User, client_of: Callable[..., Client]) -> None:
    client = client_of(alice)
    on_sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON" if on_sqlite else "SET TRANSACTION READ ONLY")
        try:
            statuses = [client.get(path).status_code for path in ("/settings/", "/audit/", "/settings/")]
            written = UserSession.objects.exists()
        finally:
            if on_sqlite:
                cursor.execute("PRAGMA query_only = OFF")
    assert statuses == [200, 200, 200]
    assert not written


def test_a_suspended_person_is_outside_at_once(bob: User, client_of: Callable[..., Client]) -> None:
    client = client_of(bob)
    assert client.get("/settings/").status_code == 200
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert client.get("/settings/").status_code == 302
    User.objects.filter(pk=bob.pk).update(is_active=True)
    assert client.get("/settings/").status_code == 302, "the session itself has ended"


def test_a_removed_person_is_outside_at_once(bob: User, client_of: Callable[..., Client]) -> None:
    client = client_of(bob)
    bob.delete()
    assert client.get("/settings/").status_code == 302
