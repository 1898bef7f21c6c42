"""Theme and language."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User

pytestmark = pytest.mark.django_db


def test_a_theme_is_remembered_with_the_person(bob: User, client_of: Callable[..., Client]) -> None:
    client = client_of(bob)
    assert client.post("/settings/theme/", {"theme": "dark"}, HTTP_HX_REQUEST="true").status_code == 204
    bob.refresh_from_db()
    assert bob.theme == "dark"
    assert 'data-theme="dark"' in client.get("/settings/").content.decode()


def test_before_signing_in_a_cookie_remembers_it(client: Client) -> None:
    assert client.post("/settings/theme/", {"theme": "dark"}).status_code == 302
    assert 'data-theme="dark"' in client.get("/accounts/login/").content.decode()


@pytest.mark.parametrize("theme", ["", "neon", "dark;", "<script>"])
def test_an_unknown_theme_is_refused(bob: User, client_of: Callable[..., Client], theme: str) -> None:
    answer = client_of(bob).post("/settings/theme/", {"theme": theme})
    assert answer.status_code == 400
    assert "choose system, light or dark" in answer.content.decode()


def test_a_language_is_remembered_with_the_person(bob: User, client_of: Callable[..., Client]) -> None:
    client = client_of(bob)
    assert client.get("/settings/", HTTP_ACCEPT_LANGUAGE="en")["Content-Language"] == "en"
    client.post("/settings/language/", {"language": "ko"})
    bob.refresh_from_db()
    assert bob.language == "ko"
    answer = client.get("/settings/", HTTP_ACCEPT_LANGUAGE="en")
    assert answer["Content-Language"] == "ko"
    assert 'lang="ko"' in answer.content.decode()


def test_the_person_comes_before_the_cookie_and_the_cookie_before_the_browser(
    bob: User, client_of: Callable[..., Client]
) -> None:
    stranger = Client()
    assert stranger.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="ko,en;q=0.5")["Content-Language"] == "ko"
    stranger.post("/settings/language/", {"language": "en"})
    assert stranger.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="ko")["Content-Language"] == "en"
    User.objects.filter(pk=bob.pk).update(language="ko")
    stranger.force_login(bob)
    assert stranger.get("/settings/", HTTP_ACCEPT_LANGUAGE="en")["Content-Language"] == "ko"


def test_one_persons_language_is_not_the_next_ones(client: Client) -> None:
    client.get("/accounts/login/", HTTP_ACCEPT_LANGUAGE="ko")
    assert client.get("/accounts/login/")["Content-Language"] == "en"


@pytest.mark.parametrize("language", ["", "xx", "../../etc", "de"])
def test_an_unknown_language_is_refused(client: Client, language: str) -> None:
    assert client.post("/settings/language/", {"language": language}).status_code == 400


def test_one_returns_to_the_page_at_hand_and_to_no_other_site(client: Client) -> None:
    good = client.post("/settings/language/", {"language": "ko", "next": "/accounts/login/?next=/audit/"})
    assert good["Location"] == "/accounts/login/?next=/audit/"
    for target in ("https://evil.example/", "//evil.example/"):
        bad = client.post("/settings/language/", {"language": "ko", "next": target})
        assert bad["Location"] == "/accounts/login/"


def test_links_change_nothing(bob: User, client_of: Callable[..., Client]) -> None:
    client = client_of(bob)
    assert client.get("/settings/theme/?theme=dark").status_code == 405
    assert client.get("/settings/language/?language=ko").status_code == 405


def test_another_site_cannot_change_them() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/settings/theme/", {"theme": "dark"}).status_code == 403
