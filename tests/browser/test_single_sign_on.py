"""To a provider and back in a real browser, which has its own mind about forms that lead elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import PASSWORD, sign_in
from tests.provider import Provider


def meet(page: Page, provider: Provider) -> None:
    """Play the provider's page, which sends everybody straight back."""

    def answer(route: Route) -> None:
        route.fulfill(status=302, headers={"Location": provider.visit(route.request.url)})

    page.route(f"{provider.url}/authorize?**", answer)


def test_one_signs_in_and_lands_where_one_wanted_to_be(
    provider: Provider, admin: tuple[str, str], open_page: Callable[..., Page]
) -> None:
    provider.claims = {"sub": "erin-at-acme", "preferred_username": "erin", "name": "Erin Example"}
    page = open_page()
    meet(page, provider)
    page.goto("/settings/")
    page.get_by_role("button", name="Sign in with Acme").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    expect(page.get_by_role("region", name="Profile").get_by_label("Name", exact=True)).to_have_value("Erin Example")
    expect(page.get_by_role("region", name="Password")).to_contain_text("You sign in with Acme")


def test_one_connects_an_account_and_signs_in_by_it(
    provider: Provider, admin: tuple[str, str], open_page: Callable[..., Page]
) -> None:
    provider.claims = {"sub": "alice-at-acme", "preferred_username": "alice.a"}
    page = open_page()
    meet(page, provider)
    sign_in(page, *admin)
    page.goto("/settings/")
    section = page.get_by_role("region", name="Sign in by other ways")
    section.get_by_label("Present password").fill(PASSWORD)
    section.get_by_role("button", name="Connect Acme").click()
    expect(section).to_contain_text("You are alice.a there.")

    other = open_page()
    meet(other, provider)
    other.goto("/accounts/login/")
    other.get_by_role("button", name="Sign in with Acme").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Overview")

    section.get_by_role("button", name="Disconnect").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Disconnect").click()
    expect(section.get_by_role("button", name="Connect Acme")).to_be_visible()
