"""Terminals through the console, against the same straight from the engine's socket, in turns.

The budgets are those of the design for terminals "through the hub"; ratios are what to trust.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.console import IMAGE, Browser, Console, console, raw_request
from bench.idle import memory_of
from bench.streams import Flood, RawExec, Stream, StreamEnded, WebTerminal, read_until
from bench.table import Figure, percentile, show

_ECHOES = 1200
_WARM_UP = 50
_FLOOD_BYTES_PER_SECOND = 5_000_000
_SLOW_BYTES_PER_SECOND = 500_000
_SLOW_SECONDS = 12.0
_CARRIED_BYTES = 96_000_000
_OPENS = 25
#: What the request for a ticket may cost beside the stream itself: checks, session, an audit row.
_TICKET_MS = 50
_TABS = 100
_ECHO = ["sh", "-c", "stty raw -echo; printf ready; exec cat"]
_FLOOD = ["sh", "-c", "stty raw -echo; exec yes 0123456789012345678901234567890123456789"]
_CARRY = ["sh", "-c", f"stty raw -echo; read -r go; exec head -c {_CARRIED_BYTES} /dev/zero"]


@dataclass(frozen=True, slots=True)
class Site:
    """What is measured: a console, somebody signed in, one container."""

    running: Console
    browser: Browser
    host_id: str
    container_id: str

    @property
    def path(self) -> Path:
        """The engine's socket."""
        return self.running.engine.socket

    def raw(self, command: list[str]) -> RawExec:
        """Open an exec at the engine."""
        return RawExec(self.path, self.container_id, command)

    def web(self, command: list[str]) -> WebTerminal:
        """Open a terminal in the console."""
        return WebTerminal(self.browser, self.host_id, self.container_id, command)


def main() -> int:
    """Measure and print; 1 when over budget."""
    figures: list[Figure] = []
    with console() as running:
        site = prepare_site(running)
        parts = (_echo, _echo_beside_flood, _throughput, _open_to_usable, _growth, _left_behind)
        for part in parts:
            print(f"  measuring: {part.__name__.strip('_').replace('_', ' ')}", flush=True)
            found = part(site)
            for figure in found:
                print(f"    {figure.name}: {figure.measured:.2f} of {figure.budget:.2f}", flush=True)
            figures += found
    return show("bench terminal: the console against the engine's own socket, in turns", figures)


def prepare_site(running: Console) -> Site:
    """Sign in and start the container that is measured."""
    browser = running.sign_in_first_admin()
    host_id = _wait_for_host(browser)
    container_id = start_container(running, "bench-terminal", ["sleep", "100000"])
    wait_for_page(browser, host_id, container_id)
    return Site(running, browser, host_id, container_id)


def _wait_for_host(browser: Browser) -> str:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        host = re.search(r'<option value="([0-9a-f-]{36})"', browser.get("/containers/create/").text)
        if host is not None:
            return host[1]
        time.sleep(0.5)
    raise RuntimeError("the create form never offered a host")


def start_container(running: Console, name: str, command: list[str]) -> str:
    """Start a container at the engine and return its id."""
    path = running.engine.socket
    body = json.dumps({"Image": IMAGE, "Cmd": command, "HostConfig": {"Init": True}}).encode()
    made = raw_request(path, "POST", f"/containers/create?name={name}", body, content_type="application/json")
    container_id: str = json.loads(made.body)["Id"]
    raw_request(path, "POST", f"/containers/{container_id}/start")
    return container_id


def wait_for_page(browser: Browser, host_id: str, container_id: str) -> None:
    """Wait until the console has seen the container."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        if browser.get(f"/containers/{host_id}/{container_id}/").status == 200:
            return
        time.sleep(0.1)
    raise RuntimeError("watch never saw the container")


# Echo


def _one_echo(stream: Stream) -> float:
    begun = time.perf_counter()
    stream.send(b"x")
    if stream.receive() != b"x":
        raise RuntimeError("the echo is not what was typed")
    return (time.perf_counter() - begun) * 1000


def _echoes(raw: Stream, web: Stream, count: int) -> tuple[list[float], list[float]]:
    pairs = []
    for _round in range(count + _WARM_UP):
        pairs.append((_one_echo(raw), _one_echo(web)))
        time.sleep(0.002)
    pairs = pairs[_WARM_UP:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _echo_figures(what: str, raw: list[float], web: list[float], budgets: dict[float, float]) -> list[Figure]:
    return [
        Figure(
            name=f"{what}, p{share * 100:g}",
            value=percentile(web, share),
            unit="ms",
            reference=percentile(raw, share),
            reference_name="raw exec",
            budget=budget,
            is_ratio=True,
        )
        for share, budget in budgets.items()
    ]


def _echo(site: Site) -> list[Figure]:
    raw, web = site.raw(_ECHO), site.web(_ECHO)
    read_until(raw, b"ready")
    read_until(web, b"ready")
    figures = _echo_figures("echo", *_echoes(raw, web, _ECHOES), {0.5: 3, 0.99: 5})
    raw.close()
    web.close()
    return figures


def _echo_beside_flood(site: Site) -> list[Figure]:
    """Each quiet terminal beside a flood that takes the same way as itself."""
    raw_times: list[float] = []
    web_times: list[float] = []
    for _round in range(4):
        for open_one, times in ((site.raw, raw_times), (site.web, web_times)):
            flood = Flood(open_one(_FLOOD), rate=_FLOOD_BYTES_PER_SECOND)
            quiet = open_one(_ECHO)
            read_until(quiet, b"ready")
            for number in range(200 + _WARM_UP // 5):
                taken = _one_echo(quiet)
                if number >= _WARM_UP // 5:
                    times.append(taken)
                time.sleep(0.002)
            quiet.close()
            flood.end()
    return _echo_figures("echo beside a 5 MB/s flood", raw_times, web_times, {0.5: 3.5})


# Throughput and opening


def _carry(open_one: Callable[[list[str]], Stream]) -> float:
    stream = open_one(_CARRY)
    time.sleep(0.3)
    begun = time.perf_counter()
    stream.send(b"\n")
    read = 0
    while read < _CARRIED_BYTES:
        read += len(stream.receive())
    taken = time.perf_counter() - begun
    stream.close()
    return taken


def _throughput(site: Site) -> list[Figure]:
    pairs = [(_carry(site.raw), _carry(site.web)) for _round in range(4)][1:]
    return [
        Figure(
            name=f"time to carry {_CARRIED_BYTES // 1_000_000} MB (budget: 0.7 x raw's throughput)",
            value=statistics.median(pair[1] for pair in pairs),
            unit="s",
            reference=statistics.median(pair[0] for pair in pairs),
            reference_name="raw exec",
            budget=1 / 0.7,
            is_ratio=True,
        )
    ]


def _time_to_prompt(open_one: Callable[[list[str]], RawExec | WebTerminal], command: list[str]) -> tuple[float, float]:
    """Return milliseconds from asking to the prompt, and from the ticket (which only we have) to the prompt."""
    begun = time.perf_counter()
    stream = open_one(command)
    stream.receive()
    ended = time.perf_counter()
    from_ticket = ended - (stream.ticket_at if isinstance(stream, WebTerminal) else begun)
    stream.send(b"exit\n")
    limit = time.monotonic() + 10
    try:
        while time.monotonic() < limit:
            stream.receive(5)
    except (StreamEnded, TimeoutError):
        pass
    stream.close()
    return (ended - begun) * 1000, from_ticket * 1000


def _open_to_usable(site: Site) -> list[Figure]:
    """From opening the stream to the shell's prompt, and from the click; ours also finds which shell there is."""
    rounds = [
        (_time_to_prompt(site.raw, ["/bin/sh"])[0], *_time_to_prompt(site.web, [])) for _round in range(_OPENS + 2)
    ][2:]
    raw, clicked, opened = (statistics.median(one[place] for one in rounds) for place in range(3))
    return [
        Figure(
            name="open to usable",
            value=opened,
            unit="ms",
            reference=raw,
            reference_name="raw exec",
            budget=1.3,
            is_ratio=True,
        ),
        Figure(
            name="click to usable (with the ticket's request)",
            value=clicked,
            unit="ms",
            reference=raw,
            reference_name="raw exec",
            budget=raw + _TICKET_MS,
        ),
    ]


# Memory


def _growth(site: Site) -> list[Figure]:
    """A client that reads 0.5 MB/s of a flood must make no process keep what it does not read."""
    # The first terminal makes the process load what all terminals share.
    first = Flood(site.web(_FLOOD), rate=_FLOOD_BYTES_PER_SECOND)
    time.sleep(2)
    first.end()
    time.sleep(2)
    before = dict(memory_of(site.running.process.pid))
    slow = Flood(site.web(_FLOOD), rate=_SLOW_BYTES_PER_SECOND)
    most: dict[str, float] = {}
    limit = time.monotonic() + _SLOW_SECONDS
    while time.monotonic() < limit:
        for name, megabytes in memory_of(site.running.process.pid):
            most[name] = max(most.get(name, 0.0), megabytes)
        time.sleep(1)
    slow.end()
    growth = {name: megabytes - before.get(name, megabytes) for name, megabytes in most.items()}
    worst = max(growth, key=lambda name: growth[name])
    return [
        Figure(
            name=f"growth at a 0.5 MB/s client, all processes (most: {worst[-24:]})",
            value=sum(max(0.0, megabytes) for megabytes in growth.values()),
            unit="MB",
            budget=4,
        )
    ]


# What is left behind


def _left_behind(site: Site) -> list[Figure]:
    """Tabs that close, and a web process that is killed, each with a shell that has a child."""
    container_id = start_container(site.running, "bench-tabs", ["sleep", "100000"])
    wait_for_page(site.browser, site.host_id, container_id)
    shared = Site(site.running, site.browser, site.host_id, container_id)
    command = ["sh", "-c", "sleep 55555 & echo ready; wait"]
    base = processes_of(shared)
    terminals = [shared.web(command) for _tab in range(_TABS)]
    for terminal in terminals:
        read_until(terminal, b"ready")
        terminal.close()
    closed = _wait_for_none(shared, base, limit=60)
    terminals = [shared.web(command) for _tab in range(_TABS)]
    for terminal in terminals:
        read_until(terminal, b"ready")
    os.kill(web_process(site.running), signal.SIGKILL)
    killed = _wait_for_none(shared, base, limit=60)
    for terminal in terminals:
        terminal.close()
    return [
        Figure(name=f"processes left by {_TABS} closed tabs, 60 s later at most", value=closed, unit="", budget=0),
        Figure(name=f"processes left by {_TABS} tabs and kill -9 of web, 60 s later", value=killed, unit="", budget=0),
    ]


def processes_of(site: Site) -> int:
    """How many processes the container has."""
    answer = raw_request(site.path, "GET", f"/containers/{site.container_id}/top")
    return len(json.loads(answer.body)["Processes"])


def _wait_for_none(site: Site, base: int, *, limit: float) -> int:
    end = time.monotonic() + limit
    left = 1
    while left > 0 and time.monotonic() < end:
        time.sleep(0.5)
        left = processes_of(site) - base
    return max(0, left)


def web_process(running: Console) -> int:
    """The web process's id."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended while we looked
            if b"console.asgi:application" in words and str(running.port).encode() in words:
                return int(entry.name)
    raise RuntimeError("no web process was found")
