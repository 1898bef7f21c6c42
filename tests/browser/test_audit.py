"""The record: found by the reader's own time, taken away as a file, checked from its page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect


def test_a_moment_is_the_readers_and_sent_as_the_same_one_everywhere(signed_in: Callable[..., Page]) -> None:
    page = signed_in(timezone_id="Asia/Seoul")
    page.goto("/audit/")
    page.get_by_text("Narrow it down").click()
    since = page.get_by_label("Since")
    since.fill("2026-03-01T21:00:00")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile(r"since=2026-03-01T12%3A00%3A00"))
    expect(since).to_have_value(re.compile("^2026-03-01T21:00"))
    assert "Asia/Seoul" in (since.get_attribute("title") or "")
    expect(page.locator("#audit-rows tbody tr").first).to_be_visible()

    page.get_by_role("link", name="Clear").click()
    page.wait_for_url(re.compile("/audit/$"))
    page.go_back()
    expect(since).to_have_value(re.compile("^2026-03-01T21:00"))
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile(r"since=2026-03-01T12%3A00%3A00"))

    elsewhere = signed_in(timezone_id="America/New_York")
    elsewhere.goto(page.url)
    expect(elsewhere.get_by_label("Since")).to_have_value(re.compile("^2026-03-01T07:00"))


def test_what_is_found_is_taken_away(signed_in: Callable[..., Page], tmp_path: Path) -> None:
    page = signed_in()
    page.goto("/audit/?person=alice&q=alice")
    with page.expect_download() as caught:
        page.get_by_role("button", name="JSON").click()
    assert re.fullmatch(r"audit-\d{8}-\d{6}\.jsonl", caught.value.suggested_filename)
    rows = [json.loads(line) for line in caught.value.path().read_text().splitlines()]
    assert rows
    assert {row["actor_name"] for row in rows} == {"alice"}
    with page.expect_download() as caught:
        page.get_by_role("button", name="CSV").click()
    assert caught.value.path().read_bytes().startswith(b"\xef\xbb\xbfsequence,")


def test_the_page_says_how_the_check_that_it_asked_for_ended(signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    page.goto("/audit/")
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text(re.compile(r"whole up to row \d+"))).to_be_visible()
