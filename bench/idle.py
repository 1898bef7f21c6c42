"""What the console's processes hold in memory, all together, with one person signed in and a page open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import websockets

from bench.console import Browser, Console, console
from bench.table import Figure, show

_BUDGET_MB = 450
_SETTLE = 20.0
_PAGES = ("/", "/containers/", "/containers/create/", "/images/", "/hosts/", "/activity/", "/settings/")


def main() -> int:
    """Measure and print; 1 when over budget."""
    with console() as running:
        browser = running.sign_in_first_admin()
        for path in _PAGES:
            browser.get(path)
        processes = asyncio.run(_with_open_page(running, browser))
    for name, megabytes in processes:
        print(f"  {megabytes:7.1f} MB  {name}")
    return show(
        "bench idle: proportional set size (PSS) of every process of ours",
        [
            Figure(
                name="all processes together",
                value=sum(megabytes for _name, megabytes in processes),
                unit="MB",
                budget=_BUDGET_MB,
            )
        ],
    )


async def _with_open_page(running: Console, browser: Browser) -> list[tuple[str, float]]:
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"Cookie": cookies}
    url = f"ws://127.0.0.1:{running.port}/ws/live/"
    async with websockets.connect(url, additional_headers=headers, origin=websockets.Origin(running.url)):
        await asyncio.sleep(_SETTLE)
        return memory_of(running.process.pid)


def memory_of(pid: int) -> list[tuple[str, float]]:
    """Return every process below ``pid``, with the memory that is its share (PSS), in megabytes."""
    found = []
    for process in [pid, *processes_below(pid)]:
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue  # it ended while we looked
        kilobytes = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        found.append((" ".join(word.decode(errors="replace") for word in words)[:90], kilobytes / 1024))
    return found


def processes_below(pid: int) -> list[int]:
    """Return every process that ``pid`` started, and those that they did."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended while we looked
            parents.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found
