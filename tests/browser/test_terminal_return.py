"""A terminal that comes back: after a reload, a cut network, a killed server; and to more than one browser."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.browser.conftest import Console
from tests.browser.test_terminal import choose_from_bar, enter, execs, lines, open_shell

#: A counter that takes some seconds, and says when it is done.
COUNTER = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo n$i; [ $((i%8)) = 0 ] && sleep 0.1; done; echo all-$((1+1))"


@pytest.fixture(scope="module")
def box(console: Console) -> Iterator[str]:
    """A container that has a shell."""
    console.engine.run("returns")
    yield "returns"
    console.engine.remove("returns")


@pytest.fixture
def page(signed_in: Callable[..., Page]) -> Page:
    return signed_in(permissions=["clipboard-read", "clipboard-write"])


def state_of(place: Page | Locator) -> Locator:
    return place.locator(".terminal .stream-state")


def everything(page: Page, place: Page | Locator) -> str:
    """Return all that a terminal holds, also what has scrolled away."""
    choose_from_bar(place, "Select everything")
    place.locator(".xterm-helper-textarea").focus()
    page.keyboard.press("Control+Shift+C")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def counted(page: Page, place: Page | Locator) -> list[int]:
    return [int(number) for number in re.findall(r"^n(\d+)\s*$", everything(page, place), re.MULTILINE)]


def kill_web(console: Console) -> None:
    """Kill the web process as the kernel would; the launcher starts another."""
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (directory / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"uvicorn" in arguments and str(console.port).encode() in arguments:
            os.kill(int(directory.name), signal.SIGKILL)
            return
    pytest.fail("there is no web process")


class Network:
    """The network between a page and the console, to be cut."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/ws/terminal/", lambda socket: self._pass(socket))

    def _pass(self, socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        self.sockets.append(socket)

    def cut(self) -> None:
        self._page.context.set_offline(True)
        self.sockets[-1].close(code=1012)

    def mend(self) -> None:
        self._page.context.set_offline(False)


def test_a_reload_keeps_the_shell_and_every_line_that_came_meanwhile_once(box: str, page: Page) -> None:
    open_shell(page, box)
    enter(page, COUNTER)
    expect(lines(page)).to_contain_text("n20")

    page.reload()
    expect(state_of(page)).to_have_text("Connected")
    expect(lines(page)).to_contain_text("all-2", timeout=30_000)

    assert counted(page, page) == list(range(1, 401))
    # Nothing was answered that a program had asked before.
    assert "[" not in everything(page, page).rpartition("all-2")[2]


def test_a_cut_network_loses_no_output_and_no_key(box: str, page: Page) -> None:
    network = Network(page)
    open_shell(page, box)
    enter(page, COUNTER)
    expect(lines(page)).to_contain_text("n20")

    network.cut()
    expect(state_of(page)).to_have_text("Reconnecting…")
    enter(page, "echo typed-$((6*7))")
    expect(page.locator(".terminal-hint")).to_contain_text("What you type is kept")
    network.mend()
    expect(state_of(page)).to_have_text("Connected")

    expect(lines(page)).to_contain_text("typed-42", timeout=30_000)
    assert counted(page, page) == list(range(1, 401))
    assert everything(page, page).count("\ntyped-42") == 1


def test_a_killed_web_process_ends_no_terminal(console: Console, box: str, page: Page) -> None:
    open_shell(page, box)
    enter(page, COUNTER)
    expect(lines(page)).to_contain_text("n20")

    kill_web(console)
    expect(state_of(page)).to_have_text("Reconnecting…")
    expect(state_of(page)).to_have_text("Connected", timeout=60_000)

    expect(lines(page)).to_contain_text("all-2", timeout=30_000)
    assert counted(page, page) == list(range(1, 401))


def test_a_page_without_the_terminal_brings_it_back_in_the_dock(box: str, page: Page) -> None:
    open_shell(page, box)
    enter(page, "SHIP=Vasa")
    page.goto("/images/")

    dock = page.get_by_role("region", name="Dock")
    expect(state_of(dock)).to_have_text("Connected")
    dock.locator(".xterm").click()
    enter(page, "echo the $SHIP floats")
    expect(lines(dock)).to_contain_text("the Vasa floats")


def test_tabs_that_nobody_looks_at_come_back_too_with_their_names(console: Console, box: str, page: Page) -> None:
    open_shell(page, box)
    choose_from_bar(page, "Move to dock")
    dock = page.get_by_role("region", name="Dock")
    dock.get_by_role("tab", name=box).dblclick()
    field = dock.get_by_label("Name of this tab")
    field.fill("lookout")
    field.press("Enter")
    choose_from_bar(dock, "New terminal")
    expect(dock.get_by_role("tab")).to_have_count(2)
    expect(state_of(dock).last).to_have_text("Connected")
    before = execs(console, box)

    page.goto("/images/")
    for name in ("lookout", box):
        tab = dock.get_by_role("tab", name=name)
        expect(tab).to_have_attribute("data-status", "live")
    assert execs(console, box) == before

    dock.get_by_role("tab", name="lookout").press("F2")
    field.fill("crow's nest")
    field.press("Enter")
    expect(dock.get_by_role("tab", name="crow's nest")).to_be_focused()


def test_to_close_a_tab_ends_its_shell(console: Console, page: Page) -> None:
    console.engine.run("closes")
    open_shell(page, "closes")
    choose_from_bar(page, "Move to dock")
    (shell,) = execs(console, "closes")
    assert console.engine.call("GET", f"/exec/{shell}/json")["Running"]

    page.get_by_role("button", name="Close this tab").click()

    for _ in range(100):
        if not console.engine.call("GET", f"/exec/{shell}/json")["Running"]:
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail("the shell runs on")
    console.engine.remove("closes")


def test_the_same_tab_in_two_windows_goes_on_in_the_later_one_and_can_be_taken_back(box: str, page: Page) -> None:
    open_shell(page, box)
    choose_from_bar(page, "Move to dock")
    page.goto("/images/")
    dock = page.get_by_role("region", name="Dock")
    expect(state_of(dock)).to_have_text("Connected")
    kept = page.evaluate("sessionStorage.getItem('pilothouse.dock')")

    # What a browser does for “Duplicate tab”.
    other = page.context.new_page()
    other.add_init_script(f"sessionStorage.setItem('pilothouse.dock', {kept!r})")
    other.goto("/images/")
    expect(state_of(other)).to_have_text("Connected")
    expect(dock.locator(".stream-notice")).to_contain_text("This terminal was opened elsewhere.")

    dock.get_by_role("button", name="Use it here").click()
    expect(state_of(dock)).to_have_text("Connected")
    expect(state_of(other)).to_have_text("Connected")
    dock.locator(".xterm").click()
    enter(page, "echo both-$((2+3))")
    expect(lines(dock)).to_contain_text("both-5")
    expect(lines(other)).to_contain_text("both-5")

    # As large as fits for both who type, in the larger pane as well.
    other.set_viewport_size({"width": 700, "height": 600})
    expect(dock.locator('.terminal[data-boxed="true"]')).to_have_count(1)
    other.close()
    expect(dock.locator('.terminal[data-boxed="false"]')).to_have_count(1)
