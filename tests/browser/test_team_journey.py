"""Two teams on parts of one host: everybody sees and does what is theirs, from the invitation to the suspension."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, STARTER, Console
from tests.browser.pages import create_and_start, open_container, row_of, state_of

Open = Callable[..., Page]


@dataclass(frozen=True, slots=True)
class Teams:
    """Where the pages of the two teams are."""

    red: str
    blue: str


@pytest.fixture
def teams(signed_in: Open, console: Console) -> Iterator[Teams]:
    """The teams Red and Blue with a part of the host each, and a policy that allows the starter image."""
    page = signed_in()
    addresses = {}
    for name, ports in (("Red", "21000-21009"), ("Blue", "21010-21019")):
        page.goto("/people/teams/create/")
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_role("main").get_by_role("button", name="Create the team").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
        addresses[name] = page.url.removeprefix(console.url)
        page.goto(f"{addresses[name]}hosts/grant/")
        page.get_by_label("Containers", exact=True).fill("2")
        page.get_by_label("Memory of all together").fill("256 MB")
        page.get_by_label("Ports", exact=True).fill(ports)
        page.get_by_role("button", name="Give the host").click()
        expect(page.get_by_role("group", name="Quota")).to_contain_text("0 of 2")
        page.goto(f"{addresses[name]}policy/edit/")
        page.get_by_label("Images").fill("pilothouse/*")
        page.get_by_label("Memory of one container").fill("128 MB")
        page.get_by_role("button", name="Try it").click()
        expect(page.locator("#dry-run")).to_contain_text("pilothouse/*")
        expect(page.locator("#dry-run")).to_contain_text("The team owns no container yet.")
        page.get_by_role("button", name="Save the policy").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Policy of {name}")
        expect(page.get_by_role("main")).to_contain_text("Version 1")
    yield Teams(red=addresses["Red"], blue=addresses["Blue"])
    for name in ("red-web", "blue-web"):
        if any(f"/{name}" in found["Names"] for found in console.engine.call("GET", "/containers/json?all=1")):
            console.engine.remove(name)


def invited(admin: Page, open_page: Open, address: str, name: str, *, role: str, field: str) -> Page:
    """Have the admin make a link, and somebody without an account follow it."""
    admin.goto(address)
    admin.get_by_label(field, exact=True).select_option(label=role)
    admin.get_by_role("button", name="Make the link").click()
    link = admin.locator(".invitation-link").inner_text().strip()
    page = open_page()
    page.goto(re.sub(r"^https?://[^/]+", "", link))
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label(re.compile("again", re.IGNORECASE)).fill(PASSWORD)
    page.get_by_role("button", name="Create my account").click()
    page.wait_for_url(re.compile(r"/(people/teams/[^/]+/)?$"))
    # A link that was used is worth nothing.
    other = open_page()
    answer = other.goto(re.sub(r"^https?://[^/]+", "", link))
    assert answer is not None
    assert answer.status == 404
    other.close()
    return page


def fill_in(page: Page, *, name: str = "web", image: str = STARTER) -> None:
    page.goto("/containers/create/")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Image", exact=True).fill(image)
    # Three rows until the form is awake, for whoever has no scripts.
    expect(page.get_by_label("Volume", exact=True)).to_have_count(1)
    page.get_by_label("Command").first.fill("sh -c 'echo ready; sleep 1000'")


def test_each_person_sees_and_does_what_is_theirs(
    console: Console, signed_in: Open, open_page: Open, teams: Teams
) -> None:
    admin = signed_in()
    bob = invited(admin, open_page, f"{teams.red}invite/", "bob", role="Member", field="Role in the team")
    eve = invited(admin, open_page, f"{teams.blue}invite/", "eve", role="Member", field="Role in the team")
    victor = invited(admin, open_page, f"{teams.red}invite/", "victor", role="Viewer", field="Role in the team")
    audrey = invited(admin, open_page, "/people/invite/", "audrey", role="Auditor", field="Role in the console")

    # The member: what is not allowed is said while typing, and again when it is sent; nothing typed is lost.
    fill_in(bob)
    bob.get_by_placeholder("data", exact=True).fill("/etc")
    bob.get_by_placeholder("/var/lib/data").fill("/host")
    expect(bob.locator("#preview")).to_contain_text("Mounts of type bind are not allowed for the team Red.")
    expect(bob.locator("#preview").get_by_role("group", name="Quota")).to_contain_text("0 + 1 of 2")
    bob.get_by_role("button", name="Create and start").click()
    expect(bob.get_by_role("alert")).to_contain_text("Choose a volume of the team instead of a path of the host.")
    expect(bob.get_by_label("Image", exact=True)).to_have_value(STARTER)
    bob.get_by_placeholder("data", exact=True).first.fill("data")
    create_and_start(bob)
    facts = console.engine.call("GET", "/containers/red-web/json")
    assert facts["HostConfig"]["CapDrop"] == ["ALL"]
    assert [mount["Name"] for mount in facts["Mounts"]] == ["red-data"]
    assert set(facts["NetworkSettings"]["Networks"]) == {"red-net"}
    open_container(bob, "red-web")
    expect(state_of(bob)).to_have_text("Running")

    # The other team: not there, by list, search and address.
    address = bob.url.removeprefix(console.url)
    eve.goto("/containers/?q=red-web")
    expect(row_of(eve, "red-web")).to_have_count(0)
    answer = eve.goto(address)
    assert answer is not None
    assert answer.status == 404
    fill_in(eve)
    create_and_start(eve)
    eve.goto("/containers/")
    expect(row_of(eve, "blue-web")).to_have_count(1)
    expect(row_of(eve, "red-web")).to_have_count(0)

    # The viewer reads and follows; there is nothing to press.
    open_container(victor, "red-web", tab="Logs")
    expect(victor.get_by_role("main")).to_contain_text("ready")
    parts = victor.get_by_role("navigation", name="Parts of this container")
    expect(parts.get_by_role("link", name="Terminal")).to_have_count(0)
    expect(victor.get_by_role("button", name="Stop")).to_have_count(0)

    # The auditor reads everything, and every refusal.
    audrey.goto("/containers/")
    expect(row_of(audrey, "red-web")).to_have_count(1)
    expect(row_of(audrey, "blue-web")).to_have_count(1)
    expect(audrey.get_by_role("link", name="Create", exact=True)).to_have_count(0)
    audrey.goto("/audit/?outcome=denied")
    expect(audrey.get_by_role("main")).to_contain_text("container.create")
    expect(audrey.get_by_role("main")).to_contain_text("bob")

    # The owner of everything takes the rights away while a shell is open.
    open_container(bob, "red-web", tab="Terminal")
    state = bob.locator("#terminal .stream-state")
    expect(state).to_have_text("Connected")
    admin.goto("/people/")
    row = admin.get_by_role("row").filter(has_text="bob")
    row.get_by_role("button", name=re.compile("Actions|More")).click()
    admin.get_by_role("menuitem", name=re.compile("Suspend")).click()
    admin.get_by_role("alertdialog").get_by_role("button", name="Suspend").click()
    expect(state).not_to_have_text("Connected", timeout=5_000)
    bob.goto("/containers/")
    expect(bob).to_have_url(re.compile("/accounts/login/"))
