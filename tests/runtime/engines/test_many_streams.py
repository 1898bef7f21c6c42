"""Many streams of one engine at once, and nothing left open afterwards."""

import asyncio
from contextlib import aclosing
from pathlib import Path

from runtime import ContainerEngine, ContainerSpec, ExecSpec
from tests.runtime.conftest import IMAGE


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_hundred_followers_of_one_log(docker: ContainerEngine) -> None:
    # It lives on: dockerd 20.10 may drop what a slow follower has not got when the container ends.
    container_id = await docker.create_container(
        ContainerSpec(name="said", image=IMAGE, command=("sh", "-c", "sleep 1; seq 1 1000; sleep 1000"))
    )
    await docker.start_container(container_id)
    said = b"".join(b"%d\n" % number for number in range(1, 1001))

    async def follow() -> bytes:
        heard = b""
        logs = docker.logs(container_id, tty=False, follow=True)
        async with aclosing(logs):  # type: ignore[type-var]
            async for chunk in logs:
                heard += chunk.data
                if len(heard) >= len(said):
                    break
        return heard

    async with asyncio.timeout(60):
        heard = await asyncio.gather(*(follow() for _ in range(100)))
    assert set(heard) == {said}


async def test_closed_streams_leave_no_files_open(docker: ContainerEngine, box: str) -> None:
    await docker.ping()
    before = open_files()
    for _ in range(5):
        terminals = await asyncio.gather(*(docker.open_exec(box, ExecSpec(command=("cat",))) for _ in range(4)))
        for terminal in terminals:
            await terminal.write(b"x")
            await terminal.read()
        logs = docker.logs(box, tty=False, follow=True)
        waiting = asyncio.ensure_future(anext(logs))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert all(await asyncio.gather(*(terminal.kill() for terminal in terminals)))
        for terminal in terminals:
            await terminal.close()
    await docker.close()
    await asyncio.sleep(0.1)
    assert open_files() <= before
    await docker.ping()
