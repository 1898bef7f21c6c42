"""Times on a page go on by themselves, without asking the console."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.pages import row_of


def test_the_age_of_a_row_goes_on_and_its_hover_is_the_readers_own_time(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("old-hand", start=False)
    page = signed_in()
    page.clock.install()
    page.goto("/containers/?q=old-hand")
    age = row_of(page, "old-hand").locator("time")
    expect(age).to_have_text(re.compile(r"^\d+ (s|min)$"))

    page.clock.fast_forward(3 * 3_600_000)

    expect(age).to_have_text(re.compile("^3 h$"))
    assert age.get_attribute("title") == age.evaluate(
        """age => new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "medium" })
            .format(new Date(age.dateTime))"""
    )
    console.engine.remove("old-hand")


def test_what_goes_on_is_counted_by_the_browser_and_anew_with_each_answer(signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    page.clock.install()
    page.goto("/activity/")
    page.evaluate(
        """document.getElementById("main").insertAdjacentHTML(
            "beforeend", '<time id="going-on" data-elapsed="57">57 s</time>')"""
    )
    shown = page.locator("#going-on")

    page.clock.run_for(2_000)
    expect(shown).to_have_text("58 s")
    page.clock.fast_forward(65_000)
    expect(shown).to_have_text("2 min 3 s")
    page.clock.fast_forward(3_600_000)
    expect(shown).to_have_text("1 h 2 min")
    shown.evaluate("shown => shown.dataset.elapsed = 5")
    page.clock.run_for(3_000)
    expect(shown).to_have_text("7 s")
    shown.evaluate("shown => { shown.textContent = '5 s'; }")
    page.clock.run_for(2_000)
    expect(shown).to_have_text("6 s")
