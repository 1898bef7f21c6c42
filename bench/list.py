"""The first page of the list, as a signed-in person gets it, against the engine's own list of the same containers."""

from __future__ import annotations

import concurrent.futures
import json
import time
from collections.abc import Callable
from pathlib import Path

from bench.console import IMAGE, Browser, Console, console, raw_request
from bench.table import Figure, percentile, show

CONTAINERS = 1_000
MORE = 10_000
_ROUNDS = 60
_WARM_UP = 8


def main() -> int:
    """Measure and print; 1 when over budget."""
    with console() as running:
        _fill(running.engine.socket)
        browser = running.sign_in_first_admin()
        wait_for_rows(browser, CONTAINERS)
        # In turns: what else the machine does hits both alike.
        engine, page = in_turns(
            lambda: _timed_engine(running.engine.socket), lambda: timed_page(browser, total=CONTAINERS)
        )
        _seed(running, count=MORE)
        wait_for_rows(browser, MORE)
        engine_again, grown = in_turns(
            lambda: _timed_engine(running.engine.socket), lambda: timed_page(browser, total=MORE)
        )
    reference = percentile(engine, 0.5)
    # The machine may have become busier or calmer meanwhile; the engine's list did not change and tells by how much.
    first_page = percentile(page, 0.5) * percentile(engine_again, 0.5) / reference
    return show(
        f"bench list: {CONTAINERS} containers on one engine, then {MORE} in the inventory; medians of {_ROUNDS}",
        [
            Figure(
                name="first page of 50 rows",
                value=percentile(page, 0.5),
                unit="ms",
                reference=reference,
                reference_name="GET /containers/json?all=1",
                budget=0.5,
                is_ratio=True,
            ),
            Figure(
                name=f"the same with {MORE} objects",
                value=percentile(grown, 0.5),
                unit="ms",
                reference=first_page,
                reference_name="first page",
                budget=1.25,
                is_ratio=True,
            ),
        ],
    )


def _fill(path: Path) -> None:
    body = json.dumps({"Image": IMAGE, "Cmd": ["sleep", "1000"], "Labels": {"bench": "list"}}).encode()

    def create(number: int) -> None:
        answer = raw_request(
            path, "POST", f"/containers/create?name=bench-{number:04}", body, content_type="application/json"
        )
        if answer.status != 201:
            raise RuntimeError(f"container {number} was not made: {answer.text}")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(CONTAINERS)))


def _seed(running: Console, *, count: int) -> None:
    code = (
        "from bench.seed import fill_inventory; from console.hosts.models import Host; "
        f"fill_inventory(Host.objects.create(name='seeded', url='unix:///nowhere/s.sock'), {count - CONTAINERS})"
    )
    running.manage("shell", "-c", code)


def wait_for_rows(browser: Browser, count: int) -> None:
    """Wait until the list says that there are ``count``."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        if f" of {count}<" in browser.get("/containers/").text.replace(",", ""):
            return
        time.sleep(0.5)
    raise RuntimeError(f"the list never showed {count} containers")


def in_turns(first: Callable[[], float], second: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Return what both found, in milliseconds, without what they found while they became warm."""
    pairs = [(first(), second()) for _round in range(_ROUNDS + _WARM_UP)][_WARM_UP:]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _timed_engine(path: Path) -> float:
    begun = time.perf_counter()
    answer = raw_request(path, "GET", "/containers/json?all=1")
    taken = time.perf_counter() - begun
    if answer.status != 200 or len(answer.body) < 100 * CONTAINERS:
        raise RuntimeError(f"the engine's list is short: {answer.status}, {len(answer.body)} bytes")
    return taken * 1000


def timed_page(browser: Browser, *, total: int) -> float:
    """Return how long the first page of a list of ``total`` takes."""
    begun = time.perf_counter()
    answer = browser.get("/containers/")
    taken = time.perf_counter() - begun
    if answer.status != 200 or answer.body.count(b"data-row") < 50:
        raise RuntimeError(f"the page for {total} containers is no list: {answer.status}, {len(answer.body)} bytes")
    return taken * 1000
