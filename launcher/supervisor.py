"""Keeps a handful of processes alive, prints what they say, and ends them without leaving one behind.

What makes it hold: every child leads a session of its own and its whole group is killed; the kernel kills a child
when we die (PR_SET_PDEATHSIG) and gives us the orphans of our descendants (PR_SET_CHILD_SUBREAPER); all children are
started from the main thread, because the former is tied to the thread that forks.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launcher import say
from launcher.processes import become_subreaper, descendants, die_with_parent, send_signal

#: Seconds from the first signal until the last process is gone.
STOP_TIMEOUT = 5.0
_APPS_TIMEOUT = 2.5
_SERVICES_TIMEOUT = 4.0
_BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
#: A process that lived this long, in seconds, starts again without the delays of its earlier failures.
_LIVED_WELL = 30.0
_LONGEST_LINE = 64 * 1024
_COLOURS = (36, 32, 33, 35, 34, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run. Services (Redis, the engine) start first and stop last, because the others need them."""

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    cwd: Path
    service: bool = False
    before_start: Callable[[], None] | None = None
    #: Lines with one of these in them are not shown.
    hide: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class _Child:
    """A running process of a program."""

    program: Program
    process: subprocess.Popen[bytes]
    started: float
    keep_alive: bool
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    rest: bytes = b""
    lines: list[str] | None = None


class Printer:
    """Prints the children's lines with the name of the process, or as JSON with a field for it."""

    def __init__(self, *, json_logs: bool) -> None:
        self._json = json_logs
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._names: list[str] = []
        self._broken = False

    def line(self, name: str, text: str) -> None:
        """Print one line of one process."""
        if self._json:
            self._print(_as_json(name, text))
            return
        if name not in self._names:
            self._names.append(name)
        label = f"{name:<9} |"
        if self._colour:
            label = f"\x1b[{_COLOURS[self._names.index(name) % len(_COLOURS)]}m{label}\x1b[0m"
        self._print(f"{label} {text}")

    def _print(self, text: str) -> None:
        if self._broken:
            return
        try:
            print(text, flush=True)
        except OSError:
            self._broken = True  # the terminal is gone: nobody reads, but the processes must still be ended


def _as_json(name: str, text: str) -> str:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        fields = {"event": text}
    return json.dumps({"process": name, **fields}, ensure_ascii=False)


class Supervisor:
    """Runs programs until it is told to stop. Create and use it in the main thread, inside a running loop."""

    def __init__(self, *, json_logs: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._printer = Printer(json_logs=json_logs)
        self._children: dict[int, _Child] = {}
        self._failures: dict[str, int] = {}
        self._restarts: set[asyncio.TimerHandle] = set()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        become_subreaper()
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.request_stop)
        # Under nohup the hang-up is ignored on purpose.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            self._loop.add_signal_handler(signal.SIGHUP, self.request_stop)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked for the end."""
        return self._stop.is_set()

    def request_stop(self) -> None:
        """Begin to stop; asked a second time, stop without grace."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def wait_for_stop(self) -> None:
        """Return when somebody asked for the end."""
        await self._stop.wait()

    def start(self, program: Program) -> None:
        """Start a program and keep it alive from now on."""
        self._launch(program, keep_alive=True)

    async def run_once(self, program: Program) -> tuple[int, list[str]]:
        """Run a program to its end. Returns its exit code and the lines it printed; they are not shown."""
        child = self._launch(program, keep_alive=False)
        if child is None:
            return 127, []
        child.lines = []
        await child.ended.wait()
        return child.process.returncode, child.lines

    async def shut_down(self) -> None:
        """End every process within :data:`STOP_TIMEOUT` seconds: first the applications, then what they stand on."""
        self._stop.set()
        for restart in self._restarts:
            restart.cancel()
        started = time.monotonic()
        await self._end([c for c in self._children.values() if not c.program.service], started + _APPS_TIMEOUT)
        await self._end([c for c in self._children.values() if c.program.service], started + _SERVICES_TIMEOUT)
        # Whatever left its group was given to us when its parent ended; new ones can appear while we kill.
        while left := descendants(os.getpid()):
            for pid in left:
                send_signal(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)
            self._reap()

    async def _end(self, children: list[_Child], deadline: float) -> None:
        for child in children:
            send_signal(child.process.pid, signal.SIGTERM, group=True)
        if children and not self._hurry.is_set():
            ended = asyncio.ensure_future(_all_ended(children))
            hurry = asyncio.ensure_future(self._hurry.wait())
            await asyncio.wait(
                (ended, hurry), timeout=max(0.0, deadline - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
            )
            for task in (ended, hurry):
                task.cancel()
        for child in children:
            send_signal(child.process.pid, signal.SIGKILL, group=True)

    def _launch(self, program: Program, *, keep_alive: bool) -> _Child | None:
        started = time.monotonic()
        try:
            if program.before_start is not None:
                program.before_start()
            process = subprocess.Popen(
                [str(word) for word in program.command],
                env=program.env,
                cwd=program.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except (OSError, say.Trouble) as cause:
            self._printer.line(program.name, f"cannot be started: {cause}")
            if keep_alive:
                self._start_later(program, lived=0.0)
            return None
        child = _Child(program=program, process=process, started=started, keep_alive=keep_alive)
        self._children[process.pid] = child
        assert process.stdout is not None  # noqa: S101 - asked for above; tells the type checker
        os.set_blocking(process.stdout.fileno(), False)
        self._loop.add_reader(process.stdout.fileno(), lambda: self._read(child))
        return child

    def _read(self, child: _Child) -> bool:
        """Take over what a child wrote; half a line waits for its end. Returns whether there was anything."""
        pipe = child.process.stdout
        if pipe is None or pipe.closed:
            return False
        try:
            data = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return False
        *lines, child.rest = (child.rest + data).split(b"\n")
        if child.rest and (not data or len(child.rest) > _LONGEST_LINE):
            lines.append(child.rest)
            child.rest = b""
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            if child.lines is not None:
                child.lines.append(text)
            elif text and not any(word in text for word in child.program.hide):
                self._printer.line(child.program.name, text)
        if not data:
            self._loop.remove_reader(pipe.fileno())
            pipe.close()
        return True

    def _reap(self) -> None:
        """Bury every dead child: ours, and the orphans that became ours."""
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            child = self._children.pop(dead.si_pid, None)
            if child is None:
                os.waitpid(dead.si_pid, 0)
            else:
                child.process.wait()
                self._bury(child)

    def _bury(self, child: _Child) -> None:
        # What it started in its own group goes with it, or a new copy would meet the old one's children.
        send_signal(child.process.pid, signal.SIGKILL, group=True)
        while self._read(child):
            pass
        pipe = child.process.stdout
        if pipe is not None and not pipe.closed:
            self._loop.remove_reader(pipe.fileno())  # an orphan still holds the other end: do not wait for it
            pipe.close()
        child.ended.set()
        if child.keep_alive and not self._stop.is_set():
            self._start_later(child.program, lived=time.monotonic() - child.started, code=child.process.returncode)

    def _start_later(self, program: Program, *, lived: float, code: int | None = None) -> None:
        failures = 0 if lived >= _LIVED_WELL else self._failures.get(program.name, 0)
        self._failures[program.name] = failures + 1
        delay = _BACK_OFF[min(failures, len(_BACK_OFF) - 1)]
        if code is not None:
            self._printer.line(program.name, f"{_how_it_ended(code)}; it starts again in {delay:g} s")

        def start() -> None:
            self._restarts.discard(handle)
            if not self._stop.is_set():
                self._launch(program, keep_alive=True)

        handle = self._loop.call_later(delay, start)
        self._restarts.add(handle)


async def _all_ended(children: Sequence[_Child]) -> None:
    for child in children:
        await child.ended.wait()


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
