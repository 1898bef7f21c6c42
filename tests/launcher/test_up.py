"""`./pilothouse up` from the first line to the last, with every real process and a private engine."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher import bridges
from launcher.paths import ROOT
from launcher.processes import descendants
from launcher.supervisor import STOP_TIMEOUT
from tests.launcher.conftest import clean_environment, free_port, is_alive, pilothouse, wait_for

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("up")]


class _Up:
    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.output = folder / "output"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [str(ROOT / "pilothouse"), "up", "--port", str(self.port), "--data-dir", str(self.data_dir), *options],
                env=clean_environment(PILOTHOUSE_ENGINE="private"),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.output.read_text()

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Up]:
    """A console that stands, shared by the tests of this file, which leave it as they found it."""
    console = _Up(tmp_path_factory.mktemp("up"))
    console.start("--json-logs")
    try:
        wait_for(lambda: console.get("/healthz")[0] == 200 or console.process.poll() is not None, timeout=150)
        assert console.process.poll() is None, console.said()
        wait_for(lambda: "holds the image" in console.said())
        yield console
    finally:
        console.process.kill()
        console.process.wait()
        # Killed, it could not take its bridges away; the next private engine would.
        bridges.remove_dead()


def test_it_says_where_it_is_and_how_to_begin(up: _Up) -> None:
    events = [json.loads(line) for line in up.said().splitlines()]
    assert {"launcher", "watch", "worker"} <= {event["process"] for event in events}
    told = [event["event"] for event in events if event["process"] == "launcher"]
    assert f"Pilothouse is ready: {up.url}" in told
    link = re.search(r"first admin with this link, which works once: (\S+)", "\n".join(told))
    assert link is not None
    assert link[1].startswith(up.url)
    assert up.get(link[1].removeprefix(up.url))[0] == 200


def test_every_part_is_alive(up: _Up) -> None:
    parts = json.loads(up.get("/healthz")[1])["parts"]
    assert {"web", "hub", "worker", "scheduler", "watch", "redis", "database"} <= set(parts)
    assert set(parts.values()) == {"alive"}
    assert up.get("/readyz")[0] == 200


def test_the_engine_of_this_machine_is_registered(up: _Up) -> None:
    wait_for(
        lambda: pilothouse(
            "manage",
            "shell",
            "-v0",
            "-c",
            "from console.hosts.models import Host; print(*Host.objects.values_list('name', 'url', 'state'))",
            PILOTHOUSE_DATA_DIR=str(up.data_dir),
        ).stdout.startswith(f"('local', 'unix://{up.data_dir}/engine/docker.sock', 'reachable')")
    )


def test_keys_and_data_are_ours_alone(up: _Up) -> None:
    assert stat.S_IMODE(up.data_dir.stat().st_mode) == 0o700
    keys = list((up.data_dir / "keys").iterdir())
    assert {"secret", "encryption", "redis"} <= {key.name for key in keys}
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE((up.data_dir / "pilothouse.sqlite3").stat().st_mode) == 0o600


def test_an_address_that_a_client_claims_is_not_believed(up: _Up) -> None:
    claimed = urllib.request.Request(
        up.url + "/accounts/login/", headers={"X-Forwarded-For": "192.0.2.66", "Accept": "text/html"}
    )
    with urllib.request.urlopen(claimed, timeout=5) as page:
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
    assert token is not None
    form = urllib.parse.urlencode(
        {"login": "nobody", "password": "a wrong password", "csrfmiddlewaretoken": token[1]}
    ).encode()
    headers = {"X-Forwarded-For": "192.0.2.66", "Cookie": cookie, "Origin": up.url}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(up.url + "/accounts/login/", form, headers), timeout=5)
    assert refused.value.code == 422
    said = pilothouse(
        "manage",
        "shell",
        "-v0",
        "-c",
        "from console.audit.models import AuditEvent; print(AuditEvent.objects.get(action='account.sign_in').address)",
        PILOTHOUSE_DATA_DIR=str(up.data_dir),
    )
    assert said.stdout == "127.0.0.1\n"


def test_a_second_up_is_refused_by_name(up: _Up) -> None:
    done = pilothouse("up", "--data-dir", str(up.data_dir), "--port", str(free_port()))
    assert done.returncode == 1
    assert f"process {up.process.pid}, at {up.url}" in done.stderr


def test_a_killed_process_comes_back(up: _Up) -> None:
    def web() -> int:
        return next(
            pid for pid in descendants(up.process.pid) if b"uvicorn" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )

    before = web()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: up.get("/accounts/login/")[0] == 200, timeout=30)
    assert web() != before


def test_ctrl_c_leaves_nothing_and_the_next_start_is_quick(up: _Up) -> None:
    family = descendants(up.process.pid)
    assert len(family) >= 8
    started = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=20) == 0
    # Twice the limit: the rest of the suite runs on the same two cores. By itself it takes two seconds.
    assert time.monotonic() - started < 2 * STOP_TIMEOUT
    assert not any(map(is_alive, family))
    assert json.loads(up.said().splitlines()[-1])["event"] == "Stopped."

    up.start()
    wait_for(lambda: up.get("/accounts/login/")[0] == 200, timeout=60)
    # Everything was prepared; a second start prepares nothing.
    assert "Preparing" not in up.said()
    family = descendants(up.process.pid)
    up.process.kill()
    up.process.wait()
    wait_for(lambda: not any(map(is_alive, family)))
