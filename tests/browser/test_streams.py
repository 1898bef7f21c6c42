"""Logs and figures of a running container, as they come."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Console
from tests.browser.pages import open_container

TALKER = "i=0; while true; do i=$((i+1)); echo line-$i; sleep 0.05; done"
#: Milliseconds after which a log that lost its stream has asked for another.
RETRIED = 20_000
NEWEST = """() => Math.max(
    ...document.querySelector(".logs-view").innerText.match(/line-(\\d+)/g).map((found) => +found.slice(5)))"""


def test_a_log_follows_stays_where_the_reader_scrolled_and_counts_what_came(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("talker", "sh", "-c", f"seq 1 300; {TALKER}")
    page = signed_in()
    open_container(page, "talker", tab="Logs")
    view = page.get_by_role("log")
    expect(view).to_contain_text(re.compile(r"line-\d+"))
    first = page.evaluate(NEWEST)
    page.wait_for_function(f"(first) => ({NEWEST})() > first + 5", arg=first)

    view.hover()
    page.mouse.wheel(0, -2500)
    more = page.locator(".logs-more")
    expect(more).to_contain_text(re.compile(r"\d+ new lines"))
    stays = "() => [document.querySelector('.logs-view').scrollTop, document.querySelector('.logs-view').innerText]"
    before = page.evaluate(stays)
    page.wait_for_timeout(600)
    assert page.evaluate(stays) == before

    more.click()
    expect(more).to_be_hidden()
    page.wait_for_function(f"(first) => ({NEWEST})() > first + 20", arg=first)
    console.engine.remove("talker")


def test_a_log_tells_channels_and_times_apart_finds_and_downloads(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("both", "sh", "-c", "echo to the quay; echo to the reef >&2; seq 1 5; sleep 1000")
    page = signed_in()
    open_container(page, "both", tab="Logs")
    view = page.get_by_role("log")
    expect(view).to_contain_text("to the quay")
    expect(view).to_contain_text("to the reef")

    page.get_by_label("Which channel").select_option(label="stderr only")
    expect(view).not_to_contain_text("to the quay")
    expect(view).to_contain_text("to the reef")
    page.get_by_role("button", name="Times").click()
    expect(view).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))
    page.get_by_label("Which channel").select_option(label="stdout and stderr")
    page.get_by_label("Search the whole log").fill("quay")
    page.get_by_label("Search the whole log").press("Enter")
    expect(page.get_by_text("1 line of 7", exact=True)).to_be_visible()
    expect(view.locator("mark")).to_have_text("quay")

    with page.expect_download() as caught:
        page.get_by_role("link", name="Download").click()
    text = caught.value.path().read_text()
    assert "to the quay" in text
    assert "to the reef" in text
    console.engine.remove("both")


def test_a_log_is_read_from_a_moment_until_another_with_as_many_lines_as_typed(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run(
        "diary", "sh", "-c", "for i in $(seq 1 9); do echo entry $i; done; echo ERROR aground; sleep 1000"
    )
    page = signed_in(timezone_id="Asia/Seoul")
    open_container(page, "diary", tab="Logs")
    view = page.get_by_role("log")
    expect(view).to_contain_text("entry 9")
    expect(view.locator("[data-level=error]")).to_have_text("ERROR aground")

    page.get_by_label("How many lines").select_option(label="Another number…")
    lines = page.get_by_label("Lines", exact=True)
    expect(lines).to_be_focused()
    for wrong in ("0", "1.5", "1000001", ""):
        lines.fill(wrong)
        lines.press("Enter")
        expect(lines).to_have_accessible_description("Write a whole number from 1 to 1,000,000.")
        expect(lines).to_have_attribute("aria-invalid", "true")
    lines.fill("3")
    lines.press("Enter")
    expect(view).not_to_contain_text("entry 7")
    expect(view).to_contain_text("entry 8")
    expect(lines).not_to_have_attribute("aria-invalid", "true")

    page.get_by_role("button", name="Times").click()
    now = datetime.now(ZoneInfo("Asia/Seoul"))
    expect(view.locator(".logs-time").first).to_contain_text(re.compile(rf"^{now:%Y-%m-}\d\d \d\d:\d\d:\d\d\.\d{{3}}$"))
    expect(view.locator(".logs-time").first).to_have_attribute(
        "title", re.compile(r"^Asia/Seoul \(GMT\+09:00\) · .*Z$")
    )
    shown = datetime.fromisoformat(view.locator(".logs-time").first.inner_text())
    assert abs(shown - now.replace(tzinfo=None)) < timedelta(minutes=5)

    page.get_by_label("Since when").select_option(label="From … until …")
    begin, end = page.get_by_label("From", exact=True), page.get_by_label("Until", exact=True)
    expect(begin).to_be_focused()
    begin.fill(f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%S}")
    end.fill(f"{now - timedelta(hours=3):%Y-%m-%dT%H:%M:%S}")
    end.press("Tab")
    expect(end).to_have_accessible_description(re.compile("^The end must come after the beginning"))
    end.fill(f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}")
    end.press("Tab")
    expect(page.locator(".logs-empty")).to_have_text("Nothing was written in this time.")
    expect(page.locator(".logs .stream-state")).to_have_text("This is the log until the chosen end.")
    end.fill("")
    end.press("Tab")
    expect(view).to_contain_text("ERROR aground")

    with page.expect_download() as caught:
        page.get_by_role("link", name="Download").click()
    kept = caught.value.path().read_text().splitlines()
    assert [line.partition(" ")[2] for line in kept] == ["entry 8", "entry 9", "ERROR aground"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ", line) for line in kept), "the engine's times"
    page.get_by_role("button", name="Times").click()
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download").click()
    assert caught.value.path().read_text() == "entry 8\nentry 9\nERROR aground\n"
    console.engine.remove("diary")


def test_a_log_goes_on_when_the_container_starts_again(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("returns", "sh", "-c", "echo sailing; sleep 1000")
    page = signed_in()
    open_container(page, "returns", tab="Logs")
    expect(page.get_by_role("log")).to_contain_text("sailing")
    console.engine.call("POST", "/containers/returns/kill")
    expect(page.locator(".logs .stream-state")).to_contain_text("goes on here when it starts")
    console.engine.call("POST", "/containers/returns/start")
    expect(page.locator(".logs .stream-state")).to_have_text("Following")
    page.wait_for_function("document.querySelector('.logs-view').innerText.match(/sailing/g).length === 2")
    console.engine.remove("returns")


def _streams_of(page: Page) -> list[WebSocketRoute]:
    """Note every stream of a log that the page opens from now on."""
    streams: list[WebSocketRoute] = []

    def pass_on(stream: WebSocketRoute) -> None:
        streams.append(stream)
        stream.connect_to_server()

    page.route_web_socket(re.compile("/ws/logs/"), pass_on)
    return streams


def _stop_the_clock(page: Page) -> None:
    page.clock.install()
    page.clock.pause_at(datetime.now(tz=UTC) + timedelta(minutes=1))


def test_a_log_that_is_asked_for_anew_while_it_waits_to_reconnect_has_one_stream(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("restless", "sh", "-c", "echo sailing; sleep 1000")
    page = signed_in()
    streams = _streams_of(page)
    open_container(page, "restless", tab="Logs")
    state = page.locator(".logs .stream-state")
    expect(state).to_have_text("Following")
    _stop_the_clock(page)

    streams[0].close()
    expect(state).to_have_text("Reconnecting…")
    page.get_by_label("How many lines").select_option(label="Last 100")
    expect(state).to_have_text("Following")
    page.clock.run_for(RETRIED)

    assert len(streams) == 2
    page.clock.resume()
    expect(page.get_by_role("log")).to_have_text("sailing")
    console.engine.remove("restless")


def test_a_log_that_ended_in_an_error_and_was_asked_for_anew_reconnects_again(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("wrecked", "sh", "-c", "echo sailing; sleep 1000")
    page = signed_in()
    streams = _streams_of(page)
    open_container(page, "wrecked", tab="Logs")
    state = page.locator(".logs .stream-state")
    expect(state).to_have_text("Following")
    _stop_the_clock(page)

    streams[0].send(json.dumps({"type": "error", "code": "x", "message": "The mast broke.", "next_step": ""}))
    streams[0].close()
    expect(state).to_contain_text("The mast broke.")
    page.get_by_label("How many lines").select_option(label="Last 100")
    expect(state).to_have_text("Following")
    streams[1].close()

    expect(state).to_have_text("Reconnecting…")
    page.clock.run_for(RETRIED)
    expect(state).to_have_text("Following")
    assert len(streams) == 3
    console.engine.remove("wrecked")


def test_figures_are_drawn_and_told_in_numbers(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run(
        "busy", "sh", "-c", "while true; do :; done", HostConfig={"NanoCpus": 200_000_000, "Memory": 64_000_000}
    )
    page = signed_in()
    open_container(page, "busy", tab="Stats")

    expect(page.locator("[data-value=cpu]")).to_contain_text(re.compile(r"\d+([.,]\d+)? ?%"))
    expect(page.locator("[data-value=memory]")).to_contain_text(re.compile(r"\d"))
    expect(page.locator(".charts canvas")).to_have_count(4)
    console.engine.remove("busy")


def test_figures_appear_by_themselves_once_the_container_runs(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("idle", start=False)
    page = signed_in()
    open_container(page, "idle", tab="Stats")
    expect(page.locator("#stats-tab")).to_contain_text("This container is not running")

    page.locator("#container-header").get_by_role("button", name="Start").click()

    expect(page.locator("[data-value=memory]")).to_contain_text(re.compile(r"\d"))
    expect(page.locator(".charts canvas")).to_have_count(4)
    console.engine.remove("idle")
