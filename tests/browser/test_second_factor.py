"""A second factor, from its set-up to the sign-in that asks for it, and the question who it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, ROOT, Console, sign_in
from tests.browser.test_accessibility import find_barriers

GROW_LATE = """
from django.contrib.sessions.backends.db import SessionStore
session = SessionStore(session_key={key!r})
session["confirmed_at"] -= 15 * 60
session.save()
"""


def code_of(secret: str, *, seconds: int = 0) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time() + seconds) // 30)))


def grow_late(console: Console, page: Page) -> None:
    """Let fifteen minutes pass since the page's person has shown who they are."""
    (key,) = [cookie["value"] for cookie in page.context.cookies() if "session" in cookie["name"]]
    environment = {
        **os.environ,
        "PILOTHOUSE_DATA_DIR": str(console.data_dir),
        "PILOTHOUSE_PUBLIC_URL": console.url,
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }
    command = [sys.executable, "manage.py", "shell", "-c", GROW_LATE.format(key=key)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


@pytest.fixture
def person(signed_in: Callable[..., Page], open_page: Callable[..., Page], console: Console) -> Page:
    """Somebody who has just joined, at an address that has a name: her second factor must not guard other tests."""
    inviting = signed_in()
    inviting.goto("/people/invite/")
    inviting.get_by_role("button", name="Make the link").click()
    link = inviting.locator(".invitation-link").inner_text()
    page = open_page()
    page.goto(link.replace("127.0.0.1", "localhost"))
    page.get_by_label("User name").fill(f"erin{time.monotonic_ns()}")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, again").fill(PASSWORD)
    page.get_by_role("button", name="Create my account").click()
    expect(page.get_by_role("button", name="your menu")).to_be_visible()
    return page


def name_of(page: Page) -> str:
    return str(page.locator(".menu-person small").text_content())


def go(page: Page, path: str) -> None:
    """Visit a page at the address that has a name."""
    page.goto(re.sub(r"(https?://[^/]+).*", r"\1", page.url) + path)


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="your menu").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def first_step(page: Page, name: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Second step")


def test_an_app_guards_the_sign_in(person: Page) -> None:
    page = person
    go(page, "/settings/")
    name = name_of(page)
    page.get_by_role("link", name="Set up a second factor").click()
    page.get_by_role("link", name="Set up an app").click()
    expect(page.get_by_role("img", name="QR code with the key")).to_be_visible()
    secret = page.locator("#app-secret").inner_text().replace(" ", "")
    code = page.get_by_label("Code", exact=True)

    code.fill(code_of(secret, seconds=-600))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.locator(".form-field-errors")).to_contain_text("differ by about 10 minutes")
    expect(page.locator("#app-secret")).to_have_text(re.sub(r"(....)(?=.)", r"\1 ", secret))
    code.fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    recovery = page.locator(".recovery-codes li").all_inner_texts()
    assert len(recovery) == 10
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as text").click()
    assert recovery[0] in download.value.path().read_text()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    expect(page.get_by_text("10 left")).to_be_visible()

    sign_out(page)
    first_step(page, name)
    assert find_barriers(page, "the second step") == []
    page.get_by_label("Code", exact=True).fill("12 34")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator(".form-field-errors")).to_contain_text("This code is not right")
    # The code that set it up is spent, so it is the next one: a clock may be a step ahead.
    page.get_by_label("Code", exact=True).fill(code_of(secret, seconds=30))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("button", name="your menu")).to_be_visible()

    sign_out(page)
    first_step(page, name)
    page.get_by_label("Code", exact=True).fill(recovery[3])
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("button", name="your menu")).to_be_visible()
    go(page, "/settings/second-factor/")
    expect(page.get_by_text("9 left")).to_be_visible()
    page.get_by_role("button", name="Turn off the second factor").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Turn it off").click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text("The second factor is off")


def test_a_security_key_guards_the_sign_in(person: Page, console: Console) -> None:
    page = person
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasResidentKey": True, "hasUserVerification": True}
    key = devices.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "isUserVerified": True}})
    go(page, "/settings/second-factor/")
    name = name_of(page)
    page.get_by_role("link", name="Add a key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add a security key")
    assert find_barriers(page, "a new key") == []
    page.get_by_role("button", name="Add this key").click()
    expect(page.locator("[aria-invalid=true]")).to_have_count(1)
    page.get_by_label("Name", exact=True).fill("blue key")
    page.get_by_role("button", name="Add this key").click()
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("blue key", exact=True)).to_be_visible()
    assert find_barriers(page, "the second factor") == []

    page.get_by_role("link", name="Add a key").click()
    page.get_by_label("Name", exact=True).fill("the same again")
    page.get_by_role("button", name="Add this key").click()
    expect(page.locator("[data-key-said]")).to_have_text("This key is one of yours already.")
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Rename the key blue key").click()
    page.get_by_label("Name", exact=True).fill("red key")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("red key", exact=True)).to_be_visible()

    sign_out(page)
    first_step(page, name)
    page.get_by_role("button", name="Use a security key").click()
    expect(page.get_by_role("button", name="your menu")).to_be_visible()
    grow_late(console, page)
    go(page, "/settings/second-factor/")
    page.get_by_role("button", name="Remove the key red key").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Remove").click()
    question = page.get_by_role("dialog", name="Confirm that it is you")
    question.get_by_role("button", name="Use a security key").click()
    expect(page.get_by_role("link", name="Set up an app")).to_be_visible()
    expect(page.get_by_text("red key", exact=True)).to_have_count(0)
    devices.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": key["authenticatorId"]})


def test_what_was_typed_outlives_the_question_who_it_is(
    open_page: Callable[..., Page], console: Console, admin: tuple[str, str]
) -> None:
    page = open_page()
    sign_in(page, *admin)
    page.goto("/hosts/add/")
    page.get_by_label("Name", exact=True).fill("typed once")
    page.get_by_label("Address", exact=True).fill("unix:///nowhere/typed-once.sock")
    grow_late(console, page)
    page.get_by_role("button", name="Add the host").click()
    question = page.get_by_role("dialog", name="Confirm that it is you")
    question.get_by_label("Password").fill("not my password")
    question.get_by_role("button", name="Confirm").click()
    expect(question.get_by_role("alert")).to_contain_text("This is not your password.")
    assert find_barriers(page, "the question who it is") == []
    question.get_by_label("Password").fill(PASSWORD)
    question.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("typed once")
    expect(page.get_by_role("dialog")).to_have_count(0)
    address = page.url

    # A form that is only asked for waits behind the question.
    grow_late(console, page)
    page.goto(f"{address}remove/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name of the host").fill("typed once")
    page.get_by_role("button", name="Remove the host").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hosts")


def test_a_dialog_and_a_menu_ask_too(
    person: Page, open_page: Callable[..., Page], console: Console, admin: tuple[str, str]
) -> None:
    page = open_page()
    sign_in(page, *admin)
    page.goto("/people/")
    grow_late(console, page)
    page.get_by_role("link", name="Invite").click()
    question = page.get_by_role("dialog", name="Confirm that it is you")
    question.get_by_label("Password").fill(PASSWORD)
    question.get_by_role("button", name="Confirm").click()
    form = page.get_by_role("dialog", name="Invite somebody")
    form.get_by_label("For whom").fill("erin")
    grow_late(console, page)
    form.get_by_role("button", name="Make the link").click()
    question.get_by_label("Password").fill(PASSWORD)
    question.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", name="The invitation is ready")).to_be_visible()
    page.keyboard.press("Escape")

    grow_late(console, page)
    name = name_of(person)
    page.get_by_role("button", name=f"Actions on {name}").click()
    page.get_by_role("menuitem", name="Suspend…").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Suspend").click()
    question.get_by_label("Password").fill(PASSWORD)
    question.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text(f"{name} is suspended")
