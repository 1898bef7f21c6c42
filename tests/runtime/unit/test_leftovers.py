"""The script that ends a terminal's processes, in the shells this machine has."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.drivers.docker import leftovers

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


@pytest.fixture
def marker() -> Iterator[str]:
    """A mark; whatever bears it ends with the test."""
    text = secrets.token_hex(16)
    yield text
    while leftovers._signal_carriers(text.encode(), signal.SIGKILL):
        time.sleep(0.05)


def start(marker: str, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["setsid", "sh", "-c", script], env={**os.environ, leftovers.MARKER_VARIABLE: marker}, stdout=subprocess.PIPE
    )


def run(shell: str, marker: str) -> tuple[bool, frozenset[int]]:
    words = [*(["busybox", "sh"] if shell == "busybox" else [shell]), *leftovers.command(marker)[1:]]
    report = subprocess.run(words, capture_output=True, timeout=60, check=True).stdout
    found = leftovers.read_report(report)
    assert found is not None
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("shell", SHELLS)
def test_it_ends_what_bears_the_mark_and_its_children(shell: str, marker: str) -> None:
    process = start(marker, "trap '' HUP; env -i sleep 500 & echo $!; setsid sleep 501 & sleep 502")
    assert process.stdout is not None
    child = int(process.stdout.readline())
    clean, _ = run(shell, marker)
    assert clean
    assert process.wait(5) < 0
    # The child threw the mark away, and was found by its parent. Whoever adopted it may not have buried it yet.
    assert not alive(child)


@pytest.mark.parametrize("shell", SHELLS)
def test_it_leaves_everybody_else_alone(shell: str, marker: str) -> None:
    other = subprocess.Popen(["sleep", "500"])
    try:
        assert run(shell, marker)[0]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


async def test_from_outside_it_does_the_same(marker: str) -> None:
    process = start(marker, "trap '' HUP; sleep 502; sleep 503")
    time.sleep(0.2)  # noqa: ASYNC251 (nothing else runs in this loop)
    assert await leftovers.end_from_outside(marker)
    assert process.wait(5) < 0


async def test_from_outside_it_does_not_claim_what_it_cannot_see(marker: str) -> None:
    assert not await leftovers.end_from_outside(marker)


def test_a_report_must_be_whole() -> None:
    assert leftovers.read_report(b"OCI runtime exec failed") is None
    assert leftovers.read_report(b"hidden 1000\nhidden 0\ndone\n") == (True, frozenset({0, 1000}))
    assert leftovers.read_report(b"left 7\ndone\n") == (False, frozenset())


def test_a_hostile_shell_reports_no_more_users_than_are_looked_into() -> None:
    many = b"".join(b"hidden %d\n" % uid for uid in range(100_000))
    report = leftovers.read_report(many + b"hidden " + b"9" * 5000 + b"\nhidden \xd9\xa1\ndone\n")
    assert report == (True, frozenset(range(leftovers.MOST_USERS)))
