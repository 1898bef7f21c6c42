"""A shell is recorded as the team's policy says, found by what it showed, and played again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Console
from tests.browser.test_terminal import enter, open_shell

#: The team owns the container, and has its shells recorded with what is typed.
TEAM = """
from console.accounts.models import Team, User
from console.hosts.models import Host
from console.policies.rules import Recorded, Rules
from console.policies.services import save_policy
from console.rbac.models import OwnedKind, Ownership
team = Team.objects.create(name="recorded")
Ownership.objects.create(host=Host.objects.get(), kind=OwnedKind.CONTAINER, object_id="{container}", team=team)
rules = Rules(images=("*",), recording=Recorded.REQUIRED, record_input=True)
save_policy(actor=User.objects.get(username="{admin}"), team=team, rules=rules, note="", based_on=0)
"""


@pytest.fixture(scope="module")
def box(console: Console, admin: tuple[str, str]) -> Iterator[str]:
    """A container whose team wants its shells recorded."""
    container = console.engine.run("recorded-box")
    environment = {
        **os.environ,
        "PILOTHOUSE_DATA_DIR": str(console.data_dir),
        "PILOTHOUSE_PUBLIC_URL": console.url,
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }
    command = [sys.executable, "manage.py", "shell", "-c", TEAM.format(container=container, admin=admin[0])]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    yield "recorded-box"
    console.engine.remove("recorded-box")


def test_a_shell_is_recorded_found_and_played_again(box: str, signed_in: Callable[..., Page], tmp_path: Path) -> None:
    page = signed_in()
    shown = open_shell(page, box)
    enter(page, "echo DROP TABLE $((6*7))")
    expect(shown).to_contain_text("DROP TABLE 42")
    enter(page, "read -s password; echo got it")
    enter(page, "hunter2")
    expect(shown).to_contain_text(re.compile("got it.*got it", re.DOTALL))
    enter(page, "exit")
    expect(page.locator("#terminal")).to_contain_text(re.compile("exit", re.IGNORECASE))

    # Found from what it showed, once the worker has looked at it.
    def found() -> bool:
        page.goto("/recordings/?q=table+42")
        return page.locator("#recording-rows .state", has_text="Complete").is_visible()

    for _look in range(30):
        if found():
            break
        page.wait_for_timeout(1000)
    expect(page.locator(".hits mark")).to_have_text("TABLE 42")
    page.locator(".hits a").click()

    # Played again: the commands are marked, the keyboard moves, the end shows what the terminal showed.
    expect(page.locator("[data-marks] button")).to_have_count(3)
    expect(page.locator("[data-marks] code").first).to_have_text("echo DROP TABLE $((6*7))")
    screen = page.locator("#replay .xterm-rows")
    page.keyboard.press("End")
    expect(screen).to_contain_text("DROP TABLE 42")
    page.keyboard.press("Home")
    expect(screen).not_to_contain_text("DROP TABLE")
    page.get_by_label("Speed").select_option("16")
    page.get_by_role("button", name="Play").click()
    expect(screen).to_contain_text("got it")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_label("Search in this recording").fill("got it")
    expect(page.locator("#replay-hits")).to_contain_text("2 places")
    page.locator("#replay-hits a").first.click()
    expect(page.locator("[data-time]")).to_have_text(re.compile("^0:00"))
    expect(page.get_by_label("Speed")).to_have_value("16")  # the page is still the same

    page.get_by_role("button", name="Verify").click()
    expect(page.locator("#recording-check")).to_contain_text("to the last byte")
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download").click()
    assert caught.value.suggested_filename.endswith(".cast")
    text = caught.value.path().read_text()
    header, *events = map(json.loads, text.splitlines())
    assert header["version"] == 2
    assert {event[1] for event in events} >= {"o", "i", "m", "x"}
    assert "hunter2" not in text
