"""Files of 100 MB through a real web process into a real container and out of it, in memory that stays flat."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest
from asgiref.sync import sync_to_async

from console.audit.models import AuditEvent
from console.gateway import ExecSpec, call
from tests.live.test_terminals import Place, hub, place, real_engine, redis, start, web  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("terminals")]

MIB: Final = 1024 * 1024
SIZE: Final = 100 * MIB
#: What the web process may hold of a file in all its buffers together: sockets', the server's, the engine's client's.
BUFFERED: Final = 16 * MIB
BLOCK: Final = bytes(range(256)) * 256
DIGEST: Final = hashlib.sha256(BLOCK * (SIZE // len(BLOCK))).hexdigest()
_TOKEN: Final = "x" * 32


class Browser:
    """A browser's requests for files."""

    def __init__(self, place: Place, session: aiohttp.ClientSession) -> None:  # noqa: F811
        self.place = place
        self.session = session
        self.base = f"http://127.0.0.1:{place.web.port}/terminals/files"
        self.target = {"host": str(place.container.host_id), "container": place.container.container_id}
        self.headers = {
            "Host": "testserver",
            "Origin": "http://testserver",
            "Accept": "application/json",
            "Cookie": f"pilothouse_session={place.session_key}; pilothouse_csrf={_TOKEN}",
            "X-CSRFToken": _TOKEN,
        }
        self.least = self.most = place.web.memory()

    def look(self) -> None:
        """Look at the memory of the web process."""
        self.most = max(self.most, self.place.web.memory())

    async def upload(self, name: str, *, size: int = SIZE, stop_at: int | None = None) -> tuple[int, Any]:
        """Send a file, or only the beginning of one."""

        async def body() -> AsyncIterator[bytes]:
            for at in range(0, size, len(BLOCK)):
                if stop_at is not None and at >= stop_at:
                    raise ConnectionResetError
                if at % (8 * MIB) == 0:
                    self.look()
                yield BLOCK

        async with self.session.post(
            f"{self.base}/upload/",
            params={**self.target, "folder": "/tmp", "name": name},
            data=body(),
            headers={**self.headers, "Content-Type": "application/octet-stream", "Content-Length": str(size)},
        ) as answer:
            return answer.status, await answer.json()

    def download(self, path: str) -> Any:
        """Ask for a file."""
        return self.session.post(f"{self.base}/download/", data={**self.target, "path": path}, headers=self.headers)


@pytest.fixture
async def browser(place: Place) -> AsyncIterator[Browser]:  # noqa: F811
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        made = Browser(place, session)
        # What the process loads once is no part of a file.
        assert await made.upload("first", size=MIB) == (201, {"path": "/tmp/first", "size_bytes": MIB})
        async with made.download("/tmp/first") as answer:
            assert len(await answer.read()) == MIB
        made.least = made.most = place.web.memory()
        yield made


async def shell(place: Place, script: str) -> str:  # noqa: F811
    """Run a command in the container."""
    container_id = place.container.container_id
    spec = ExecSpec(command=("sh", "-c", script), tty=False)
    output = await sync_to_async(
        lambda: call(place.container.host.endpoint, lambda engine: engine.run_exec(container_id, spec, timeout=30))
    )()
    return output.stdout.decode()


async def test_a_large_file_goes_in_and_out_in_flat_memory(place: Place, browser: Browser) -> None:  # noqa: F811
    assert await browser.upload("big") == (201, {"path": "/tmp/big", "size_bytes": SIZE})
    assert (await shell(place, "sha256sum /tmp/big")).split()[0] == DIGEST
    digest = hashlib.sha256()
    async with browser.download("/tmp/big") as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(SIZE))
        received = 0
        async for part in answer.content.iter_chunked(MIB):
            digest.update(part)
            received += len(part)
            if received % (8 * MIB) < len(part):
                browser.look()
    assert digest.hexdigest() == DIGEST
    assert browser.most - browser.least < BUFFERED
    await place.empties(limit=10)


async def test_a_browser_that_reads_no_further_costs_nothing(place: Place, browser: Browser) -> None:  # noqa: F811
    await shell(place, f"head -c {SIZE} /dev/zero >/tmp/zeros")
    async with browser.download("/tmp/zeros") as answer:
        await answer.content.readexactly(MIB)
        # The shell's program waits: nobody takes what it reads.
        assert await sync_to_async(place.processes)() > 2
        browser.look()
        assert browser.most - browser.least < BUFFERED
    await place.empties(limit=20)


async def test_a_browser_that_goes_leaves_no_part_behind(place: Place, browser: Browser) -> None:  # noqa: F811
    with pytest.raises(aiohttp.ClientError):
        await browser.upload("cut", stop_at=20 * MIB)

    def last() -> AuditEvent:
        return AuditEvent.objects.filter(action="container.file_write").latest("sequence")

    async with asyncio.timeout(20):
        while (await sync_to_async(last)()).outcome != "cancelled":  # noqa: ASYNC110 (another process writes it)
            await asyncio.sleep(0.05)
    await place.empties(limit=10)
    assert (await shell(place, "ls -A /tmp")).split() == ["first"]
