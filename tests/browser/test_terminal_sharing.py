"""Two people at one terminal: who watches, who types, who is told what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import PASSWORD, Console, sign_in
from tests.browser.test_team_journey import invited
from tests.browser.test_terminal import enter, lines, open_shell

Open = Callable[..., Page]


@pytest.fixture
def box(console: Console, request: pytest.FixtureRequest) -> Iterator[str]:
    """A container that has a shell: one for each test, so that the list shows no terminal of another."""
    name = f"shared-{abs(hash(request.node.name)) % 1000}"
    console.engine.run(name)
    yield name
    console.engine.remove(name)


@pytest.fixture(scope="module")
def otto_state(browser: Browser, console: Console, signed_in_state: Any) -> Any:
    """The cookies of a second admin."""

    def open_page(state: Any = None) -> Page:
        return browser.new_context(base_url=console.url, locale="en-GB", storage_state=state).new_page()

    admin = open_page(signed_in_state)
    invited(admin, open_page, "/people/invite/", "otto", role="Admin", field="Role in the console")
    page = open_page()
    sign_in(page, "otto", PASSWORD)
    state = page.context.storage_state()
    for context in browser.contexts:
        context.close()
    return state


def row_of(page: Page, name: str) -> Locator:
    """Return a container's terminal on the page of all of them."""
    page.goto("/terminals/")
    return page.locator("tr", has_text=name).filter(has=page.get_by_role("button")).first


def dock_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Dock")


def people(page: Page) -> Locator:
    """Open who is at the terminal."""
    panel = page.get_by_role("dialog", name="People")
    if not panel.is_visible():
        page.locator(".terminal-bar [data-name=people]").click()
    return panel


def test_who_it_is_shared_with_watches_until_they_are_let_type_and_is_put_out(
    box: str, signed_in: Open, open_page: Open, otto_state: Any
) -> None:
    alice, otto = signed_in(), open_page(state=otto_state, width=1000, height=700)
    open_shell(alice, box)
    enter(alice, "echo tide-$((40+2))")
    panel = people(alice)
    panel.get_by_label("Share with").fill("otto")
    panel.get_by_role("button", name="Share", exact=True).click()
    expect(panel.locator("li", has_text="otto")).to_contain_text("not here")

    row_of(otto, box).get_by_role("button", name="Watch").click()
    dock = dock_of(otto)
    expect(lines(dock)).to_contain_text("tide-42")
    expect(panel.locator("li", has_text="otto")).to_contain_text("watches")
    dock.locator(".xterm").click()
    otto.keyboard.type("echo no-$((1+1))\r")
    expect(dock.locator(".terminal-hint")).to_contain_text("You watch this terminal")
    # Who watches has no say in its size either.
    expect(alice.locator('.terminal[data-boxed="false"]')).to_have_count(1)

    panel.get_by_role("button", name="Let type").click()
    expect(dock.locator(".terminal-banner")).to_contain_text("You may type now.")
    dock.locator(".xterm").click()
    enter(otto, "echo yes-$((1+1))")
    expect(lines(alice)).to_contain_text("yes-2")
    expect(lines(alice)).not_to_contain_text("no-2")
    expect(panel.locator("li", has_text="otto")).to_contain_text("types")
    expect(alice.locator('.terminal[data-boxed="true"]')).to_have_count(1)

    panel.get_by_role("button", name="Only watch").click()
    expect(dock.locator(".terminal-banner")).to_contain_text("From now on you only watch.")
    panel.get_by_role("button", name="Remove").click()
    expect(dock.locator(".stream-notice")).to_contain_text("You were removed from this terminal.")
    expect(panel.locator("li")).to_have_count(1)
    alice.keyboard.press("Escape")
    alice.locator("#terminal .xterm").click()
    enter(alice, "echo on-$((1+1))")
    expect(lines(alice)).to_contain_text("on-2")


def test_a_terminal_is_handed_over_and_then_ended_by_its_new_owner(
    box: str, signed_in: Open, open_page: Open, otto_state: Any
) -> None:
    alice, otto = signed_in(), open_page(state=otto_state)
    open_shell(alice, box)
    panel = people(alice)
    panel.get_by_label("Share with").fill("otto")
    panel.get_by_role("button", name="Share", exact=True).click()
    row_of(otto, box).get_by_role("button", name="Watch").click()
    expect(dock_of(otto).locator(".stream-state")).to_have_text("Connected")

    panel.get_by_role("button", name="Hand over").click()
    expect(dock_of(otto).locator(".terminal-banner")).to_contain_text("This terminal is yours now.")
    expect(panel.get_by_label("Share with")).to_be_hidden()
    otto.get_by_role("button", name="Close this tab").click()

    expect(alice.locator(".stream-notice")).to_contain_text("otto ended this terminal.")


def test_who_oversees_speaks_into_it_locks_it_and_ends_it(
    box: str, signed_in: Open, open_page: Open, otto_state: Any
) -> None:
    alice, otto = signed_in(), open_page(state=otto_state)
    open_shell(alice, box)
    banner = alice.locator(".terminal-banner")

    def order(name: str) -> None:
        row_of(otto, box).get_by_role("button", name="Actions on").click()
        otto.get_by_role("menuitem", name=name, exact=True).click()

    order("Lock")
    expect(banner).to_contain_text("otto has locked this terminal.")
    enter(alice, "echo no-$((1+1))")
    expect(alice.locator(".terminal-hint")).to_contain_text("The terminal is locked.")
    order("Unlock")
    expect(banner).to_have_count(0)
    enter(alice, "echo yes-$((1+1))")
    expect(lines(alice)).to_contain_text("yes-2")
    expect(lines(alice)).not_to_contain_text("no-2")

    order("Message…")
    dialog = otto.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("The tide turns <b>now</b>.")
    dialog.get_by_role("button", name="Show it").click()
    expect(banner).to_contain_text("otto says: The tide turns <b>now</b>.")

    order("End…")
    otto.get_by_role("alertdialog").get_by_role("button", name="End it").click()
    expect(alice.locator(".stream-notice")).to_contain_text("otto ended this terminal.")
    expect(alice.get_by_role("button", name="Open again")).to_be_visible()
