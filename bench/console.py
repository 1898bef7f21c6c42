"""A whole console for measurements: `./pilothouse up` on a private engine, and a browser that only speaks HTTP."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.engines import PrivateEngine, free_port, private_dockerd, short_directory

ROOT = Path(__file__).resolve().parent.parent
_START_LIMIT = 180.0
_KEPT_ALIVE = 3.0
IMAGE = "bench-box:latest"


@dataclass(slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


@dataclass(slots=True)
class Browser:
    """One signed-in person's connection: kept alive, with cookies, like a browser's."""

    host: str
    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None
    _used_at: float = 0.0

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and read its whole answer; redirects are not followed."""
        if self._connection is None or time.monotonic() - self._used_at > _KEPT_ALIVE:
            # The server closes what was idle for five seconds.
            self._connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self._connection.request(method, path, body, {"Cookie": cookies, **(headers or {})})
        response = self._connection.getresponse()
        content = response.read()
        self._used_at = time.monotonic()
        for line in response.headers.get_all("Set-Cookie") or ():
            name, _equals, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, content)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a GET."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, form: Mapping[str, str] | Sequence[tuple[str, str]], *, htmx: bool = False) -> Answer:
        """Send a form, as the pages do."""
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://{self.host}:{self.port}",
            "X-CSRFToken": self.cookies.get("pilothouse_csrf", ""),
        }
        if htmx:
            headers |= {"HX-Request": "true", "HX-Target": "container-header"}
        return self.request("POST", path, urllib.parse.urlencode(form).encode(), headers)


@dataclass(slots=True)
class Console:
    """A running console and the engine it manages."""

    port: int
    data_dir: Path
    process: subprocess.Popen[str]
    environment: dict[str, str]
    engine: PrivateEngine
    first_admin_url: str

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def sign_in_first_admin(self) -> Browser:
        """Create the admin by the one-time link; the page signs them in."""
        browser = Browser("127.0.0.1", self.port)
        path = self.first_admin_url.removeprefix(self.url)
        page = browser.get(path).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if token is None:
            raise RuntimeError(f"the first-admin page has no form: {page[:500]}")
        password = secrets.token_urlsafe(16)
        form = {"csrfmiddlewaretoken": token[1], "username": "bench", "password": password, "password_again": password}
        answer = browser.post(path, form)
        if answer.status not in (200, 302):
            raise RuntimeError(f"the first admin was not made: {answer.status} {answer.text[:500]}")
        if browser.get("/").status != 200:
            _sign_in(browser, username="bench", password=password)
        return browser

    def sign_in(self, username: str, *, password: str) -> Browser:
        """Sign somebody in who is there already."""
        browser = Browser("127.0.0.1", self.port)
        _sign_in(browser, username=username, password=password)
        if browser.get("/").status != 200:
            raise RuntimeError(f"{username} could not sign in")
        return browser

    def manage(self, *arguments: str, code: str = "") -> str:
        """Run manage.py beside the console, with its settings; return what it printed."""
        command = [str(ROOT / ".venv/bin/python"), "manage.py", *arguments]
        done = subprocess.run(
            command, input=code, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed: {done.stdout}{done.stderr}")
        return done.stdout


def _sign_in(browser: Browser, *, username: str, password: str) -> None:
    page = browser.get("/accounts/login/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    form = {"csrfmiddlewaretoken": token[1] if token else "", "login": username, "password": password}
    browser.post("/accounts/login/", form)


def raw_request(path: Path, method: str, target: str, body: bytes = b"", *, content_type: str = "") -> Answer:
    """Ask an engine over a fresh socket, with nothing in between."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(120)
        connection.connect(str(path))
        head = f"{method} {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        head += f"Content-Type: {content_type}\r\n" if content_type else ""
        connection.sendall(f"{head}\r\n".encode() + body)
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        return Answer(response.status, dict(response.headers), response.read())


@contextlib.contextmanager
def console() -> Iterator[Console]:
    """Start a private engine and a console on it, as a person would; end both."""
    with short_directory() as folder, private_dockerd(folder) as engine:
        from tests.engines import busybox_image_tar

        imported = raw_request(
            engine.socket,
            "POST",
            f"/images/create?fromSrc=-&repo={IMAGE.split(':')[0]}&tag=latest",
            busybox_image_tar(),
            content_type="application/x-tar",
        )
        if imported.status != 200 or b"error" in imported.body:
            raise RuntimeError(f"the image could not be imported: {imported.text}")
        with _up(engine) as found:
            yield found


@contextlib.contextmanager
def _up(engine: PrivateEngine) -> Iterator[Console]:
    folder = Path(tempfile.mkdtemp(prefix="ph-bench-"))
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PILOTHOUSE_")}
    for name in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
        environment.pop(name, None)
    environment["DOCKER_HOST"] = f"unix://{engine.socket}"
    log = folder / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(ROOT / "pilothouse"), "up", "--port", str(port), "--data-dir", str(folder / "var")],
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        link = _wait_for_link(log, process)
        inside = {
            **environment,
            "PILOTHOUSE_DATA_DIR": str(folder / "var"),
            "PILOTHOUSE_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "DJANGO_SETTINGS_MODULE": "console.settings",
        }
        yield Console(port, folder / "var", process, inside, engine, link)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_link(log: Path, process: subprocess.Popen[str]) -> str:
    limit = time.monotonic() + _START_LIMIT
    while time.monotonic() < limit:
        found = re.search(r"http://\S+/first-admin/\S+", log.read_text())
        if found:
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"`./pilothouse up` did not come up:\n{log.read_text()[-3000:]}")
