"""The frame around every page: where one is, how it looks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import Client, RequestFactory

from console.accounts.models import User
from console.lib.context import Frame


def request_to(path: str, **cookies: str) -> HttpRequest:
    request = RequestFactory().get(path)
    request.user = AnonymousUser()
    request.COOKIES.update(cookies)
    return request


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/", "overview"),
        ("/containers/", "container-list"),
        ("/containers/create/", "container-list"),
        ("/settings/password/", "settings"),
    ],
)
def test_the_entry_of_the_page_is_marked(path: str, current: str, alice: User) -> None:
    request = request_to(path)
    request.user = alice
    assert [link.entry.name for link in Frame(request).links if link.is_current] == [current]


def test_who_is_in_no_team_is_led_to_nothing_that_is_not_theirs(bob: User, client_of: Callable[[User], Client]) -> None:
    page = client_of(bob).get("/").content.decode()
    assert "You are in no team yet" in page
    assert [link for link in ("/containers/", "/volumes/", "/activity/") if f'href="{link}"' in page] == []


def test_a_page_of_no_entry_marks_none() -> None:
    assert not any(link.is_current for link in Frame(request_to("/operations/1/")).links)


def test_every_entry_is_reached_on_a_phone() -> None:
    frame = Frame(request_to("/"))
    assert {link.entry for link in frame.phone_links + frame.more_links} == {link.entry for link in frame.links}


@pytest.mark.parametrize(
    ("cookie", "theme"), [("dark", "dark"), ("light", "light"), ("neon", "system"), ("", "system")]
)
def test_before_sign_in_the_theme_is_the_browsers(cookie: str, theme: str) -> None:
    assert Frame(request_to("/", pilothouse_theme=cookie)).theme == theme


def test_the_persons_theme_wins_over_the_browsers(alice: User) -> None:
    request = request_to("/", pilothouse_theme="light")
    alice.theme = "dark"
    request.user = alice
    assert Frame(request).theme == "dark"


def test_a_page_comes_in_its_colours_at_once(alice: User, client_of: Callable[..., Client]) -> None:
    alice.theme = "dark"
    alice.save()
    page = client_of(alice).get("/settings/").content.decode()
    assert 'data-theme="dark" class="dark"' in page


def test_the_sidebar_stays_as_it_was_left() -> None:
    assert Frame(request_to("/", pilothouse_sidebar="collapsed")).is_collapsed
    assert not Frame(request_to("/")).is_collapsed


def test_no_page_of_the_frame_has_inline_scripts(alice: User, client_of: Callable[..., Client]) -> None:
    page = client_of(alice).get("/settings/").content.decode()
    assert "<script>" not in page
    assert "onclick=" not in page
    assert 'action="/accounts/logout/"' in page
