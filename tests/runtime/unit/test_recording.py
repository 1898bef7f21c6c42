"""Recordings: what is written, whatever happens meanwhile, and what a check finds."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.recordings import (
    FailureCode,
    FaultKind,
    Head,
    LineReader,
    Recorder,
    RecordingFailure,
    is_closed,
    length_of,
    lines_of,
    read_events,
    read_header,
    text_of,
    verify,
)

ROOT = Path(__file__).parents[3]


class Failures(list[str]):
    """What was told, and when it is."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()

    def __call__(self, code: str) -> None:
        self.append(code)
        self.told.set()


def begin(path: Path, failures: Failures | None = None, **more: object) -> Recorder:
    arguments: dict[str, object] = {
        "columns": 80,
        "rows": 24,
        "on_failure": Failures() if failures is None else failures,
        **more,
    }
    return Recorder.start(path, **arguments)  # type: ignore[arg-type]


def content(path: Path) -> bytes:
    return path.read_bytes()


def put(path: Path, data: bytes | bytearray) -> None:
    path.write_bytes(data)


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def record(path: Path, *outputs: bytes) -> Head:
    recorder = begin(path)
    for output in outputs:
        recorder.output(output)
    return await recorder.close(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "one.cast"


async def test_it_is_what_every_player_plays(path: Path) -> None:
    recorder = begin(path, title="alice in web", details={"person": "alice"}, keeps_input=True)
    recorder.output(b"$ ")
    recorder.resized(100, 30)
    recorder.mark("here")
    for key in (b"l", b"s"):
        recorder.typed(key)
        recorder.output(key)
    recorder.typed(b"\r")
    recorder.output(b"\r\n")
    head = await recorder.close(3)

    first, *rest = content(path).decode().splitlines()
    header = json.loads(first)
    assert {name: header[name] for name in ("version", "width", "height", "title")} == {
        "version": 2,
        "width": 80,
        "height": 24,
        "title": "alice in web",
    }
    events = [json.loads(line) for line in rest]
    assert [event[1:] for event in events] == [
        ["o", "$ "],
        ["r", "100x30"],
        ["m", "here"],
        ["o", "l"],
        ["o", "s"],
        ["i", "ls\r"],
        ["m", "ls"],
        ["o", "\r\n"],
        ["x", "3"],
    ]
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    assert head == Head(size_bytes=len(content(path)), seconds=head.seconds, head=verify(path).head, complete=True)
    found = read_header(path)
    assert found is not None
    assert (found.columns, found.rows, found.title, found.details) == (80, 24, "alice in web", {"person": "alice"})


async def test_nobody_else_may_read_it(path: Path) -> None:
    await record(path, b"x")
    for name in (path, path.with_name("one.cast.chain")):
        assert stat.S_IMODE(name.stat().st_mode) == 0o600


async def test_it_writes_over_nothing(path: Path) -> None:
    put(path, b"mine")
    with pytest.raises(RecordingFailure):
        begin(path)
    assert content(path).decode() == "mine"
    assert not path.with_name("one.cast.chain").exists()


async def test_without_a_folder_it_does_not_begin(tmp_path: Path) -> None:
    with pytest.raises(RecordingFailure) as caught:
        begin(tmp_path / "none" / "one.cast")
    assert caught.value.code is FailureCode.NO_FOLDER


async def test_characters_in_pieces_are_whole_and_what_is_none_is_replaced(path: Path) -> None:
    await record(path, "한".encode()[:1], "한".encode()[1:], b"\xff|", "é".encode()[:1])
    assert "".join(event.text for event in read_events(path) if event.kind == "o") == "한\ufffd|\ufffd"


async def test_a_burst_becomes_few_events(path: Path) -> None:
    await record(path, *[b"x" * 100] * 2000)
    events = [event for event in read_events(path) if event.kind == "o"]
    assert "".join(event.text for event in events) == "x" * 200_000
    assert len(events) < 20
    assert max(len(event.text) for event in events) <= 64 * 1024


async def test_without_leave_no_input_is_kept(path: Path) -> None:
    recorder = begin(path, keeps_input=False)
    recorder.typed(b"l")
    recorder.output(b"l")
    recorder.typed(b"\r")
    await recorder.close()
    assert {event.kind for event in read_events(path)} == {"o"}


async def test_what_was_typed_without_echo_is_nowhere_in_the_file(path: Path) -> None:
    recorder = begin(path, keeps_input=True)
    recorder.output(b"Password: ")
    for key in "hunter2\r":
        recorder.typed(key.encode())
    recorder.output(b"\r\nLast login: today\r\n")
    await recorder.close()
    assert "hunter2" not in content(path).decode()


async def test_too_much_at_once_fails_and_says_so_once(path: Path) -> None:
    failures = Failures()
    recorder = begin(path, failures, queue_limit=10_000)
    for _ in range(10):
        recorder.output(b"x" * 4000)
    assert failures == [FailureCode.TOO_SLOW]
    assert recorder.failed
    head = await recorder.close()
    assert not head.complete
    assert not verify(path).complete
    assert verify(path).fault is None


async def test_a_file_has_a_largest_size(path: Path) -> None:
    failures = Failures()
    recorder = begin(path, failures, limit_bytes=50_000)
    for _ in range(10):
        recorder.output(os.urandom(10_000).hex().encode())
    head = await recorder.close()
    await failures.told.wait()
    assert failures == [FailureCode.TOO_LARGE]
    assert head.size_bytes == len(content(path)) <= 50_000
    assert not head.complete
    assert list(read_events(path)) == []  # an event is whole or not there
    assert verify(path).fault is None


class FullDisk:
    """A disk that takes so many bytes, and then half of what it is given once more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        taken = REAL_WRITE(descriptor, data[: self.room])
        self.room -= taken
        return taken


REAL_WRITE = os.write


async def test_a_full_disk_leaves_a_recording_that_is_whole_as_far_as_it_goes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.recordings.writer.os.write", FullDisk(400_000).write)
    failures = Failures()
    recorder = begin(path, failures)
    for _ in range(20):
        recorder.output(b"x" * 60_000)
    await failures.told.wait()
    head = await recorder.close()
    assert failures == [FailureCode.DISK_FULL]
    assert not head.complete
    verdict = verify(path)
    assert verdict.fault is None
    assert verdict.proved_bytes == verdict.size_bytes == head.size_bytes
    assert content(path).endswith(b"\n")


async def test_a_disk_that_is_full_already_lets_none_begin(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.recordings.writer.os.write", FullDisk(0).write)
    with pytest.raises(RecordingFailure) as caught:
        begin(path)
    assert caught.value.code is FailureCode.DISK_FULL
    assert list(path.parent.iterdir()) == []


async def test_a_disk_that_cannot_keep_it_is_a_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("runtime.recordings.writer.os.fdatasync", broken)
    failures = Failures()
    recorder = begin(path, failures)
    recorder.output(b"x")
    assert not (await recorder.close()).complete
    await failures.told.wait()
    assert failures == [FailureCode.DISK]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte, where one may be had."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "pilothouse-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_disk_that_is_really_full_stops_every_recording_on_it(small_disk: Path) -> None:
    failures = [Failures(), Failures()]
    recorders = [begin(small_disk / f"{index}.cast", failures[index]) for index in range(2)]
    for _ in range(30):
        for recorder in recorders:
            recorder.output(b"x" * 60_000)
    await asyncio.gather(*(failure.told.wait() for failure in failures))
    for index, recorder in enumerate(recorders):
        await recorder.close()
        assert failures[index] == [FailureCode.DISK_FULL]
        assert verify(small_disk / f"{index}.cast").fault is None


async def test_one_changed_byte_is_found(path: Path) -> None:
    head = await record(path, *[b"line %d\r\n" % number * 4000 for number in range(20)])
    whole = content(path)
    ends = [int(line.split()[0]) for line in path.with_name("one.cast.chain").read_text().splitlines()]
    assert len(ends) > 3
    for offset in [0, len(whole) - 1, *random.Random(1).sample(range(len(whole)), 20)]:
        changed = bytearray(whole)
        changed[offset] ^= 1
        put(path, changed)
        fault = verify(path, head=head.head).fault
        assert fault is not None
        assert fault.kind is FaultKind.CHANGED
        assert fault.start <= offset < fault.end
        assert fault.end - fault.start < 400_000
    put(path, whole)
    assert verify(path, head=head.head).fault is None


async def test_one_changed_byte_of_the_chain_is_found(path: Path) -> None:
    head = await record(path, *[b"line %d\r\n" % number * 4000 for number in range(20)])
    chain = path.with_name("one.cast.chain")
    whole = chain.read_bytes()
    for offset in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[offset] ^= 1
        chain.write_bytes(changed)
        assert verify(path, head=head.head).fault is not None, offset


async def test_a_cut_recording_is_found(path: Path) -> None:
    head = await record(path, b"x" * 1000)
    put(path, content(path)[:-10])
    fault = verify(path, head=head.head).fault
    assert fault is not None
    assert fault.kind is FaultKind.CUT


async def test_another_recording_in_its_place_is_found(path: Path, tmp_path: Path) -> None:
    head = await record(path, b"rm -rf /\r\n")
    other = tmp_path / "other.cast"
    await record(other, b"ls\r\n")
    assert verify(other).complete
    fault = verify(other, head=head.head).fault
    assert fault is not None
    assert fault.kind is FaultKind.HEAD


def test_a_recording_that_is_not_there_is_no_whole_one(path: Path) -> None:
    fault = verify(path).fault
    assert fault is not None
    assert fault.kind is FaultKind.MISSING


async def test_what_it_showed_can_be_read_with_the_time_of_each_line(path: Path) -> None:
    await record(path, b"\x1b[1m$ \x1b[0mDROP TABEL\b\b\x1b[KLE users;\r\n", b"gone\r\n$ ")
    assert text_of(path) == "$ DROP TABLE users;\ngone\n$"
    assert [line.text for line in lines_of(path)] == ["$ DROP TABLE users;", "gone", "$"]
    assert text_of(path, limit=6) == "$ DROP"


async def test_reading_goes_on_where_it_was_and_no_line_comes_twice(path: Path) -> None:
    outputs = [b"one\r\ntw", b"o\r\nthr", b"e", b"e\r\n", b"four\r\nfive"]
    recorder = begin(path)
    for number, output in enumerate(outputs):
        recorder.output(output)
        recorder.mark(str(number))  # so that each is an event
    recorder.resized(100, 30)
    await recorder.close()
    lines = content(path).splitlines(keepends=True)
    found: list[str] = []
    place = None
    for count in range(1, len(lines) + 1):
        put(path, b"".join(lines[:count]))
        reader = LineReader(path, place=place, is_ended=count == len(lines))
        found += [line.text for line in reader]
        place = reader.place
    assert found == ["one", "two", "three", "four", "five"]


async def test_how_long_it_is_can_be_told_without_reading_it(path: Path) -> None:
    recorder = begin(path)
    recorder.output(b"one")
    head = await recorder.close(0)
    assert length_of(path) == pytest.approx(head.seconds, abs=0.001)
    add(path, b'[7.5, "o", "two"]\n[9.5, "o", "cut o')
    assert length_of(path) == 7.5
    put(path, content(path).splitlines(keepends=True)[0])
    assert length_of(path) == 0.0


async def test_whether_it_was_closed_can_be_told_without_reading_it(path: Path) -> None:
    assert not is_closed(path)
    recorder = begin(path)
    assert not is_closed(path)
    await recorder.close()
    assert is_closed(path)


@pytest.mark.parametrize(
    "rest", ['[1.0, "o", "half', "[1]\n", "{}\n", "\x00\x01\n", "[" * 100_000 + "\n", '["1","o","x"]\n']
)
async def test_reading_ends_where_it_is_whole_no_longer(path: Path, rest: str) -> None:
    await record(path, b"whole")
    add(path, rest.encode())
    assert text_of(path) == "whole"


async def test_it_can_be_closed_twice_and_takes_nothing_after(path: Path) -> None:
    recorder = begin(path)
    recorder.output(b"x")
    first = recorder.close(0)
    recorder.output(b"y")
    assert await recorder.close(1) == await first
    assert text_of(path) == "x"


async def test_many_recordings_beside_each_other_are_all_whole(tmp_path: Path) -> None:
    heads = await asyncio.gather(
        *(record(tmp_path / f"{index}.cast", *[b"%d\r\n" % index] * 50) for index in range(100))
    )
    for index, head in enumerate(heads):
        assert verify(tmp_path / f"{index}.cast", head=head.head).complete
        assert text_of(tmp_path / f"{index}.cast") == "\n".join([str(index)] * 50)


#: Shows numbers, each told after it was given to the recorder, until it is killed in the middle of that.
COUNTER = """
import asyncio, os, signal, sys, threading, time
from pathlib import Path
from runtime.recordings import Recorder

async def main():
    recorder = Recorder.start(Path(sys.argv[1]), columns=80, rows=24, on_failure=lambda code: os._exit(3))
    threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGKILL)).start()
    number = 0
    while True:
        number += 1
        recorder.output(b"%d\\r\\n" % number)
        os.write(1, b"%d %f\\n" % (number, time.monotonic()))
        await asyncio.sleep(0.005)

asyncio.run(main())
"""


def test_killed_at_any_moment_it_is_valid_and_complete_to_two_seconds(tmp_path: Path) -> None:
    lives = [0.05, *(random.uniform(0.1, 1.5) for _ in range(3)), 2.4]
    paths = [tmp_path / f"{index}.cast" for index in range(len(lives))]
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNTER, path, str(life)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for path, life in zip(paths, lives, strict=True)
    ]
    for process, path in zip(processes, paths, strict=True):
        told = [(int(number), float(at)) for number, at in map(str.split, process.communicate()[0].splitlines())]
        assert process.returncode == -signal.SIGKILL
        verdict = verify(path)
        assert verdict.fault is None
        assert not verdict.complete
        assert read_header(path) is not None
        # Without a gap from the first number on, to two seconds before the last at least.
        numbers = [int(number) for number in text_of(path).split()]
        assert numbers == list(range(1, len(numbers) + 1))
        died = told[-1][1]
        assert len(numbers) >= max((number for number, at in told if at < died - 2), default=0)
