"""Kept logs as files: nothing is lost, doubled or torn, however their writer went."""

from __future__ import annotations

import errno
import gzip
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import kept_logs
from runtime.kept_logs import (
    PIECE,
    Forgotten,
    LineParser,
    LogFiles,
    LogLine,
    LogPosition,
    LogRecorder,
    LogStore,
    LogWriter,
    NoRoom,
)
from runtime.streams import Channel

BASE = 1_700_000_000 * 10**9
HOST = "6f1c0a3e-3c53-4a8e-9a0e-0d6f5f0e2b11"
CONTAINER = "c" * 64


def line(number: int, text: bytes = b"", *, channel: Channel = Channel.STDOUT, ended: bool = True) -> LogLine:
    return LogLine(BASE + number, channel, text or b"line %d" % number, ended)


def stored(directory: Path) -> list[LogLine]:
    return [found for _position, found in LogFiles(directory).read()]


lines_of_any_kind = st.lists(
    st.builds(
        LogLine,
        st.integers(0, 2**62),
        st.sampled_from([Channel.STDOUT, Channel.STDERR]),
        st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"\r")),
        st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.tuples(lines_of_any_kind, st.sampled_from(["go on", "seal", "open again"])), max_size=8))
def test_what_is_written_is_read(tmp_path_factory: Any, batches: list[tuple[list[LogLine], str]]) -> None:
    directory = tmp_path_factory.mktemp("log")
    writer = LogWriter(directory, reserve=0)
    written: list[LogLine] = []
    for batch, then in batches:
        writer.write(batch)
        written += batch
        if then == "seal":
            writer.seal()
        elif then == "open again":
            writer = LogWriter(directory, reserve=0)

    files = LogFiles(directory)
    assert stored(directory) == written
    assert [found for _position, found in files.read_back()] == written[::-1]
    assert files.tail(5) == written[len(written) - min(5, len(written)) :]
    sizes = files.sizes()
    assert (sizes.lines, sizes.bytes) == (len(written), sum(found.size for found in written))
    assert writer.size == sizes.bytes
    assert (writer.first, writer.last) == (sizes.first, sizes.last)
    if written:
        assert (sizes.first, sizes.last) == (min(w.at for w in written), max(w.at for w in written))
        middle = written[len(written) // 2].at
        position = files.find(middle)
        assert position is not None
        assert next(files.read(position))[1] == next(found for found in written if found.at >= middle)
        assert list(files.between(middle, middle)) == [found for found in written if found.at == middle]
    blocks = list(files.blocks_back())[::-1]
    assert [found for block in blocks for found in block.lines()] == list(files.read())
    positions = [position for position, _line in files.read()]
    for number, position in enumerate(positions):
        assert next(files.read(position)) == (position, written[number])
        assert next(files.read_back(position), (None, None))[1] == (written[number - 1] if number else None)


def test_segments_are_bounded_compressed_and_named_by_what_they_hold(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, reserve=0)
    for number in range(0, 40_000, 100):
        writer.write(
            [line(n, b"GET /orders/%d 200 in 12 ms, as every so often" % n) for n in range(number, number + 100)]
        )

    names = sorted(path.name for path in tmp_path.iterdir())
    sealed = [name for name in names if name.endswith(".gz")]
    assert len(sealed) == 2
    assert len(names) == 3
    for name in sealed:
        content = gzip.decompress((tmp_path / name).read_bytes())
        assert len(content) < kept_logs.SEGMENT_BYTES * 1.02
        assert (tmp_path / name).stat().st_size < len(content) / 5
        number, first, last, lines, size = map(int, name.removesuffix(".gz").split("-"))
        assert content.count(b"\n") == lines
        assert content.startswith(b"%d o GET" % first)
        assert last == first + lines - 1
        assert size < len(content)
    assert len(stored(tmp_path)) == 40_000


def test_the_limit_cuts_the_oldest(tmp_path: Path) -> None:
    limit = 400_000
    writer = LogWriter(tmp_path, limit_bytes=limit, reserve=0)
    for number in range(30_000):
        if number % 100 == 0:
            writer.write([line(n, b"%050d" % n) for n in range(number, number + 100)])
            assert writer.size <= limit

    found = stored(tmp_path)
    assert found[-1].data == b"%050d" % 29_999
    assert sum(kept.size for kept in found) > limit * 0.8
    assert [kept.at for kept in found] == list(range(found[0].at, found[-1].at + 1))
    assert writer.is_cut
    assert LogFiles(tmp_path).sizes().is_cut
    # A position that is gone leads to what is left.
    assert next(LogFiles(tmp_path).read(LogPosition(1, 0)))[1] == found[0]


def test_a_log_that_nobody_writes_is_cut_too(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, limit_bytes=800_000, reserve=0)
    for number in range(0, 12_000, 100):
        writer.write([line(n, b"%050d" % n) for n in range(number, number + 100)])
    writer.seal()
    files = LogFiles(tmp_path)

    assert files.cut(200_000) > 0
    assert 0 < files.sizes().bytes <= 200_000
    assert files.cut(0) > 0
    assert len(files.segments()) == 1


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, reserve=0)
    writer.write([line(1), line(2)])
    (opened,) = tmp_path.glob("*.open")
    with opened.open("ab") as file:
        file.write(b"1700000000000000003 o half a li")

    assert stored(tmp_path) == [line(1), line(2)]
    again = LogWriter(tmp_path, reserve=0)
    again.write([line(3)])
    assert stored(tmp_path) == [line(1), line(2), line(3)]


def test_a_crash_while_compressing_doubles_nothing(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, reserve=0)
    writer.write([line(1), line(2)])
    (opened,) = tmp_path.glob("*.open")
    content = opened.read_bytes()
    writer.seal()
    opened.write_bytes(content)
    (tmp_path / "00000002.part").write_bytes(b"rubbish")

    assert stored(tmp_path) == [line(1), line(2)]
    again = LogWriter(tmp_path, reserve=0)
    again.write([line(3)])
    assert stored(tmp_path) == [line(1), line(2), line(3)]
    assert not list(tmp_path.glob("*.part"))


def test_a_damaged_segment_costs_no_other(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, reserve=0)
    for number in range(3):
        writer.write([line(number)])
        writer.seal()
    sorted(tmp_path.glob("*.gz"))[1].write_bytes(b"\x1f\x8b rubbish")

    assert stored(tmp_path) == [line(0), line(2)]


def test_a_segment_that_is_compressed_while_it_is_read_is_found(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, reserve=0)
    writer.write([line(1)])
    segments = LogFiles(tmp_path).segments()
    writer.seal()

    assert segments[0].content() == b"%d o line 1\n" % (BASE + 1)


_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from runtime.kept_logs import LogLine, LogWriter
from runtime.streams import Channel
writer = LogWriter(Path(sys.argv[1]), reserve=0)
number = 0
while True:
    some = range(number, number + 50)
    writer.write([LogLine(1700000000 * 10**9 + n, Channel.STDOUT, b"%d " % n + b"x" * 90) for n in some])
    number += 50
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("told", [3, 150, 400])
def test_a_killed_writer_loses_nothing_it_said_it_had(tmp_path: Path, told: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITE_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert process.stdout is not None
    for _number in range(told):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    last = [int(said) for said in process.stdout.read().split()]
    process.wait()
    had = last[-1] if last else told * 50

    writer = LogWriter(tmp_path, reserve=0)
    found = stored(tmp_path)
    assert len(found) >= had
    assert [kept.at - BASE for kept in found] == list(range(len(found)))
    assert all(kept.data == b"%d " % number + b"x" * 90 for number, kept in enumerate(found))
    writer.write([line(len(found))])
    assert stored(tmp_path)[-1] == line(len(found))


def test_a_full_disk_is_told_and_costs_nothing_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = LogWriter(tmp_path, reserve=0)
    writer.write([line(1)])
    write = os.write

    def full(file: int, data: Any) -> int:
        if len(data) > 10:
            return write(file, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(NoRoom):
        writer.write([line(2), line(3)])
    assert stored(tmp_path) == [line(1)]

    monkeypatch.undo()
    writer.write([line(2), line(3)])
    assert stored(tmp_path) == [line(1), line(2), line(3)]


def test_logs_leave_room_for_others(tmp_path: Path) -> None:
    space = os.statvfs(tmp_path)
    writer = LogWriter(tmp_path, reserve=space.f_bavail * space.f_frsize * 2)

    with pytest.raises(NoRoom):
        writer.write([line(1)])


def test_compressing_without_room_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = LogWriter(tmp_path, reserve=0)
    writer.write([line(1)])

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    writer.seal()
    writer.write([line(2)])
    assert [path.suffix for path in tmp_path.iterdir()] == [".open"]
    monkeypatch.undo()
    writer.seal()
    assert stored(tmp_path) == [line(1), line(2)]


def test_a_removed_log_is_not_written_on(tmp_path: Path) -> None:
    store = LogStore(tmp_path)
    writer = store.recorder(HOST, CONTAINER).writer
    writer.write([line(1)])

    assert list(store.logs()) == [(HOST, CONTAINER)]
    assert store.remove(HOST, CONTAINER)
    assert not store.remove(HOST, CONTAINER)
    with pytest.raises(Forgotten):
        writer.write([line(2)])
    assert list(store.logs()) == []


@pytest.mark.parametrize("container_id", ["", "../../etc", "web-1", "C" * 64, "c" * 63, "c" * 64 + "/x"])
def test_only_a_full_id_has_a_place(tmp_path: Path, container_id: str) -> None:
    with pytest.raises(ValueError):
        LogStore(tmp_path).directory(HOST, container_id)
    with pytest.raises(ValueError):
        LogStore(tmp_path).directory("../..", CONTAINER)


# Streams


def stamp(at: int) -> bytes:
    moment = datetime.fromtimestamp(at // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 10**9:09d}Z".encode()


def as_docker(lines: list[LogLine]) -> list[tuple[Channel, bytes]]:
    """How an engine tells lines: a long one in pieces, each with the time of the first."""
    told = []
    for each in lines:
        pieces = [each.data[start : start + PIECE] for start in range(0, len(each.data), PIECE)] or [b""]
        told.append((each.channel, b"".join(stamp(each.at) + b" " + piece for piece in pieces) + b"\n"))
    return told


def in_chunks(told: list[tuple[Channel, bytes]], *, chooser: random.Random) -> list[tuple[Channel, bytes]]:
    """The same cut anywhere."""
    chunks = []
    for channel, data in told:
        while data:
            size = chooser.choice([1, 7, 40, 5_000, 100_000])
            chunks.append((channel, data[:size]))
            data = data[size:]
    return chunks


def whole(lines: list[LogLine]) -> list[tuple[int, Channel, bytes]]:
    """Lines as the container wrote them, whatever pieces they are kept in."""
    found: list[tuple[int, Channel, bytes]] = []
    begun: dict[Channel, bytes] = {}
    for each in lines:
        data = begun.pop(each.channel, b"") + each.data
        if each.ended:
            found.append((each.at, each.channel, data))
        else:
            begun[each.channel] = data
    return found


texts = st.one_of(
    st.sampled_from([b"", b"same", b"same", b"2024-01-01T00:00:00.000000000Z text", b"\r", b"\xff\x00 \x1b[31m"]),
    st.integers(0, 700_000).map(lambda size: bytes(33 + n % 90 for n in range(97)) * (size // 97)),
)
logs = st.lists(
    st.tuples(st.integers(-2000, 10**9), st.sampled_from([Channel.STDOUT, Channel.STDERR]), texts), max_size=25
)


def with_times(parts: list[tuple[int, Channel, bytes]]) -> list[LogLine]:
    at, lines = BASE, []
    for step, channel, data in parts:
        at += step
        lines.append(LogLine(at, channel, data))
    return lines


@settings(max_examples=40, deadline=None)
@given(parts=logs, seed=st.integers())
def test_any_stream_becomes_its_lines(parts: list[tuple[int, Channel, bytes]], seed: int) -> None:
    lines = with_times(parts)
    parser = LineParser()
    found = [
        each
        for channel, data in in_chunks(as_docker(lines), chooser=random.Random(seed))
        for each in parser.feed(channel, data)
    ]

    assert sorted(whole(found)) == sorted((each.at, each.channel, each.data) for each in lines)
    assert parser.finish() == []
    assert all(each.size <= 20 * PIECE for each in found)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (b"2023-11-14T22:13:20.000000001Z", BASE + 1),
        (b"2023-11-14T22:13:20Z", BASE),
        (b"2023-11-14T22:13:20.5Z", BASE + 5 * 10**8),
        (b"2023-11-15T07:13:20+09:00", BASE),
        (b"2023-11-14T16:43:20.25-05:30", BASE + 25 * 10**7),
    ],
)
def test_the_times_of_every_engine_are_read(text: bytes, at: int) -> None:
    assert LineParser().feed(Channel.STDOUT, text + b" hello  world\n") == [
        LogLine(at, Channel.STDOUT, b"hello  world")
    ]


def test_a_line_without_a_time_is_kept(tmp_path: Path) -> None:
    parser = LineParser()
    parser.feed(Channel.STDOUT, stamp(BASE) + b" first\n")

    assert parser.feed(Channel.STDOUT, b"9999-99-99T99:99:99Z odd\n\n") == [
        LogLine(BASE, Channel.STDOUT, b"9999-99-99T99:99:99Z odd"),
        LogLine(BASE, Channel.STDOUT, b""),
    ]


@settings(max_examples=50, deadline=None)
@given(parts=logs, seed=st.integers(), deaths=st.integers(0, 5))
def test_a_recorder_that_dies_goes_on_exactly(
    tmp_path_factory: Any, parts: list[tuple[int, Channel, bytes]], seed: int, deaths: int
) -> None:
    directory, chooser, lines = tmp_path_factory.mktemp("log"), random.Random(seed), with_times(parts)

    for death in range(deaths + 1):
        recorder = LogRecorder(directory, reserve=0)
        since = recorder.begin()
        asked = [each for each in lines if since is None or each.at >= round(since * 10**6) * 1000]
        chunks = in_chunks(as_docker(asked), chooser=chooser)
        if death < deaths:
            chunks = chunks[: chooser.randint(0, len(chunks))]
        while chunks:
            count = chooser.randint(1, 10)
            recorder.feed(chunks[:count])
            del chunks[:count]
        if chooser.random() < 0.3:
            recorder.seal()
    recorder.finish()

    assert sorted(whole(stored(directory))) == sorted((each.at, each.channel, each.data) for each in lines)


def test_a_container_that_starts_again_goes_on_in_the_line_it_left_open(tmp_path: Path) -> None:
    recorder = LogRecorder(tmp_path, reserve=0)
    recorder.begin()
    recorder.feed([(Channel.STDOUT, stamp(BASE) + b" up\n" + stamp(BASE + 5) + b" no end")])
    recorder.finish()
    assert stored(tmp_path) == [line(0, b"up"), line(5, b"no end", ended=False)]

    later = 60 * 10**9
    again = LogRecorder(tmp_path, reserve=0)
    again.begin()
    told = stamp(BASE) + b" up\n" + stamp(BASE + 5) + b" no end" + stamp(BASE + later) + b" up again\n"
    again.feed([(Channel.STDOUT, told)])
    again.finish()

    assert stored(tmp_path) == [line(0, b"up"), line(5, b"no end", ended=False), line(later, b"up again")]


def test_an_end_that_is_told_again_is_no_second_one(tmp_path: Path) -> None:
    for _time in range(3):
        recorder = LogRecorder(tmp_path, reserve=0)
        recorder.begin()
        recorder.feed([(Channel.STDOUT, stamp(BASE) + b" up\n" + stamp(BASE + 5) + b" no end")])
        recorder.finish()

    assert stored(tmp_path) == [line(0, b"up"), line(5, b"no end", ended=False)]


def test_a_second_of_very_many_lines_is_not_remembered_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_logs, "_MOST_REMEMBERED", 10)
    lines = [LogLine(BASE + number * 1000, Channel.STDOUT, b"same") for number in range(100)]
    for until in (40, 41, 100):
        recorder = LogRecorder(tmp_path, reserve=0)
        since = recorder.begin()
        assert since is None or since > BASE / 10**9
        recorder.feed(as_docker([each for each in lines[:until] if since is None or each.at / 10**9 >= since]))

    assert stored(tmp_path) == lines
