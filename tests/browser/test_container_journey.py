"""A container's life in the browser: made by the form, watched, changed, and taken away."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import STARTER, Console
from tests.browser.pages import choose, create_and_start, open_container, row_of, state_of


def test_the_form_says_in_words_what_will_happen_and_then_it_does(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    page.goto("/containers/")
    page.get_by_role("link", name="Create").first.click()
    page.wait_for_url("**/containers/create/")
    page.get_by_label("Name", exact=True).fill("journey-1")
    page.get_by_label("Image", exact=True).fill(STARTER)
    page.get_by_label("Command").first.fill("sh -c 'while true; do date; sleep 1; done'")
    page.get_by_label("Memory", exact=True).fill("64 MB")
    # Three rows until the form is awake, for whoever has no scripts.
    expect(page.get_by_label("Variable", exact=True)).to_have_count(1)
    page.get_by_label("Variable", exact=True).fill("GREETING")
    page.locator("[name=env_value]").fill("good morning")
    page.get_by_label("Label", exact=True).fill("team")
    page.locator("[name=label_value]").fill("harbour")
    page.get_by_placeholder("data", exact=True).fill("cargo")
    page.get_by_placeholder("/var/lib/data").fill("/data")
    summary = page.locator("#preview")
    expect(summary).to_contain_text("journey-1")
    expect(summary).to_contain_text("64")

    create_and_start(page)

    open_container(page, "journey-1")
    expect(state_of(page)).to_have_text("Running")
    facts = console.engine.call("GET", "/containers/journey-1/json")
    assert facts["HostConfig"]["Memory"] == 64 * 1024 * 1024
    assert "GREETING=good morning" in facts["Config"]["Env"]
    assert facts["Config"]["Labels"]["team"] == "harbour"
    assert [(mount["Name"], mount["Destination"]) for mount in facts["Mounts"]] == [("cargo", "/data")]
    main = page.get_by_role("main")
    expect(main).to_contain_text("GREETING")
    expect(main).to_contain_text("/data")
    for tab, text in (("Configuration", "GREETING"), ("Inspect", "RestartPolicy"), ("Activity", "Create")):
        page.get_by_role("link", name=tab, exact=True).last.click()
        page.wait_for_url(f"**/{tab.lower()}/")
        expect(main).to_contain_text(text)
    console.engine.remove("journey-1")


def test_removing_volumes_too_asks_for_the_name(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("laden", Volumes={"/data": {}})
    (mount,) = console.engine.call("GET", "/containers/laden/json")["Mounts"]
    page = signed_in()
    open_container(page, "laden")
    choose(page, "Remove…")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Lost: everything it wrote")

    for name in ("", "laden"):
        dialog.get_by_label("kill it first").check()
        dialog.get_by_label("with all data in it").check()
        dialog.get_by_label("To remove volumes").fill(name)
        dialog.get_by_role("button", name="Remove").click()
        if not name:
            expect(dialog.locator(".form-field-errors")).to_be_visible()

    page.wait_for_url("**/containers/")
    expect(row_of(page, "laden")).to_have_count(0)
    volumes = console.engine.call("GET", "/volumes")["Volumes"] or []
    assert mount["Name"] not in [volume["Name"] for volume in volumes]


def test_every_action_of_the_page_reaches_the_engine(console: Console, signed_in: Callable[..., Page]) -> None:
    console.engine.run("acts")
    page = signed_in()
    open_container(page, "acts")

    page.get_by_role("button", name="Stop").click()
    expect(state_of(page)).to_have_text(re.compile("Exited"))
    page.get_by_role("button", name="Start").click()
    expect(state_of(page)).to_have_text("Running")
    choose(page, "Pause")
    expect(state_of(page)).to_have_text("Paused")
    page.get_by_role("button", name="Resume").click()
    expect(state_of(page)).to_have_text("Running")
    page.get_by_role("button", name="Restart").click()
    expect(state_of(page)).to_have_text("Running")
    choose(page, "Rename…")
    page.get_by_label("New name").fill("acts renamed")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("dialog").locator(".form-field-errors")).to_be_visible()
    page.get_by_label("New name").fill("acts-2")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("acts-2")
    choose(page, "Kill…")
    page.get_by_role("button", name="Send the signal").click()
    expect(state_of(page)).to_have_text(re.compile("Exited"))

    page.get_by_role("link", name="Activity", exact=True).last.click()
    main = page.get_by_role("main")
    for words in ("Kill", "Rename", "Restart", "Pause", "Start", "Stop"):
        expect(main).to_contain_text(words)
    page.goto("/activity/")
    expect(page.get_by_role("link", name=re.compile("Kill"))).not_to_have_count(0)
    page.goto("/audit/?q=acts")
    for action in ("container.kill", "container.rename", "container.pause"):
        expect(main).to_contain_text(action)
    console.engine.remove("acts-2")


def test_a_container_that_fails_at_once_says_why_with_its_last_lines(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    page.goto("/containers/create/")
    page.get_by_label("Name", exact=True).fill("wreck")
    page.get_by_label("Image", exact=True).fill(STARTER)
    page.get_by_label("Command").first.fill("sh -c 'echo the harbour is frozen >&2; exit 3'")
    page.get_by_role("button", name="Create and start").click()

    expect(page.get_by_text("the harbour is frozen").first).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("It ended with the exit code 3")
    open_container(page, "wreck")
    expect(page.get_by_text("Why it stopped")).to_be_visible()
    console.engine.remove("wreck")


def test_a_command_that_does_not_exist_ends_in_a_sentence_with_a_next_step(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    page.goto("/containers/create/")
    page.get_by_label("Name", exact=True).fill("nothing-to-run")
    page.get_by_label("Image", exact=True).fill(STARTER)
    page.get_by_label("Command").first.fill("/no/such/program")
    page.get_by_role("button", name="Create and start").click()

    callout = page.locator(".operation .callout")
    expect(callout).to_contain_text("/no/such/program")
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    console.engine.remove("nothing-to-run")


def test_a_form_with_mistakes_keeps_what_was_typed_and_points_at_each(signed_in: Callable[..., Page]) -> None:
    page = signed_in()
    page.goto("/containers/create/")
    page.get_by_label("Name", exact=True).fill("bad name!")
    page.get_by_label("Image", exact=True).fill("UPPER CASE")
    page.get_by_label("Memory", exact=True).fill("lots")
    page.get_by_role("button", name="Create", exact=True).click()

    expect(page.get_by_text(re.compile("things need your attention"))).to_be_visible()
    for section in ("basics", "limits"):
        expect(page.locator(f"#section-{section}")).to_have_attribute("data-invalid", "")
    expect(page.get_by_label("Name", exact=True)).to_have_value("bad name!")
    expect(page.get_by_label("Memory", exact=True)).to_have_value("lots")


def test_search_facets_and_bulk_actions_work_on_what_is_listed(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    for number in range(3):
        console.engine.run(f"fleet-{number}", Labels={"fleet": "yes"})
    console.engine.run("loner", start=False)
    page = signed_in()
    page.goto("/containers/")
    expect(row_of(page, "loner")).to_be_visible()
    page.get_by_label("Search containers").press_sequentially("fleet-", delay=20)
    expect(row_of(page, "loner")).to_have_count(0)
    expect(page.locator("tr[data-row]")).to_have_count(3)
    expect(page.get_by_label("Search containers")).to_be_focused()
    page.get_by_label("Search containers").fill("")
    page.get_by_label("Search containers").press("Enter")
    facet = page.get_by_role("complementary", name="Filters").get_by_role("link", name=re.compile("Created"))
    facet.click()
    expect(row_of(page, "loner")).to_be_visible()
    expect(row_of(page, "fleet-1")).to_have_count(0)

    page.goto("/containers/?q=fleet-")
    bar = page.locator(".bulkbar")
    question = page.get_by_role("alertdialog")
    page.get_by_label("Choose all on this page").check()
    expect(bar).to_contain_text("3 selected")
    bar.get_by_role("button", name="Stop").click()
    question.get_by_role("button", name="Stop").click()
    expect(bar).to_be_hidden()
    expect(page.locator("tr[data-row] .state", has_text="Exited")).to_have_count(3)
    page.get_by_label("Choose all on this page").check()
    bar.get_by_role("button", name="Start", exact=True).click()
    expect(bar).to_be_hidden()
    expect(page.locator("tr[data-row] .state", has_text="Running")).to_have_count(3)
    page.get_by_label("Choose all on this page").check()
    bar.get_by_role("button", name="Remove").click()
    expect(question).to_contain_text("is lost")
    question.get_by_role("button", name="Remove").click()
    page.mouse.move(5, 5)
    expect(page.locator("tr[data-row]")).to_have_count(0)
    assert not console.engine.call("GET", '/containers/json?all=1&filters={"label":["fleet=yes"]}')
    console.engine.remove("loner")


def test_two_tabs_that_want_opposite_things_both_end_in_the_truth(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("tug")
    one, other = signed_in(), signed_in()
    open_container(one, "tug")
    open_container(other, "tug")

    one.get_by_role("button", name="Stop").click(no_wait_after=True)
    other.get_by_role("button", name="Restart").click(no_wait_after=True)

    one.wait_for_timeout(1500)
    truth = "Running" if console.engine.call("GET", "/containers/tug/json")["State"]["Running"] else "Exited"
    for page in (one, other):
        page.mouse.move(5, 5)
        expect(state_of(page)).to_have_text(re.compile(truth))
    console.engine.remove("tug")
    for page in (one, other):
        gone = page.get_by_role("alert").filter(has_text="no longer exists")
        expect(gone.locator(".callout-title")).to_have_text("This container no longer exists.")
        expect(page.get_by_role("heading", level=1)).to_have_text("tug")
        main = page.get_by_role("main")
        expect(main.get_by_role("button", name=re.compile("Start|Stop|Restart|More actions"))).to_have_count(0)
        expect(main).not_to_contain_text(truth)
        gone.get_by_role("link", name="Go to the list of containers").click()
        page.wait_for_url("**/containers/")


def test_a_log_stays_to_be_read_when_its_container_is_removed_elsewhere(
    console: Console, signed_in: Callable[..., Page]
) -> None:
    console.engine.run("last-words", "sh", "-c", "echo the pumps have stopped; sleep 1000")
    page = signed_in()
    open_container(page, "last-words", tab="Logs")
    log = page.get_by_role("log")
    expect(log).to_contain_text("the pumps have stopped")

    console.engine.remove("last-words")

    expect(page.get_by_role("alert")).to_contain_text("This container no longer exists.")
    expect(log).to_contain_text("the pumps have stopped")
    expect(page.get_by_role("navigation", name="Parts of this container")).to_have_count(0)
