"""One's own looks, language, password and sessions."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, sign_in

NEXT_PASSWORD = "a short way to Dublin"


@pytest.fixture
def page(open_page: Callable[..., Page], admin: tuple[str, str]) -> Page:
    """A session of its own: ending sessions and passwords must not end the sessions of other tests."""
    page = open_page()
    sign_in(page, *admin)
    page.goto("/settings/")
    return page


def test_theme_and_language_change_at_once_and_stay(page: Page, open_page: Callable[..., Page]) -> None:
    main = page.get_by_role("main")
    main.get_by_role("button", name="Dark").click()
    expect(page.locator("html.dark")).to_have_count(1)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(part) for part in re.findall(r"\d+", background)[:3]) < 3 * 64, background
    with page.expect_navigation():
        main.get_by_role("button", name="한국어").click()
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    page.goto("/containers/")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.get_by_role("heading", level=1)).to_have_text("컨테이너")
    page.goto("/settings/")

    elsewhere = open_page()
    sign_in(elsewhere, "alice", PASSWORD)
    expect(elsewhere.locator("html")).to_have_attribute("lang", "ko")
    expect(elsewhere.locator("html.dark")).to_have_count(1)

    with page.expect_navigation():
        main.get_by_role("button", name="English").click()
    with page.expect_response(re.compile("/settings/theme/")):
        main.get_by_role("button", name="Like the system").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("html.dark")).to_have_count(0)


def change_password(page: Page, *, current: str, wanted: str, again: str | None = None) -> None:
    section = page.get_by_role("region", name="Password")
    section.locator("[name=current]").fill(current)
    section.locator("[name=password]").fill(wanted)
    section.locator("[name=password_again]").fill(again or wanted)
    section.get_by_role("button", name="Change password").click()


def test_a_new_password_needs_the_old_one_and_ends_the_other_sessions(
    page: Page, open_page: Callable[..., Page], admin: tuple[str, str]
) -> None:
    other = open_page()
    sign_in(other, *admin)
    section = page.get_by_role("region", name="Password")

    change_password(page, current="something else", wanted=NEXT_PASSWORD)
    expect(section.locator(".form-field-errors")).to_contain_text("not your present password")
    change_password(page, current=PASSWORD, wanted=NEXT_PASSWORD, again="a slip of the pen")
    expect(section.locator(".form-field-errors")).to_contain_text("differ")
    change_password(page, current=PASSWORD, wanted=NEXT_PASSWORD)
    said = page.get_by_role("region", name="Notifications")
    expect(said).to_contain_text("Your password is changed")

    other.goto("/containers/")
    expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
    sign_in(other, "alice", NEXT_PASSWORD)
    page.goto("/settings/")
    change_password(page, current=NEXT_PASSWORD, wanted=PASSWORD)
    expect(said).to_contain_text("Your password is changed")
    sign_in(other, *admin)


def test_a_reload_or_another_language_after_a_mistake_shows_the_settings_again(page: Page) -> None:
    section = page.get_by_role("region", name="Password")
    main = page.get_by_role("main")

    change_password(page, current="something else", wanted=NEXT_PASSWORD)
    expect(section.locator(".form-field-errors")).to_contain_text("not your present password")
    page.reload()
    expect(section.get_by_role("button", name="Change password")).to_be_visible()
    expect(section.locator(".form-field-errors")).to_have_count(0)

    change_password(page, current="something else", wanted=NEXT_PASSWORD)
    expect(section.locator(".form-field-errors")).to_contain_text("not your present password")
    with page.expect_navigation():
        main.get_by_role("button", name="한국어").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("설정")
    with page.expect_navigation():
        main.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")


def test_a_session_that_is_ended_elsewhere_ends(
    page: Page, open_page: Callable[..., Page], admin: tuple[str, str]
) -> None:
    other = open_page()
    sign_in(other, *admin)
    other.goto("/containers/")
    page.reload()
    page.get_by_role("button", name="End all others").click()
    page.get_by_role("alertdialog").get_by_role("button", name="End them").click()
    expect(page.locator(".session")).to_have_count(1)
    expect(page.locator(".session")).to_contain_text("This one")

    other.get_by_role("link", name="Images").first.click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
