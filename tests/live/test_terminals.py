"""Terminals and logs through a real web process on a real engine: exact bytes, full programs, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import websockets
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from websockets.asyncio.client import ClientConnection

from console.accounts.models import User
from console.gateway import ContainerEngine, ContainerSpec, NotFound, ask_hub, call, hub_messages
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer
from console.inventory.services import observe_container
from console.lib.origin import Origin
from console.terminals import services
from console.terminals.models import TerminalSession, TerminalState
from tests.engines import (
    PrivateEngine,
    busybox_image_tar,
    free_port,
    private_dockerd,
    program,
    short_directory,
    tar_of,
)
from tests.live.crash import Redis, environment, private_redis, start_hub, wait_until

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("terminals")]
ROOT = Path(__file__).resolve().parents[2]
INPUT_WINDOW = 96 * 1024


@pytest.fixture(scope="module")
def real_engine() -> Iterator[PrivateEngine]:
    with short_directory() as directory, private_dockerd(directory) as engine:
        engine.import_image(busybox_image_tar(), reference="box:latest")
        busybox = Path(program("busybox", package="busybox-static")).read_bytes()
        engine.import_image(tar_of({"busybox": busybox}, folders=("proc", "dev", "sys")), reference="bare:latest")
        yield engine


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with private_redis() as running:
        yield running


@dataclass(slots=True)
class Web:
    """A web process of the suite's own."""

    process: subprocess.Popen[bytes]
    port: int

    def memory(self) -> int:
        """Return what the process holds, in bytes."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return 1024 * next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the stream hub as the launcher does."""
    process = start_hub(tmp_path / "hub.log")
    yield process
    process.terminate()
    process.wait()


@pytest.fixture
def web(
    redis: Redis, real_engine: PrivateEngine, hub: subprocess.Popen[bytes], tmp_path: Path, db: None
) -> Iterator[Web]:
    """Start the web process as the launcher does."""
    port = free_port()
    log = tmp_path / "web.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "console.asgi:application", "--port", str(port)),
                *("--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio", "--ws-max-size", "1048576"),
                *("--ws-per-message-deflate", "false", "--timeout-graceful-shutdown", "2"),
            ],
            cwd=ROOT,
            env=environment(redis),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        return "startup complete" in log.read_text()

    try:
        wait_until(answers, what="the web process is up", timeout=60)
        yield Web(process, port)
    finally:
        process.kill()
        process.wait()


@dataclass(slots=True)
class Place:
    """A container, and a person who may open terminals in it."""

    web: Web
    person: User
    session_key: str
    container: ObservedContainer
    open_ones: list[ClientConnection] = field(default_factory=list)

    async def socket(self, path: str) -> ClientConnection:
        """Open a socket as the person's browser does."""
        connection = await websockets.connect(
            f"ws://127.0.0.1:{self.web.port}{path}",
            additional_headers={"Cookie": f"pilothouse_session={self.session_key}"},
            origin=websockets.Origin("http://testserver"),
            compression=None,
            max_size=None,
        )
        self.open_ones.append(connection)
        return connection

    async def terminal(self, *command: str, user: str = "", kind: str = "exec") -> Shell:
        """Open a terminal that runs ``command``."""
        ticket, _session = await sync_to_async(services.issue_ticket)(
            actor=self.person,
            session_key=self.session_key,
            container=self.container,
            kind=kind,
            parameters={"command": list(command) or None, "user": user},
            origin=Origin(),
        )
        shell = Shell(await self.socket("/ws/terminal/"))
        await shell.control({"type": "open", "ticket": ticket, "viewer": shell.viewer, "columns": 100, "rows": 30})
        return shell

    def processes(self) -> int:
        """Return how many processes the container has."""
        from runtime.transport.http import HttpTransport

        async def count(_engine: object) -> int:
            transport = HttpTransport(self.container.host.endpoint)
            try:
                answer = await transport.request("GET", f"/v1.41/containers/{self.container.container_id}/top")
                return len(answer.json()["Processes"])
            finally:
                await transport.close()

        return call(self.container.host.endpoint, count)

    async def empties(self, *, limit: float) -> None:
        """Return once the container has only its own processes again."""
        end = time.monotonic() + limit
        while (left := await sync_to_async(self.processes)()) > 2:
            assert time.monotonic() < end, f"{left - 2} processes are left"
            await asyncio.sleep(0.1)


class Shell:
    """The browser's end of a terminal."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.output = b""
        self.frames: list[dict[str, Any]] = []
        self.rendered = self.told = self.sent = self.taken = 0
        self.is_log = connection.request is not None and connection.request.path == "/ws/logs/"
        self.viewer = secrets.token_hex(8)

    async def control(self, frame: dict[str, Any]) -> None:
        """Send a control frame."""
        await self.connection.send(json.dumps(frame))

    async def read(self, *, timeout: float = 20.0) -> None:
        """Take the server's next message, and acknowledge as a browser does."""
        message = await asyncio.wait_for(self.connection.recv(), timeout)
        if isinstance(message, str):
            frame = json.loads(message)
            self.frames.append(frame)
            if frame["type"] == "taken":
                self.taken = frame["bytes"]
            return
        self.output += message
        self.rendered += len(message)
        if self.rendered - self.told >= 64 * 1024:
            self.told = self.rendered
            key = "bytes" if self.is_log else "offset"
            await self.control({"type": "ack", key: self.rendered})

    async def until(self, wanted: bytes) -> bytes:
        """Read until ``wanted`` has come."""
        while wanted not in self.output:
            try:
                await self.read()
            except TimeoutError:
                pytest.fail(f"{wanted!r} never came; the last was {self.output[-300:]!r}, {self.frames}")
        return self.output

    async def frame(self, kind: str) -> dict[str, Any]:
        """Read until a control frame of ``kind`` has come."""
        while not any(frame["type"] == kind for frame in self.frames):
            await self.read()
        return next(frame for frame in self.frames if frame["type"] == kind)

    async def type(self, data: bytes) -> None:
        """Type or paste, as terminal.js does: in pieces, and no more than the server may have to keep."""
        for at in range(0, len(data), 32 * 1024):
            piece = data[at : at + 32 * 1024]
            while self.sent + len(piece) - self.taken > INPUT_WINDOW + 32 * 1024:
                await self.read()
            self.sent += len(piece)
            await self.connection.send(piece)

    async def ending(self) -> int:
        """Read until the server closes; return its code."""
        try:
            while True:
                await self.read()
        except websockets.ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006


def _removal(container_id: str) -> Callable[[ContainerEngine], Coroutine[Any, Any, None]]:
    return lambda engine: engine.remove_container(container_id, force=True)


@pytest.fixture
def start(
    web: Web, real_engine: PrivateEngine, alice: User, client_of: Callable[[User], Client]
) -> Iterator[Callable[..., Place]]:
    """Start containers that the inventory knows."""
    host = Host.objects.create(name="harbour", url=real_engine.endpoint.url, state=HostState.REACHABLE)
    made: list[str] = []

    def run(*command: str, image: str = "box:latest", **values: Any) -> Place:
        spec = ContainerSpec(name=f"live-{len(made)}", image=image, command=command, **values)

        async def begin(engine: Any) -> str:
            container_id: str = await engine.create_container(spec)
            made.append(container_id)
            await engine.start_container(container_id)
            return container_id

        container_id = call(host.endpoint, begin)
        observe_container(host, container_id)
        container = ObservedContainer.objects.select_related("host").get(container_id=container_id)
        return Place(web, alice, client_of(alice).session.session_key or "", container)

    yield run
    for container_id in made:
        with contextlib.suppress(NotFound):  # a test removed it
            call(host.endpoint, _removal(container_id))


@pytest.fixture
def place(start: Callable[..., Place]) -> Place:
    return start("sleep", "100000")


@pytest.fixture(autouse=True)
async def _close_sockets(place: Place) -> AsyncIterator[None]:
    yield
    for connection in place.open_ones:
        with contextlib.suppress(websockets.ConnectionClosed, OSError):
            await connection.close()


async def test_a_megabyte_is_pasted_and_comes_back_exactly(place: Place) -> None:
    shell = await place.terminal("sh", "-c", "stty raw -echo; printf ready; exec cat")
    await shell.until(b"ready")
    paste = random.Random(11).randbytes(1_000_000)
    writer = asyncio.create_task(shell.type(paste[:INPUT_WINDOW]))
    await writer
    await shell.type(paste[INPUT_WINDOW:])
    while len(shell.output) < len(paste) + 5:
        await shell.read()
    assert shell.output == b"ready" + paste


async def test_a_large_text_in_utf_8_comes_exactly(place: Place) -> None:
    script = 'stty -opost; i=0; while [ $i -lt 20000 ]; do echo "한국어 ♞ 🧭 $i"; i=$((i+1)); done'
    shell = await place.terminal("sh", "-c", script)
    assert (await shell.frame("exit"))["code"] == 0
    assert shell.output.decode() == "".join(f"한국어 ♞ 🧭 {number}\n" for number in range(20_000))


async def test_a_shell_an_editor_and_a_monitor_run(place: Place) -> None:
    shell = await place.terminal()
    await shell.until(b"# ")
    await shell.type(b"stty size; echo $TERM\r")
    await shell.until(b"xterm-256color\r\n")
    assert b"30 100" in shell.output
    await shell.type(b"vi /tmp/letter\r")
    await shell.until(b"~")
    # As hands do it: the editor takes an escape that comes with more for a key's sequence.
    await shell.type(b"i")
    await shell.until(b"I /tmp/letter")
    await shell.type("Hello 한".encode())
    await shell.until(b"Hello")
    await shell.type(b"\x1b")
    await shell.until(b"[Modified]")
    await shell.type(b":wq\r")
    await shell.until(b"1L, ")
    await shell.type(b"cat /tmp/letter; top\r")
    await shell.until("Hello 한\r\n".encode())
    await shell.until(b"Mem:")
    await shell.control({"type": "resize", "columns": 60, "rows": 20})
    await shell.type(b"q")
    await asyncio.sleep(0.3)
    await shell.type(b"stty size\r")
    await shell.until(b"20 60")
    await shell.type(b"exit 7\r")
    assert (await shell.frame("exit"))["code"] == 7
    assert await shell.ending() == 1000


async def test_another_user_may_be_asked_for(place: Place) -> None:
    shell = await place.terminal("id", "-u", user="1000")
    assert b"1000" in await shell.until(b"\n")


async def test_an_image_without_a_shell_offers_a_choice(start: Callable[..., Place]) -> None:
    bare = await sync_to_async(start)("/busybox", "sleep", "1000", image="bare:latest")
    shell = await bare.terminal()
    choice = await shell.frame("choose")
    assert choice["commands"]
    await shell.ending()
    chosen = await bare.terminal("/busybox", "sh")
    await chosen.until(b"# ")
    await chosen.control({"type": "close"})
    await bare.empties(limit=20)


async def test_the_main_process_without_a_tty_has_two_channels(start: Callable[..., Place]) -> None:
    main = await sync_to_async(start)(
        "sh", "-c", "while read -r word; do echo out $word; echo err $word >&2; done", open_stdin=True
    )
    shell = await main.terminal(kind="attach")
    assert (await shell.frame("opened"))["tty"] is False
    await shell.type(b"one\n")
    while not (b"\x01\0\0\0\x08out one\n" in shell.output and b"\x02\0\0\0\x08err one\n" in shell.output):
        await shell.read()


async def test_a_container_that_is_removed_while_somebody_types_ends_its_terminal(start: Callable[..., Place]) -> None:
    place = await sync_to_async(start)("sleep", "100000")
    shell = await place.terminal("sh", "-c", "stty raw -echo; printf ready; exec cat")
    await shell.until(b"ready")
    await shell.type(b"still here")
    await shell.until(b"still here")
    await sync_to_async(call)(place.container.host.endpoint, _removal(place.container.container_id))
    async with asyncio.timeout(10):
        assert await shell.ending() in (1000, 1011)
    assert any(frame["type"] in ("exit", "error") for frame in shell.frames)


async def test_a_closed_terminal_leaves_nothing(place: Place) -> None:
    for _tab in range(3):
        shell = await place.terminal("sh", "-c", "trap '' HUP TERM; (setsid sleep 4444 &) ; echo ready; sleep 3333")
        await shell.until(b"ready")
        await shell.control({"type": "close"})
    await place.empties(limit=30)


async def test_a_killed_hub_leaves_nothing_once_the_worker_looked(
    place: Place, hub: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    shells = [await place.terminal("sh", "-c", "sleep 4444 & echo ready; wait") for _tab in range(3)]
    for shell in shells:
        await shell.until(b"ready")
    hub.kill()
    await sync_to_async(hub.wait)()
    for shell in shells:
        assert (await shell.frame("error"))["code"] == "hub_away"
    assert await sync_to_async(place.processes)() > 5
    successor = await sync_to_async(start_hub)(tmp_path / "second-hub.log")
    try:
        # Stands for the seconds in which a terminal may still be on its way to the hub.
        await TerminalSession.objects.aupdate(opened_at=timezone.now() - timedelta(minutes=1))
        assert await sync_to_async(services.look_after_terminals)() == 3
    finally:
        successor.terminate()
        await sync_to_async(successor.wait)()
    assert await sync_to_async(place.processes)() <= 2
    assert not await TerminalSession.objects.exclude(state=TerminalState.ENDED).aexists()


async def test_a_hub_that_is_stopped_ends_its_terminals(place: Place, hub: subprocess.Popen[bytes]) -> None:
    shell = await place.terminal("sh", "-c", "sleep 4444 & echo ready; wait")
    await shell.until(b"ready")
    hub.terminate()
    assert (await shell.frame("exit"))["reason"] == "hub"
    await place.empties(limit=30)


async def test_a_web_process_that_is_stopped_says_so_and_leaves_its_terminals(place: Place) -> None:
    shell = await place.terminal("sh", "-c", "sleep 4444 & echo ready; wait")
    await shell.until(b"ready")
    place.web.process.send_signal(signal.SIGTERM)
    assert await shell.ending() == 1012
    held = await sync_to_async(ask_hub)(hub_messages.ListTerminals())
    assert [terminal["state"] for terminal in held["terminals"]] == ["open"]
    await sync_to_async(ask_hub)(hub_messages.EndTerminal(session=held["terminals"][0]["session"], reason="closed"))
    await place.empties(limit=30)


async def test_a_session_that_ends_takes_its_terminal_along_within_five_seconds(place: Place) -> None:
    shell = await place.terminal("sh", "-c", "echo ready; sleep 4444")
    await shell.until(b"ready")
    await Session.objects.all().adelete()
    async with asyncio.timeout(5):
        error = await shell.frame("error")
    assert error["code"] == "revoked"
    assert await shell.ending() == 4403
    await place.empties(limit=30)


async def test_a_flood_to_a_browser_that_reads_nothing_is_not_kept(place: Place) -> None:
    quiet = await place.terminal("sh", "-c", "stty raw -echo; printf ready; exec cat")
    await quiet.until(b"ready")
    before = place.web.memory()
    flood = await place.terminal("yes", "0123456789" * 8)
    await flood.frame("opened")
    for number in range(20):
        await quiet.type(b"%d" % number)
        await asyncio.sleep(0.1)
    await quiet.until(b"19")
    assert place.web.memory() - before < 4 * 1024 * 1024


async def test_a_log_follows_and_tells_when_it_ends(start: Callable[..., Place]) -> None:
    script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo last >&2; read -r word; echo $word"
    writer = await sync_to_async(start)("sh", "-c", script, open_stdin=True)
    reader = Shell(await writer.socket("/ws/logs/"))
    target = {"host": str(writer.container.host_id), "container": writer.container.container_id}
    await reader.control({"type": "open", **target, "follow": True})
    await reader.until(b"last\n")
    # The engine copies the two channels independently of each other: either may come first.
    while reader.output.count(b"line ") < 2000:
        await reader.read()
    assert b"\x02\0\0\0\x05last\n" in reader.output
    shell = await writer.terminal(kind="attach")
    await shell.frame("opened")
    await shell.type(b"farewell\n")
    await reader.until(b"farewell\n")
    await reader.frame("end")
    assert await reader.ending() == 1000


async def test_statistics_come_every_second(place: Place) -> None:
    viewer = Shell(await place.socket("/ws/stats/"))
    target = {"host": str(place.container.host_id), "container": place.container.container_id}
    await viewer.control({"type": "open", **target})
    while sum(frame["type"] == "sample" for frame in viewer.frames) < 2:
        await viewer.read()
    sample = viewer.frames[-1]
    assert sample["memory_bytes"] > 0
    assert sample["pids"] >= 1
