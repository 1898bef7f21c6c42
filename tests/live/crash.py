"""Real workers beside the suite: Celery processes on the suite's database, with a Redis of their own, to be killed.

``with private_redis() as redis, run_worker(redis, faults={"image.pull.pulled"}) as worker: …``
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from console.operations.models import Operation, OperationState
from launcher.redis import find_server
from tests.engines import short_directory

ROOT: Final = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Trouble(Exception):
    """Something did not come to be within its time; says what, with the end of a log."""


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:] if log.exists() else "(no log)"


@dataclass(slots=True)
class Redis:
    """A Redis of our own, to be stopped, frozen and started again. It keeps nothing over a stop."""

    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What a console is told."""
        return f"unix://:secret@{self.directory}/redis.sock"

    def start(self) -> None:
        """Start it and return when it answers."""
        socket = self.directory / "redis.sock"
        with (self.directory / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [find_server(), "--port", "0", "--unixsocket", socket, "--requirepass", "secret", "--save", ""],
                cwd=self.directory,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )
        wait_until(socket.exists, what="Redis is up", timeout=10)

    def stop(self) -> None:
        """End it at once and forget everything."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            (self.directory / "redis.sock").unlink(missing_ok=True)
            self.process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def private_redis() -> Iterator[Redis]:
    """A running Redis of our own."""
    with short_directory() as directory:
        redis = Redis(directory)
        redis.start()
        try:
            yield redis
        finally:
            redis.stop()


@dataclass(slots=True)
class Worker:
    """A Celery process: a worker, or the scheduler."""

    process: subprocess.Popen[bytes]
    log: Path
    directory: Path
    faults: Collection[str] = field(default_factory=tuple)

    def wait_for_death(self, *, timeout: float = 40) -> None:
        """Return when a fault point has killed it. Raises ``Trouble`` when none does, or it dies of something else."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired as cause:
            raise Trouble(f"no fault point was reached: {sorted(self.faults)}\n{_tail(self.log)}") from cause
        if code != -signal.SIGKILL:
            raise Trouble(f"it ended with {code}, not by a fault point\n{_tail(self.log)}")

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        self.process.kill()
        self.process.wait()

    def said(self, words: str) -> int:
        """How often it has printed these words."""
        return self.log.read_text(errors="replace").count(words)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None


def environment(redis: Redis) -> dict[str, str]:
    """Return the environment of a process on the suite's database and keys."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.live.settings",
        "PILOTHOUSE_DATA_DIR": str(settings.DATA_DIR),
        "PILOTHOUSE_REDIS_URL": redis.url,
        "PILOTHOUSE_TEST_DATABASE": str(connection.settings_dict["NAME"]),
        "PYTHONUNBUFFERED": "1",
    }


def start_hub(log: Path) -> subprocess.Popen[bytes]:
    """Start a stream hub on the suite's socket and wait until it answers; who starts it ends it."""
    path = settings.HUB_SOCKET
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime.hub", "--socket", str(path), "--data-dir", str(settings.DATA_DIR)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(path)) == 0

    wait_until(answers, what="the hub is up", timeout=30)
    return process


@contextlib.contextmanager
def run_celery(redis: Redis, *arguments: str, faults: Collection[str] = ()) -> Iterator[Worker]:
    """Run ``celery ARGUMENTS``. It is killed at the end, and by the first of ``faults`` that it reaches."""
    with tempfile.TemporaryDirectory(prefix="ph-worker-") as name:
        directory = Path(name)
        log = directory / "log"
        env = environment(redis)
        env["PILOTHOUSE_FAULTS"] = ",".join(f"{fault}=kill@{directory}/{fault}" for fault in faults)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "console", *arguments, "--loglevel", "INFO"],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        worker = Worker(process=process, log=log, directory=directory, faults=faults)
        try:
            yield worker
        finally:
            worker.kill()


@contextlib.contextmanager
def run_worker(redis: Redis, *, faults: Collection[str] = ()) -> Iterator[Worker]:
    """Run a worker as the launcher does; at its start it takes up whatever :func:`hand_over` left for it."""
    flags = ("-P", "threads", "-c", "16", "--without-mingle", "--without-gossip")
    with run_celery(redis, "worker", *flags, faults=faults) as worker:
        yield worker


@contextlib.contextmanager
def run_scheduler(redis: Redis) -> Iterator[Worker]:
    """Run the scheduler."""
    with run_celery(redis, "beat") as scheduler:
        yield scheduler


def hand_over() -> None:
    """Make every open operation the next worker's: leases of dead workers have run out, wake-ups are due again.

    Stands for the seconds that would pass otherwise.
    """
    past = timezone.now() - timedelta(minutes=5)
    Operation.objects.filter(state=OperationState.RUNNING).update(lease_until=past)
    Operation.objects.filter(state=OperationState.QUEUED).update(dispatched_at=past)


def wait_until_ended(operation_id: UUID, *, timeout: float = 40, worker: Worker | None = None) -> Operation:
    """Return the operation once it has ended. Raises ``Trouble`` with the end of the worker's log."""
    row = Operation.objects.filter(pk=operation_id)
    limit = time.monotonic() + timeout
    while True:
        operation = row.get()
        if operation.is_ended:
            return operation
        if time.monotonic() > limit or (worker is not None and not worker.is_alive):
            said = _tail(worker.log) if worker is not None else ""
            raise Trouble(f"{operation} is {operation.state} ({operation.phase}, attempt {operation.attempts})\n{said}")
        time.sleep(0.05)


def wait_until(ready: Callable[[], bool], *, what: str, timeout: float) -> None:
    """Return once ``ready()`` is true. Raises ``Trouble`` saying ``what`` did not happen."""
    limit = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > limit:
            raise Trouble(f"not within {timeout:g} s: {what}")
        time.sleep(0.05)
