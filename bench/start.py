"""Click to running: a form posted to a running console, against the engine's own time for the same."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.console import IMAGE, Browser, console, raw_request
from bench.table import Figure, percentile, show

_ROUNDS = 30
_WARM_UP = 3
_BUDGET_MS = 250
_COMMAND = ["sleep", "1000"]


class Starts:
    """Listens to the engine's own events and knows when a container of a name ran."""

    def __init__(self, path: Path) -> None:
        self._seen: dict[str, float] = {}
        self._told = threading.Condition()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(str(path))
        filters = '{"type":{"container":true},"event":{"start":true}}'
        target = "/events?filters=" + filters.replace('"', "%22").replace("{", "%7B").replace("}", "%7D")
        self._connection.sendall(f"GET {target} HTTP/1.1\r\nHost: engine\r\n\r\n".encode())
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        rest = b""
        while data := self._connection.recv(65536):
            now = time.perf_counter()
            rest += data
            *whole, rest = rest.split(b"\n")
            for line in whole:
                found = re.search(rb'"name":"([^"]+)"', line)
                if found:
                    with self._told:
                        self._seen[found[1].decode()] = now
                        self._told.notify_all()

    def forget(self, name: str) -> None:
        """Wait for the next start of ``name``, whatever came before."""
        with self._told:
            self._seen.pop(name, None)

    def wait(self, name: str) -> float:
        """Return when ``name`` started, by our clock."""
        with self._told:
            if not self._told.wait_for(lambda: name in self._seen, timeout=60):
                raise RuntimeError(f"{name} never started")
            return self._seen[name]


def main() -> int:
    """Measure and print; 1 when over budget."""
    with console() as running:
        path = running.engine.socket
        starts = Starts(path)
        browser = running.sign_in_first_admin()
        host_id = _wait_for_host(browser)
        engine_new, console_new = _in_turns(
            lambda name: _engine_create(path, starts, name),
            lambda name: _console_create(browser, starts, name, host=host_id),
            path=path,
        )
        known = {"engine": _create_stopped(path, "known-engine"), "console": _create_stopped(path, "known-console")}
        _wait_for_page(browser, host_id, known["console"])
        engine_old, console_old = _in_turns(
            lambda _name: _engine_start(path, starts, known["engine"], "known-engine"),
            lambda _name: _console_start(browser, starts, host_id, known["console"]),
            path=path,
            remove=False,
        )
    figures = []
    for what, engine, ours in (
        ("create and start", engine_new, console_new),
        ("start a stopped one", engine_old, console_old),
    ):
        reference = percentile(engine, 0.95)
        figures.append(
            Figure(
                name=f"{what}: click to running, p95",
                value=percentile(ours, 0.95),
                unit="ms",
                reference=reference,
                reference_name="engine alone",
                budget=reference + _BUDGET_MS,
            )
        )
    return show(f"bench start: {_ROUNDS} rounds in turns, budget {_BUDGET_MS} ms above the engine's own p95", figures)


def _in_turns(
    engine: Callable[[str], float], ours: Callable[[str], float], *, path: Path, remove: bool = True
) -> tuple[list[float], list[float]]:
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(_ROUNDS + _WARM_UP):
        for place, measure in enumerate((engine, ours)):
            name = f"bench-{place}-{number}"
            milliseconds = measure(name) * 1000
            if number >= _WARM_UP:
                taken[place].append(milliseconds)
            if remove:
                raw_request(path, "DELETE", f"/containers/{name}?force=1")
    return taken


def _create_stopped(path: Path, name: str) -> str:
    body = json.dumps({"Image": IMAGE, "Cmd": _COMMAND, "HostConfig": {"Init": True}}).encode()
    answer = raw_request(path, "POST", f"/containers/create?name={name}", body, content_type="application/json")
    container_id: str = json.loads(answer.body)["Id"]
    return container_id


def _engine_create(path: Path, starts: Starts, name: str) -> float:
    begun = time.perf_counter()
    container_id = _create_stopped(path, name)
    raw_request(path, "POST", f"/containers/{container_id}/start")
    return starts.wait(name) - begun


def _console_create(browser: Browser, starts: Starts, name: str, *, host: str) -> float:
    form = {
        "host": host,
        "name": name,
        "image": IMAGE,
        "pull": "missing",
        "command": " ".join(_COMMAND),
        "restart_policy": "no",
        "health": "image",
        "init": "on",
        "submit": "start",
    }
    begun = time.perf_counter()
    answer = browser.post("/containers/create/", form)
    if answer.status != 302:
        raise RuntimeError(f"the form was refused: {answer.status} {answer.text[:2000]}")
    return starts.wait(name) - begun


def _engine_start(path: Path, starts: Starts, container_id: str, name: str) -> float:
    raw_request(path, "POST", f"/containers/{container_id}/kill")
    raw_request(path, "POST", f"/containers/{container_id}/wait")
    starts.forget(name)
    begun = time.perf_counter()
    raw_request(path, "POST", f"/containers/{container_id}/start")
    return starts.wait(name) - begun


def _console_start(browser: Browser, starts: Starts, host: str, container_id: str) -> float:
    """Until the page's answer is there: it shows the container running."""
    raw = browser.post(f"/containers/{host}/{container_id}/kill/", {"signal": "SIGKILL"}, htmx=True)
    if raw.status >= 400:
        raise RuntimeError(f"kill was refused: {raw.status}")
    starts.forget("known-console")
    begun = time.perf_counter()
    answer = browser.post(f"/containers/{host}/{container_id}/start/", {}, htmx=True)
    taken = time.perf_counter() - begun
    if answer.status != 200 or 'data-state="running"' not in answer.text:
        raise RuntimeError(f"the answer does not show it running: {answer.status} {answer.text[:1000]}")
    starts.wait("known-console")
    return taken


def _wait_for_host(browser: Browser) -> str:
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        found = re.search(r'<option value="([0-9a-f-]{36})"', browser.get("/containers/create/").text)
        if found is not None:
            return found[1]
        time.sleep(0.2)
    raise RuntimeError("the create form never offered the engine's host")


def _wait_for_page(browser: Browser, host: str, container_id: str) -> None:
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        if browser.get(f"/containers/{host}/{container_id}/").status == 200:
            return
        time.sleep(0.1)
    raise RuntimeError("watch never saw the container")
