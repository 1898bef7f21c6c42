"""Logs through the console, against the same straight from the engine's socket, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from bench.console import console, raw_request
from bench.streams import RawLog, WebLog
from bench.table import Figure, show
from bench.terminal import Site, prepare_site, start_container, wait_for_page

_LINES = 1_000_000


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
    ]


def _since(begun: float, close: Callable[[], None]) -> float:
    taken = (time.perf_counter() - begun) * 1000
    close()
    return taken


def _timed_all(lines: int, begun: float, close: Callable[[], None]) -> float:
    if lines != _LINES:
        raise RuntimeError(f"{lines} lines came of {_LINES}")
    return _since(begun, close) / 1000
