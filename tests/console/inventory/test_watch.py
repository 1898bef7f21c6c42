"""`manage.py watch` against fakes: what happens on hosts shows up, and a bad host harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections

from console import gateway
from console.accounts.models import User
from console.gateway import (
    AccessDenied,
    BackendError,
    ContainerSpec,
    Endpoint,
    EngineInfo,
    Event,
    ProtocolError,
    Unreachable,
)
from console.hosts.models import Host, HostState
from console.hosts.services import edit_host, remove_host
from console.inventory import lease, services, watcher
from console.inventory.models import ObservedContainer, ObservedImage, ObservedVolume, Rank, WatchLease
from console.inventory.watcher import Watch
from runtime.testing import FailingEngine, FakeEngine, NeverEngine
from tests.console.inventory.conftest import event_of

pytestmark = pytest.mark.django_db(transaction=True)

_SPEC = ContainerSpec(name="web", image="starter:latest", command=("sleep", "1000"))


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same watch with a shorter breath."""
    for name, value in {"HOSTS_EVERY": 0.05, "PING_EVERY": 0.1, "PING_LIMIT": 0.3, "LONGEST_PAUSE": 0.2}.items():
        monkeypatch.setattr(watcher, name, value)


@pytest.fixture(autouse=True)
def _leave_no_connection() -> Iterator[None]:
    """The thread behind `sync_to_async` keeps its connection, and a database in use cannot be dropped."""
    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeEngine]:
    """Engines by address."""
    found: dict[str, FakeEngine] = {}

    def open_engine(endpoint: Endpoint) -> FakeEngine:
        return found[endpoint.url]

    monkeypatch.setattr(gateway, "open_engine", open_engine)
    return found


async def add(name: str, engines: dict[str, FakeEngine], engine: FakeEngine) -> Host:
    url = f"unix:///nowhere/{name}.sock"
    engines[url] = engine
    return await Host.objects.acreate(name=name, url=url)


@asynccontextmanager
async def watching() -> AsyncIterator[Watch]:
    watch = Watch()
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        watch.stop()
        async with asyncio.timeout(2):
            await task


async def eventually(what: Callable[[], Any]) -> Any:
    """Wait until ``what()`` is true, asked in a thread; returns it."""
    async with asyncio.timeout(8):
        while True:
            found = await sync_to_async(what)()
            if found:
                return found
            await asyncio.sleep(0.01)


def state_of(host: Host) -> tuple[str, str]:
    return Host.objects.values_list("state", "cause").get(id=host.id)


def row(name: str) -> ObservedContainer | None:
    return ObservedContainer.objects.filter(name=name).first()


async def test_everything_is_written_when_a_host_is_first_reached(engines: dict[str, FakeEngine]) -> None:
    engine = FakeEngine()
    engine.add_volume("data")
    await engine.create_container(_SPEC)
    host = await add("a", engines, engine)
    async with watching():
        await eventually(lambda: row("web") and ObservedImage.objects.exists() and ObservedVolume.objects.exists())
        assert await sync_to_async(state_of)(host) == (HostState.REACHABLE, "")
        written = await Host.objects.aget(id=host.id)
        assert written.seen_at is not None
        assert written.engine_id == "FAKE"
        assert written.info["product"] == "Docker"
        assert written.info["cpus"] == 2


async def test_what_others_do_to_containers_shows_up(engines: dict[str, FakeEngine]) -> None:
    engine = FakeEngine()
    await add("a", engines, engine)
    async with watching():
        await eventually(lambda: ObservedImage.objects.exists())
        container_id = await engine.create_container(_SPEC)
        await eventually(lambda: (found := row("web")) and found.state == "created")
        await engine.start_container(container_id)
        await eventually(lambda: (found := row("web")) and found.state == "running")
        await engine.rename_container(container_id, name="shop")
        await eventually(lambda: row("shop"))
        await engine.stop_container(container_id, grace=0)
        stopped = await eventually(lambda: (found := row("shop")) and found.state == "exited" and found)
        await eventually(lambda: (found := row("shop")) and found.rank == Rank.ENDED)
        assert stopped.exit_code is not None
        await engine.remove_container(container_id)
        await eventually(lambda: row("shop") is None)


async def test_what_happens_is_told_by_events_and_not_by_the_next_full_list(
    engines: dict[str, FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    await add("a", engines, engine)
    async with watching():
        await eventually(lambda: ObservedImage.objects.exists())
        lists = engine.calls.count("info")
        await engine.create_container(_SPEC)
        await eventually(lambda: row("web"))
        assert engine.calls.count("info") == lists


class HastyEngine(FakeEngine):
    """Announces a change a moment before its own list shows it, as dockerd does (0.8 to 26 ms were measured)."""

    known: tuple[Any, ...] = ()

    async def list_containers(self, **options: Any) -> Any:
        now = tuple(await super().list_containers(**options))
        before, self.known = self.known, now
        return before if options.get("container_ids") else now


async def test_a_change_is_seen_though_the_engine_announces_it_too_early(engines: dict[str, FakeEngine]) -> None:
    engine = HastyEngine()
    container_id = await engine.create_container(_SPEC)
    await engine.start_container(container_id)
    await add("a", engines, engine)
    async with watching():
        await eventually(lambda: (found := row("web")) and found.state == "running")
        await engine.pause_container(container_id)
        await eventually(lambda: (found := row("web")) and found.state == "paused")


async def test_a_process_that_fails_by_itself_is_a_problem(engines: dict[str, FakeEngine]) -> None:
    engine = FakeEngine()
    await add("a", engines, engine)
    async with watching():
        container_id = await engine.create_container(replace(_SPEC, command=("sh", "-c", "exit 3")))
        await engine.start_container(container_id)
        failed = await eventually(lambda: (found := row("web")) and found.state == "exited" and found)
        assert (failed.exit_code, failed.rank) == (3, Rank.PROBLEM)


async def test_a_pulled_image_and_a_new_volume_show_up(engines: dict[str, FakeEngine]) -> None:
    engine = FakeEngine()
    await add("a", engines, engine)
    async with watching():
        await eventually(lambda: ObservedImage.objects.count() == 1)
        async for _step in engine.pull_image("demo:latest"):
            pass
        await eventually(lambda: ObservedImage.objects.filter(name="demo:latest").exists())


async def test_hosts_that_come_and_go_are_noticed(engines: dict[str, FakeEngine], alice: User) -> None:
    async with watching() as watch:
        host = await add("late", engines, FakeEngine())
        await eventually(lambda: state_of(host)[0] == HostState.REACHABLE)
        await sync_to_async(remove_host)(actor=alice, host=host)
        await eventually(lambda: not watch._hosts)
        assert not await ObservedImage.objects.aexists()


async def test_a_changed_address_is_asked_instead_of_the_old_one(engines: dict[str, FakeEngine], alice: User) -> None:
    host = await add("a", engines, FakeEngine())
    elsewhere = FakeEngine()
    engines["unix:///nowhere/b.sock"] = elsewhere
    async with watching():
        await eventually(lambda: state_of(host)[0] == HostState.REACHABLE)
        await sync_to_async(edit_host)(
            actor=alice,
            host=host,
            name="a",
            driver="docker",
            url="unix:///nowhere/b.sock",
            bundle=None,
            keeps_credentials=True,
        )
        await eventually(lambda: "list_containers" in elsewhere.calls)
        await eventually(lambda: state_of(host)[0] == HostState.REACHABLE)


@pytest.mark.parametrize(
    ("error", "state", "cause"),
    [
        (Unreachable("no connection"), HostState.UNREACHABLE, "unreachable"),
        (AccessDenied("authorization denied by plugin"), HostState.REFUSING, "access_denied"),
        (ProtocolError("this is not JSON"), HostState.FAILING, "protocol"),
    ],
)
async def test_what_is_wrong_with_a_host_is_said(
    engines: dict[str, FakeEngine], error: BackendError, state: str, cause: str
) -> None:
    host = await add("a", engines, FailingEngine(error))
    async with watching():
        await eventually(lambda: state_of(host) == (state, cause))
        written = await Host.objects.aget(id=host.id)
        assert written.state_changed_at is not None
        assert written.seen_at is None
        assert written.explanation is not None
        assert ("not JSON" in written.status) is False, "what an address answers is not repeated"


async def test_a_host_that_hangs_is_said_to_while_another_stays_fresh(engines: dict[str, FakeEngine]) -> None:
    hanging = await add("hanging", engines, NeverEngine(limit=60))
    healthy_engine = FakeEngine()
    healthy = await add("healthy", engines, healthy_engine)
    async with watching():
        await eventually(lambda: state_of(healthy)[0] == HostState.REACHABLE)
        await healthy_engine.create_container(_SPEC)
        await eventually(lambda: row("web"))
        await eventually(lambda: state_of(hanging) == (HostState.FAILING, "timed_out"))


class FreezingEngine(FakeEngine):
    """Answers until it is frozen; then nothing at all."""

    frozen = False

    async def _enter(self, method: str) -> None:
        if self.frozen:
            await asyncio.Event().wait()
        await super()._enter(method)


async def test_an_engine_that_freezes_later_is_noticed_and_its_rows_stay(engines: dict[str, FakeEngine]) -> None:
    engine = FreezingEngine()
    await engine.create_container(_SPEC)
    host = await add("a", engines, engine)
    async with watching():
        await eventually(lambda: row("web"))
        engine.frozen = True
        await eventually(lambda: state_of(host) == (HostState.FAILING, "timed_out"))
        assert await sync_to_async(row)("web")
        engine.frozen = False
        await eventually(lambda: state_of(host) == (HostState.REACHABLE, ""))


async def test_an_engine_that_goes_away_and_comes_back_is_followed_again(engines: dict[str, FakeEngine]) -> None:
    engine = FakeEngine()
    await engine.create_container(_SPEC)
    host = await add("a", engines, engine)
    async with watching():
        await eventually(lambda: row("web"))
        engine.disconnect()
        await eventually(lambda: state_of(host) == (HostState.FAILING, "terminated"))
        assert await sync_to_async(row)("web")
        engine.connected = True
        await eventually(lambda: state_of(host)[0] == HostState.REACHABLE)
        await engine.create_container(replace(_SPEC, name="second"))
        await eventually(lambda: row("second"))


class RenamedEngine(FakeEngine):
    """Another engine at the same address."""

    async def info(self) -> EngineInfo:
        return replace(await super().info(), engine_id="OTHER")


async def test_another_engine_at_the_same_address_is_said_and_not_taken_over_until_accepted(
    engines: dict[str, FakeEngine], alice: User
) -> None:
    engine = RenamedEngine()
    await engine.create_container(_SPEC)
    host = await add("a", engines, engine)
    await Host.objects.filter(id=host.id).aupdate(engine_id="KNOWN", state=HostState.REACHABLE)
    async with watching():
        await eventually(lambda: state_of(host) == (HostState.FAILING, "other_engine"))
        assert not await sync_to_async(row)("web")
        await host.arefresh_from_db()
        await sync_to_async(edit_host)(
            actor=alice, host=host, name="a", driver="docker", url=host.url, bundle=None, keeps_credentials=True
        )
        await eventually(lambda: row("web"))
        assert (await Host.objects.aget(id=host.id)).engine_id == "OTHER"


async def test_two_watches_do_not_write_at_once_and_the_second_takes_over(engines: dict[str, FakeEngine]) -> None:
    host = await add("a", engines, FakeEngine())
    async with watching() as first:
        await eventually(lambda: state_of(host)[0] == HostState.REACHABLE)
        second = Watch()
        standby = asyncio.create_task(second.run())
        try:
            await asyncio.sleep(0.3)
            assert first._hosts
            assert not second._hosts
            first.stop()
            await eventually(lambda: bool(second._hosts))
        finally:
            second.stop()
            async with asyncio.timeout(2):
                await standby


async def test_a_watch_that_lost_its_lease_stops_writing(engines: dict[str, FakeEngine]) -> None:
    await add("a", engines, FakeEngine())
    async with watching() as watch:
        await eventually(lambda: bool(watch._hosts))
        await WatchLease.objects.filter(id=1).aupdate(
            owner="elsewhere:1:x", held_until=datetime(2099, 1, 1, tzinfo=UTC)
        )
        await eventually(lambda: not watch._hosts)
    assert (await WatchLease.objects.aget()).owner == "elsewhere:1:x", "it gives back only what it has"


def test_the_lease_of_a_watch_that_died_on_this_machine_is_free_at_once() -> None:
    import socket

    assert lease.hold(owner=f"{socket.gethostname()}:4194999:x", seconds=60)
    assert lease.hold(owner="somewhere:1:y", seconds=60)
    assert not lease.hold(owner="somewhere:1:z", seconds=60)


def test_a_lease_that_was_not_renewed_is_free() -> None:
    assert lease.hold(owner="somewhere:1:x", seconds=-1)
    assert lease.hold(owner="somewhere:1:y", seconds=60)
    lease.release(owner="somewhere:1:x")
    assert WatchLease.objects.get().owner == "somewhere:1:y"


async def test_it_says_that_it_lives(engines: dict[str, FakeEngine]) -> None:
    from console.lib import heartbeat

    async with watching():
        await eventually(lambda: heartbeat.ages(["watch"])["watch"] is not None)
    assert (await sync_to_async(heartbeat.ages)(["watch"]))["watch"] is None


async def test_a_host_whose_key_is_lost_is_told_so(engines: dict[str, FakeEngine]) -> None:
    host = await add("a", engines, FakeEngine())
    from django.db import connection

    def spoil() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE hosts_host SET credentials = 'unreadable'")

    await sync_to_async(spoil)()
    async with watching():
        await eventually(lambda: Host.objects.values_list("cause", flat=True).get(id=host.id) == "secret_lost")


class StormyEngine(FakeEngine):
    """Says of one container that it changed, as fast as it can be heard."""

    async def events(self, *, since: float | None = None) -> AsyncIterator[Event]:
        container_id = next(iter(self._containers))
        while True:
            for _number in range(50):
                yield event_of("container", "rename", container_id)
            await asyncio.sleep(0.01)


async def test_a_storm_is_answered_rarely_and_another_host_stays_quick(engines: dict[str, FakeEngine]) -> None:
    stormy = StormyEngine()
    await stormy.create_container(_SPEC)
    await add("stormy", engines, stormy)
    calm = FakeEngine()
    await add("calm", engines, calm)
    async with watching():
        await eventually(lambda: row("web"))
        await eventually(lambda: ObservedImage.objects.count() == 2)
        asked = stormy.calls.count("list_containers")
        await asyncio.sleep(1)
        await calm.create_container(replace(_SPEC, name="calm"))
        await eventually(lambda: row("calm"))
        assert stormy.calls.count("list_containers") - asked <= 4


async def test_a_broken_database_ends_no_watch(engines: dict[str, FakeEngine], monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    host = await add("a", engines, FakeEngine())
    real, broken = services.apply_containers, [True]

    def apply(*args: Any, **kwargs: Any) -> Any:
        if broken[0]:
            raise OperationalError("the database is away")
        return real(*args, **kwargs)

    monkeypatch.setattr(services, "apply_containers", apply)
    await engines[host.url].create_container(_SPEC)
    async with watching():
        await eventually(lambda: state_of(host)[0] == HostState.REACHABLE)
        broken[0] = False
        await eventually(lambda: row("web"))
