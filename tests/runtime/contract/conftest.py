"""Every test of this folder runs against every member: the fake, Docker over both transports, Podman."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

import pytest
import pytest_asyncio

from runtime import ContainerEngine, ContainerSpec, Terminal, connect
from runtime.testing import FakeEngine
from tests.engines import PrivateEngine, Registry
from tests.runtime.conftest import IMAGE

#: Real engines on one worker of pytest-xdist: a second one would start its own.
_REAL = pytest.mark.xdist_group("engines")


@pytest.fixture(
    params=[
        "fake",
        pytest.param("docker", marks=_REAL),
        pytest.param("docker-tls", marks=_REAL),
        pytest.param("podman", marks=_REAL),
    ]
)
def member(request: pytest.FixtureRequest) -> str:
    """Which engine this is."""
    name: str = request.param
    return name


@pytest_asyncio.fixture
async def engine(member: str, request: pytest.FixtureRequest) -> AsyncIterator[ContainerEngine]:
    """An open engine that holds nothing but the busybox image when the test begins, and when it ends."""
    if member == "fake":
        fake = FakeEngine(images=(IMAGE,), stats_interval=0.01)
        yield fake
        await fake.shut_down()
        return
    daemon: PrivateEngine = request.getfixturevalue("podman" if member == "podman" else "dockerd")
    endpoint = daemon.tls_endpoint if member == "docker-tls" else daemon.endpoint
    assert endpoint is not None
    opened = connect(endpoint)
    yield opened
    for container in await opened.list_containers():
        await opened.remove_container(container.container_id, force=True, volumes=True)
    for volume in await opened.list_volumes():
        await opened.remove_volume(volume.name)
    for network in await opened.list_networks():
        if network.name not in ("bridge", "host", "none"):
            await opened.remove_network(network.network_id)
    for image in await opened.list_images():
        for tag in image.tags:
            if "contract" not in tag:
                await opened.remove_image(tag, force=True)
    await opened.close()


@pytest.fixture
def pullable(member: str, request: pytest.FixtureRequest, engine: ContainerEngine) -> str:
    """A reference the engine can pull."""
    if isinstance(engine, FakeEngine):
        engine.registry["registry.test/team/app:1"] = (2_000_000, 300_000, 200_000)
        return "registry.test/team/app:1"
    registry: Registry = request.getfixturevalue("registry")
    return f"{registry.name}/team/app:1"


@pytest.fixture
def slow_pullable(member: str, request: pytest.FixtureRequest, engine: ContainerEngine) -> str:
    """A reference whose pull lasts for seconds."""
    if isinstance(engine, FakeEngine):
        engine.pull_pause = 0.5
        engine.registry["registry.test/team/big:1"] = (4_000_000,)
        return "registry.test/team/big:1"
    registry: Registry = request.getfixturevalue("slow_registry")
    return f"{registry.name}/team/big:1"


class Run(Protocol):
    """Creates and starts a container."""

    async def __call__(self, *command: str, **fields: Any) -> str: ...


@pytest.fixture
def run(engine: ContainerEngine) -> Run:
    """Create and start a container with a command; keywords are fields of ContainerSpec. Returns its id."""
    count = 0

    async def create_and_start(*command: str, **fields: Any) -> str:
        nonlocal count
        count += 1
        spec = ContainerSpec(name=f"contract-{count}", image=IMAGE, command=command or ("sleep", "1000"))
        container_id = await engine.create_container(replace(spec, **fields))
        await engine.start_container(container_id)
        return container_id

    return create_and_start


async def eventually(ask: Callable[[], Awaitable[bool]], *, limit: float = 20.0) -> None:
    """Return when ``ask`` says yes; engines take a moment to notice things."""
    async with asyncio.timeout(limit):
        while not await ask():  # noqa: ASYNC110 (an engine has no event to wait for)
            await asyncio.sleep(0.02)


async def read_until(terminal: Terminal, text: bytes, *, limit: float = 20.0) -> bytes:
    """Read a terminal until ``text`` has come; return everything read."""
    seen = b""
    async with asyncio.timeout(limit):
        while text not in seen:
            data = await terminal.read()
            assert data, f"the stream ended after {seen!r}"
            seen += data
    return seen


async def read_all(terminal: Terminal, *, limit: float = 60.0) -> bytes:
    """Read a terminal to its end."""
    parts: list[bytes] = []
    async with asyncio.timeout(limit):
        while data := await terminal.read():
            parts.append(data)
    return b"".join(parts)
