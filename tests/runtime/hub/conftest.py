"""A hub on a real socket with a fake engine behind it, and viewers who speak to it as the console does."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.containers import ContainerSpec
from runtime.endpoint import Driver, Endpoint
from runtime.hub import endpoints
from runtime.hub.client import HubClient, HubStream, Output
from runtime.hub.messages import Ack, JoinTerminal, Limits, Message, OpenTerminal, Recording, Viewer
from runtime.hub.server import Hub
from runtime.testing import FakeEngine
from tests.engines import short_directory

ENDPOINT = endpoints.to_json(Endpoint(driver=Driver.DOCKER, url="unix:///nowhere/docker.sock"))
ALICE = Viewer(id="alice-1", person="alice", name="alice", owns=True)
BOB = Viewer(id="bob-1", person="bob", name="bob", types=False)
PATIENCE = 10.0


class Seated:
    """A viewer at a terminal: what it was sent, and what it says."""

    def __init__(self, stream: HubStream) -> None:
        self.stream = stream
        self.opened = stream.opened
        self.offset = stream.opened.offset
        self.typed = stream.opened.taken
        self.output = b""
        self.messages: list[Message] = []
        self.is_over = False

    async def step(self) -> Output | Message | None:
        """Take what comes next; output must be contiguous."""
        item = await asyncio.wait_for(self.stream.receive(), PATIENCE)
        if item is None:
            self.is_over = True
        elif isinstance(item, Output):
            assert item.offset == self.offset, "output has a gap, or comes twice"
            self.output += item.data
            self.offset += len(item.data)
        else:
            self.messages.append(item)
        return item

    async def until(self, wanted: bytes, *, acknowledge: bool = True) -> bytes:
        """Take output until ``wanted`` is in it."""
        while wanted not in self.output:
            assert await self.step() is not None, self.output[-200:]
            if acknowledge:
                self.acknowledge()
        return self.output

    async def told(self, kind: type[Any]) -> Any:
        """Take what comes until a message of ``kind``; messages from before do not count."""
        while not isinstance(item := await self.step(), kind):
            assert item is not None, self.messages
            if isinstance(item, Output):
                self.acknowledge()
        return item

    def acknowledge(self) -> None:
        """Say that everything taken so far has been rendered."""
        self.stream.send(Ack(offset=self.offset))

    def type(self, data: bytes) -> None:
        """Type."""
        self.stream.write(self.typed, data)
        self.typed += len(data)

    async def quiet(self, *, seconds: float = 0.15) -> int:
        """Take what comes until nothing comes any more; return how many bytes of output it was."""
        before = len(self.output)
        while True:
            try:
                async with asyncio.timeout(seconds):
                    item = await self.stream.receive()
            except TimeoutError:
                return len(self.output) - before
            if isinstance(item, Output):
                self.output += item.data
                self.offset = item.offset + len(item.data)
            elif item is None:
                return len(self.output) - before
            else:
                self.messages.append(item)


class Site:
    """The hub, its engine, one container, and who sits where."""

    def __init__(self, *, hub: Hub, client: HubClient, engine: FakeEngine, container_id: str) -> None:
        self.hub = hub
        self.client = client
        self.engine = engine
        self.container_id = container_id
        self.session = secrets.token_hex(8)
        self._seated: list[Seated] = []

    async def open(
        self,
        *command: str,
        viewer: Viewer = ALICE,
        limits: Limits | None = None,
        recording: Recording | None = None,
        columns: int = 80,
        rows: int = 24,
    ) -> Seated:
        """Open a terminal that runs ``command``."""
        order = OpenTerminal(
            session=self.session,
            endpoint=ENDPOINT,
            container_id=self.container_id,
            spec={"command": list(command)},
            marker_variable="PILOTHOUSE_TERMINAL",
            viewer=viewer,
            columns=columns,
            rows=rows,
            limits=limits or Limits(),
            recording=recording,
        )
        return self._keep(await self.client.open(order))

    async def join(
        self, viewer: Viewer = BOB, *, from_offset: int | None = None, columns: int = 80, rows: int = 24
    ) -> Seated:
        """Come (back) to it."""
        order = JoinTerminal(session=self.session, viewer=viewer, columns=columns, rows=rows, from_offset=from_offset)
        return self._keep(await self.client.open(order))

    def _keep(self, stream: HubStream) -> Seated:
        seated = Seated(stream)
        self._seated.append(seated)
        return seated

    @property
    def held(self) -> Any:
        """The terminal, from inside."""
        return self.hub._terminals[self.session]

    def processes(self) -> int:
        """How many processes the container has beside its own."""
        return len(self.engine.processes(self.container_id)) - 1

    def close(self) -> None:
        """Let go of every connection."""
        for seated in self._seated:
            seated.stream.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A hub with one container that sleeps."""
    engine = FakeEngine()
    container_id = await engine.create_container(
        ContainerSpec(name="web", image="starter:latest", command=("sleep", "1000"))
    )
    await engine.start_container(container_id)
    hub = Hub(data_dir=tmp_path, connect=lambda _endpoint: engine)
    with short_directory() as directory:
        await hub.listen(directory / "hub.sock")
        found = Site(hub=hub, client=HubClient(directory / "hub.sock"), engine=engine, container_id=container_id)
        yield found
        found.close()
        await hub.close()
    await engine.shut_down()


def typist(name: str, *, tab: int = 1, owns: bool = False) -> Viewer:
    """Somebody who may type."""
    return replace(ALICE, id=f"{name}-{tab}", person=name, name=name, owns=owns)


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    for _attempt in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


Asked = Callable[..., Awaitable[dict[str, Any]]]
