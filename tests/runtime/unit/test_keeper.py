"""The keeper of logs, on a fake engine: every line once, whatever goes away meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from runtime import ContainerSpec, Driver, Endpoint, Terminated, Unreachable
from runtime.hub import endpoints, keeper
from runtime.hub.keeper import Keeper
from runtime.hub.messages import FinishLog, KeepLogs, pack, unpack
from runtime.kept_logs import LogStore, NoRoom
from runtime.testing import FakeEngine

HOST = "6f1c0a3e-3c53-4a8e-9a0e-0d6f5f0e2b11"
ENDPOINT = Endpoint(driver=Driver.DOCKER, url="unix:///nowhere/engine.sock")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GATHER", "SHORTEST_PAUSE", "LONGEST_PAUSE", "LONGEST_REST", "ROOM_PAUSE"):
        monkeypatch.setattr(keeper, name, 0.01)


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    return LogStore(tmp_path / "logs")


@pytest.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    fake = FakeEngine()
    yield fake
    await fake.shut_down()


Open = Callable[[], Keeper]


@pytest.fixture
async def open_keeper(store: LogStore, engine: FakeEngine) -> AsyncIterator[Open]:
    opened: list[Keeper] = []

    def make() -> Keeper:
        opened.append(Keeper(store, lambda _endpoint: engine))
        return opened[-1]

    yield make
    for each in opened:
        await each.close()


async def start(engine: FakeEngine, script: str, *, name: str = "web-1", tty: bool = False) -> str:
    spec = ContainerSpec(name=name, image="starter:latest", command=("sh", "-c", script), tty=tty)
    container_id = await engine.create_container(spec)
    await engine.start_container(container_id)
    return container_id


def wish(
    *container_ids: str, at: float | None = None, revision: str = "", limit: int = 0, is_lost: bool = False
) -> KeepLogs:
    order = KeepLogs(
        at=time.time() if at is None else at,
        hosts={HOST: endpoints.to_json(ENDPOINT)},
        containers=[
            {"host": HOST, "container": container_id, "limit": limit, "revision": revision, "is_lost": is_lost}
            for container_id in container_ids
        ],
    )
    told = unpack(pack(order))
    assert isinstance(told, KeepLogs)
    return told


def kept(store: LogStore, container_id: str) -> list[bytes]:
    return [line.data for _position, line in store.files(HOST, container_id).read()]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  files tell nobody that they changed
            await asyncio.sleep(0.005)


async def said(engine: FakeEngine, container_id: str, *, times: int) -> None:
    """Return once the container has written so many lines."""
    count = 0
    async for _chunk in engine.logs(container_id, tty=False, follow=True):
        count += 1
        if count == times:
            return


async def states(keeper: Keeper, order: KeepLogs) -> dict[str, dict[str, Any]]:
    return {state["container"]: state for state in (await keeper.handle(order))["logs"]}


async def until_state(keeper: Keeper, order: KeepLogs, *wanted: str) -> dict[str, Any]:
    """Ask until the first container's state is one of ``wanted``."""
    async with asyncio.timeout(10):
        while True:
            state = (await keeper.handle(order))["logs"][0]
            if state["state"] in wanted:
                return dict(state)
            await asyncio.sleep(0.005)


async def test_what_a_container_wrote_before_and_after_is_kept(
    open_keeper: Open, store: LogStore, engine: FakeEngine
) -> None:
    container_id = await start(engine, "echo one; echo two >&2; sleep 0.1; echo three; sleep 1000")
    order = wish(container_id)

    await open_keeper().handle(order)

    await until(lambda: kept(store, container_id) == [b"one", b"two", b"three"])


async def test_how_it_ended_is_told(open_keeper: Open, store: LogStore, engine: FakeEngine) -> None:
    container_id = await start(engine, "echo last words; exit 3")

    state = await until_state(open_keeper(), wish(container_id), "resting")

    assert kept(store, container_id) == [b"last words"]
    assert (state["exit_code"], state["oom_killed"], state["error"]) == (3, False, "")
    assert state["bytes"] == len(b"last words\n")
    assert state["started_at"] <= state["last"] / 10**9 + 0.001
    assert state["ended_at"] >= state["started_at"]


async def test_a_container_that_is_removed_leaves_its_log(
    open_keeper: Open, store: LogStore, engine: FakeEngine
) -> None:
    container_id = await start(engine, "echo last words; sleep 1000")
    one, order = open_keeper(), wish(container_id)
    await one.handle(order)
    await until(lambda: kept(store, container_id))

    await engine.remove_container(container_id, force=True)

    await until_state(one, order, "gone")
    assert kept(store, container_id) == [b"last words"]
    assert [segment.is_open for segment in store.files(HOST, container_id).segments()] == [False]


async def test_one_that_nobody_sees_any_more_is_asked_for(
    open_keeper: Open, store: LogStore, engine: FakeEngine
) -> None:
    container_id = await start(engine, "echo last words; exit 3")
    one = open_keeper()
    await until_state(one, wish(container_id), "resting")
    await engine.remove_container(container_id)

    state = await until_state(one, wish(container_id, is_lost=True), "gone")

    assert (state["exit_code"], state["bytes"]) == (3, len(b"last words\n"))
    # How it ended is known for as long as it is asked for.
    state = await until_state(one, wish(container_id, revision="another", is_lost=True), "gone")
    assert state["exit_code"] == 3


async def test_another_keeper_goes_on_exactly(open_keeper: Open, store: LogStore, engine: FakeEngine) -> None:
    container_id = await start(engine, "echo ready; sleep 1000")

    for number in range(1, 6):
        await said(engine, container_id, times=number)
        one = open_keeper()
        await one.handle(wish(container_id))
        if number % 2:
            await until(lambda number=number: len(kept(store, container_id)) == number)  # type: ignore[misc]
        await one.close()
        await engine.kill_container(container_id)
        await engine.start_container(container_id)

    await open_keeper().handle(wish(container_id))
    await until(lambda: kept(store, container_id) == [b"ready"] * 6)


async def test_a_stream_that_is_cut_is_taken_up_again(open_keeper: Open, store: LogStore, engine: FakeEngine) -> None:
    container_id = await start(engine, "echo one; sleep 0.3; echo two; sleep 1000")
    engine.fail_next("inspect_container", Unreachable("no such socket"))
    one, order = open_keeper(), wish(container_id)

    await one.handle(order)
    await until(lambda: kept(store, container_id) == [b"one", b"two"])

    assert engine.calls.count("inspect_container") >= 2


async def test_an_engine_that_is_away_is_said(open_keeper: Open, engine: FakeEngine) -> None:
    container_id = await start(engine, "sleep 1000")
    one, order = open_keeper(), wish(container_id)
    for _number in range(3):
        engine.fail_next("inspect_container", Unreachable("no such socket"))

    state = await until_state(one, order, "failing")
    assert state["error"] == "unreachable"
    await until_state(one, order, "following")


async def test_one_that_is_started_again_goes_on(open_keeper: Open, store: LogStore, engine: FakeEngine) -> None:
    container_id = await start(engine, "echo once; exit 0")
    one = open_keeper()
    await until_state(one, wish(container_id), "resting")

    await engine.start_container(container_id)
    await one.handle(wish(container_id, revision="running"))

    await until(lambda: kept(store, container_id) == [b"once", b"once"])


async def test_nothing_is_read_again_without_a_reason(open_keeper: Open, engine: FakeEngine) -> None:
    container_id = await start(engine, "echo once; exit 0")
    one = open_keeper()
    await until_state(one, wish(container_id), "resting")
    engine.calls.clear()

    for _number in range(5):
        await until_state(one, wish(container_id), "resting")

    assert engine.calls == []


async def test_what_is_not_on_the_list_is_not_followed(open_keeper: Open, store: LogStore, engine: FakeEngine) -> None:
    first = await start(engine, "echo one; exit 0", name="web-1")
    second = await start(engine, "echo two; exit 0", name="web-2")
    one = open_keeper()
    await one.handle(wish(first, second))
    await until(lambda: kept(store, first) and kept(store, second))

    answer = await states(one, wish(second))

    assert set(answer) == {second}
    await until(lambda: (HOST, first) not in one._logs)
    assert kept(store, first) == [b"one"]


async def test_an_older_list_changes_nothing(open_keeper: Open, engine: FakeEngine) -> None:
    container_id = await start(engine, "sleep 1000")
    one, now = open_keeper(), time.time()
    await one.handle(wish(container_id, at=now))

    assert await states(one, wish(at=now - 5)) == {}
    assert set(await states(one, wish(container_id, at=now + 1))) == {container_id}
    assert (HOST, container_id) in one._logs
    # A clock that was set back is no late list.
    await one.handle(wish(at=now - 3600))
    await until(lambda: (HOST, container_id) not in one._logs or not one._logs[HOST, container_id]._is_wanted)


async def test_a_container_on_its_way_out_is_heard_to_its_end(
    open_keeper: Open, store: LogStore, engine: FakeEngine
) -> None:
    container_id = await start(engine, "echo one; sleep 0.2; echo last; exit 1")
    one = open_keeper()
    await one.handle(wish(container_id))
    await until(lambda: kept(store, container_id))

    await one.handle(wish())

    await until(lambda: kept(store, container_id) == [b"one", b"last"])
    await until(lambda: not one._logs)


async def test_keeping_is_finished_before_a_removal(open_keeper: Open, store: LogStore, engine: FakeEngine) -> None:
    running = await start(engine, "echo one; sleep 1000", name="web-1")
    ended = await start(engine, "echo two; exit 0", name="web-2")
    one = open_keeper()
    await one.handle(wish(running, ended))

    for container_id, words in ((running, b"one"), (ended, b"two")):
        answer = await one.handle(FinishLog(host=HOST, container=container_id, patience=10))
        assert answer == {"finished": True}
        assert kept(store, container_id) == [words]


async def test_a_log_that_is_not_kept_holds_nobody_up(open_keeper: Open) -> None:
    assert await open_keeper().handle(FinishLog(host=HOST, container="0" * 64)) == {"finished": True}


async def test_an_engine_that_is_away_holds_a_removal_up_for_no_longer_than_asked(
    open_keeper: Open, engine: FakeEngine
) -> None:
    container_id = await start(engine, "sleep 1000")
    one = open_keeper()
    for _number in range(10_000):
        engine.fail_next("inspect_container", Terminated("gone"))
    await one.handle(wish(container_id))

    answer = await one.handle(FinishLog(host=HOST, container=container_id, patience=0.05))

    assert answer == {"finished": False}


async def test_a_full_disk_is_said_and_keeping_goes_on_when_there_is_room(
    open_keeper: Open, store: LogStore, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    container_id = await start(engine, "echo one; sleep 0.1; echo two; sleep 1000")
    one, order = open_keeper(), wish(container_id)
    with monkeypatch.context() as full:

        def refuse(*_arguments: object) -> None:
            raise NoRoom(28, "No space left on device")

        full.setattr("runtime.kept_logs.LogWriter.write", refuse)
        state = await until_state(one, order, "failing")
        assert state["error"] == "no_room"

    await until(lambda: kept(store, container_id) == [b"one", b"two"])
    await until_state(one, order, "following")


async def test_a_log_that_was_removed_begins_anew(open_keeper: Open, store: LogStore, engine: FakeEngine) -> None:
    container_id = await start(engine, "echo one; sleep 0.2; echo two; sleep 1000")
    one, order = open_keeper(), wish(container_id)
    await one.handle(order)
    await until(lambda: kept(store, container_id))

    store.remove(HOST, container_id)

    await until(lambda: kept(store, container_id) == [b"one", b"two"])


async def test_a_terminal_like_container_is_kept_as_one_channel(
    open_keeper: Open, store: LogStore, engine: FakeEngine
) -> None:
    container_id = await start(engine, "echo out; echo err >&2; sleep 1000", tty=True)

    await open_keeper().handle(wish(container_id))

    await until(lambda: [line.rstrip() for line in kept(store, container_id)] == [b"out", b"err"])


async def test_the_limit_holds_and_may_change(open_keeper: Open, store: LogStore, engine: FakeEngine) -> None:
    container_id = await start(engine, "sleep 1000")
    one = open_keeper()
    await one.handle(wish(container_id, limit=1_000_000))
    await until_state(one, wish(container_id, limit=1_000_000), "following")
    await one.handle(wish(container_id, limit=500_000))

    recorder = one._logs[HOST, container_id]._recorder
    assert recorder is not None
    assert recorder.writer.limit_bytes == 500_000


async def test_there_is_a_most(open_keeper: Open, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "MOST_LOGS", 1)
    first = await start(engine, "sleep 1000", name="web-1")
    second = await start(engine, "sleep 1000", name="web-2")

    answer = await states(open_keeper(), wish(first, second))

    assert answer[second]["error"] == "too_many"
    assert answer[first]["error"] == ""


@pytest.mark.parametrize(
    "change",
    [
        {"containers": [{"host": HOST}]},
        {"containers": [{"host": "../..", "container": "0" * 64, "limit": 0, "revision": "", "is_lost": False}]},
        {"containers": [{"host": HOST, "container": "../etc", "limit": 0, "revision": "", "is_lost": False}]},
        {"containers": [{"host": HOST, "container": "0" * 64, "limit": "many", "revision": "", "is_lost": False}]},
        {"containers": ["web-1"]},
        {"hosts": {HOST: {"url": "unix:///x"}}},
        {"hosts": []},
    ],
)
async def test_a_list_that_makes_no_sense_changes_nothing(
    open_keeper: Open, engine: FakeEngine, change: dict[str, Any]
) -> None:
    container_id = await start(engine, "sleep 1000")
    one = open_keeper()
    await one.handle(wish(container_id))
    fields = {"at": time.time() + 5, "hosts": {HOST: endpoints.to_json(ENDPOINT)}, "containers": [], **change}

    with pytest.raises(ValueError):
        await one.handle(KeepLogs(**fields))

    assert set(await states(one, wish(container_id))) == {container_id}
