"""The frame in a real browser: visits, the dock, menus, questions, live lists."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.browser.conftest import Console
from tests.browser.pages import row_of

NAME = "frame-box"


@pytest.fixture(scope="module")
def box(console: Console) -> Iterator[str]:
    """A container that says something and stays."""
    yield console.engine.run(NAME, "sh", "-c", "echo all is well; sleep 1000")
    console.engine.remove(NAME)


@pytest.fixture
def page(signed_in: Callable[..., Page], box: str) -> Page:
    page = signed_in()
    page.goto(f"/containers/?q={NAME}")
    expect(row_of(page, NAME)).to_have_count(1)
    # A page that was loaded anew would have lost this.
    page.evaluate("window.sameDocument = true")
    return page


def open_in_dock(page: Page, kind: str) -> None:
    """Open a tab as any button with data-dock-open does."""
    _, _, host, container, _ = (row_of(page, NAME).get_by_role("link").first.get_attribute("href") or "").split("/")
    page.evaluate(
        """([kind, params]) => {
            const button = document.createElement("button");
            Object.assign(button.dataset, { dockOpen: kind, dockTitle: kind + " of the box", dockParams: params });
            document.body.append(button);
            button.click();
            button.remove();
        }""",
        [kind, json.dumps({"host": host, "container": container})],
    )
    expect(page.get_by_role("tab", name=f"{kind} of the box")).to_be_visible()


def height_of(locator: Locator) -> float:
    box = locator.bounding_box()
    assert box is not None
    return box["height"]


def test_a_visit_replaces_the_main_part_only(page: Page) -> None:
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Images").click()
    expect(page).to_have_title("Images · Pilothouse")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator(".side-link[aria-current=page]")).to_have_text("Images")
    assert page.evaluate("window.sameDocument")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Containers")
    expect(page.locator(".side-link[aria-current=page]")).to_have_text("Containers")
    assert page.evaluate("window.sameDocument")


def test_an_address_that_leads_nowhere_keeps_the_frame(page: Page) -> None:
    page.evaluate(
        """() => {
            const link = Object.assign(document.createElement("a"), { href: "/nowhere/" });
            document.querySelector(".page").append(link);
            htmx.process(link);
            link.click();
        }"""
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    assert page.evaluate("window.sameDocument")


def test_the_dock_survives_visits_and_a_reload(page: Page) -> None:
    open_in_dock(page, "logs")
    open_in_dock(page, "terminal")
    dock = page.get_by_role("region", name="Dock")
    dock.get_by_role("button", name="Two tabs side by side").click()
    expect(dock.get_by_role("tabpanel")).to_have_count(2)
    expect(dock).to_contain_text("all is well")
    page.evaluate("document.querySelector('.dock-pane').sameDocument = true")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Hosts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hosts")
    assert page.evaluate("document.querySelector('.dock-pane').sameDocument")
    page.reload()
    expect(dock.get_by_role("tab")).to_have_count(2)
    expect(dock.get_by_role("tabpanel")).to_have_count(2)
    expect(dock).to_contain_text("all is well")
    for _ in range(2):
        dock.get_by_role("button", name="Close this tab").click()
    expect(dock).to_be_hidden()


def test_a_visit_is_seen_though_the_dock_was_maximised(page: Page) -> None:
    open_in_dock(page, "logs")
    dock = page.get_by_role("region", name="Dock")
    dock.get_by_role("button", name="Maximise the dock").click()
    heading = page.locator("#main h1")
    expect(heading).not_to_be_visible()

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Images").click()

    expect(heading).to_have_text("Images")
    expect(heading).to_be_visible()
    expect(heading).to_be_focused()
    dock.get_by_role("button", name="Maximise the dock").click()
    page.go_back()
    expect(heading).to_have_text("Containers")
    expect(heading).to_be_visible()


def test_the_keyboard_reaches_size_and_tabs_of_the_dock(page: Page) -> None:
    open_in_dock(page, "logs")
    dock = page.get_by_role("region", name="Dock")
    before = height_of(dock)
    page.get_by_role("separator", name="Height of the dock").press("ArrowUp")
    assert height_of(dock) > before
    dock.get_by_role("button", name="Collapse the dock").click()
    expect(dock.get_by_role("tabpanel")).to_have_count(0)
    dock.get_by_role("tab").press("Enter")
    expect(dock.get_by_role("tabpanel")).to_have_count(1)
    dock.get_by_role("tab").press("Delete")
    expect(dock).to_be_hidden()


def test_the_palette_finds_and_opens(page: Page) -> None:
    page.goto("/images/")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search")
    expect(box).to_be_focused()
    box.fill(NAME)
    expect(page.get_by_role("option", name=NAME)).to_have_attribute("aria-selected", "true")
    box.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_palette_does_things_with_containers_and_stays_where_it_was_asked(page: Page) -> None:
    page.goto("/settings/")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search")
    # Faster than any answer: Enter is for what was typed, not for what stands there.
    box.press_sequentially(f"restart {NAME}")
    box.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#toasts")).to_contain_text(re.compile(rf"{NAME} was restarted|Restart {NAME}"))
    expect(page).to_have_url(re.compile("/settings/$"))

    page.keyboard.press("Control+k")
    box.fill(NAME)
    expect(page.get_by_role("option", name=NAME)).to_have_attribute("aria-selected", "true")
    box.press("Tab")
    # The page has lists of its own beside it.
    options = page.locator("#palette-list").get_by_role("option")
    expect(options.first).to_have_accessible_name(f"Restart {NAME} local")
    expect(options.last).to_have_accessible_name(f"Remove {NAME}… local")
    box.press("ArrowUp")
    box.press("Enter")
    question = page.get_by_role("dialog")
    expect(question.get_by_role("button", name="Remove")).to_be_visible()
    expect(question).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_menus_work_by_keyboard_and_give_the_focus_back(page: Page) -> None:
    button = row_of(page, NAME).get_by_role("button", name=re.compile("^Actions"))
    button.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem").nth(1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(button).to_be_focused()


def test_a_question_that_is_declined_does_nothing(page: Page) -> None:
    row_of(page, NAME).get_by_role("checkbox").check()
    page.get_by_role("button", name="Remove", exact=True).click()
    question = page.get_by_role("alertdialog")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(page.get_by_role("button", name="Remove", exact=True)).to_be_focused()
    assert "POST" not in sent


def test_a_row_tells_its_news_and_keeps_its_tick(page: Page, console: Console, box: str) -> None:
    tick = row_of(page, NAME).get_by_role("checkbox")
    tick.check()
    console.engine.call("POST", f"/containers/{box}/pause")
    expect(row_of(page, NAME).locator(".state")).to_have_text("Paused")
    expect(tick).to_be_checked()
    console.engine.call("POST", f"/containers/{box}/unpause")
    expect(row_of(page, NAME).locator(".state")).to_have_text("Running")


def test_no_row_moves_under_the_pointer(page: Page, console: Console, box: str) -> None:
    row_of(page, NAME).get_by_role("link", name=NAME).hover()
    console.engine.run(f"a-{NAME}", "sleep", "1000")
    try:
        expect(page.get_by_role("button", name="Updates are waiting")).to_be_visible()
        expect(row_of(page, f"a-{NAME}")).to_have_count(0)
        # What a row says of itself is news, not movement.
        console.engine.call("POST", f"/containers/{box}/pause")
        expect(row_of(page, NAME).locator(".state")).to_have_text("Paused")
        page.mouse.move(5, 5)
        expect(row_of(page, f"a-{NAME}")).to_have_count(1)
        expect(page.get_by_role("button", name="Updates are waiting")).to_have_count(0)
    finally:
        console.engine.call("POST", f"/containers/{box}/unpause")
        console.engine.remove(f"a-{NAME}")


def test_a_page_without_signals_says_so_asks_by_itself_and_tries_less_and_less_often(
    signed_in: Callable[..., Page],
) -> None:
    page = signed_in()
    page.clock.install()
    sockets: list[WebSocketRoute] = []
    page.route_web_socket("**/ws/live/", lambda opened: sockets.append(opened))
    page.goto("/containers/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Containers")
    chip = page.locator("#connection")

    # The socket opens, as it does while Redis is away, and nothing comes.
    page.clock.run_for(4_000)
    expect(chip).to_have_text("Reconnecting…")
    with page.expect_request(lambda request: request.headers.get("x-live") == "true"):
        page.clock.run_for(11_000)

    for tried in range(1, 5):
        sockets[-1].close()
        page.clock.run_for(12_000)
        assert len(sockets) == tried + 1
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 1"))
    sockets[-1].close()
    page.clock.run_for(4_000)
    assert len(sockets) == 5
    expect(chip).to_have_text("Reconnecting…")

    page.clock.run_for(8_000)
    sockets[-1].send('{"type": "listening"}')
    expect(chip).to_be_hidden()


def test_theme_and_sidebar_are_remembered(page: Page) -> None:
    page.get_by_role("button", name="Theme").click()
    with page.expect_response(re.compile("/settings/theme/")):
        page.get_by_role("menuitemradio", name="Dark").click()
    page.get_by_role("button", name="Collapse the sidebar").click()
    page.reload()
    expect(page.locator("html.dark")).to_have_count(1)
    expect(page.locator("#frame[data-collapsed]")).to_have_count(1)
    page.get_by_role("button", name="Theme").click()
    with page.expect_response(re.compile("/settings/theme/")):
        page.get_by_role("menuitemradio", name="Like the system").click()
    page.get_by_role("button", name="Expand the sidebar").click()


def test_a_phone_has_a_bar_and_never_scrolls_sideways(signed_in: Callable[..., Page], box: str) -> None:
    page = signed_in(width=390, height=844)
    for path in (
        "/",
        f"/containers/?q={NAME}",
        "/containers/create/",
        "/images/",
        "/hosts/",
        "/activity/",
        "/settings/",
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert (
            page.evaluate(
                "(() => { const c = document.getElementById('content'); return c.scrollWidth - c.clientWidth })()"
            )
            <= 0
        ), path
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Hosts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hosts")


@pytest.mark.parametrize("path", ["/containers/", "/images/", "/activity/?state=failed"])
def test_a_phone_folds_the_filters_of_a_list_into_their_headings(
    path: str, signed_in: Callable[..., Page], box: str
) -> None:
    page = signed_in(width=390, height=844)
    page.goto(path)
    filters = page.get_by_role("complementary", name="Filters")
    expect(filters.locator("summary", has_text="Host")).to_be_visible()
    expect(filters.get_by_role("link").filter(visible=True)).to_have_count(0)
    filters.locator("summary", has_text="Host").click()
    expect(filters.get_by_role("link").filter(visible=True)).not_to_have_count(0)


@pytest.mark.parametrize("width", [1440, 390])
def test_the_host_chosen_in_the_top_bar_goes_along_from_list_to_list(
    signed_in: Callable[..., Page], box: str, far_host: str, width: int
) -> None:
    page = signed_in(width=width)
    page.goto(f"/containers/?q={NAME}")
    button = page.get_by_role("button", name="Shown: All hosts")
    button.press("ArrowDown")
    expect(page.get_by_role("menuitemradio", name="All hosts")).to_be_focused()
    page.get_by_role("menuitemradio", name="local").press("Enter")
    page.wait_for_url(re.compile(rf"/containers/\?q={NAME}&host=[0-9a-f-]{{36}}$"))
    expect(page.get_by_role("button", name="Shown: local")).to_be_visible()
    host = page.url.partition("host=")[2]
    links = page.get_by_role("navigation", name="Main").locator("visible=true")
    for name, path in (("Images", "/images/"), ("Activity", "/activity/"), ("Overview", "/")):
        links.get_by_role("link", name=name).click()
        page.wait_for_url(f"**{path}?host={host}")
    page.goto("/settings/")
    expect(page.get_by_role("button", name="Shown: local")).to_be_visible()
    links.get_by_role("link", name="Containers").click()
    page.wait_for_url(f"**/containers/?host={host}")
    row_of(page, NAME).get_by_role("link").first.click()
    page.locator(".back-link").click()
    page.wait_for_url(f"**/containers/?host={host}")
    page.get_by_role("button", name="Shown: local").click()
    page.get_by_role("menuitemradio", name="All hosts").click()
    page.wait_for_url("**/containers/")
    links.get_by_role("link", name="Images").click()
    page.wait_for_url("**/images/")


def test_a_failure_is_told_in_every_tab_until_it_was_seen(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("broken-box", "/no/such/program", start=False)
    page, elsewhere = signed_in(), signed_in()
    elsewhere.goto("/settings/")
    elsewhere.wait_for_load_state("networkidle")
    if elsewhere.locator(".notifications-count").is_visible():  # what other tests left
        elsewhere.locator("#notifications-button").click()
        elsewhere.get_by_role("button", name="Mark all as seen").click()
    expect(elsewhere.get_by_role("button", name="Notifications", exact=True)).to_be_visible()
    page.goto("/containers/?q=broken-box")
    row_of(page, "broken-box").get_by_role("button", name="Start").click()
    bells = [tab.locator("#notifications-button") for tab in (page, elsewhere)]
    for bell in bells:
        expect(bell).to_have_accessible_name("1 notification that you have not seen")
    bells[0].press("Enter")
    news = page.locator("#notifications-popover")
    expect(news).to_contain_text("The program to run is not in the image.")
    expect(news).to_contain_text("Correct the command or the entrypoint.")
    news.get_by_role("button", name="Mark all as seen").press("Enter")
    expect(bells[0]).to_be_focused()
    for bell in bells:
        expect(bell).to_have_accessible_name("Notifications")
    console.engine.remove("broken-box")
