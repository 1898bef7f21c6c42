"""Every page for everybody: axe finds nothing in light and dark, and the keyboard gets everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import STARTER, Console
from tests.browser.pages import open_container, row_of

AXE = Axe().axe_script
NAME = "axe-box"
TABS = ("", "logs/", "terminal/", "stats/", "configuration/", "inspect/", "activity/")
WIDTH = "Math.max(document.documentElement.scrollWidth, document.getElementById('content').scrollWidth)"
# What looks the same with the focus as without, itself and the box around it.
UNSEEN_FOCUS = """() => {
    const looks = (element) => [element, element.closest("label, td, .search, .form-field") ?? element].map((one) => {
        const style = getComputedStyle(one);
        return [style.outline, style.boxShadow, style.borderColor, style.backgroundColor, style.textDecorationLine];
    }).join();
    const unseen = [];
    const reached = "a[href], button, input, select, textarea, summary, [tabindex='0']";
    for (const element of document.querySelectorAll(reached)) {
        if (element.offsetParent !== null && !element.disabled) {
            element.blur();
            const before = looks(element);
            element.focus({ focusVisible: true });
            if (document.activeElement === element && looks(element) === before) {
                unseen.push(element.outerHTML.slice(0, 160));
            }
        }
    }
    return unseen;
}"""


@pytest.fixture(scope="module")
def box(console: Console) -> Iterator[str]:
    """A container with something on every tab of its page."""
    health = {"Test": ["CMD-SHELL", "echo well"], "Interval": 1_000_000_000}
    yield console.engine.run(
        NAME,
        *("sh", "-c", "while true; do echo all is well; echo or not >&2; sleep 1; done"),
        Env=["TOKEN=secret", "PLAIN=1"],
        Labels={"team": "harbour"},
        Healthcheck=health,
        Volumes={"/data": {}},
        HostConfig={"Memory": 64 * 1024 * 1024},
    )
    console.engine.remove(NAME)


def barriers(page: Page, **options: Any) -> list[str]:
    """Return what axe finds on the page, a line for each element."""
    options["resultTypes"] = ["violations"]
    # Half a megabyte of script: once for each page, not for each look at it.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    look = "(options) => axe.run(options).then((results) => results.violations)"
    found: list[dict[str, Any]] = page.evaluate(look, options)
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node['html'][:160]} {node.get('failureSummary', '')}"
        for rule in found
        for node in rule["nodes"]
    ]


def find_barriers(page: Page, place: str) -> list[str]:
    """Look at the page as it is now, in light and in dark."""
    found = [f"{place}, light: {barrier}" for barrier in barriers(page)]
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    expect(page.locator("html.dark")).to_have_count(1)
    # Of all that axe looks at, only colours differ.
    colours = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
    found += [f"{place}, dark: {barrier}" for barrier in barriers(page, runOnly=colours)]
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    return found


def test_pages_before_sign_in_have_no_barriers(
    console: Console, admin: tuple[str, str], open_page: Callable[..., Page]
) -> None:
    page = open_page()
    found = []
    for path in ("/accounts/login/", console.first_admin_url, "/no/such/page/"):
        page.goto(path)
        found += find_barriers(page, path)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()
    found += find_barriers(page, "a refused sign-in")
    assert found == []


def test_pages_of_the_console_have_no_barriers(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    found = []
    for path in (
        "/",
        "/containers/",
        "/containers/?q=nothing-like-it",
        "/images/",
        "/images/pull/",
        "/volumes/",
        "/volumes/create/",
        "/networks/",
        "/networks/create/",
        "/hosts/",
        "/hosts/add/",
        "/activity/",
        "/people/",
        "/recordings/",
        "/people/invite/",
        "/people/teams/",
        "/people/teams/create/",
        "/people/groups/",
        "/people/groups/map/",
        f"/audit/?q={NAME}",
        "/settings/",
        "/settings/confirm/",
        "/settings/second-factor/",
        "/settings/second-factor/app/",
        "/containers/create/",
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".skeleton-lines")).to_have_count(0)
        found += find_barriers(page, path)
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator(".form-errors")).to_be_visible()
    found += find_barriers(page, "a refused form")
    page.goto("/hosts/")
    page.get_by_role("main").get_by_role("link", name="local", exact=True).first.click()
    page.wait_for_url(re.compile(r"/hosts/[0-9a-f-]{36}/"))
    found += find_barriers(page, "a host")
    page.goto("/images/")
    page.get_by_role("link", name=STARTER).click()
    found += find_barriers(page, "an image")
    assert found == []


def test_every_tab_of_a_container_has_no_barriers(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    open_container(page, NAME)
    found = find_barriers(page, "Overview")
    for tab, sign in (
        ("Logs", "all is well"),
        ("Stats", "%"),
        ("Configuration", "PLAIN"),
        ("Inspect", "RestartPolicy"),
        ("Activity", "Operations"),
        ("Terminal", "Connected"),
    ):
        page.get_by_role("navigation", name="Parts of this container").get_by_role("link", name=tab).click()
        expect(page.get_by_role("main")).to_contain_text(sign)
        found += find_barriers(page, tab)
    assert found == []


def test_what_opens_over_a_page_has_no_barriers(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    open_container(page, NAME, tab="Logs")
    page.get_by_label("How many lines").select_option(label="Another number…")
    page.get_by_label("Lines", exact=True).fill("0")
    page.get_by_label("Since when").select_option(label="From … until …")
    expect(page.get_by_role("alert").filter(has_text="Write a whole number")).to_be_visible()
    found = find_barriers(page, "part of a log")
    page.get_by_label("Lines", exact=True).fill("50")
    page.get_by_role("button", name="Move to dock").click()
    expect(page.get_by_role("region", name="Dock").get_by_role("log")).to_contain_text("all is well")
    found += find_barriers(page, "dock")
    page.get_by_role("region", name="Dock").get_by_role("button", name="Close this tab").click()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search").fill(NAME)
    expect(page.get_by_role("option", name=re.compile(NAME)).first).to_be_visible()
    found += find_barriers(page, "palette")
    page.keyboard.press("Tab")
    expect(page.get_by_role("option", name=f"Remove {NAME}…")).to_be_visible()
    found += find_barriers(page, "what can be done")
    page.keyboard.press("Escape")
    page.locator("#container-menu").click()
    found += find_barriers(page, "menu")
    page.get_by_role("menuitem", name="Remove…").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Remove")).to_be_visible()
    found += find_barriers(page, "dialog")
    page.keyboard.press("Escape")
    page.goto(f"/containers/?q={NAME}")
    row_of(page, NAME).get_by_role("button", name=re.compile("Quick look")).click()
    row_of(page, NAME).get_by_role("checkbox").check()
    expect(page.locator(".expanded-row")).to_contain_text("The engine says")
    found += find_barriers(page, "a list at work")
    assert found == []


def test_the_top_bar_has_no_barriers(box: str, far_host: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    page.goto(f"/containers/?q={NAME}")
    page.get_by_role("button", name="Shown: All hosts").click()
    expect(page.get_by_role("menuitemradio", name=far_host)).to_be_visible()
    found = find_barriers(page, "host filter")
    page.keyboard.press("Escape")
    page.locator("#notifications-button").click()
    expect(page.locator("#notifications-popover")).to_be_visible()
    found += find_barriers(page, "notifications")
    assert found == []


def test_a_phone_shows_every_tab_without_scrolling_sideways_or_barriers(
    box: str, signed_in: Callable[..., Page]
) -> None:
    page = signed_in(width=390, height=844)
    open_container(page, NAME)
    found = []
    wide = []
    for path in (
        "/",
        "/containers/",
        f"/audit/?q={NAME}",
        "/hosts/add/",
        "/images/pull/",
        "/volumes/create/",
        "/networks/",
        *(page.url + tab for tab in TABS),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if page.evaluate(WIDTH) > 390:
            wide.append(path)
        found += [f"{path}: {barrier}" for barrier in barriers(page)]
    assert wide == []
    assert found == []


def test_the_keyboard_skips_to_the_content_and_shows_where_it_is(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    page.goto(f"/containers/?q={NAME}")
    expect(row_of(page, NAME)).to_be_visible()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('main') !== null")

    for path in (page.url, "/containers/create/", "/settings/"):
        page.goto(path)
        assert page.evaluate(UNSEEN_FOCUS) == []
