"""Starting programs so that none outlives us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from launcher.say import Trouble

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel to kill the calling process when the thread that started it ends.

    For ``preexec_fn``. The signal is tied to the *thread* that forks, so children must be started from the main thread.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def become_subreaper() -> None:
    """Become the parent of every orphan among our descendants, so that none slips away to process 1."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program quietly and return what it printed.

    Raises :class:`Trouble` with the end of its output when it fails or does not exist.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            preexec_fn=die_with_parent,
        )
    except OSError as cause:
        raise Trouble(f"{words[0]} cannot be started: {cause.strerror}.") from cause
    if done.returncode != 0:
        end = "\n".join(f"    {text}" for text in done.stdout.strip().splitlines()[-25:])
        raise Trouble(f"`{' '.join(words)}` failed with exit code {done.returncode}. The end of its output:\n{end}")
    return done.stdout


def call(command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path) -> int:
    """Run a program on our own terminal and return its exit code, as a shell counts it."""
    process = subprocess.Popen([str(word) for word in command], env=env, cwd=cwd, preexec_fn=die_with_parent)
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue  # it has had the same signal from the terminal and ends in its own way
        return code if code >= 0 else 128 - code


def descendants(pid: int) -> list[int]:
    """Return the ids of all living processes below ``pid``, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found.extend(below)
        queue.extend(below)
    return found


def send_signal(pid: int, number: int, *, group: bool = False) -> None:
    """Signal a process (or its whole group); one that has just ended needs none."""
    try:
        if group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        return
