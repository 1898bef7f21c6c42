"""Logs and figures of a running container, as they come."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.pages import open_container

TALKER = "i=0; while true; do i=$((i+1)); echo line-$i; sleep 0.05; done"
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
    page.get_by_label("Search in these lines").fill("quay")
    expect(page.get_by_text("1 line", exact=True)).to_be_visible()
    page.get_by_label("Search in these lines").press("Enter")
    expect(view).to_contain_text("to the quay")

    with page.expect_download() as caught:
        page.get_by_role("link", name="Download").click()
    text = caught.value.path().read_text()
    assert "to the quay" in text
    assert "to the reef" in text
    console.engine.remove("both")


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
