"""A shell in the browser: every byte arrives, both ways, and the session outlives pages."""

from __future__ import annotations

import hashlib
import random
import re
import string
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Console
from tests.browser.pages import open_container


@pytest.fixture(scope="module")
def box(console: Console) -> Iterator[str]:
    """A container that has a shell."""
    console.engine.run("shells")
    yield "shells"
    console.engine.remove("shells")


def lines(place: Page | Locator) -> Locator:
    """Return what a terminal shows."""
    return place.locator(".xterm-rows")


def enter(page: Page, text: str) -> None:
    """Type a line, as a person does."""
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def paste(page: Page, text: str) -> None:
    """Paste into the terminal that has the focus."""
    page.evaluate(
        """(text) => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            document.activeElement.dispatchEvent(
                new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }""",
        text,
    )


def open_shell(page: Page, name: str) -> Locator:
    """Open a container's terminal, and wait for its prompt."""
    open_container(page, name, tab="Terminal")
    expect(page.locator("#terminal")).to_contain_text("Connected")
    expect(lines(page)).to_contain_text(re.compile(r"[#$]"))
    return lines(page)


def choose_from_bar(place: Page | Locator, name: str) -> None:
    """Do what a button of the bar does, or an item of its menu where the bar is short."""
    shown = place.get_by_role("button", name=name, exact=True)
    if shown.is_visible():
        shown.click()
    else:
        place.get_by_role("button", name="More", exact=True).click()
        place.get_by_role("menuitem", name=name, exact=True).click()


def execs(console: Console, name: str) -> list[str]:
    """Return the ids of what runs in a container beside its main process."""
    return sorted(console.engine.call("GET", f"/containers/{name}/json")["ExecIDs"] or [])


def test_a_shell_takes_keys_shows_every_script_and_tells_its_exit_code(
    box: str, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    shown = open_shell(page, box)

    enter(page, "echo $((6*7)) 안녕하세요 žluťoučký 🚢")
    expect(shown).to_contain_text("42 안녕하세요 žluťoučký 🚢")
    enter(page, "exit 7")

    expect(page.locator("#terminal .stream-notice")).to_contain_text("The process ended with exit code 7.")
    expect(page.locator("#terminal .stream-state")).to_have_text("Ended")
    page.get_by_role("button", name="Open again").click()
    expect(page.locator("#terminal .stream-state")).to_have_text("Connected")
    enter(page, "echo $((7*7)) again")
    expect(shown).to_contain_text("49 again")


def test_the_shell_follows_the_size_of_its_pane(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    shown = open_shell(page, box)

    def size() -> tuple[int, int]:
        page.keyboard.press("Control+l")
        enter(page, "stty size | tr ' ' x; echo here")
        found = re.search(r"(\d+)x(\d+)", shown.filter(has_text=re.compile(r"\d+x\d+")).inner_text())
        assert found
        return int(found[1]), int(found[2])

    before = size()
    page.set_viewport_size({"width": 1000, "height": 600})
    expect(shown.locator("> div")).not_to_have_count(before[0])
    # The page has drawn it anew; the shell hears of it a moment later.
    after = size()
    while after[0] == before[0]:
        page.wait_for_timeout(100)
        after = size()

    assert after[0] < before[0]
    assert after[1] < before[1]
    assert after[0] == shown.locator("> div").count()


def test_a_megabyte_that_is_pasted_arrives_byte_for_byte(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    shown = open_shell(page, box)
    letters = "".join(random.Random(7).choices(string.ascii_letters + string.digits + "가나다", k=950_000))
    text = letters.encode()[:1_000_000].decode(errors="ignore")
    size = len(text.encode())
    enter(page, f"stty raw -echo; echo ready-$((1+1)); head -c {size} | sha256sum; stty sane")
    expect(shown).to_contain_text("ready-2")

    paste(page, text)

    expect(shown).to_contain_text(hashlib.sha256(text.encode()).hexdigest()[:40], timeout=30_000)


def test_a_flood_of_output_ends_with_its_last_line_and_the_shell_still_answers(
    box: str, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    shown = open_shell(page, box)

    enter(page, "seq 200000; echo done-$((2+2))")

    expect(shown).to_contain_text("done-4", timeout=30_000)
    expect(shown).to_contain_text("199999")
    expect(shown).to_contain_text("200000")
    enter(page, "yes harbour")
    expect(shown).to_contain_text("harbourharbour")
    page.keyboard.press("Control+c")
    expect(shown).to_contain_text("^C")
    enter(page, "echo $((3*3))-after")
    expect(shown).to_contain_text("9-after")


def test_a_program_that_fills_the_screen_is_drawn_and_takes_every_key(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    shown = open_shell(page, box)

    enter(page, "vi /tmp/logbook")
    expect(shown).to_contain_text("~")
    page.keyboard.type("iwind from the north")
    page.keyboard.press("Escape")
    expect(shown).to_contain_text("- /tmp/logbook")
    page.keyboard.type("yyp:s/north/south/")
    page.keyboard.press("Enter")
    expect(shown).to_contain_text("wind from the south")
    enter(page, ":wq")
    page.keyboard.press("Control+l")
    enter(page, "md5sum < /tmp/logbook")

    expect(shown).to_contain_text(hashlib.md5(b"wind from the north\nwind from the south\n").hexdigest())


def test_a_session_moves_to_the_dock_and_survives_visits_and_a_reload_with_its_scrollback(
    box: str, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    shown = open_shell(page, box)
    enter(page, "SHIP=Marie-Celeste; echo set")
    expect(shown).to_contain_text("set")

    page.get_by_role("navigation", name="Main").first.get_by_role("link", name="Images").click()
    page.wait_for_url("**/images/")
    dock = page.get_by_role("region", name="Dock")
    expect(dock.get_by_role("tab", name=box)).to_be_visible()
    dock.locator(".xterm").click()
    enter(page, "echo the $SHIP sails")
    expect(lines(dock)).to_contain_text("the Marie-Celeste sails")

    page.reload()
    expect(dock.get_by_role("tab", name=box)).to_be_visible()
    expect(dock.locator(".stream-state")).to_have_text("Connected")
    expect(lines(dock)).to_contain_text("the Marie-Celeste sails")
    dock.locator(".xterm").click()
    enter(page, "echo still $SHIP")
    expect(lines(dock)).to_contain_text("still Marie-Celeste")


@pytest.mark.parametrize("ends", [True, False], ids=["ended", "running"])
def test_a_reload_runs_no_command_again(
    console: Console, box: str, signed_in: Callable[..., Page], *, ends: bool
) -> None:
    page = signed_in()
    open_shell(page, box)
    page.get_by_role("button", name="Move to dock").click()
    dock = page.get_by_role("region", name="Dock")
    choose_from_bar(dock, "Run another…")
    dock.get_by_label("Command", exact=True).fill("id -u" if ends else "sleep 1000")
    dock.get_by_label("Command", exact=True).press("Enter")
    state = dock.locator(".stream-state")
    expect(state).to_have_text("Ended" if ends else "Connected")
    if ends:
        expect(dock.locator(".stream-notice")).to_contain_text("exit code 0")
    page.goto("/images/")
    expect(state).to_have_text("Ended" if ends else "Connected")
    before = execs(console, box)

    page.reload()
    expect(state).to_have_text("Ended" if ends else "Connected")
    assert execs(console, box) == before

    if ends:
        expect(dock.locator(".stream-notice")).to_contain_text("Nothing runs here now.")
        with page.expect_response("**/terminals/tickets/"):
            dock.get_by_role("button", name="Open again").click()
        expect(dock.locator(".stream-notice")).to_contain_text("exit code 0")


def test_a_shell_that_was_left_stays_so_after_a_reload(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    open_shell(page, box)
    page.get_by_role("button", name="Move to dock").click()
    dock = page.get_by_role("region", name="Dock")
    dock.locator(".xterm").click()
    enter(page, "exit 7")
    expect(dock.locator(".stream-notice")).to_contain_text("exit code 7")
    page.goto("/images/")
    expect(dock.locator(".stream-notice")).to_contain_text("Nothing runs here now.")

    page.reload()
    expect(dock.locator(".stream-notice")).to_contain_text("Nothing runs here now.")
    dock.get_by_role("button", name="Open again").click()
    expect(dock.locator(".stream-state")).to_have_text("Connected")


def test_another_command_and_user_can_be_chosen(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    open_shell(page, box)

    page.get_by_role("button", name="Run another…").click()
    page.get_by_label("Command", exact=True).fill("id -u")
    page.get_by_label("User", exact=True).fill("1234")
    page.get_by_label("User", exact=True).press("Enter")
    expect(lines(page)).to_contain_text("1234")
    expect(page.locator("#terminal .stream-notice")).to_contain_text("exit code 0")

    page.get_by_role("button", name="Run another…").click()
    page.get_by_label("Command", exact=True).fill("/no/such/shell")
    page.get_by_label("User", exact=True).fill("")
    page.get_by_label("User", exact=True).press("Enter")
    expect(page.locator("#terminal .stream-notice")).to_contain_text(re.compile("/no/such/shell|could not|not found"))


def test_the_main_process_without_a_terminal_has_its_errors_in_red(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("speaks", "sh", "-c", "while true; do echo out; echo err >&2; sleep 0.3; done")
    page = signed_in()
    open_shell(page, "speaks")
    page.get_by_role("button", name="Main process").click()

    expect(lines(page)).to_contain_text("out")
    expect(lines(page).locator("span.xterm-fg-1").first).to_have_text(re.compile("err"))
    console.engine.remove("speaks")


def test_a_shell_that_nobody_waited_for_is_not_started(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("passed-by")
    page = signed_in()
    held: list[Route] = []
    page.route("**/terminals/tickets/", lambda route: held.append(route))
    with page.expect_request("**/terminals/tickets/"):
        open_container(page, "passed-by", tab="Terminal")
    page.get_by_role("navigation", name="Parts of this container").get_by_role("link", name="Configuration").click()
    page.wait_for_url("**/configuration/")

    with page.expect_response("**/terminals/tickets/"):
        held[0].continue_()
    page.wait_for_timeout(500)

    assert not console.engine.call("GET", "/containers/passed-by/json")["ExecIDs"]
    console.engine.remove("passed-by")


def test_a_container_that_stops_ends_its_terminal_in_words(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("sinks")
    page = signed_in()
    open_shell(page, "sinks")

    console.engine.call("POST", "/containers/sinks/kill")

    expect(page.locator(".stream-notice")).to_contain_text(re.compile("ended"))
    console.engine.remove("sinks")


def test_a_container_is_started_from_its_terminals_tab_and_the_terminal_opens_there(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("asleep", start=False)
    page = signed_in()
    open_container(page, "asleep", tab="Terminal")
    waiting = page.locator("#terminal-tab")
    expect(waiting).to_contain_text("This container is not running")
    held: list[Route] = []
    answers = re.compile("/containers/[^/]+/[^/]+/terminal/$")
    page.route(answers, lambda route: held.append(route))

    with page.expect_request(answers):
        waiting.get_by_role("button", name="Start").click()
    # More news while the tab is on its way: it must not be made anew over the terminal.
    heading = page.get_by_role("heading", level=1)
    console.engine.call("POST", "/containers/asleep/rename?name=drowsy")
    expect(heading).to_have_text("drowsy")
    for route in held:
        route.continue_()
    page.unroute(answers)

    expect(page.locator(".terminal .stream-state")).to_have_attribute("data-state", "live")
    console.engine.call("POST", "/containers/drowsy/rename?name=awake")
    expect(heading).to_have_text("awake")
    expect(page.locator("#terminal-tab textarea")).to_be_focused()
    enter(page, "echo $((6*7)) bells")
    expect(lines(page)).to_contain_text("42 bells")
    assert page.url.endswith("/terminal/")
    console.engine.remove("awake")


def test_a_terminal_that_opens_by_itself_takes_no_focus_from_who_types_elsewhere(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("woken", start=False)
    page = signed_in()
    open_container(page, "woken", tab="Logs")
    page.get_by_role("button", name="Move to dock").click()
    page.get_by_role("navigation", name="Parts of this container").get_by_role("link", name="Terminal").click()
    expect(page.locator("#terminal-tab")).to_contain_text("This container is not running")
    field = page.get_by_role("region", name="Dock").get_by_role("searchbox")
    field.fill("ice")

    console.engine.call("POST", "/containers/woken/start")

    expect(page.locator(".terminal .stream-state")).to_have_attribute("data-state", "live")
    expect(field).to_be_focused()
    console.engine.remove("woken")


def test_the_scrollback_is_searched_and_hits_are_counted(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    open_shell(page, box)
    enter(page, "clear; for i in 1 2 3; do echo Buoy-$i; seq 40; done; echo buoy")
    expect(lines(page)).to_contain_text("buoy")

    choose_from_bar(page, "Search")
    field = page.get_by_label("Search in the scrollback")
    field.fill("Buoy-")
    count = page.locator(".terminal-count")
    expect(count).to_have_text(re.compile(r"\d of 3"))
    field.press("Enter")
    first = count.inner_text()
    field.press("Shift+Enter")
    expect(count).not_to_have_text(first)
    page.get_by_role("button", name="Upper and lower case matter").click()
    field.fill("buoy")
    expect(count).to_have_text(re.compile(r"\d of 1"))
    field.fill("lighthouse")
    expect(count).to_have_text("0 hits")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.press("Escape")
    expect(field).to_be_hidden()
    expect(page.locator("#terminal .xterm-helper-textarea")).to_be_focused()


def test_how_terminals_look_is_chosen_for_all_of_them_and_kept(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    open_shell(page, box)
    choose_from_bar(page, "Move to dock")
    dock = page.get_by_role("region", name="Dock")
    choose_from_bar(dock, "New terminal")
    terminals = dock.locator(".terminal[data-state]")
    expect(terminals).to_have_count(2)
    rows = dock.locator(".xterm-rows").last.locator("> div")
    before = rows.count()

    dock.get_by_role("button", name="Appearance").click()
    panel = dock.locator(".terminal-popover:popover-open")
    panel.get_by_text("Light", exact=True).click()
    for _ in range(4):
        panel.get_by_role("button", name="Larger text").click()
    page.keyboard.press("Escape")

    for at in range(2):
        expect(terminals.nth(at)).to_have_attribute("data-theme", "light")
    expect(rows).not_to_have_count(before)
    page.reload()
    expect(dock.locator('.terminal[data-theme="light"]')).to_have_count(2)


def test_the_bar_of_a_terminal_fits_a_phone(box: str, signed_in: Callable[..., Page]) -> None:
    page = signed_in(width=390, height=844)
    open_shell(page, box)
    bar = page.locator(".terminal-bar")

    assert bar.evaluate("(bar) => bar.scrollWidth <= bar.clientWidth")
    choose_from_bar(page.locator("#terminal"), "Search")
    expect(page.get_by_label("Search in the scrollback")).to_be_focused()
