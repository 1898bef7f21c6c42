"""Files in and out of a container: by its own shell, and by the engine."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Iterator

import pytest

from runtime import (
    ArchiveFiles,
    BackendError,
    Conflict,
    ContainerEngine,
    ContainerSpec,
    ExecFiles,
    ExecSpec,
    Files,
    NotFound,
    PathKind,
    Unsupported,
    find_place,
)
from runtime.testing import FakeEngine
from tests.runtime.conftest import IMAGE, hash_block
from tests.runtime.contract.conftest import Run, eventually, read_until

NAMES = [
    "plain.txt",
    "with space",
    "-rf",
    "$(id)",
    "BZh91AY&SY",
    "가나다.txt",
    "a'\"b\\c",
    "*",
    "x" * 255,
    "é" * 127,
    "~",
]


async def parts_of(data: bytes, *, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def content(files: Files, path: str) -> bytes:
    stream = await files.read(path)
    try:
        return b"".join([part async for part in stream])
    finally:
        await stream.aclose()


async def write(files: Files, folder: str, name: str, data: bytes, *, overwrite: bool = False) -> None:
    await files.write(folder, name, size_bytes=len(data), data=parts_of(data), overwrite=overwrite)


async def shell(engine: ContainerEngine, container_id: str, script: str) -> str:
    output = await engine.run_exec(container_id, ExecSpec(command=("sh", "-c", script), tty=False))
    return output.stdout.decode()


@pytest.fixture(params=["exec", "archive"])
def way(request: pytest.FixtureRequest) -> str:
    """Which of the two ways to the files."""
    name: str = request.param
    return name


def files_of(engine: ContainerEngine, container_id: str, *, way: str, user: str = "") -> Files:
    return ExecFiles(engine, container_id, user=user) if way == "exec" else ArchiveFiles(engine, container_id)


def blocks(count: int) -> Iterator[bytes]:
    return (hash_block(number) * 1024 for number in range(count))


async def test_what_goes_in_comes_out(engine: ContainerEngine, run: Run, way: str) -> None:
    files = files_of(engine, await run(), way=way)
    for size in (0, 1, 511, 512, 513, 100_000):
        data = (hash_block(size) * (size // 64 + 1))[:size]
        await write(files, "/tmp", "file", data, overwrite=True)
        stat = await files.stat("/tmp/file")
        assert (stat.name, stat.kind, stat.size_bytes, stat.mode) == ("file", PathKind.FILE, size, 0o644)
        assert stat.modified_at is not None
        assert await content(files, "/tmp/file") == data


async def test_any_name_is_only_a_name_and_nothing_is_not_found(
    engine: ContainerEngine, member: str, run: Run, way: str
) -> None:
    files = files_of(engine, await run(), way=way)
    names = NAMES
    if (member, way) == ("podman", "archive"):
        names = [name for name in NAMES if not {"*", "\\"} & set(name)]
        with pytest.raises(Unsupported):
            await files.read("/home/user/*")
    for name in names:
        await write(files, "/home/user", name, name.encode())
    for name in names:
        assert await content(files, f"/home/user/{name}") == name.encode()
        assert (await files.stat(f"/home/user/{name}")).name == name

    for act in (files.stat("/nowhere/x"), files.read("/nowhere"), write(files, "/nowhere", "x", b"x")):
        with pytest.raises(NotFound) as caught:
            await act
        assert caught.value.reason == "path_missing"


async def test_what_exists_is_replaced_only_when_asked_for(engine: ContainerEngine, run: Run, way: str) -> None:
    files = files_of(engine, await run(), way=way)
    await write(files, "/tmp", "file", b"first")
    with pytest.raises(Conflict) as caught:
        await write(files, "/tmp", "file", b"second")
    assert caught.value.reason == "path_exists"
    assert await content(files, "/tmp/file") == b"first"
    await write(files, "/tmp", "file", b"third", overwrite=True)
    assert await content(files, "/tmp/file") == b"third"

    with pytest.raises(Conflict) as caught:
        await write(files, "/home", "user", b"x", overwrite=True)
    assert caught.value.reason == "is_folder"
    with pytest.raises(Conflict) as caught:
        await write(files, "/etc/passwd", "x", b"x")
    assert caught.value.reason == "not_folder"


async def test_a_folder_comes_as_a_tar_and_the_system_does_not(engine: ContainerEngine, run: Run, way: str) -> None:
    files = files_of(engine, await run(), way=way)
    await write(files, "/home/user", "one", b"1")
    stream = await files.read("/home/user")
    assert (stream.stat.kind, stream.size_bytes) == (PathKind.FOLDER, None)
    text = b"".join([part async for part in stream])
    with tarfile.open(fileobj=io.BytesIO(text)) as tar:
        assert {name.removeprefix("./").rstrip("/") for name in tar.getnames()} == {"user", "user/one"}

    for path in ("/", "/tmp/..", "/proc", "/sys", "/dev"):
        with pytest.raises(Conflict) as caught:
            await files.read(path)
        assert caught.value.reason == "whole_system"
    assert (await files.stat("/proc")).kind is PathKind.FOLDER


async def test_a_device_is_not_read_and_nothing_stays_behind(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    files = ExecFiles(engine, container_id)
    assert (await files.stat("/dev/null")).kind is PathKind.OTHER
    with pytest.raises(Conflict) as caught:
        await files.read("/dev/null")
    assert caught.value.reason == "not_regular"
    await write(files, "/tmp", "file", b"x" * 3_000_000)
    stream = await files.read("/tmp/file")
    await anext(aiter(stream))
    await stream.aclose()
    if isinstance(engine, FakeEngine):
        await asyncio.sleep(0)
        assert len(engine.processes(container_id)) == 1
        return

    async def is_quiet() -> bool:
        return "cat /tmp/file" not in await shell(engine, container_id, "ps -o args")

    await eventually(is_quiet)


async def test_a_link_is_followed_inside_and_replaced_not_written_through(
    engine: ContainerEngine, run: Run, way: str
) -> None:
    container_id = await run()
    files = files_of(engine, container_id, way=way)
    if isinstance(engine, FakeEngine):
        engine.files(container_id).add("/tmp/link", kind="link", target="/etc/passwd")
        engine.files(container_id).add("/tmp/folder", kind="link", target="../home/user")
    else:
        await shell(engine, container_id, "ln -s /etc/passwd /tmp/link; ln -s ../home/user /tmp/folder")
    assert b"root" in await content(files, "/tmp/link")
    assert (await files.stat("/tmp/link")).name == "link"
    with pytest.raises(Conflict) as caught:
        await write(files, "/tmp", "link", b"mine")
    assert caught.value.reason == "path_exists"
    await write(files, "/tmp", "link", b"mine", overwrite=True)
    assert await content(files, "/tmp/link") == b"mine"
    assert b"root" in await content(files, "/etc/passwd")
    await write(files, "/tmp/folder", "file", b"there")
    assert await content(files, "/home/user/file") == b"there"


async def test_what_is_cut_short_is_no_file(engine: ContainerEngine, run: Run) -> None:
    files = ExecFiles(engine, await run())

    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 1000
        raise ConnectionResetError("the browser went")

    with pytest.raises(ConnectionResetError):
        await files.write("/tmp", "cut", size_bytes=2000, data=broken(), overwrite=False)
    with pytest.raises(BackendError) as caught:
        await files.write("/tmp", "cut", size_bytes=2000, data=parts_of(b"x" * 1999), overwrite=False)
    assert caught.value.reason == "file_changed"
    with pytest.raises(NotFound):
        await files.stat("/tmp/cut")

    async def is_tidy() -> bool:
        stream = await files.read("/tmp")
        text = b"".join([part async for part in stream])
        with tarfile.open(fileobj=io.BytesIO(text)) as tar:
            return not any(name.endswith(".part") for name in tar.getnames())

    await eventually(is_tidy)


async def test_a_file_is_the_users_who_reaches_no_further_than_in_a_shell(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await write(ExecFiles(engine, container_id, user="1000"), "/tmp", "mine", b"x")
    if isinstance(engine, FakeEngine):
        assert engine.files(container_id).nodes["/tmp/mine"].uid == 1000
    else:
        assert await shell(engine, container_id, "stat -c '%u %a' /tmp/mine") == "1000 644\n"

    if isinstance(engine, FakeEngine):
        engine.files(container_id).add("/root/secret", b"x")
        engine.files(container_id).denied |= {"/root/secret", "/etc"}
    else:
        await shell(engine, container_id, "echo x >/root/secret; chmod 600 /root/secret")
    files = ExecFiles(engine, container_id, user="1000")
    for act in (files.read("/root/secret"), write(files, "/etc", "x", b"x")):
        with pytest.raises(Conflict) as caught:
            await act
        assert caught.value.reason == "path_denied"


async def test_a_read_only_container_says_so(engine: ContainerEngine, run: Run, way: str) -> None:
    files = files_of(engine, await run(read_only_root=True), way=way)
    with pytest.raises(Conflict) as caught:
        await write(files, "/home/user", "x", b"x")
    assert caught.value.reason == "read_only"
    assert b"root" in await content(files, "/etc/passwd")


async def test_the_engine_reaches_what_does_not_run(engine: ContainerEngine) -> None:
    container_id = await engine.create_container(ContainerSpec(name="still", image=IMAGE, command=("true",)))
    files = ArchiveFiles(engine, container_id)
    await write(files, "/home/user", "file", b"text")
    assert await content(files, "/home/user/file") == b"text"
    with pytest.raises(Conflict) as caught:
        await ExecFiles(engine, container_id).stat("/etc/passwd")
    assert caught.value.reason == "not_running"


async def test_the_engine_reaches_what_is_paused(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await engine.pause_container(container_id)
    files = ArchiveFiles(engine, container_id)
    await write(files, "/home/user", "file", b"text")
    assert await content(files, "/home/user/file") == b"text"
    with pytest.raises(Conflict) as caught:
        await ExecFiles(engine, container_id).stat("/etc/passwd")
    assert caught.value.reason == "paused"
    await engine.unpause_container(container_id)


async def test_a_link_itself_is_what_the_engine_sees(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    if isinstance(engine, FakeEngine):
        engine.files(container_id).add("/tmp/link", kind="link", target="../etc/passwd")
    else:
        await shell(engine, container_id, "ln -s ../etc/passwd /tmp/link")
    stat = await engine.stat_archive(container_id, "/tmp/link")
    assert (stat.kind, stat.link_target, stat.size_bytes) == (PathKind.LINK, "/etc/passwd", 0)
    with pytest.raises(NotFound) as caught:
        await engine.stat_archive(container_id, "/tmp/nothing")
    assert caught.value.reason == "path_missing"
    with pytest.raises(NotFound) as caught:
        await engine.stat_archive("a" * 64, "/tmp")
    assert caught.value.reason == "container_missing"


async def test_an_archive_can_be_left_unread(engine: ContainerEngine, run: Run, way: str) -> None:
    files = files_of(engine, await run(), way=way)
    await files.write("/tmp", "big", size_bytes=64 * 1024 * 40, data=_blocks(40), overwrite=False)
    unread = await files.read("/tmp/big")
    await unread.aclose()
    begun = await files.read("/tmp/big")
    async for part in begun:
        assert part
        break
    await begun.aclose()
    await begun.aclose()
    digest = hashlib.sha256(await content(files, "/tmp/big")).digest()
    assert digest == hashlib.sha256(b"".join(blocks(40))).digest()


async def _blocks(count: int) -> AsyncIterator[bytes]:
    for block in blocks(count):
        yield block


async def test_the_shells_place_is_found(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    marker = "marker-of-a-place-0123"
    spec = ExecSpec(command=("sh",), environment=(("PILOTHOUSE_TERMINAL", f"{marker}.more"),))
    terminal = await engine.open_exec(container_id, spec)
    try:
        if not isinstance(engine, FakeEngine):
            await terminal.write(b"cd /home/user; sleep 1000 & cd /tmp\n")
        await terminal.write(b"echo the''re\n")
        await read_until(terminal, b"there")
        if isinstance(engine, FakeEngine):
            engine.files(container_id).place = "/tmp"
        assert await find_place(engine, container_id, marker=marker) == "/tmp"
        if not isinstance(engine, FakeEngine):
            # Deeper: a program in the foreground that stands elsewhere.
            await terminal.write(b"(cd /home/user && exec sleep 999)\n")

            async def is_there() -> bool:
                return await find_place(engine, container_id, marker=marker) == "/home/user"

            await eventually(is_there)
            assert await find_place(engine, container_id, marker="another-marker-0123") is None
    finally:
        await terminal.kill()
        await terminal.close()
