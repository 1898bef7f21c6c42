"""`manage.py watch`: one asyncio process that follows every host and writes down what it sees.

Per host there is one task with three others below it: one reads the engine's events and only marks what may have
changed, one pings, one asks for what is marked and writes it. Marks are bounded sets, so a storm of events costs time
and no memory: the same container is marked once however often it changes. A full list every 30 s, and after a storm,
catches what the event stream lost. A host that hangs holds nothing but its own tasks.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, ParamSpec, TypeVar
from uuid import UUID

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from console import gateway
from console.gateway import BackendError, ContainerEngine, EngineInfo, Event, TimedOut
from console.hosts import services as host_services
from console.hosts.causes import cause_of, detail_of
from console.hosts.models import Host
from console.inventory import lease, services
from console.lib import heartbeat
from console.lib.crypto import Undecryptable
from console.lib.text import one_line

logger = structlog.get_logger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=BaseException)

PART: Final = "watch"

#: Seconds.
LIST_EVERY: Final = 30.0
PING_EVERY: Final = 5.0
PING_LIMIT: Final = 8.0
SEEN_EVERY: Final = 5.0
HOSTS_EVERY: Final = 1.0
LEASE_FOR: Final = 6.0
STOP_WITHIN: Final = 1.5
LONGEST_PAUSE: Final = 15.0
#: The same container is asked for at most four times a second.
REST_PER_CONTAINER: Final = 0.25
#: Engines tell of a change up to 26 ms before their own list shows it: so each is asked for once more after this.
CONFIRM_AFTER: Final = 0.1
#: After each round: the first event is answered at once, those behind it together.
REST: Final = 0.05
REST_IN_STORM: Final = 1.0
LIST_AFTER_STORM: Final = 3.0
#: Events since the last round that make it a storm. The engine's ring holds 256 and drops for slow readers.
STORM: Final = 200
#: Containers marked at once; beyond it one full list is cheaper.
MOST_MARKED: Final = 500
THREADS: Final = 3

#: Events that change nothing we write down.
_IDLE_CONTAINER = frozenset(
    {"attach", "detach", "top", "resize", "copy", "export", "commit", "archive-path", "extract-to-dir", "checkpoint"}
)
_IDLE_IMAGE = frozenset({"push", "save"})
_IDLE_VOLUME = frozenset({"mount", "unmount"})
#: Signals that end a process when somebody sends them on purpose.
_ENDING_SIGNALS = frozenset({"", "1", "2", "3", "9", "15", "SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGTERM"})


class Database:
    """The watch's way to the database: a few threads of its own, so that a slow query never holds the event loop."""

    def __init__(self, *, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="watch-db", initializer=self._remember)
        self._connections: list[Any] = []

    def _remember(self) -> None:
        connection = connections["default"]
        connection.inc_thread_sharing()
        self._connections.append(connection)

    async def __call__(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``work`` in one of the threads. Raises what it raises."""

        def run() -> R:
            try:
                return work(*args, **kwargs)
            except (DatabaseError, InterfaceError):
                # The connection may be dead; the next use opens another.
                if not connections["default"].in_atomic_block:
                    connections["default"].close()
                raise

        return await sync_to_async(run, thread_sensitive=False, executor=self._pool)()

    def close(self) -> None:
        """Wait for the threads and close their connections. Blocks: not on an event loop."""
        self._pool.shutdown(cancel_futures=True)
        for connection in self._connections:
            connection.close()


class OtherEngine(Exception):
    """At a host's address answers another engine than the one we know."""


@dataclass(slots=True)
class Marks:
    """What may have changed on one host since it was last asked. Bounded, whatever the engine does."""

    everything: bool = True
    containers: set[str] = field(default_factory=set)
    ended_by_request: set[str] = field(default_factory=set)
    images: bool = False
    volumes: bool = False
    destroyed_volumes: set[str] = field(default_factory=set)
    networks: bool = False
    events: int = 0
    #: The time of the engine's last event, by the engine's clock: a reconnect asks for those since.
    last_event_at: float | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __bool__(self) -> bool:
        return bool(self.everything or self.containers or self.images or self.volumes or self.networks)

    def take_event(self, event: Event) -> None:
        """Mark what ``event`` says may have changed."""
        self.events += 1
        self.last_event_at = event.occurred_at.timestamp()
        if event.kind == "container":
            self._take_container_event(event)
        elif event.kind == "image":
            self.images = self.images or event.action not in _IDLE_IMAGE
        elif event.kind == "volume":
            self.volumes = self.volumes or event.action not in _IDLE_VOLUME
            if event.action == "destroy" and len(self.destroyed_volumes) < MOST_MARKED:
                self.destroyed_volumes.add(event.object_id)
        elif event.kind == "network":
            if event.action in ("connect", "disconnect"):
                self._mark(event.attributes.get("container", ""))
            else:
                self.networks = True
        elif event.kind == "daemon":
            self.everything = True
        if self:
            self.wake.set()

    def _take_container_event(self, event: Event) -> None:
        action = event.action
        if action.startswith("exec_") or action in _IDLE_CONTAINER:
            return
        # A stop is a kill first; both come from somebody. A process that ends by itself has neither.
        if action == "stop" or (action == "kill" and event.attributes.get("signal", "") in _ENDING_SIGNALS):
            if len(self.ended_by_request) < MOST_MARKED:
                self.ended_by_request.add(event.object_id)
        elif action == "start":
            self.ended_by_request.discard(event.object_id)
        self._mark(event.object_id)

    def _mark(self, container_id: str) -> None:
        if not container_id:
            return
        if len(self.containers) >= MOST_MARKED:
            # One full list tells as much, in a memory that does not grow.
            self.containers.clear()
            self.everything = True
        if not self.everything:
            self.containers.add(container_id)


class HostWatch:
    """Follows one host until it is cancelled."""

    def __init__(self, host: Host, *, database: Database, seen: set[UUID]) -> None:
        self.host = host
        self.key = (host.revision, host.url)
        self._database = database
        self._seen = seen
        self._marks = Marks()
        self._quiet_until: dict[str, float] = {}
        #: When to ask a second time for a container that an event told of.
        self._confirm_at: dict[str, float] = {}
        self._list_due = 0.0
        self._reached_at = 0.0
        self._log = logger.bind(host=host.name, host_id=str(host.id))

    async def run(self) -> None:
        """Connect, follow, and connect again, with growing pauses while it does not work."""
        pause = 0.5
        loop = asyncio.get_running_loop()
        while True:
            self._reached_at = 0.0
            try:
                await self._follow_once()
            except* BackendError as group:
                error = _first(group, BackendError)
                await self._trouble(cause_of(error), detail=detail_of(error), said=str(error))
            except* OtherEngine:
                await self._trouble("other_engine")
            except* ValueError as group:
                # An endpoint or a value that no check of ours should have let through.
                await self._trouble("bad_address", said=str(_first(group, ValueError)))
            except* (DatabaseError, InterfaceError) as group:
                self._log.warning("watch_database_failed", error=str(group.exceptions))
            if self._reached_at and loop.time() - self._reached_at > LONGEST_PAUSE:
                pause = 0.5
            await asyncio.sleep(pause * random.uniform(0.7, 1.0))  # noqa: S311  jitter
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _trouble(self, cause: str, *, detail: str = "", said: str = "") -> None:
        """Write down what is wrong; a database that is away as well must not end the watch."""
        self._seen.discard(self.host.id)
        try:
            is_news = await self._database(
                host_services.mark_troubled,
                host_id=self.host.id,
                revision=self.host.revision,
                cause=cause,
                detail=detail,
                now=timezone.now(),
            )
        except (DatabaseError, InterfaceError) as error:
            self._log.warning("watch_database_failed", error=str(error))
        else:
            if is_news:
                self._log.warning("host_troubled", cause=cause, said=one_line(said, limit=200))

    async def _follow_once(self) -> None:
        """Follow the host until something goes wrong. Raises an exception group."""
        endpoint = self.host.endpoint
        engine = gateway.open_engine(endpoint)
        try:
            info = await _limited(engine.info(), self.host)
            self._check_identity(info)
            async with asyncio.TaskGroup() as tasks:
                # Events first: what happens while the list is on its way is marked and asked for after it.
                self._marks.everything = True
                self._marks.wake.set()
                tasks.create_task(self._read_events(engine))
                tasks.create_task(self._ping(engine))
                tasks.create_task(self._answer_marks(engine, info))
        except (BackendError, OtherEngine, ValueError, DatabaseError, InterfaceError) as error:
            raise ExceptionGroup("the host cannot be followed", [error]) from error
        finally:
            # A broken connection must not be met again; and the credentials may be others next time.
            await gateway.close_engine(endpoint)

    def _check_identity(self, info: EngineInfo) -> None:
        engine_id = host_services.lasting_engine_id(info)
        if self.host.engine_id and engine_id and self.host.engine_id != engine_id:
            raise OtherEngine
        self.host.engine_id = engine_id

    async def _read_events(self, engine: ContainerEngine) -> None:
        async for event in engine.events(since=self._marks.last_event_at):
            self._marks.take_event(event)
        raise gateway.Terminated("the engine ended its stream of events")

    async def _ping(self, engine: ContainerEngine) -> None:
        while True:
            await asyncio.sleep(PING_EVERY)
            await _limited(engine.ping(), self.host)
            self._seen.add(self.host.id)

    async def _answer_marks(self, engine: ContainerEngine, info: EngineInfo | None) -> None:
        loop = asyncio.get_running_loop()
        marks = self._marks
        while True:
            now = loop.time()
            if now >= self._list_due:
                marks.everything = True
            events, marks.events = marks.events, 0
            if marks.everything:
                await self._ask_for_everything(engine, info)
                info = None
                self._list_due = loop.time() + LIST_EVERY
            else:
                await self._ask_for_marked(engine, now)
            storm = events > STORM
            if storm:
                # The engine drops events for readers that do not keep up, and does not say so.
                self._list_due = min(self._list_due, loop.time() + LIST_AFTER_STORM)
            await asyncio.sleep(REST_IN_STORM if storm else REST)
            await self._wait_for_marks()

    async def _wait_for_marks(self) -> None:
        """Return when something may be asked for."""
        loop = asyncio.get_running_loop()
        marks = self._marks
        while True:
            now = loop.time()
            self._quiet_until = {name: until for name, until in self._quiet_until.items() if until > now}
            due = self._list_due
            if marks.everything or marks.images or marks.volumes or marks.networks or now >= due:
                return
            waiting = [*(self._quiet_until.get(name, now) for name in marks.containers), *self._confirm_at.values()]
            if waiting and min(waiting) <= now:
                return
            due = min(due, *waiting) if waiting else due
            marks.wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await marks.wake.wait()

    async def _ask_for_everything(self, engine: ContainerEngine, info: EngineInfo | None) -> None:
        marks = self._marks
        marks.everything = marks.images = marks.volumes = marks.networks = False
        fresh, marks.containers = marks.containers, set()
        ended, marks.ended_by_request = marks.ended_by_request, marks.ended_by_request & fresh
        self._confirm_at = dict.fromkeys(fresh, asyncio.get_running_loop().time() + CONFIRM_AFTER)
        asked_at = timezone.now()
        containers = await engine.list_containers()
        if info is None:
            info = await engine.info()
            self._check_identity(info)
        # The state first: a page that shows new rows should not call their host unreachable.
        known = await self._database(
            host_services.mark_reachable, host_id=self.host.id, revision=self.host.revision, info=info, now=asked_at
        )
        if not known:
            return
        self._reached_at = self._reached_at or asyncio.get_running_loop().time()
        await self._database(
            services.apply_containers,
            self.host,
            containers=containers,
            asked_at=asked_at,
            ended_by_request=ended,
        )
        await self._ask_for_images(engine)
        await self._ask_for_volumes(engine)
        await self._ask_for_networks(engine)

    async def _ask_for_marked(self, engine: ContainerEngine, now: float) -> None:
        marks = self._marks
        fresh = {name for name in marks.containers if self._quiet_until.get(name, 0.0) <= now}
        ready = fresh | {name for name, due in self._confirm_at.items() if due <= now}
        if ready:
            marks.containers -= fresh
            ended = marks.ended_by_request & ready
            marks.ended_by_request -= ended - fresh
            for name in ready:
                self._confirm_at.pop(name, None)
            self._confirm_at.update(dict.fromkeys(fresh, now + CONFIRM_AFTER))
            self._quiet_until.update(dict.fromkeys(fresh, now + REST_PER_CONTAINER))
            asked_at = timezone.now()
            containers = await engine.list_containers(container_ids=sorted(ready))
            await self._database(
                services.apply_containers,
                self.host,
                containers=containers,
                asked_at=asked_at,
                asked_for=ready,
                ended_by_request=ended,
            )
        if marks.images:
            marks.images = False
            await self._ask_for_images(engine)
        if marks.volumes:
            marks.volumes = False
            await self._ask_for_volumes(engine)
        if marks.networks:
            marks.networks = False
            await self._ask_for_networks(engine)

    async def _ask_for_images(self, engine: ContainerEngine) -> None:
        asked_at = timezone.now()
        images = await engine.list_images()
        await self._database(services.apply_images, self.host, images=images, asked_at=asked_at)

    async def _ask_for_volumes(self, engine: ContainerEngine) -> None:
        marks = self._marks
        destroyed, marks.destroyed_volumes = marks.destroyed_volumes, set()
        asked_at = timezone.now()
        try:
            volumes = await engine.list_volumes()
            await self._database(
                services.apply_volumes, self.host, volumes=volumes, asked_at=asked_at, destroyed=destroyed
            )
        except BaseException:
            marks.destroyed_volumes |= destroyed
            raise

    async def _ask_for_networks(self, engine: ContainerEngine) -> None:
        asked_at = timezone.now()
        networks = await engine.list_networks()
        await self._database(services.apply_networks, self.host, networks=networks, asked_at=asked_at)


async def _limited(answer: Awaitable[R], host: Host) -> R:
    """Await a short answer. Raises ``TimedOut``: a stopped engine accepts connections and then says nothing."""
    try:
        async with asyncio.timeout(PING_LIMIT):
            return await answer
    except TimeoutError as error:
        raise TimedOut(f"{host.url} did not answer within {PING_LIMIT:.0f} s") from error


def _first(group: BaseExceptionGroup[Any], kind: type[E]) -> E:
    """Return the first plain exception of ``kind`` in a group of them."""
    for error in group.exceptions:
        if isinstance(error, kind):
            return error
        if isinstance(error, BaseExceptionGroup):
            return _first(error, kind)
    raise LookupError(kind.__name__)


class Watch:
    """Holds the lease and one :class:`HostWatch` per host; notices hosts that come, change and go."""

    def __init__(self) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stop = asyncio.Event()
        self._database = Database()
        self._hosts: dict[UUID, tuple[HostWatch, asyncio.Task[None]]] = {}
        self._seen: set[UUID] = set()
        self._held = False

    def stop(self) -> None:
        """Make :meth:`run` return soon."""
        self._stop.set()

    async def run(self) -> None:
        """Watch until :meth:`stop`."""
        loop = asyncio.get_running_loop()
        # Looking up names blocks a thread each; a few hosts with a dead name server must not hold up the others.
        loop.set_default_executor(ThreadPoolExecutor(32, thread_name_prefix="names"))
        seen_due = 0.0
        logger.info("watch_started", owner=self.owner)
        try:
            while not self._stop.is_set():
                try:
                    await self._hold_lease()
                    if self._held:
                        await self._follow_hosts()
                    if loop.time() >= seen_due:
                        seen_due = loop.time() + SEEN_EVERY
                        await self._write_seen()
                        await self._database(heartbeat.beat, PART)
                except (DatabaseError, InterfaceError) as error:
                    logger.warning("watch_database_failed", error=str(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(HOSTS_EVERY):
                        await self._stop.wait()
        finally:
            await self._end()

    async def _hold_lease(self) -> None:
        held = await self._database(lease.hold, owner=self.owner, seconds=LEASE_FOR)
        if held != self._held:
            logger.info("watch_lease", held=held)
        if self._held and not held:
            # Another watch writes now; two would undo each other's work.
            await self._cancel(list(self._hosts))
        self._held = held

    async def _follow_hosts(self) -> None:
        revisions = await self._database(_revisions)
        outdated = [
            host_id
            for host_id, (watch, task) in self._hosts.items()
            if revisions.get(host_id) != watch.host.revision or task.done()
        ]
        await self._cancel(outdated)
        new = [host_id for host_id in revisions if host_id not in self._hosts]
        for host_id in new:
            host = await self._database(_load, host_id)
            if host is not None:
                watch = HostWatch(host, database=self._database, seen=self._seen)
                self._hosts[host_id] = (watch, asyncio.create_task(watch.run(), name=f"host {host.name}"))

    async def _write_seen(self) -> None:
        seen = set(self._seen)
        self._seen.clear()
        if seen:
            await self._database(host_services.mark_seen, host_ids=seen, now=timezone.now())

    async def _cancel(self, host_ids: list[UUID]) -> None:
        tasks = [self._hosts.pop(host_id)[1] for host_id in host_ids]
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        done, _late = await asyncio.wait(tasks, timeout=STOP_WITHIN)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("host_watch_failed", host=task.get_name(), exc_info=error)

    async def _end(self) -> None:
        await self._cancel(list(self._hosts))
        if self._held:
            try:
                async with asyncio.timeout(0.3):
                    await self._database(lease.release, owner=self.owner)
                    await self._database(heartbeat.stop, PART)
            except (DatabaseError, InterfaceError, TimeoutError) as error:
                logger.warning("watch_lease_kept", error=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.to_thread(self._database.close)
        logger.info("watch_stopped", owner=self.owner)


def _revisions() -> dict[UUID, int]:
    return dict(Host.objects.order_by().values_list("id", "revision"))


def _load(host_id: UUID) -> Host | None:
    """Return the host to follow; ``None`` when it is gone, or when its key is lost, which is then written down."""
    try:
        return Host.objects.filter(id=host_id).first()
    except Undecryptable:
        revision = Host.objects.values_list("revision", flat=True).get(id=host_id)
        host_services.mark_troubled(
            host_id=host_id, revision=revision, cause="secret_lost", detail="", now=timezone.now()
        )
        return None
