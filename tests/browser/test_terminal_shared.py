"""Two people at one terminal, and a shell that one of them lets the other into."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Console
from tests.browser.pages import open_container
from tests.browser.test_team_journey import invited

Open = Callable[..., Page]
CONTAINER = "shared-1"


@pytest.fixture(scope="module")
def container(console: Console) -> Iterator[str]:
    """A container that nobody owns yet."""
    yield console.engine.run(CONTAINER)
    console.engine.remove(CONTAINER)


@pytest.fixture
def alice(signed_in: Open, container: str) -> Page:
    """The first admin's page."""
    return signed_in()


def screen_of(page: Page) -> Locator:
    """What the terminal shows."""
    return page.locator(".xterm-rows").first


def type_into(page: Page, text: str) -> None:
    """Type a line."""
    page.locator(".xterm-helper-textarea").first.focus()
    page.keyboard.type(f"{text}\n")


def open_row(page: Page) -> Locator:
    """The row of the only open terminal."""
    return page.locator("#open-terminals tr[data-row]")


def do(page: Page, item: str) -> None:
    """Choose from the row's menu."""
    open_row(page).get_by_role("button", name=re.compile("Actions on the terminal")).click()
    page.get_by_role("menuitem", name=item).click()


def test_they_watch_share_approve_and_end(alice: Page, open_page: Open, console: Console) -> None:
    mara = invited(alice, open_page, "/people/invite/", "mara", role="Admin", field="Role in the console")

    # Another admin watches, and types nothing.
    open_container(alice, CONTAINER, tab="Terminal")
    expect(alice.locator(".stream-state").first).to_have_text("Connected")
    type_into(alice, "echo from-$((40+2))-alice")
    expect(screen_of(alice)).to_contain_text("from-42-alice")
    mara.goto("/terminals/")
    open_row(mara).get_by_role("button", name="Watch").click()
    expect(screen_of(mara)).to_contain_text("from-42-alice")
    type_into(mara, "echo from-$((40+2))-mara")

    # Once it is shared, she types: what she typed before has gone nowhere.
    hers = alice.context.new_page()
    hers.goto("/terminals/")
    do(hers, "Share…")
    hers.get_by_label("Person", exact=True).select_option(label="mara")
    hers.get_by_label("watch and type").check()
    hers.get_by_role("button", name="Share", exact=True).click()
    expect(mara.get_by_role("tabpanel").get_by_text("You may type now.")).to_be_visible()
    type_into(mara, "echo now-$((40+2))-mara")
    expect(screen_of(alice)).to_contain_text("now-42-mara")
    expect(screen_of(alice)).not_to_contain_text("from-42-mara")

    # She says something, and ends it.
    do(mara, "Message…")
    mara.locator("#id_text").fill("Time is up <b>now</b>")
    mara.get_by_role("button", name="Show it").click()
    expect(alice.locator(".terminal").get_by_text("Time is up <b>now</b>")).to_be_visible()
    do(mara, "End…")
    mara.get_by_role("alertdialog").get_by_role("button", name="End it").click()
    expect(alice.locator("strong", has_text="mara ended this terminal.")).to_be_visible()
    expect(mara.locator("#ended-terminals")).to_contain_text("Ended by who oversees it: mara")

    # Where shells are approved, alice asks and mara lets her in, and out.
    alice.goto("/people/teams/create/")
    alice.get_by_label("Name", exact=True).fill("Guarded")
    alice.get_by_role("main").get_by_role("button", name="Create the team").click()
    expect(alice.get_by_role("heading", level=1)).to_have_text("Guarded")
    team = alice.url.removeprefix(console.url)
    alice.goto(f"{team}policy/edit/")
    alice.get_by_label("Each shell needs an approval").check()
    alice.get_by_role("button", name="Save the policy").click()
    expect(alice.get_by_role("main")).to_contain_text("needed, from somebody else")
    open_container(alice, CONTAINER)
    where = alice.url.removeprefix(console.url)
    alice.goto(f"{where}assign/")
    alice.get_by_label("Team", exact=True).select_option(label="Guarded")
    alice.get_by_role("main").get_by_role("button", name=re.compile("Give")).click()
    expect(alice.get_by_role("main")).to_contain_text("Guarded")

    alice.goto(f"{where}terminal/")
    alice.get_by_role("button", name="Ask for a shell…").click()
    alice.get_by_label("What for").fill("Restore the orders")
    alice.get_by_role("button", name="Ask", exact=True).click()
    expect(mara.get_by_role("link", name="1 request for a shell waits for you")).to_be_visible()
    mara.get_by_role("button", name="Approve…").click()
    mara.get_by_role("dialog").get_by_role("button", name="Approve", exact=True).click()
    expect(alice.get_by_role("link", name="You are let into a shell")).to_be_visible()
    alice.get_by_role("button", name="Open again").click()
    expect(alice.locator(".stream-state").first).to_have_text("Connected")
    mara.get_by_role("button", name="Take back").click()
    mara.get_by_role("alertdialog").get_by_role("button", name="Take it back").click()
    expect(alice.locator("strong", has_text="mara took the approval of this terminal back.")).to_be_visible()
