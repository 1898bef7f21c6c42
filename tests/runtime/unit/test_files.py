"""Files in and out: what is refused before anything reaches an engine, and what is made of odd answers."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator

import pytest

from runtime import ArchiveFiles, ContainerSpec, ExecFiles, Invalid, ProtocolError, Terminated
from runtime.archives import BLOCK, pack, unpack
from runtime.drivers.docker import parse
from runtime.files import is_archive_safe
from runtime.testing import FakeEngine


async def parts_of(data: bytes, *, size: int = 700) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def packed(name: str, data: bytes, *, size: int | None = None) -> bytes:
    made = pack(
        parts_of(data),
        name=name,
        size_bytes=len(data) if size is None else size,
        mode=0o644,
        uid=1000,
        gid=1000,
        mtime=1,
    )
    return b"".join([part async for part in made])


async def unpacked(tar: bytes) -> bytes:
    return b"".join([part async for part in unpack(parts_of(tar))])


async def engine_with_container() -> tuple[FakeEngine, str]:
    engine = FakeEngine()
    container_id = await engine.create_container(
        ContainerSpec(name="a", image="starter:latest", command=("sleep", "9"))
    )
    await engine.start_container(container_id)
    engine.calls.clear()
    return engine, container_id


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc/x", "a\0b", "x" * 256])
@pytest.mark.parametrize("way", [ExecFiles, ArchiveFiles])
async def test_what_is_no_name_reaches_no_engine(name: str, way: type[ExecFiles | ArchiveFiles]) -> None:
    engine, container_id = await engine_with_container()
    with pytest.raises(Invalid):
        await way(engine, container_id).write("/tmp", name, size_bytes=1, data=parts_of(b"x"), overwrite=True)
    assert not {"open_exec", "put_archive"} & set(engine.calls)
    await engine.shut_down()


@pytest.mark.parametrize("path", ["", "etc/passwd", "../etc", "/a\0b", "/" + "x" * 5000])
@pytest.mark.parametrize("way", [ExecFiles, ArchiveFiles])
async def test_what_is_no_whole_path_reaches_no_engine(path: str, way: type[ExecFiles | ArchiveFiles]) -> None:
    engine, container_id = await engine_with_container()
    files = way(engine, container_id)
    for act in (
        files.stat(path),
        files.read(path),
        files.write(path, "x", size_bytes=1, data=parts_of(b"x"), overwrite=True),
    ):
        with pytest.raises(Invalid):
            await act
    assert engine.calls == []
    await engine.shut_down()


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5000])
@pytest.mark.parametrize("name", ["a", "BZh91AY&SY", "\x1f\x8b\x08", "가" * 80, "x" * 255])
async def test_a_tar_of_one_file_is_one_and_looks_like_nothing_else(name: str, size: int) -> None:
    data = bytes(range(256)) * 20
    text = await packed(name, data[:size])
    assert text.startswith(b"./")
    with tarfile.open(fileobj=io.BytesIO(text), mode="r:") as tar:
        [entry] = tar.getmembers()
        assert (entry.name, entry.mode, entry.uid, entry.size) == (f"./{name}", 0o644, 1000, size)
        assert entry.isreg()
    assert await unpacked(text) == data[:size]


async def test_a_file_beyond_eight_gigabytes_has_its_size() -> None:
    made = pack(parts_of(b""), name="big", size_bytes=9 * 1024**3, mode=0o644, uid=0, gid=0, mtime=1)
    header = await anext(made)
    await made.aclose()
    assert tarfile.TarInfo.frombuf(header[-BLOCK:], "utf-8", "strict").size in (0, 9 * 1024**3)
    reader = unpack(parts_of(header + b"x" * 1000))
    assert len(await anext(reader)) > 0
    await reader.aclose()


@pytest.mark.parametrize("size", [4, 6])
async def test_a_file_of_another_size_than_announced_is_cut(size: int) -> None:
    with pytest.raises(Terminated):
        await packed("a", b"12345", size=size)


async def test_of_an_answer_only_one_whole_file_is_believed() -> None:
    text = await packed("a", b"x" * 2000)
    with pytest.raises(Terminated):
        await unpacked(text[:1500])
    for wrong in (b"\0" * 1024, b"x" * 1024, await packed("가" * 80, b"")):
        with pytest.raises((ProtocolError, Terminated)):
            await unpacked(wrong[:1024])
    for kind in (tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.LNKTYPE):
        entry = tarfile.TarInfo("a")
        entry.type = kind
        with pytest.raises(ProtocolError):
            await unpacked(entry.tobuf())


async def test_a_header_without_end_is_not_read() -> None:
    entry = tarfile.TarInfo("a")
    entry.type, entry.size = tarfile.XHDTYPE, 10 * 1024**3
    with pytest.raises(ProtocolError):
        await unpacked(entry.tobuf(format=tarfile.GNU_FORMAT))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE])
async def test_a_file_of_less_than_nothing_is_the_protocols_fault(kind: bytes) -> None:
    entry = tarfile.TarInfo("a")
    entry.type, entry.size = kind, -512
    with pytest.raises(ProtocolError):
        await unpacked(entry.tobuf(format=tarfile.GNU_FORMAT) + b"x" * 2000)


@pytest.mark.parametrize("header", [None, "", "!", "bm8=", "W10=", "eyJzaXplIjoiMSJ9"])
def test_a_stat_that_is_none_is_the_protocols_fault(header: str | None) -> None:
    with pytest.raises(ProtocolError):
        parse.path_stat(header)


@pytest.mark.parametrize(
    ("product", "version", "safe"),
    [
        ("Docker Engine - Community", "20.10.24", False),
        ("Docker", "28.2.2", False),
        ("Docker", "29.5.0", False),
        ("Docker", "29.5.1", True),
        ("Docker", "29.5.1-rc.1", True),
        ("Docker", "30.0", True),
        ("Docker", "library-import", False),
        ("Podman Engine", "4.3.1", True),
    ],
)
def test_engines_with_known_holes_are_known(product: str, version: str, *, safe: bool) -> None:
    assert is_archive_safe(product, version) is safe
