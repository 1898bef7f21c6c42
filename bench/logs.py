"""Logs through the console, against the same straight from the engine's socket, in turns."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.console import console, raw_request
from bench.idle import processes_below
from bench.streams import RawExec, RawLog, WebLog
from bench.table import Figure, show
from bench.terminal import Site, prepare_site, start_container, wait_for_page

_LINES = 1_000_000
#: Lines that are followed by many, in bursts: each fits into what the hub keeps for those who are slower.
_FOLLOWED = 40_000
_BURST = 2_000
_VIEWERS = 50


def main() -> int:
    """Measure and print; 1 when over budget."""
    with console() as running:
        figures = _measure(prepare_site(running))
    return show("bench logs: the console against the engine's own socket, in turns", figures)


def _measure(site: Site) -> list[Figure]:
    text = "a line of a log as programs write them, a hundred bytes long with its number, more or less"
    writer = start_container(site.running, "bench-log", ["sh", "-c", f"seq 1 {_LINES} | sed 's/$/ {text}/'"])
    raw_request(site.path, "POST", f"/containers/{writer}/wait")
    wait_for_page(site.browser, site.host_id, writer)

    def raw_all() -> float:
        begun = time.perf_counter()
        log = RawLog(site.path, writer, tail="all")
        return _timed_all(log.lines(), begun, log.close)

    def web_all() -> float:
        begun = time.perf_counter()
        log = WebLog(site.browser, site.host_id, writer, tail=None)
        log.ask()
        return _timed_all(log.lines(), begun, log.close)

    def raw_first() -> float:
        begun = time.perf_counter()
        log = RawLog(site.path, writer, tail="500")
        log.lines(most=1)
        return _since(begun, log.close)

    def web_first() -> float:
        log = WebLog(site.browser, site.host_id, writer, tail=500)
        begun = time.perf_counter()
        log.ask()
        log.lines(most=1)
        return _since(begun, log.close)

    one, many = _followed(site, viewers=1), _followed(site, viewers=_VIEWERS)
    wholes = [(raw_all(), web_all()) for _round in range(3)]
    firsts = [(raw_first(), web_first()) for _round in range(23)][3:]
    return [
        Figure(
            name=f"log: first line of the last 500 of {_LINES}, from asking",
            value=statistics.median(pair[1] for pair in firsts),
            unit="ms",
            reference=statistics.median(pair[0] for pair in firsts),
            reference_name="raw log",
            budget=2,
            is_ratio=True,
        ),
        Figure(
            name=f"log: time to carry {_LINES} lines (budget: 0.5 x raw's lines a second)",
            value=statistics.median(pair[1] for pair in wholes),
            unit="s",
            reference=statistics.median(pair[0] for pair in wholes),
            reference_name="raw log",
            budget=2,
            is_ratio=True,
        ),
        Figure(
            name=f"log: the engine's CPU for {_FOLLOWED} lines that {_VIEWERS} follow, each getting every line",
            value=many,
            unit="s",
            reference=one,
            reference_name="one viewer",
            budget=1.2,
            is_ratio=True,
        ),
    ]


def _followed(site: Site, *, viewers: int) -> float:
    """Have a container write what ``viewers`` follow; return the engine's seconds of CPU meanwhile."""
    bursts = _FOLLOWED // _BURST
    script = (
        "until [ -e /go ]; do sleep 0.1; done; "
        f"for i in $(seq {bursts}); do seq {_BURST} | sed 's/$/ {'x' * 90}/'; sleep 0.25; done; sleep 1000"
    )
    writer = start_container(site.running, f"bench-followed-{viewers}", ["sh", "-c", script])
    wait_for_page(site.browser, site.host_id, writer)
    logs = [WebLog(site.browser, site.host_id, writer, tail=None, follow=True) for _viewer in range(viewers)]
    for log in logs:
        log.ask()
        log.opened()
    before = _engine_seconds(site)
    RawExec(site.path, writer, ["touch", "/go"]).close()
    with ThreadPoolExecutor(viewers) as pool:
        counts = list(pool.map(lambda log: log.lines(most=_FOLLOWED), logs))
    taken = _engine_seconds(site) - before
    for log in logs:
        log.close()
    raw_request(site.path, "DELETE", f"/containers/{writer}?force=true")
    if counts != [_FOLLOWED] * viewers:
        raise RuntimeError(f"{min(counts)} to {max(counts)} lines came of {_FOLLOWED}")
    return taken


def _engine_seconds(site: Site) -> float:
    """CPU seconds of the engine itself, without what runs in containers."""
    ticks = 0
    for pid in [site.running.engine.pid, *processes_below(site.running.engine.pid)]:
        with contextlib.suppress(OSError):  # it ended while we looked
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
            if name.endswith("(dockerd"):
                ticks += sum(map(int, rest.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _since(begun: float, close: Callable[[], None]) -> float:
    taken = (time.perf_counter() - begun) * 1000
    close()
    return taken


def _timed_all(lines: int, begun: float, close: Callable[[], None]) -> float:
    if lines != _LINES:
        raise RuntimeError(f"{lines} lines came of {_LINES}")
    return _since(begun, close) / 1000
