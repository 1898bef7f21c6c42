"""Supervisors in processes of their own: the one under test buries every child of its process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import paths
from launcher.paths import ROOT

_SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from launcher.supervisor import Program, Supervisor

def shell(name, text, **options):
    return Program(name=name, command=["sh", "-c", text], env=dict(os.environ), cwd=Path("/"), **options)

async def main():
    supervisor = Supervisor(json_logs="--json" in sys.argv)
{body}
    await supervisor.wait_for_stop()
    await supervisor.shut_down()

asyncio.run(main())
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], object], *, timeout: float = 15) -> None:
    """Wait until something holds; fail the test when it never does."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


class Supervised:
    """A running supervisor, what it printed, and the pids its programs wrote down."""

    def __init__(self, body: str, *, folder: Path, arguments: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.output = folder / "output"
        script = _SCRIPT.format(body=textwrap.indent(textwrap.dedent(body), "    "))
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", script, *arguments],
                cwd=ROOT,
                env={**os.environ, "FOLDER": str(folder)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def pid(self, name: str) -> int:
        """The process id that a program wrote into a file, once it did."""
        path = self.folder / name
        wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
        return int(path.read_text())

    def lines(self) -> list[str]:
        """What was printed so far."""
        return self.output.read_text().splitlines()

    def stop(self, number: int = signal.SIGTERM) -> float:
        """End it by a signal; returns the seconds that took."""
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=20)
        return time.monotonic() - started


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Start a supervisor whose program list is a piece of Python."""
    started: list[Supervised] = []

    def start(body: str, *arguments: str) -> Supervised:
        started.append(Supervised(body, folder=tmp_path, arguments=arguments))
        return started[-1]

    yield start
    for supervised in started:
        supervised.process.kill()
        supervised.process.wait()


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a newcomer, without what the suite itself runs with."""
    ours = ("PILOTHOUSE_", "DATABASE_URL", "DOCKER_", "DJANGO_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PILOTHOUSE_VENV": str(paths.venv()), "PILOTHOUSE_PYTHON": sys.executable, **more}


def pilothouse(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `./pilothouse` to its end."""
    return subprocess.run(
        [str(ROOT / "pilothouse"), *arguments],
        cwd=cwd,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
