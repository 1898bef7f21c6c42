"""An address that only takes forms: reloaded, it leads to the form's page; else it says what it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User

pytestmark = pytest.mark.django_db
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOST = "/hosts/11111111-1111-4111-8111-111111111111/"
CONTAINER = f"/containers/11111111-1111-4111-8111-111111111111/{'a' * 64}/"
IMAGE = f"/images/11111111-1111-4111-8111-111111111111/{'a' * 64}/"
OPERATION = "/operations/11111111-1111-4111-8111-111111111111/"
ADDRESSES = [
    ("/settings/password/", "/settings/"),
    ("/settings/profile/", "/settings/"),
    ("/settings/theme/", "/settings/"),
    ("/settings/language/", "/settings/"),
    ("/settings/sessions/7/end/", "/settings/"),
    ("/settings/sessions/end-others/", "/settings/"),
    ("/accounts/logout/", "/"),
    ("/containers/bulk/stop/?q=web&sort=name", "/containers/?q=web&sort=name"),
    *((f"{CONTAINER}{verb}/", CONTAINER) for verb in ("start", "stop", "restart", "pause", "unpause", "reveal")),
    (f"{IMAGE}remove/", IMAGE),
    (f"{HOST}test/", HOST),
    ("/hosts/test/", "/hosts/"),
    (f"{OPERATION}cancel/", OPERATION),
    (f"{OPERATION}retry/", OPERATION),
]


@pytest.fixture
def visitor(alice: User, client_of: Callable[..., Client]) -> Client:
    return client_of(alice)


@pytest.mark.parametrize(("address", "page"), ADDRESSES)
def test_a_reload_of_what_a_form_answered_leads_to_the_forms_page(visitor: Client, address: str, page: str) -> None:
    answer = visitor.get(address, headers=PAGE)

    assert (answer.status_code, answer.headers["Location"]) == (302, page)


@pytest.mark.parametrize(("address", "page"), ADDRESSES)
def test_a_program_and_a_fragment_are_told_what_it_takes(visitor: Client, address: str, page: str) -> None:
    program = visitor.get(address, headers={"Accept": "application/json"})
    fragment = visitor.get(address, headers={"HX-Request": "true", **PAGE})

    assert (program.status_code, program.headers["Allow"], program.json()["code"]) == (405, "POST", "wrong_method")
    assert (fragment.status_code, fragment.headers["Allow"]) == (405, "POST")
    assert "data-problem-title" in fragment.content.decode()


def test_a_form_that_is_sent_to_a_page_gets_a_page(visitor: Client) -> None:
    answer = visitor.post("/activity/", headers=PAGE)
    page = answer.content.decode()

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")
    assert "<h1" in page
    assert "It was asked with POST and only knows GET" in page


def test_before_sign_in_it_is_a_page_too(client: Client) -> None:
    answer = client.put("/accounts/login/", headers=PAGE)

    assert answer.status_code == 405
    assert "<h1" in answer.content.decode()
