"""A viewer who does not read costs nothing and loses nothing."""

import asyncio
import gc
import resource
from pathlib import Path

from runtime import ContainerEngine, ExecSpec


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def test_a_flood_nobody_reads_stays_in_the_engine(docker: ContainerEngine, box: str) -> None:
    size = 100_000_000
    terminal = await docker.open_exec(
        box, ExecSpec(command=("sh", "-c", f"head -c {size} /dev/zero"), tty=False, attach_stdin=False)
    )
    await asyncio.sleep(0.3)
    gc.collect()
    before = resident_bytes()
    await asyncio.sleep(1)
    assert resident_bytes() - before < 4_000_000
    received = 0
    async with asyncio.timeout(60):
        while data := await terminal.read():
            assert len(data) <= 256 * 1024
            received += len(data)
    assert received == size
    assert resident_bytes() - before < 8_000_000
    assert await terminal.exit_code() == 0
    await terminal.close()


async def test_a_log_nobody_reads_stays_in_the_engine(docker: ContainerEngine, box: str) -> None:
    # A quiet viewer beside the flood: its answers come.
    flood = await docker.open_exec(box, ExecSpec(command=("yes",), tty=True))
    quiet = await docker.open_exec(box, ExecSpec(command=("sh", "-c", "stty raw -echo; echo ready; cat")))
    seen = b""
    while b"ready\n" not in seen:
        seen += await quiet.read()
    gc.collect()
    before = resident_bytes()
    async with asyncio.timeout(20):
        for number in range(50):
            await quiet.write(b"%d;" % number)
            assert await quiet.read() == b"%d;" % number
    assert resident_bytes() - before < 4_000_000
    for terminal in (flood, quiet):
        assert await terminal.kill()
        await terminal.close()
