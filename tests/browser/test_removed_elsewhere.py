"""A page that is open while somebody else removes what it is about."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Console


def expect_gone(page: Page, *, sentence: str, way_out: str, address: str) -> None:
    """See that a page says what is gone, offers nothing to do with it, and leads to the list."""
    gone = page.get_by_role("alert").filter(has_text="no longer exists")
    expect(gone.locator(".callout-title")).to_have_text(sentence)
    main = page.get_by_role("main")
    expect(main.get_by_role("button")).to_have_count(0)
    expect(main.locator("section")).to_have_count(0)
    gone.get_by_role("link", name=way_out).click()
    page.wait_for_url(address)


def test_the_page_of_an_image_says_that_it_is_gone(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("mould", start=False)
    console.engine.call("POST", "/commit?container=mould&repo=cast&tag=1")
    console.engine.remove("mould")
    page = signed_in()
    page.goto("/images/")
    page.get_by_role("link", name="cast:1", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("Layers")

    console.engine.call("DELETE", "/images/cast:1")

    expect_gone(
        page,
        sentence="This image no longer exists.",
        way_out="Go to the list of images",
        address="**/images/",
    )


def test_the_page_of_a_host_says_that_it_is_gone(signed_in: Callable[..., Page]) -> None:
    page, other = signed_in(), signed_in()
    page.goto("/hosts/add/")
    page.get_by_label("Name", exact=True).fill("ghost ship")
    page.get_by_label(re.compile("^Address")).fill("unix:///tmp/ghost-ship.sock")
    page.get_by_role("button", name="Add the host").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("ghost ship")

    other.goto(f"{page.url}remove/")
    other.get_by_role("textbox").fill("ghost ship")
    other.get_by_role("main").get_by_role("button", name=re.compile("Remove")).click()
    other.wait_for_url("**/hosts/")

    expect_gone(
        page,
        sentence="This host no longer exists.",
        way_out="Go to the list of hosts",
        address="**/hosts/",
    )
