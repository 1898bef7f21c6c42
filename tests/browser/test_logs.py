"""Searching a whole log, reading it as JSON, linking to a line of it, and several logs as one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.pages import open_container


def _search(page: Page, text: str) -> None:
    field = page.get_by_label("Search the whole log")
    field.fill(text)
    field.press("Enter")


def test_what_is_found_far_above_is_shown_in_its_place_and_has_a_link(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    script = "seq 1 2000 | sed 's/^/before /'; sleep 1.2; echo the reef; sleep 1.2; seq 1 3000 | sed 's/^/after /'"
    console.engine.run("long", "sh", "-c", f"{script}; sleep 1000")
    page = signed_in()
    open_container(page, "long", tab="Logs")
    view = page.get_by_role("log")
    expect(view).to_contain_text("after 3000")

    _search(page, "REEF")
    hits = page.get_by_role("list", name="What was found")
    expect(hits.get_by_role("button")).to_have_count(1)
    expect(page.get_by_text("1 line of 5,001")).to_be_visible()
    hits.get_by_role("button").click()
    expect(view.locator("[data-current=true]")).to_have_text("the reef")
    expect(view).to_contain_text("before 2000")
    expect(view).to_contain_text("after 1")

    # The end of what is here brings more, until the end of all.
    page.wait_for_function(
        """() => {
            const view = document.querySelector(".logs-view");
            view.scrollTo(0, view.scrollHeight);
            return view.innerText.includes("after 3000");
        }"""
    )
    page.reload()
    expect(view.locator("[data-current=true]")).to_have_text("the reef")
    expect(view).to_contain_text("before 2000")
    assert re.search(r"\?at=\d{19}&line=[0-9a-f]{8}$", page.url)
    page.locator(".logs-more").click()
    expect(view).to_contain_text("after 3000")
    assert "at=" not in page.url

    page.get_by_label("Lines around each").select_option(label="± 2 lines")
    page.get_by_role("button", name="Regular expression").click()
    _search(page, "^the (reef|quay)$")
    expect(hits.locator(".logs-context")).to_have_count(4)
    _search(page, "(")
    expect(page.get_by_text("This regular expression is not understood")).to_be_visible()
    expect(page.get_by_label("Search the whole log")).to_have_attribute("aria-invalid", "true")
    console.engine.remove("long")


def test_lines_of_json_are_folded_and_levels_are_chosen(console: Console, signed_in: Callable[..., Page]) -> None:
    lines = [
        json.dumps({"level": "error", "msg": "the mast broke", "wind": 12, "crew": {"on deck": 3}}),
        json.dumps({"level": 20, "msg": "all is well"}),
        "WARN fog ahead",
        "  and more of it",
        "nothing to tell",
    ]
    console.engine.run("json", "sh", "-c", f"cat <<'EOF'\n{chr(10).join(lines)}\nEOF\nsleep 1000")
    page = signed_in()
    open_container(page, "json", tab="Logs")
    view = page.get_by_role("log")
    expect(view.locator(".logs-message").first).to_have_text("the mast broke")
    expect(view.locator(".logs-line").first).to_contain_text('wind=12  crew={"on deck":3}')

    view.get_by_role("button", name="All fields").first.click()
    expect(view.locator(".logs-field").filter(has_text='"on deck": 3')).to_be_visible()
    expect(view.get_by_role("button", name="All fields").first).to_be_focused()

    levels = page.get_by_label("Which levels")
    levels.select_option(label="Warnings and above")
    expect(view.locator(".logs-line")).to_have_count(3)
    expect(view).to_contain_text("and more of it")
    levels.select_option(label="Errors")
    expect(view.locator(".logs-line")).to_have_count(1)
    levels.select_option(label="All levels")
    page.get_by_role("button", name="Fold JSON").click()
    expect(view).to_contain_text('{"level": 20, "msg": "all is well"}')
    console.engine.remove("json")


def test_several_logs_are_one_in_the_order_of_their_times(console: Console, signed_in: Callable[..., Page]) -> None:
    # The second starts while the first still speaks.
    script = "for i in $(seq 1 40); do echo {name}-$i; sleep 0.25; done; sleep 1000"
    for name in ("port", "starboard"):
        console.engine.run(name, "sh", "-c", script.format(name=name))
    page = signed_in()
    page.goto(f"{console.url}/containers/")
    for name in ("port", "starboard"):
        page.get_by_label(f"Choose {name}", exact=True).check()
    page.locator(".bulkbar").get_by_role("link", name="Logs").click()
    expect(page.get_by_role("heading", name="Logs of 2 containers")).to_be_visible()
    view = page.get_by_role("log")
    for name in ("port", "starboard"):
        expect(view).to_contain_text(f"{name}-40")
    page.get_by_role("button", name="Times").click()
    page.get_by_label("How many lines").select_option(label="Last 100")
    expect(view).to_contain_text("starboard-40")
    times = view.locator(".logs-line").evaluate_all(
        "(rows) => rows.sort((a, b) => a.offsetTop - b.offsetTop)"
        ".map((row) => row.querySelector('.logs-time').innerText)"
    )
    assert len(times) > 10
    assert times == sorted(times)

    _search(page, "-23")
    hits = page.get_by_role("list", name="What was found").get_by_role("button")
    expect(hits).to_have_count(2)
    page.get_by_role("button", name="Next").click()
    expect(view.locator("[data-current=true]")).to_contain_text("-23")

    page.get_by_role("button", name="Move to dock").click()
    dock = page.locator("#dock")
    expect(dock.get_by_role("log").locator(".logs-line").first).to_contain_text("-")
    for name in ("port", "starboard"):
        console.engine.remove(name)


def test_a_log_that_is_paused_stays_and_counts(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("talker", "sh", "-c", "i=0; while true; do i=$((i+1)); echo line-$i; sleep 0.05; done")
    page = signed_in()
    open_container(page, "talker", tab="Logs")
    view = page.get_by_role("log")
    expect(view).to_contain_text("line-9")
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    more = page.locator(".logs-more")
    expect(more).to_contain_text(re.compile(r"[1-9]\d* new line"))
    expect(pause).to_have_attribute("aria-pressed", "true")
    pause.click()
    expect(more).to_be_hidden()
    expect(pause).to_have_attribute("aria-pressed", "false")
    console.engine.remove("talker")
