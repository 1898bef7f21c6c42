"""A whole console, as `./pilothouse up` starts it on a private engine, and a real headless Chromium in front of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a long way to Tipperary"


@dataclass(frozen=True, slots=True)
class Console:
    """A running console: where it answers, and the link that makes its first admin."""

    url: str
    first_admin_url: str
    data_dir: Path
    process: subprocess.Popen[str]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def console() -> Iterator[Console]:
    """Run `./pilothouse up` once for all browser tests; end it as Ctrl+C does, and see that it ends."""
    data_dir = Path(tempfile.mkdtemp(prefix="ph-browser-"))
    port = _free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PILOTHOUSE_")}
    for name in ("DATABASE_URL", "DOCKER_HOST", "DJANGO_SETTINGS_MODULE"):
        environment.pop(name, None)
    environment["PILOTHOUSE_ENGINE"] = "private"
    log = data_dir / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(ROOT / "pilothouse"), "up", "--port", str(port), "--data-dir", str(data_dir / "var")],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=ROOT,
        )
    try:
        yield Console(
            url=f"http://127.0.0.1:{port}",
            first_admin_url=_wait_for_link(log, process),
            data_dir=data_dir / "var",
            process=process,
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        shutil.rmtree(data_dir, ignore_errors=True)


def _wait_for_link(log: Path, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = re.search(r"http://\S+/first-admin/\S+", log.read_text())
        if found:
            return found.group(0)
        if process.poll() is not None:
            break
        time.sleep(0.2)
    pytest.fail(f"./pilothouse up printed no link for the first admin:\n{log.read_text()[-4000:]}")


# Module scope, not session: while Playwright's own loop runs, no asyncio test could run in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium from the distribution."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def admin(console: Console) -> tuple[str, str]:
    """The first admin's name and password. The journey makes her; this does when it runs alone."""
    import http.cookiejar
    import urllib.error
    import urllib.parse
    import urllib.request

    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    page = opener.open(console.first_admin_url, timeout=10).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page[:2000]
    form = {
        "csrfmiddlewaretoken": token.group(1),
        "username": "alice",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    request = urllib.request.Request(
        console.first_admin_url, urllib.parse.urlencode(form).encode(), headers={"Origin": console.url}
    )
    opener.open(request, timeout=10).read()
    return "alice", PASSWORD


@pytest.fixture
def open_page(browser: Browser, console: Console) -> Iterator[Callable[..., Page]]:
    """Open a page that fails its test when a script fails, a dialog opens or the CSP is broken."""
    contexts = []
    troubles: list[str] = []

    def open_(*, width: int = 1440, height: int = 900, dark: bool = False) -> Page:
        context = browser.new_context(
            base_url=console.url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale="en-GB",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: troubles.append(f"script error: {error}"))
        page.on("dialog", lambda dialog: (troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "console",
            lambda message: troubles.append(f"console: {message.text}")
            if "Content Security Policy" in message.text
            else None,
        )
        return page

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def signed_in(open_page: Callable[..., Page], admin: tuple[str, str]) -> Callable[..., Page]:
    """Open a page in which the admin is signed in."""

    def open_(**options: object) -> Page:
        page = open_page(**options)
        page.goto("/accounts/login/")
        page.get_by_label("User name").fill(admin[0])
        page.get_by_label("Password").fill(admin[1])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")
        return page

    return open_
