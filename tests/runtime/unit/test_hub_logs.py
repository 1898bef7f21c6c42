"""A log that many follow: one engine stream, exact seams, and nobody who does not read is in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from runtime import Channel, Chunk, ContainerSpec, Unreachable
from runtime.hub import logs as hub_logs
from runtime.hub.logs import BEGINNING, CatchUp, Line, LogHub, index_after, moment_of, without_stamps
from runtime.hub.messages import WINDOW, Ack, Ended, FollowLog, Skipped
from runtime.testing import FakeEngine
from tests.runtime.viewers import LogViewer

Start = Callable[..., Awaitable[str]]


class CountingEngine(FakeEngine):
    """Knows how often a log was followed, and can be slow to say what was."""

    def __init__(self) -> None:
        super().__init__()
        self.follows = 0
        #: Called before history is read.
        self.before_history: Callable[[], Awaitable[None]] | None = None
        self.after_history: Callable[[], Awaitable[None]] | None = None

    async def logs(self, container_id: str, **options: Any) -> AsyncIterator[Chunk]:
        """Count, and let the test do something at the right moment."""
        follow = options.get("follow")
        self.follows += bool(follow)
        if not follow and self.before_history:
            await self.before_history()
        async for chunk in super().logs(container_id, **options):
            yield chunk
        if not follow and self.after_history:
            await self.after_history()


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[CountingEngine]:
    """An engine."""
    opened = CountingEngine()
    yield opened
    await opened.shut_down()


@pytest_asyncio.fixture
async def hub(engine: CountingEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LogHub]:
    """The hub's logs, which close what nobody reads at once."""
    monkeypatch.setattr(hub_logs, "LINGER", 0.0)
    made = LogHub(lambda _endpoint: engine)
    yield made
    await made.close()


@pytest.fixture
def start(engine: CountingEngine) -> Start:
    """Start a container and return its id."""

    async def run(*command: str, tty: bool = False) -> str:
        spec = ContainerSpec(name="web", image="starter:latest", command=command, tty=tty, open_stdin=True)
        container_id = await engine.create_container(spec)
        await engine.start_container(container_id)
        return container_id

    return run


async def feed(engine: FakeEngine, container_id: str, text: str) -> None:
    """Have a container that runs cat say something."""
    await engine.processes(container_id)[0].feed(text.encode())


def order(container_id: str, **fields: Any) -> FollowLog:
    return FollowLog(**{"endpoint": {}, "container_id": container_id, "tty": False, **fields})


async def test_history_and_what_comes_are_one_log(engine: CountingEngine, hub: LogHub, start: Start) -> None:
    container_id = await start("cat")
    await feed(engine, container_id, "one\ntwo\n")
    viewer = LogViewer(hub, order(container_id))
    assert await viewer.lines(2) == [b"one", b"two"]
    await feed(engine, container_id, "three\n")
    assert await viewer.lines(3) == [b"one", b"two", b"three"]
    await engine.kill_container(container_id)
    assert await viewer.ended() == Ended(reason="exited")
    assert await viewer.lines(3) == [b"one", b"two", b"three"]


@pytest.mark.parametrize("when", ["before_history", "after_history"])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 500])
async def test_what_is_written_at_the_seam_comes_once(
    when: str, count: int, engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    await feed(engine, container_id, "one\ntwo\n")
    written = [b"one", b"two"]

    async def write() -> None:
        setattr(engine, when, None)
        for number in range(count):
            written.append(b"%d" % number)
            await feed(engine, container_id, f"{number}\n")

    setattr(engine, when, write)
    viewer = LogViewer(hub, order(container_id))
    await viewer.lines(2 + count)
    await feed(engine, container_id, "last\n")
    assert await viewer.lines(3 + count) == [*written, b"last"]


@pytest.mark.parametrize("fields", [{"tail": 2}, {"tail": 0}, {"stderr": False}, {"since": 4e9}, {}])
@pytest.mark.parametrize("said", ["", "a\n", "same\nsame\nsame\n"])
async def test_each_way_to_begin_has_an_exact_seam(
    fields: dict[str, Any], said: str, engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    if said:
        await feed(engine, container_id, said)
    before = said.encode().splitlines()
    begins = before[-2:] if fields.get("tail") == 2 else [] if fields.keys() & {"tail", "since"} else before
    viewers = [LogViewer(hub, order(container_id, **fields)) for _ in range(3)]
    async with asyncio.timeout(10):
        while not (live := hub.live(order(container_id))) or live.readers < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await feed(engine, container_id, "same\nsame\nlast\n")
    for viewer in viewers:
        assert await viewer.lines(len(begins) + 3) == [*begins, b"same", b"same", b"last"]


async def test_fifty_viewers_share_one_stream_and_each_gets_every_line(
    engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    await feed(engine, container_id, "one\n")
    viewers = [LogViewer(hub, order(container_id, timestamps=index % 2 == 0)) for index in range(50)]
    for viewer in viewers:
        await viewer.lines(1)
    for number in range(200):
        await feed(engine, container_id, f"{number}\n")
    wanted = [b"one", *(b"%d" % number for number in range(200))]
    for viewer in viewers:
        assert [line.rpartition(b" ")[2] for line in await viewer.lines(201)] == wanted
    assert engine.follows == 1


async def test_the_stream_ends_with_its_last_viewer(engine: CountingEngine, hub: LogHub, start: Start) -> None:
    container_id = await start("cat")
    await feed(engine, container_id, "one\n")
    first, second = (LogViewer(hub, order(container_id)) for _ in range(2))
    await first.lines(1)
    await second.lines(1)
    await first.leave()
    await feed(engine, container_id, "two\n")
    assert await second.lines(2) == [b"one", b"two"]
    live = hub.live(order(container_id))
    assert live is not None
    await second.leave()
    await asyncio.wait([live.task], timeout=5)
    assert hub.live(order(container_id)) is None


async def test_channels_are_each_viewers_own_choice(engine: CountingEngine, hub: LogHub, start: Start) -> None:
    container_id = await start("sh", "-c", "echo out; echo err >&2; cat")
    both = LogViewer(hub, order(container_id))
    out = LogViewer(hub, order(container_id, stderr=False))
    err = LogViewer(hub, order(container_id, stdout=False))
    assert await both.lines(2) == [b"out", b"err"]
    assert await err.lines(1) == [b"err"]
    await feed(engine, container_id, "more\n")
    assert await out.lines(2) == [b"out", b"more"]
    await engine.kill_container(container_id)
    await err.ended()
    assert await err.lines(1) == [b"err"]
    assert {channel for channel, _data in err.blocks} == {Channel.STDERR}


@pytest.mark.parametrize("follow", [False, True])
async def test_timestamps_are_each_viewers_own_choice(
    follow: bool, engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    await feed(engine, container_id, "one word\n\n  indented\n")
    stamped = LogViewer(hub, order(container_id, timestamps=True, follow=follow))
    plain = LogViewer(hub, order(container_id, follow=follow))
    assert await plain.lines(3) == [b"one word", b"", b"  indented"]
    lines = await stamped.lines(3)
    assert [line.partition(b" ")[2] for line in lines] == [b"one word", b"", b"  indented"]
    assert all(moment_of(line.partition(b" ")[0]) for line in lines)
    if follow:
        await feed(engine, container_id, "last word\n")
        assert (await plain.lines(4))[-1] == b"last word"
        assert (await stamped.lines(4))[-1].endswith(b"Z last word")


async def test_a_stalled_viewer_is_cut_off_and_told_and_slows_nobody(
    engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    await feed(engine, container_id, "one\n")
    stalled = LogViewer(hub, order(container_id), acknowledges=False)
    quick = LogViewer(hub, order(container_id))
    await stalled.lines(1)
    await quick.lines(1)
    line = "x" * 999
    count = 4 * hub_logs.RING // 1000
    for _ in range(count // 100):
        await feed(engine, container_id, (line + "\n") * 100)
    assert len(await quick.lines(1 + count // 100 * 100)) == 1 + count // 100 * 100
    assert Skipped not in map(type, quick.messages)
    assert stalled.size <= WINDOW + 128 * 1024
    stalled.acknowledge()
    await stalled.until(lambda: Skipped in map(type, stalled.messages))
    (skipped,) = (message for message in stalled.messages if isinstance(message, Skipped))
    had = skipped.offset
    assert skipped.lost > hub_logs.RING
    stalled.acknowledges = True
    stalled.acknowledge()
    await feed(engine, container_id, "last\n")
    await stalled.until(lambda: stalled.text.endswith(b"\nlast\n"))
    assert stalled.size - had <= WINDOW + 64 * 1024


async def test_an_engine_is_not_read_while_nobody_takes_anything(
    engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    await feed(engine, container_id, "one\n")
    stalled = LogViewer(hub, order(container_id), acknowledges=False)
    await stalled.lines(1)
    live = hub.live(order(container_id))
    assert live is not None
    for _ in range(40):
        await feed(engine, container_id, ("x" * 999 + "\n") * 100)
    await stalled.until(lambda: stalled.size >= WINDOW)
    assert live.total < 2 * hub_logs.PACE
    stalled.acknowledges = True
    stalled.acknowledge()
    assert len(await stalled.lines(4001)) == 4001
    assert Skipped not in map(type, stalled.messages)


async def test_a_viewer_of_history_that_reads_nothing_stops_the_replay(
    engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    for _ in range(20):
        await feed(engine, container_id, ("x" * 999 + "\n") * 100)
    viewer = LogViewer(hub, order(container_id, follow=False), acknowledges=False)
    await viewer.until(lambda: viewer.size >= WINDOW)
    assert viewer.size <= WINDOW + 64 * 1024
    viewer.acknowledges = True
    viewer.acknowledge()
    assert len(await viewer.lines(2000)) == 2000
    assert await viewer.ended()


@pytest.mark.parametrize("follow", [False, True])
async def test_an_engine_in_trouble_ends_the_log_and_says_how(
    follow: bool, engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    engine.fail_next("logs", Unreachable("no connection"))
    engine.fail_next("logs", Unreachable("no connection"))
    viewer = LogViewer(hub, order(container_id, follow=follow))
    ended = await viewer.ended()
    assert ended.reason == "engine"
    assert ended.error is not None
    assert ended.error["code"] == "unreachable"


async def test_a_viewer_that_acknowledges_what_it_never_got_is_let_go(
    engine: CountingEngine, hub: LogHub, start: Start
) -> None:
    container_id = await start("cat")
    viewer = LogViewer(hub, order(container_id))
    viewer.say(Ack(offset=1))
    await asyncio.wait_for(viewer.task, 5)


async def test_a_log_that_was_ended_is_read_as_it_is(engine: CountingEngine, hub: LogHub, start: Start) -> None:
    container_id = await start("sh", "-c", "echo one; echo two")
    await engine.wait_container(container_id)
    viewer = LogViewer(hub, order(container_id))
    assert await viewer.ended() == Ended(reason="exited")
    assert await viewer.lines(2) == [b"one", b"two"]


# The parts


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        (b"2026-12-01T09:38:11.123456789Z", 1796117891123456789),
        (b"2026-12-01T09:38:11Z", 1796117891000000000),
        (b"2026-12-01T18:38:11.5+09:00", 1796117891500000000),
        (b"2026-12-01T18:38:11+09:00", 1796117891000000000),
        (b"2026-12-01T02:38:11.000000001-07:00", 1796117891000000001),
        (b"hello", None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_a_timestamp_is_read_to_the_nanosecond(stamp: bytes, moment: int | None) -> None:
    assert moment_of(stamp) == moment


def test_lines_lose_their_timestamps_and_nothing_else() -> None:
    assert without_stamps(b"t one two\nt \nt  x\n") == b"one two\n\n x\n"


def lines_of(text: str) -> list[Line]:
    return [Line(Channel.STDOUT, part.encode()) for part in text.split(",") if part]


@pytest.mark.parametrize(
    ("lines", "seen", "after"),
    [
        ("1.5 a,1.5 b,2.5 c", "1.5 b", 2),
        ("1 a,1 b,2 c", "1 c", None),
        ("0 z,1 y,1 y,1 y,1 y", "0 x,0 z,1 y,1 y", 3),  # both know where the second began: two were had
        ("0 z,1 y", "0 x,0 z,1 y,1 y", None),  # the second y is still to come
        ("1 y,1 y,1 x,1 y", "1 y,1 x,1 y", 4),
        ("1 y,1 x,1 y,1 z,1 y", "1 z,1 y", 5),
        ("1 y,1 x,1 y", "1 z,1 y", None),
        ("1 y,1 y,1 y", "1 y", 3),
    ],
)
def test_the_place_after_what_was_seen(lines: str, seen: str, after: int | None) -> None:
    assert index_after(lines_of(lines), lines_of(seen)) == after


def test_the_place_is_counted_where_both_have_the_beginning() -> None:
    assert index_after(lines_of("1 y,1 y,1 y"), [BEGINNING, *lines_of("1 y")], is_whole=True) == 1


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_catching_up_leaves_out_what_is_known(size: int) -> None:
    stamps = [f"2026-12-01T09:38:1{second}Z" for second in range(4)]
    known = [Line(Channel.STDOUT, f"{stamps[1]} a".encode()), Line(Channel.STDOUT, f"{stamps[1]} b".encode())]
    text = f"{stamps[1]} a\n{stamps[1]} b\n{stamps[1]} c\n{stamps[2]} d\n{stamps[3]} e\n".encode()
    catching = CatchUp(known)
    got = b""
    for at in range(0, len(text), size):
        for chunk in catching.feed(Chunk(Channel.STDOUT, text[at : at + size])):
            got += chunk.data
    for chunk in catching.finish():
        got += chunk.data
    assert without_stamps(got) == b"c\nd\ne\n"
