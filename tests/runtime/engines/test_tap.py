"""The tap: what reached the engine, and what it does to those who talk through it."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime import (
    Conflict,
    ContainerEngine,
    ContainerSpec,
    ExecSpec,
    Invalid,
    NotFound,
    ProtocolError,
    Terminated,
    TimedOut,
    Timeouts,
    connect,
)
from runtime.testing import EngineTap
from tests.engines import PrivateEngine, busybox_image_tar
from tests.runtime.conftest import IMAGE


@pytest.fixture
def tap(dockerd: PrivateEngine, socket_directory: Path) -> Iterator[EngineTap]:
    with EngineTap(dockerd.socket, listen=socket_directory / "tap.sock") as opened:
        yield opened


def through(tap: EngineTap) -> ContainerEngine:
    return connect(replace(tap.endpoint, timeouts=Timeouts(connect=2, read=1)))


async def test_it_records_what_reached_the_engine(tap: EngineTap, docker: ContainerEngine) -> None:
    engine = through(tap)
    container_id = await engine.create_container(ContainerSpec(name="seen", image=IMAGE, command=("true",)))
    await engine.inspect_container(container_id)
    created, inspected = tap.requests[1:]
    assert (created.method, created.path, created.query) == ("POST", "/containers/create", {"name": "seen"})
    assert created.json()["Image"] == IMAGE
    assert (inspected.method, inspected.path) == ("GET", f"/containers/{container_id}/json")
    assert tap.changes == [created]
    tap.clear()
    assert tap.requests == []
    await engine.close()


async def test_what_is_refused_before_leaves_no_trace(tap: EngineTap) -> None:
    engine = through(tap)
    await engine.ping()
    tap.clear()
    with pytest.raises(Invalid):
        await engine.start_container("../images/prune")
    assert tap.requests == []
    await engine.close()


async def test_streams_pass_through_it(tap: EngineTap, box: str) -> None:
    engine = through(tap)
    terminal = await engine.open_exec(box, ExecSpec(command=("cat",), tty=False))
    await terminal.write(b"x" * 500_000)
    await terminal.write_eof()
    received = 0
    async with asyncio.timeout(20):
        while data := await terminal.read():
            received += len(data)
    assert received == 500_000
    assert await terminal.exit_code() == 0
    await terminal.close()

    async def tar() -> object:
        yield busybox_image_tar()

    await engine.import_image(tar(), reference="tapped:1")  # type: ignore[arg-type]
    assert tap.requests[-1].body == busybox_image_tar()
    await engine.remove_image("tapped:1")
    await engine.close()


async def test_a_lost_reply_leaves_the_work_done(tap: EngineTap, docker: ContainerEngine) -> None:
    engine = through(tap)
    tap.cut_reply(after=0, matching="POST /containers/create")
    spec = ContainerSpec(name="lost", image=IMAGE, command=("true",))
    with pytest.raises(Terminated):
        await engine.create_container(spec)
    with pytest.raises(Conflict) as caught:
        await engine.create_container(spec)
    assert caught.value.reason == "name_taken"
    await engine.close()


async def test_a_log_cut_at_a_byte_is_terminated(tap: EngineTap, docker: ContainerEngine) -> None:
    container_id = await docker.create_container(
        ContainerSpec(name="long", image=IMAGE, command=("sh", "-c", "seq 1 20000"))
    )
    await docker.start_container(container_id)
    await docker.wait_container(container_id)
    engine = through(tap)
    await engine.ping()
    for after in (300, 5_000, 50_000):
        tap.cut_reply(after=after, matching="/logs")
        received = 0

        async def read() -> None:
            nonlocal received
            async for chunk in engine.logs(container_id, tty=False):
                received += len(chunk.data)

        with pytest.raises(Terminated):
            await read()
        assert received <= after
    await engine.close()


async def test_a_terminal_cut_off_is_terminated(tap: EngineTap, box: str) -> None:
    engine = through(tap)
    terminal = await engine.open_exec(box, ExecSpec(command=("cat",)))
    await terminal.write(b"x")
    assert await terminal.read() == b"x"
    tap.cut_all()

    async def read() -> None:
        while await terminal.read():
            pass

    async with asyncio.timeout(10):
        with pytest.raises(Terminated):
            await read()
    assert await terminal.kill()
    await terminal.close()
    await engine.close()


async def test_it_delays_hangs_and_lies(tap: EngineTap) -> None:
    engine = through(tap)
    await engine.ping()
    tap.delay(0.2, matching="GET /containers/json", times=1)
    async with asyncio.timeout(5):
        await engine.list_containers()
    tap.hang(matching="GET /containers/json", times=1)
    with pytest.raises(TimedOut):
        await engine.list_containers()
    tap.answer(b"220 smtp ready\r\n", matching="GET /containers/json", times=1)
    with pytest.raises(ProtocolError):
        await engine.list_containers()
    with pytest.raises(NotFound):
        await engine.inspect_container("nobody")
    await engine.close()


async def test_nobody_may_wait_for_a_tap_that_cannot_listen(dockerd: PrivateEngine) -> None:
    with pytest.raises(OSError, match="No such file"):
        EngineTap(dockerd.socket, listen=Path("/no/such/folder/tap.sock")).__enter__()
