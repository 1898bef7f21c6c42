"""A daemon that dies in the middle of a stream."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from runtime import BackendError, ContainerSpec, ExecSpec, Terminal, Terminated, Unreachable, connect
from tests.engines import PrivateEngine, busybox_image_tar, private_dockerd, short_directory
from tests.runtime.conftest import IMAGE


@pytest.fixture
def mortal() -> Iterator[PrivateEngine]:
    """A daemon of this test's own."""
    with short_directory() as directory, private_dockerd(directory) as engine:
        engine.import_image(busybox_image_tar(), reference=IMAGE)
        yield engine


async def test_every_stream_says_that_it_was_cut(mortal: PrivateEngine) -> None:
    engine = connect(mortal.endpoint)
    box = await engine.create_container(
        ContainerSpec(name="box", image=IMAGE, command=("sh", "-c", "echo started; sleep 1000"))
    )
    await engine.start_container(box)
    terminal = await engine.open_exec(box, ExecSpec(command=("sh",)))
    while b"# " not in await terminal.read():
        pass
    plain = await engine.open_exec(box, ExecSpec(command=("cat",), tty=False))
    attached = await engine.attach(box, tty=False)
    logs = engine.logs(box, tty=False, follow=True)
    assert (await anext(logs)).data == b"started\n"
    stats = engine.stats(box)
    await anext(stats)
    events = engine.events(since=0)
    await anext(events)

    waiting = [
        asyncio.create_task(waits)
        for waits in (
            drain(terminal),
            drain(plain),
            drain(attached),
            exhaust(logs),
            exhaust(stats),
            exhaust(events),
        )
    ]
    await asyncio.sleep(0.2)
    mortal.kill()
    async with asyncio.timeout(10):
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [Terminated] * 6
    with pytest.raises(Unreachable):
        await engine.list_containers()
    with pytest.raises(BackendError):
        await terminal.write(b"x")
    for opened in (terminal, plain, attached):
        await opened.close()

    # The same engine object goes on once the daemon is back.
    mortal.start()
    assert len(await engine.list_containers()) == 1
    await engine.close()


async def drain(terminal: Terminal) -> None:
    while await terminal.read():
        pass


async def exhaust(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass
