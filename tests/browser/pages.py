"""What several browser tests do in the same way."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def row_of(page: Page, name: str) -> Locator:
    """Return the row of a container, by its name."""
    return page.locator("tr[data-row]").filter(has=page.get_by_role("link", name=name, exact=True))


def open_container(page: Page, name: str, *, tab: str = "") -> None:
    """Go to a container's page by way of the list."""
    page.goto(f"/containers/?q={name}")
    row_of(page, name).get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    if tab:
        page.get_by_role("navigation", name="Parts of this container").get_by_role("link", name=tab).click()
        page.wait_for_url(f"**/{tab.lower()}/")


def state_of(page: Page) -> Locator:
    """Return the badge beside a container's name."""
    return page.locator("#container-header .state")


def choose(page: Page, item: str) -> None:
    """Choose from a container's menu of more actions."""
    page.locator("#container-menu").click()
    page.get_by_role("menuitem", name=item, exact=True).click()


def create_and_start(page: Page) -> None:
    """Send the form for a container, and return when its operation has succeeded.

    "Running" says nothing here: it is the word for the operation's own state, too.
    """
    page.get_by_role("button", name="Create and start").click()
    expect(page.get_by_role("main").locator(".operation")).to_have_attribute("data-operation-state", "succeeded")
