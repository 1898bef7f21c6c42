"""From a container that is gone to its last lines, and on through the lives of its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.pages import open_container

Open = Callable[..., Page]
SCRIPT = (
    "printf '\\033[32mready\\033[0m to serve\\n'; for i in $(seq 1 {lines}); do echo GET /orders/$i 200; done; "
    # The engine copies the two channels independently of each other: the last words wait for the others.
    "sleep 0.3; echo 'panic: out of paper' >&2; exit {code}"
)


@pytest.fixture
def grey(signed_in: Open, console: Console) -> Iterator[str]:
    """The team Grey, whose logs are kept for a week; its id."""
    page = signed_in()
    page.goto("/people/teams/create/")
    page.get_by_label("Name", exact=True).fill("Grey")
    page.get_by_role("main").get_by_role("button", name="Create the team").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Grey")
    address = page.url
    page.goto(f"{address}hosts/grant/")
    page.get_by_role("button", name="Give the host").click()
    expect(page.get_by_role("group", name="Quota")).to_be_visible()
    page.goto(f"{address}policy/edit/")
    page.get_by_label("Images").fill("*")
    page.get_by_label("Logs are kept for days").fill("7")
    page.get_by_role("button", name="Save the policy").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Policy of Grey")
    yield address.rstrip("/").rpartition("/")[2]
    page.context.close()


def give(page: Page, console: Console, name: str, *, team: str, script: str) -> str:
    """Run a container behind the console's back, and give it to the team; return its page."""
    console.engine.run(name, "sh", "-c", script)
    open_container(page, name)
    address = page.url
    token = page.locator("meta[name=csrf-token]").get_attribute("content") or ""
    answer = page.request.post(
        f"{address}assign/", form={"team": team}, headers={"X-CSRFToken": token, "Origin": console.url}
    )
    assert answer.ok
    return address


def test_the_last_lines_of_a_container_that_is_gone_are_one_click_away(
    signed_in: Open, console: Console, grey: str
) -> None:
    page = signed_in()
    address = give(page, console, "grey-web", team=grey, script=SCRIPT.format(lines=1200, code=7))
    page.goto(f"{address}activity/")
    expect(page.locator("#container-kept-log")).to_contain_text("Exited (7)")
    console.engine.remove("grey-web")
    give(page, console, "grey-web", team=grey, script="echo new life; exec sleep 1000")

    page.goto(address)
    page.get_by_role("link", name="Its last lines").click()
    lines = page.locator(".kept-line")
    expect(lines.last).to_contain_text("panic: out of paper")
    expect(page.get_by_text("exit code 7")).to_be_visible()
    expect(lines.last).to_be_in_viewport()

    # The new container's log is kept a moment after it is the team's.
    page.get_by_role("link", name="Newest").click()
    while "new life" not in lines.last.inner_text():
        page.wait_for_timeout(200)
        page.get_by_role("link", name="Newest").click()
    expect(lines.last).to_contain_text("new life")
    expect(page.locator(".kept-border")).to_contain_text("Container replaced")
    page.get_by_role("link", name="Oldest").click()
    expect(lines.first.locator("span[style*='rgb']")).to_have_text("ready")
    page.get_by_role("searchbox", name="Search the whole log").fill("orders/7.7 ")
    page.get_by_label("Regular expression").check()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".kept-line mark")).to_have_count(10)
    page.locator(".kept-time").first.click()
    expect(page.locator(".kept-line[data-current]")).to_contain_text("orders/707")
    expect(page.locator(".kept-line[data-current]")).to_be_in_viewport()

    page.goto("/logs/?q=grey")
    expect(page.locator("#list tbody tr")).to_have_count(2)
    expect(page.locator("#list tbody")).to_contain_text(re.compile("Exited \\(7\\)"))
    console.engine.remove("grey-web")
