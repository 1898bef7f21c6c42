"""A daemon that is stopped (SIGSTOP) accepts connections and never answers."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runtime import ContainerEngine, ContainerSpec, ExecSpec, TimedOut, connect
from tests.engines import PrivateEngine
from tests.runtime.conftest import IMAGE, impatient

Call = Callable[[ContainerEngine, str], Awaitable[object]]


async def first_log(engine: ContainerEngine, container_id: str) -> object:
    return [chunk async for chunk in engine.logs(container_id, tty=False, follow=True)]


async def first_event(engine: ContainerEngine, _: str) -> object:
    return [event async for event in engine.events()]


async def first_sample(engine: ContainerEngine, container_id: str) -> object:
    return [sample async for sample in engine.stats(container_id)]


CALLS: dict[str, Call] = {
    "ping": lambda engine, _: engine.ping(),
    "list": lambda engine, _: engine.list_containers(),
    "inspect": lambda engine, box: engine.inspect_container(box),
    "exec": lambda engine, box: engine.open_exec(box, ExecSpec(command=("sh",))),
    "attach": lambda engine, box: engine.attach(box, tty=False),
    "logs": first_log,
    "events": first_event,
    "stats": first_sample,
}


@pytest.mark.parametrize("name", CALLS)
async def test_every_question_times_out(dockerd: PrivateEngine, box: str, name: str) -> None:
    engine = connect(impatient(dockerd.endpoint, read=0.2))
    await engine.ping()
    with dockerd.frozen():
        async with asyncio.timeout(8):
            with pytest.raises(TimedOut):
                await CALLS[name](engine, box)
    await engine.close()


async def test_through_tls_it_times_out_too(dockerd: PrivateEngine) -> None:
    assert dockerd.tls_endpoint is not None
    engine = connect(impatient(dockerd.tls_endpoint, read=0.2))
    await engine.ping()
    with dockerd.frozen(), pytest.raises(TimedOut):
        await engine.list_containers()
    await engine.close()


async def test_a_change_is_given_more_time(dockerd: PrivateEngine, docker: ContainerEngine) -> None:
    engine = connect(impatient(dockerd.endpoint, read=0.2))
    await engine.ping()
    with dockerd.frozen():
        creating = asyncio.create_task(
            engine.create_container(ContainerSpec(name="patient", image=IMAGE, command=("true",)))
        )
        await asyncio.sleep(1)
        assert not creating.done()
    async with asyncio.timeout(20):
        assert len(await creating) == 64
    await engine.close()


async def test_once_it_goes_on_everything_does(dockerd: PrivateEngine, docker: ContainerEngine, box: str) -> None:
    terminal = await docker.open_exec(box, ExecSpec(command=("cat",), tty=False))
    with dockerd.frozen():
        await terminal.write(b"kept")
        await asyncio.sleep(0.2)
    async with asyncio.timeout(10):
        assert await terminal.read() == b"kept"
    await terminal.kill()
    await terminal.close()
