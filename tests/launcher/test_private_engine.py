"""The private engine: a real daemon that starts under the supervisor and leaves nothing when it goes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import bridges, engine_api, starter_image
from launcher.paths import ROOT, DataDir
from tests.launcher.conftest import clean_environment, wait_for

pytestmark = pytest.mark.live

_SCRIPT = """
import asyncio, sys
from pathlib import Path
from launcher import engine
from launcher.paths import DataDir
from launcher.supervisor import Supervisor

async def main():
    data_dir = DataDir.open(Path(sys.argv[1]))
    chosen = engine.choose(data_dir)
    supervisor = Supervisor()
    supervisor.start(chosen.private)
    await supervisor.wait_for_stop()
    await supervisor.shut_down()
    chosen.clean_up()

asyncio.run(main())
"""


class _Running:
    def __init__(self, folder: Path) -> None:
        self.data_dir = DataDir.open(folder / "data")
        folder = self.data_dir.run_folder("engine", longest="exec/containerd/containerd-debug.sock")
        self.url = f"unix://{folder / 'docker.sock'}"
        self.bridge = Path("/sys/class/net", f"ph-{self.data_dir.tag}")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT, str(self.data_dir.path)],
            cwd=ROOT,
            env=clean_environment(PILOTHOUSE_ENGINE="private"),
        )
        try:
            wait_for(lambda: engine_api.driver_at(self.url) == "docker")
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=20)
        wait_for(lambda: self.processes() == [], timeout=3)

    def docker(self, *words: str) -> str:
        done = subprocess.run(["docker", "--host", self.url, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def processes(self) -> list[str]:
        """The command lines of everything that belongs to this engine, containers included."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_text().replace("\0", " ") if entry.name.isdigit() else ""
            except OSError:
                continue
            if str(self.data_dir.path) in line or "sleep 86399" in line:
                found.append(line)
        return found


@pytest.fixture
def running(tmp_path: Path) -> Iterator[_Running]:
    engine = _Running(tmp_path)
    yield engine
    engine.stop()


def _load(running: _Running) -> None:
    busybox = starter_image.find_busybox()
    assert busybox is not None
    starter_image.load(running.url, busybox=busybox)


def test_the_starter_image_runs_without_a_registry(running: _Running) -> None:
    _load(running)
    assert running.docker("run", "--rm", starter_image.REFERENCE, "sh", "-lc", "id -un; pwd; echo $PATH") == (
        "root\n/\n/bin\n"
    )
    assert running.docker("run", "--rm", "--user", "sailor", starter_image.REFERENCE, "id", "-un") == "sailor\n"


def test_the_starter_image_serves_a_page_and_stops_when_asked(running: _Running) -> None:
    _load(running)
    running.docker("run", "--detach", "--name", "first", starter_image.REFERENCE)
    wait_for(lambda: "line 1: still afloat" in running.docker("logs", "first"))
    assert "<h1>It works</h1>" in running.docker("exec", "first", "wget", "-qO-", "http://127.0.0.1/")
    running.docker("stop", "--time", "20", "first")
    assert "Asked to stop: goodbye." in running.docker("logs", "first")


def test_the_image_is_loaded_once(running: _Running) -> None:
    busybox = starter_image.find_busybox()
    assert busybox is not None
    assert starter_image.load(running.url, busybox=busybox)
    assert not starter_image.load(running.url, busybox=busybox)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(running: _Running, number: signal.Signals) -> None:
    _load(running)
    # It ignores the polite signal, as many programs do when they are the first process of a container.
    running.docker("run", "--detach", "--restart", "always", starter_image.REFERENCE, "sleep", "86399")
    wait_for(lambda: len(running.processes()) >= 5)
    running.end(number)
    if number == signal.SIGKILL:
        # Nobody was left to do it: the next one does.
        bridges.remove_dead()
    assert not running.bridge.exists()
    # What the crash left lying about does not hinder the next start, and the container is back.
    running.start()
    wait_for(lambda: "sleep 86399" in running.docker("ps", "--no-trunc", "--format", "{{.Command}}"))


def test_there_is_room_for_many_networks_and_none_is_left(running: _Running) -> None:
    # More than an engine finds addresses for by itself, and one whose addresses somebody chose.
    made = [running.docker("network", "create", f"team-{number}") for number in range(33)]
    made.append(running.docker("network", "create", "--subnet", "198.51.100.128/28", "chosen"))
    names = [f"br-{network_id[:12]}" for network_id in made]
    assert all(map(_is_there, names))
    running.end(signal.SIGTERM)
    assert not any(map(_is_there, names))
    running.start()
    # They are there again with their engine, and connect.
    assert all(map(_is_there, names))
    _load(running)
    ping = "ping -c 1 $(ip route | awk '/default/ {print $3}')"
    network = ("--network", "team-7")
    assert " 0% packet loss" in running.docker("run", "--rm", *network, starter_image.REFERENCE, "sh", "-c", ping)
    running.end(signal.SIGKILL)
    bridges.remove_dead()
    assert not any(map(_is_there, names))


def _is_there(bridge: str) -> bool:
    return Path("/sys/class/net", bridge).exists()


def test_the_socket_is_ours_alone(running: _Running) -> None:
    assert running.data_dir.path.stat().st_mode & 0o077 == 0
    assert running.data_dir.folder("engine").stat().st_mode & 0o077 == 0
