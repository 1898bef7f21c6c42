"""The first minutes: from the link that the launcher prints to a console that knows its host and its first image."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, Console, sign_in


def test_the_link_makes_one_admin_who_finds_host_and_image_ready(
    console: Console, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")

    page.goto(console.first_admin_url)
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, again").fill("something else entirely")
    page.get_by_role("button", name="Create and sign in").click()
    expect(page.locator(".form-field-errors")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_value("alice")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, again").fill(PASSWORD)
    page.get_by_role("button", name="Create and sign in").click()
    page.wait_for_url("**/")
    console.has_admin = True
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    main = page.get_by_role("navigation", name="Main").first
    main.get_by_role("link", name="Hosts").click()
    page.wait_for_url("**/hosts/")
    expect(page.get_by_role("main").get_by_role("article")).to_have_count(1)
    main.get_by_role("link", name="Images").click()
    page.wait_for_url("**/images/")
    expect(page.get_by_role("link", name="pilothouse/starter:latest")).to_be_visible()
    main.get_by_role("link", name="Containers").click()
    page.wait_for_url("**/containers/")
    expect(page.get_by_text("No containers yet")).to_be_visible()

    page.get_by_role("button", name="your menu").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password", exact=True).fill("not my password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("You are not signed in")).to_be_visible()
    sign_in(page, "alice", PASSWORD)


def test_the_link_is_spent_after_its_first_use(
    console: Console, admin: tuple[str, str], open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(console.first_admin_url)

    expect(page.get_by_label("Password, again")).to_have_count(0)
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
