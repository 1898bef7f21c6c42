"""What containers call themselves and print is shown as text, wherever it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import STARTER, Console
from tests.browser.pages import open_container, row_of

MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "\"'><iframe srcdoc='<script>parent.alert(1)</script>'>",
    "</textarea></pre></template><b>bold</b>",
    "<a href=javascript:alert(1)>come</a>",
    "{{ 7*7 }}{% now %}",
    "<div hx-get=/settings/ hx-trigger=load></div>",
    "<!--<a data-confirm=x>-->",
    "\u202egnp.exe",
)
# What a terminal may be told besides text: a title, a link, a report that would type itself, colours.
CONTROL = r"\033]0;owned\007\033]8;;javascript:alert(1)\033\\click\033]8;;\033\\\033[31mred\033[0m\033[6n"


def test_nothing_that_a_container_says_runs_or_becomes_markup(console: Console, signed_in: Callable[..., Page]) -> None:
    everything = " ".join(MARKUP)
    console.engine.run(
        "hostile",
        *("sh", "-c", f"printf '%s\\n' \"$HOSTILE\"; printf '{CONTROL}\\n'; sleep 1000", everything),
        Env=[f"HOSTILE={everything}", *(f"H{number}={text}" for number, text in enumerate(MARKUP))],
        Labels=dict.fromkeys(MARKUP, everything),
        User="root",
        WorkingDir=f"/{MARKUP[1]}",
        Healthcheck={"Test": ["CMD-SHELL", f"echo '{MARKUP[0]}{MARKUP[1]}'; exit 1"], "Interval": 10**9, "Retries": 1},
    )
    page = signed_in()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    # A row opens once its script is there.
    page.goto("/containers/", wait_until="networkidle")
    expect(row_of(page, "hostile")).to_be_visible()
    row_of(page, "hostile").get_by_role("button", name=re.compile("Quick look")).click()
    expect(page.locator(".expanded-row")).to_contain_text("Command")
    open_container(page, "hostile")
    expect(page.get_by_role("main")).to_contain_text(MARKUP[1])
    for tab in ("Logs", "Configuration", "Inspect", "Activity", "Terminal"):
        page.get_by_role("navigation", name="Parts of this container").get_by_role("link", name=tab).click()
        page.wait_for_url(f"**/{tab.lower()}/")
        if tab == "Logs":
            expect(page.get_by_role("log")).to_contain_text(MARKUP[1])
            expect(page.get_by_role("log")).to_contain_text("red")
        elif tab == "Terminal":
            expect(page.locator("#terminal .stream-state")).to_have_text("Connected")
            page.keyboard.type(f"printf '{CONTROL}'\n")
            expect(page.locator(".xterm-rows")).to_contain_text("red")
        assert page.locator("main :is(script, iframe, [onload], [onerror], a[href^=javascript])").count() == 0, tab
    page.goto("/containers/create/")
    page.goto(f"/containers/?q={MARKUP[1]}")
    expect(page.get_by_label("Search containers")).to_have_value(MARKUP[1])
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search").fill("hostile")
    expect(page.get_by_role("option", name=re.compile("hostile")).first).to_be_visible()
    page.get_by_role("combobox", name="Search").fill(MARKUP[1])
    page.wait_for_timeout(300)
    page.goto("/")
    expect(page.get_by_role("main")).to_contain_text("hostile")

    assert not [url for url in requests if url.endswith("/x") or not url.startswith((console.url, "data:", "blob:"))]
    assert page.title() != "owned"
    console.engine.remove("hostile")


def test_what_a_person_types_into_a_form_comes_back_as_text(signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    page.goto("/containers/create/")
    page.get_by_label("Image", exact=True).fill(STARTER)
    page.get_by_label("Command").first.fill(MARKUP[0])
    expect(page.locator("#argv")).to_contain_text("<script>alert")
    for label in ("Name", "Image", "Host name", "User", "Working directory", "Memory", "CPUs"):
        page.get_by_label(label, exact=True).fill(MARKUP[1])
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator(".form-errors")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value(MARKUP[1])
    for path, label, button in (("/images/pull/", "Image", "Pull"), ("/hosts/add/", "Name", "Add the host")):
        page.goto(path)
        page.get_by_label(label, exact=True).fill(MARKUP[1])
        page.locator("form[novalidate], form").evaluate_all(
            "(forms) => forms.forEach((form) => (form.noValidate = true))"
        )
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_role("main").locator(".form-field-errors").first).to_be_visible()
        expect(page.get_by_label(label, exact=True)).to_have_value(MARKUP[1])
    page.goto(f"/audit/?q={MARKUP[1]}&person={MARKUP[0]}&object={MARKUP[1]}")
    expect(page.get_by_label("Search the record")).to_have_value(MARKUP[1])
    expect(page.get_by_label("Object")).to_have_value(MARKUP[1])
