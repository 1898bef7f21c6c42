"""A counter that runs in a shell, while the web process is killed twenty times: no gap, no repeat, either way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from asgiref.sync import sync_to_async
from django.test import Client

from console.accounts.models import User
from console.gateway import ContainerEngine, ContainerSpec, ask_hub, call, hub_messages
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer
from console.inventory.services import observe_container
from console.lib.origin import Origin
from console.terminals import services
from console.terminals.models import TerminalSession
from tests.engines import PrivateEngine, busybox_image_tar, free_port, private_dockerd, short_directory
from tests.live.crash import ROOT, Redis, environment, private_redis, start_hub

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("terminals")]
KILLS = 20
#: Counts as fast as it can, and says what it was told beside it: `<number>` and `{word}`, a line each.
COUNTER = "stty raw -echo; (i=0; while :; do i=$((i+1)); echo $i; done) & while read -r w; do echo {$w}; done"


@pytest.fixture(scope="module")
def real_engine() -> Iterator[PrivateEngine]:
    with short_directory() as directory, private_dockerd(directory) as engine:
        engine.import_image(busybox_image_tar(), reference="box:latest")
        yield engine


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with private_redis() as running:
        yield running


class Webs:
    """Web processes, one after the other, on one port."""

    def __init__(self, zygote: subprocess.Popen[bytes]) -> None:
        self.port = free_port()
        self._zygote = zygote
        self._pid = 0

    def start(self) -> None:
        """Start the next one."""
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.write(b"%d\n" % self.port)
        self._zygote.stdin.flush()
        self._pid = int(self._zygote.stdout.readline())

    def kill(self) -> None:
        """Kill the one that runs."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
        self._pid = 0


@pytest.fixture
def webs(redis: Redis, db: None, tmp_path: Path) -> Iterator[Webs]:
    hub = start_hub(tmp_path / "hub.log")
    with (tmp_path / "web.log").open("wb") as log:
        zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.live.zygote"],
            cwd=ROOT,
            env=environment(redis),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    found = Webs(zygote)
    found.start()
    yield found
    found.kill()
    for process in (zygote, hub):
        process.terminate()
        process.wait()


@pytest.fixture
def container(real_engine: PrivateEngine, db: None) -> Iterator[ObservedContainer]:
    host = Host.objects.create(name="live", url=real_engine.endpoint.url, state=HostState.REACHABLE)

    async def run(engine: ContainerEngine) -> str:
        spec = ContainerSpec(name="counting", image="box:latest", command=("sleep", "1000"))
        container_id = await engine.create_container(spec)
        await engine.start_container(container_id)
        return container_id

    container_id = call(host.endpoint, run)
    observe_container(host, container_id)
    yield ObservedContainer.objects.select_related("host").get(container_id=container_id)
    call(host.endpoint, lambda engine: engine.remove_container(container_id, force=True))


class Tab:
    """A browser's tab: it keeps offsets and what was typed, and comes back whenever it is cut off."""

    def __init__(self, *, person: User, session_key: str, port: int) -> None:
        self.person = person
        self.session_key = session_key
        self.port = port
        self.viewer = secrets.token_hex(8)
        self.session: TerminalSession | None = None
        self.output = bytearray()
        self.typed = bytearray()
        self.taken = 0
        self.connections = 0

    async def connect(self, ticket: str) -> websockets.ClientConnection:
        """Open the socket, and go on where the last one broke off."""
        while True:
            try:
                socket = await websockets.connect(
                    f"ws://127.0.0.1:{self.port}/ws/terminal/",
                    additional_headers={"Cookie": f"pilothouse_session={self.session_key}"},
                    origin=websockets.Origin("http://testserver"),
                    compression=None,
                    max_size=None,
                )
                break
            except (OSError, websockets.InvalidHandshake):
                await asyncio.sleep(0.02)
        first: dict[str, Any] = {"type": "open", "ticket": ticket, "viewer": self.viewer, "columns": 80, "rows": 24}
        if self.connections:
            first |= {"from": len(self.output), "typed": self.taken}
        await socket.send(json.dumps(first))
        opened = json.loads(await socket.recv())
        assert opened["type"] == "opened", opened
        assert (opened["offset"], opened["reset"], opened["lost"]) == (len(self.output), False, 0)
        self.taken = opened["taken"]
        self.connections += 1
        if self.taken < len(self.typed):
            await socket.send(bytes(self.typed[self.taken :]))
        return socket

    async def first_ticket(self, container: ObservedContainer) -> str:
        """Ask for a shell that counts."""
        ticket, self.session = await sync_to_async(services.issue_ticket)(
            actor=self.person,
            session_key=self.session_key,
            container=container,
            kind="exec",
            parameters={"command": ["sh", "-c", COUNTER], "user": ""},
            origin=Origin(),
        )
        return ticket

    async def next_ticket(self) -> str:
        """Ask to come back."""
        assert self.session is not None
        return await sync_to_async(services.issue_return)(
            actor=self.person, session_key=self.session_key, session=self.session, origin=Origin()
        )

    async def read(self, socket: websockets.ClientConnection, *, until: int) -> None:
        """Take output until so many bytes are here, acknowledging; raises when the socket breaks."""
        acknowledged = len(self.output)
        while len(self.output) < until:
            message = await asyncio.wait_for(socket.recv(), 20)
            if isinstance(message, bytes):
                self.output += message
                if len(self.output) - acknowledged >= 64 * 1024:
                    acknowledged = len(self.output)
                    await socket.send(json.dumps({"type": "ack", "offset": acknowledged}))

    async def type(self, socket: websockets.ClientConnection, word: bytes) -> None:
        """Type a word and Enter; it is kept until it is known to have arrived."""
        self.typed += word + b"\n"
        await socket.send(word + b"\n")


async def test_twenty_killed_web_processes_cost_no_byte(
    webs: Webs, container: ObservedContainer, alice: User, client_of: Callable[[User], Client]
) -> None:
    key = await sync_to_async(lambda: client_of(alice).session.session_key or "")()
    tab = Tab(person=alice, session_key=key, port=webs.port)
    socket = await tab.connect(await tab.first_ticket(container))
    for number in range(KILLS):
        await tab.read(socket, until=len(tab.output) + 20_000)
        await tab.type(socket, b"word%d" % number)
        await sync_to_async(webs.kill)()
        await sync_to_async(webs.start)()
        # What was on its way is worth having; it is not asked for again.
        with contextlib.suppress(websockets.ConnectionClosed):
            await tab.read(socket, until=len(tab.output) + 10**9)
        socket = await tab.connect(await tab.next_ticket())
    while b"{word%d}" % (KILLS - 1) not in tab.output:
        await tab.read(socket, until=len(tab.output) + 1)
    assert tab.connections == KILLS + 1
    lines = bytes(tab.output).replace(b"\r", b"").split(b"\n")[:-1]
    numbers = [int(line) for line in lines if not line.startswith(b"{")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [line for line in lines if line.startswith(b"{")] == [b"{word%d}" % number for number in range(KILLS)]
    held = await sync_to_async(ask_hub)(hub_messages.ListTerminals())
    assert [terminal["state"] for terminal in held["terminals"]] == ["open"]
    await socket.send(json.dumps({"type": "close"}))
    while not isinstance(message := await asyncio.wait_for(socket.recv(), 20), str) or '"exit"' not in message:
        pass
