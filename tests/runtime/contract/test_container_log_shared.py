"""A log that several follow at the hub: each gets every line once, whenever it comes and whatever engine it is."""

import asyncio

from runtime import ContainerEngine
from runtime.hub.logs import LogHub
from runtime.hub.messages import Ended, FollowLog
from tests.runtime.contract.conftest import Run, read_until
from tests.runtime.viewers import LogViewer

#: In bursts, so that many lines have the same second, some the same text, and viewers come in the middle of one.
LINES = [line for number in range(3000) for line in ([f"line-{number}", "same"] if number % 4 == 0 else ["same"])]


async def test_every_viewer_gets_every_line_once(engine: ContainerEngine, run: Run) -> None:
    hub = LogHub(lambda _endpoint: engine)
    container_id = await run("cat", open_stdin=True)
    terminal = await engine.attach(container_id, tty=False)

    async def write() -> None:
        for at in range(0, len(LINES), 150):
            await terminal.write("".join(f"{line}\n" for line in LINES[at : at + 150]).encode())
            await asyncio.sleep(0.02)
        await terminal.write(b"last\n")

    writing = asyncio.create_task(write())
    said = asyncio.create_task(read_until(terminal, b"last\n"))
    viewers: list[LogViewer] = []
    for number in range(8):
        order = FollowLog(endpoint={}, container_id=container_id, tty=False, timestamps=number % 2 == 0)
        viewers.append(LogViewer(hub, order))
        # The next one comes at another place of the log.
        await viewers[0].lines(100 * number + 1)
    await writing
    wanted = (await said).decode().splitlines()
    assert wanted == [*LINES, "last"]
    await engine.kill_container(container_id)
    for viewer in viewers:
        assert await viewer.ended() == Ended(reason="exited")
        assert [line.rpartition(" ")[2] for line in viewer.text.decode().splitlines()] == wanted
    await terminal.close()
    await hub.close()


async def test_a_silent_log_is_joined_where_it_stands(engine: ContainerEngine, run: Run) -> None:
    hub = LogHub(lambda _endpoint: engine)
    container_id = await run("cat", open_stdin=True)
    viewers = [LogViewer(hub, FollowLog(endpoint={}, container_id=container_id, tty=False)) for _ in range(2)]
    terminal = await engine.attach(container_id, tty=False)
    await terminal.write(b"first\n")
    for viewer in viewers:
        assert await viewer.lines(1) == [b"first"]
    await terminal.close()
    for viewer in viewers:
        await viewer.leave()
    await hub.close()


async def test_a_container_that_nobody_knows(engine: ContainerEngine) -> None:
    hub = LogHub(lambda _endpoint: engine)
    viewer = LogViewer(hub, FollowLog(endpoint={}, container_id="0" * 64, tty=False))
    ended = await viewer.ended()
    assert ended.error is not None
    assert ended.error["code"] == "not_found"
    await asyncio.wait_for(hub.close(), 10)
