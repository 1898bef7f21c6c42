"""Containers without a shell: what a terminal left is ended from outside."""

import asyncio
from pathlib import Path

import pytest

from runtime import ContainerSpec, ExecSpec, connect
from tests.engines import PrivateEngine, program, tar_of

BARE = "bare:latest"


def bare_image() -> bytes:
    return tar_of({"bin/sleep": Path(program("busybox", package="busybox-static")).read_bytes()})


def processes_with(text: bytes) -> int:
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                count += text in (entry / "environ").read_bytes()
            except OSError:
                continue
    return count


@pytest.mark.parametrize("kind", ["dockerd", "podman"])
async def test_it_is_ended_all_the_same(kind: str, request: pytest.FixtureRequest) -> None:
    daemon: PrivateEngine = request.getfixturevalue(kind)
    daemon.import_image(bare_image(), reference=BARE)
    engine = connect(daemon.endpoint)
    container_id = await engine.create_container(
        ContainerSpec(name="bare", image=BARE, command=("/bin/sleep", "1000"), init=False)
    )
    await engine.start_container(container_id)
    mark = f"marker-without-a-shell-{kind}"
    spec = ExecSpec(command=("/bin/sleep", "999"), environment=(("PILOTHOUSE_TERMINAL", mark),))
    terminal = await engine.open_exec(container_id, spec)
    async with asyncio.timeout(10):
        while not processes_with(mark.encode()):  # noqa: ASYNC110 (a process table has no event)
            await asyncio.sleep(0.02)
    assert await terminal.kill()
    assert processes_with(mark.encode()) == 0
    await terminal.close()
    await engine.remove_container(container_id, force=True)
    await engine.remove_image(BARE, force=True)
    await engine.close()
