"""A whole console, as `./pilothouse up` starts it on a private engine, and a real headless Chromium in front of it."""

from __future__ import annotations

import http.client
import http.cookiejar
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

from tests.browser import island
from tests.engines import UnixConnection, free_port, program
from tests.provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider

ROOT: Final = Path(__file__).resolve().parents[2]
STARTER: Final = "pilothouse/starter:latest"
PASSWORD: Final = "a long way to Tipperary"
PATIENCE: Final = 15_000

expect.set_options(timeout=PATIENCE)


@dataclass(slots=True)
class Console:
    """A running console: where it answers, the link that makes its first admin, and the engine behind it."""

    url: str
    first_admin_url: str
    data_dir: Path
    has_admin: bool = False

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def engine(self) -> Engine:
        return Engine(self.data_dir / "engine" / "docker.sock")


@dataclass(frozen=True, slots=True)
class Engine:
    """The console's engine, spoken to behind its back."""

    path: Path

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask the engine, and return what it said. Any error ends the test."""
        connection = UnixConnection(self.path)
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status < 400, f"{method} {path}: {answer.status} {text!r}"
        return json.loads(text) if text.strip() and "json" in (answer.getheader("Content-Type") or "") else None

    def run(self, name: str, *command: str, start: bool = True, **options: Any) -> str:
        """Start a container as somebody else would, and return its full id."""
        host = {"NetworkMode": "none", **options.pop("HostConfig", {})}
        body = {
            "Image": STARTER,
            "Cmd": list(command) or ["sleep", "1000"],
            "StopSignal": "SIGKILL",
            "HostConfig": host,
        }
        made: str = self.call("POST", f"/containers/create?name={name}", body | options)["Id"]
        if start:
            self.call("POST", f"/containers/{made}/start")
        return made

    def remove(self, name: str) -> None:
        """Remove a container that may run, with its volumes."""
        self.call("DELETE", f"/containers/{name}?force=true&v=true")


# First: xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if "tests/browser/" in item.nodeid]
    for item in ours:
        item.add_marker(pytest.mark.browser)
        # The first of them waits until the console stands.
        item.add_marker(pytest.mark.timeout(360))
        item.add_marker(pytest.mark.xdist_group("browser"))
    # The link for the first admin works once: the test that follows it comes before all that need an admin.
    ours.sort(key=lambda item: "test_first_admin" not in item.nodeid)
    places = [place for place, item in enumerate(items) if "tests/browser/" in item.nodeid]
    for place, item in zip(places, ours, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """A provider of single sign-on. It is not on the browser's island: a test plays its page."""
    with running_provider() as running:
        yield running


@pytest.fixture(scope="session")
def console(provider: Provider) -> Iterator[Console]:
    """Run `./pilothouse up` once for all browser tests; end it as Ctrl+C does, and see that it ends."""
    data_dir = Path(tempfile.mkdtemp(prefix="ph-browser-", dir="/tmp"))
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PILOTHOUSE_")}
    for name in ("DATABASE_URL", "DOCKER_HOST", "DJANGO_SETTINGS_MODULE"):
        environment.pop(name, None)
    environment["PILOTHOUSE_ENGINE"] = "private"
    sign_in_file = data_dir / "sign-in.toml"
    sign_in_file.write_text(
        f"""[oidc]
        name = "Acme"
        issuer = "{provider.url}"
        client_id = "{CLIENT_ID}"
        client_secret_file = "secret"
        """
    )
    (data_dir / "secret").write_text(CLIENT_SECRET)
    environment["PILOTHOUSE_SIGN_IN_FILE"] = str(sign_in_file)
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
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        shutil.rmtree(data_dir, ignore_errors=True)


def _wait_for_link(log: Path, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        text = log.read_text()
        found = re.search(r"http://\S+/first-admin/\S+", text)
        # The starter image is loaded after the link is printed.
        if found and "holds the image" in text:
            return found.group(0)
        if process.poll() is not None:
            break
        time.sleep(0.2)
    pytest.fail(f"./pilothouse up did not become ready:\n{log.read_text()[-4000:]}")


# Module scope, not session: while Playwright's own loop runs, no asyncio test could run in this thread.
@pytest.fixture(scope="module")
def browser(console: Console) -> Iterator[Browser]:
    """Chromium from the distribution, on an island where only the console answers."""
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        path = program("chromium", package="chromium")
        browser = playwright.chromium.launch(
            executable_path=island.wrapper(Path(directory), port=console.port, program=path),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                # Terminals are drawn with elements then, and can be read.
                "--disable-3d-apis",
            ],
        )
        yield browser
        browser.close()


def _submit(console: Console, path: str, **form: str) -> list[dict[str, Any]]:
    """Fill in a form without a browser, which is quicker, and return the cookies that came of it."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))
    url = urllib.parse.urljoin(console.url, path)
    page = opener.open(url, timeout=20).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token, page[:2000]
    body = urllib.parse.urlencode({"csrfmiddlewaretoken": token.group(1), **form}).encode()
    request = urllib.request.Request(url, body, headers={"Origin": console.url})
    opener.open(request, timeout=20).read()
    return [{"name": found.name, "value": found.value, "domain": "127.0.0.1", "path": "/"} for found in jar]


@pytest.fixture(scope="session")
def admin(console: Console) -> tuple[str, str]:
    """The first admin's name and password. The test of the link makes her; this does when it has not run."""
    if not console.has_admin:
        _submit(console, console.first_admin_url, username="alice", password=PASSWORD, password_again=PASSWORD)
        console.has_admin = True
    return "alice", PASSWORD


@dataclass(slots=True)
class Troubles:
    """What went wrong in pages while nobody looked."""

    found: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.found.append(f"script error: {error.stack or error}"))
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("response", lambda response: self._answered(response))
        page.on("dialog", lambda dialog: self._asked(dialog))

    def _said(self, kind: str, text: str) -> None:
        # A refusal is judged where it matters, and what htmx gives up for something newer is no trouble.
        ignored = text.startswith(
            ("Failed to load resource", "WebSocket connection to", "htmx:afterRequest", "htmx:sendAbort")
        )
        if "Content Security Policy" in text or (kind == "error" and not ignored):
            self.found.append(f"console: {text}")

    def _asked(self, dialog: Any) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self.found.append(f"{response.status} from {response.request.method} {response.url}")


@pytest.fixture
def open_page(browser: Browser, console: Console, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Open a page whose test fails when a script does, a dialog opens, the CSP is broken or the console breaks down."""
    contexts = []
    troubles = Troubles()

    def open_(*, width: int = 1440, height: int = 900, state: Any = None, **options: Any) -> Page:
        context = browser.new_context(
            base_url=console.url,
            viewport={"width": width, "height": height},
            locale="en-GB",
            storage_state=state,
            has_touch=width < 600,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        troubles.watch(page)
        return page

    yield open_
    pictures = os.environ.get("PILOTHOUSE_TEST_PICTURES")
    for number, context in enumerate(contexts):
        if pictures:
            for page in context.pages:
                page.screenshot(path=Path(pictures, f"{request.node.name}-{number}.png"))
        context.close()
    assert troubles.found == []


@pytest.fixture(scope="module")
def signed_in_state(console: Console, admin: tuple[str, str]) -> Any:
    """The cookies of a browser in which the admin has signed in. Not for the session: a new password ends them all."""
    cookies = _submit(console, "/accounts/login/", login=admin[0], password=admin[1])
    assert any("session" in cookie["name"] for cookie in cookies), cookies
    return {"cookies": cookies, "origins": []}


@pytest.fixture
def signed_in(open_page: Callable[..., Page], signed_in_state: Any) -> Callable[..., Page]:
    """Open a page in which the admin is signed in."""
    return lambda **options: open_page(state=signed_in_state, **options)


@pytest.fixture
def far_host(signed_in: Callable[..., Page]) -> Iterator[str]:
    """A second host, which does not answer."""
    page = signed_in()
    page.goto("/hosts/add/")
    page.get_by_label("Name", exact=True).fill("far")
    page.get_by_label("Address", exact=True).fill("unix:///nowhere/far.sock")
    page.get_by_role("button", name="Add the host").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("far")
    address = page.url
    yield "far"
    page.goto(f"{address}remove/")
    page.get_by_label("Name of the host").fill("far")
    page.get_by_role("button", name="Remove the host").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hosts")


def sign_in(page: Page, name: str, password: str) -> None:
    """Sign in by the form."""
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/")
