"""Whatever goes wrong, there is a page, a fragment or JSON with cause and next step."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.console.lib.troubles")]
KINDS = [
    ("bug", 500),
    ("nothing", 404),
    ("missing", 404),
    ("refused", 403),
    ("malformed", 400),
    ("bad-input", 400),
    ("undecryptable", 503),
]


def browser(client: Client) -> Client:
    client.raise_request_exception = False
    return client


@pytest.fixture
def visitor(alice: User, client_of: Callable[..., Client]) -> Client:
    """Alice's browser, which shows errors instead of raising them."""
    return browser(client_of(alice))


@pytest.mark.parametrize(("kind", "status"), KINDS)
def test_people_get_a_whole_page(visitor: Client, kind: str, status: int) -> None:
    answer = visitor.get(f"/trouble/{kind}/")
    page = answer.content.decode()
    assert answer.status_code == status
    assert "<html" in page
    assert "<h1" in page
    assert "<b>inside" not in page
    assert "<i>name" not in page


@pytest.mark.parametrize(("kind", "status"), KINDS)
def test_strangers_get_one_too(client: Client, kind: str, status: int) -> None:
    answer = browser(client).get(f"/trouble/{kind}/")
    assert answer.status_code == status
    assert "<h1" in answer.content.decode()


@pytest.mark.parametrize(("kind", "status"), KINDS)
def test_htmx_gets_a_fragment(visitor: Client, kind: str, status: int) -> None:
    answer = visitor.get(f"/trouble/{kind}/", HTTP_HX_REQUEST="true")
    assert answer.status_code == status
    assert "<html" not in answer.content.decode()
    assert "data-problem-title" in answer.content.decode()


def test_a_boosted_visit_gets_a_page(visitor: Client) -> None:
    answer = visitor.get("/trouble/nothing/", HTTP_HX_REQUEST="true", HTTP_HX_BOOSTED="true")
    assert 'id="main"' in answer.content.decode()


@pytest.mark.parametrize(("kind", "status"), KINDS)
def test_programs_get_json(visitor: Client, kind: str, status: int) -> None:
    answer = visitor.get(f"/trouble/{kind}/", HTTP_ACCEPT="application/json")
    assert answer.status_code == status
    said = answer.json()
    assert said["code"]
    assert said["message"]
    assert said["next_step"]


def test_our_own_sentence_is_shown_and_djangos_is_not(visitor: Client) -> None:
    def message(kind: str) -> str:
        return str(visitor.get(f"/trouble/{kind}/", HTTP_ACCEPT="application/json").json()["message"])

    assert message("bad-input") == "The field <i>name</i> holds a NUL character."
    assert message("missing") == "This <i>name</i> does not exist."
    assert "internal words" not in message("malformed")
    assert "Container matches" not in message("nothing")


def test_a_bug_shows_a_number_that_is_in_the_log_and_nothing_of_itself(
    visitor: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = visitor.get("/trouble/bug/", HTTP_ACCEPT="application/json")
    number = answer.json()["request_id"]
    assert len(number) == 36
    assert any(record.levelname == "ERROR" and number in str(record.msg) for record in caplog.records)
    page = visitor.get("/trouble/bug/").content.decode()
    assert "RuntimeError" not in page
    assert "hunter2" not in page


def test_a_page_that_fails_itself_is_said_plainly(visitor: Client, settings: object) -> None:
    settings.TEMPLATES = [  # type: ignore[attr-defined]
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [], "APP_DIRS": False}
    ]
    answer = visitor.get("/trouble/nothing/")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_an_old_form_says_what_to_do(alice: User, client_of: Callable[..., Client]) -> None:
    answer = client_of(alice, enforce_csrf_checks=True).post("/settings/profile/", {"name": "x"})
    assert answer.status_code == 403
    assert "Reload the page" in answer.content.decode()


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("Unreachable", 502, "unreachable"),
        ("TimedOut", 504, "timed_out"),
        ("AccessDenied", 502, "access_denied"),
        ("NotFound", 404, "not_found"),
        ("Conflict", 409, "conflict"),
        ("Invalid", 422, "invalid"),
        ("Unsupported", 501, "unsupported"),
        ("EngineFailure", 502, "engine_failure"),
        ("ProtocolError", 502, "protocol"),
        ("Terminated", 502, "terminated"),
        ("BackendError", 502, "backend"),
    ],
)
def test_each_error_of_an_engine_has_its_answer(visitor: Client, kind: str, status: int, code: str) -> None:
    answer = visitor.get(f"/trouble/{kind}/", HTTP_ACCEPT="application/json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    page = visitor.get(f"/trouble/{kind}/").content.decode()
    assert "&lt;b&gt;the engine&lt;/b&gt; said so" in page
    assert "<b>the engine" not in page


def test_every_error_of_the_engine_room_is_in_the_table() -> None:
    from console.gateway import BackendError
    from console.lib.middleware import ANSWERS

    def below(kind: type[BackendError]) -> set[type[BackendError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    assert below(BackendError) == {kind for kind, *_rest in ANSWERS}
