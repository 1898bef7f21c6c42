"""Keeps logs: follows each container that the console names, by one stream of its engine, and writes down what comes.

What is kept survives everybody: after this process, or an engine, was away, a log goes on where it ended. So no state
of ours matters, and the console says every few seconds which logs it wants, all of them.

Terminals live in this process too. So files are written by a thread, a batch of each log at a time, and after a batch
the log rests for as long as that took: a flood costs half of the thread, and its own lateness.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from runtime.containers import ContainerDetail, ContainerEngine, ContainerState
from runtime.endpoint import Endpoint
from runtime.errors import BackendError, NotFound, TimedOut
from runtime.hub import endpoints
from runtime.hub.messages import FinishLog, KeepLogs, KeptState, LogOrder
from runtime.kept_logs import Forgotten, LineParser, LogRecorder, LogStore, NoRoom
from runtime.streams import Channel, Chunk

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

#: Logs kept at once: each has a connection to its engine.
MOST_LOGS: Final = 2000
#: Seconds in which lines gather before they are written: what a kill may cost, if the engine goes at the same time.
GATHER: Final = 0.25
#: Bytes that are written at once, and read ahead meanwhile.
BATCH: Final = 64 * 1024
#: Questions put to engines at once: after a start of ours there is one for every log.
ASK_AT_ONCE: Final = 16
#: Seconds.
SHORTEST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 15.0
#: Between two looks at a container that ends as soon as it is started.
LONGEST_REST: Final = 3.0
#: For a disk to get room again.
ROOM_PAUSE: Final = 10.0
#: A container that is not wanted any more may just be on its way out: its stream ends by itself within this time.
LEAVE_PATIENCE: Final = 10.0
ASK_PATIENCE: Final = 10.0
#: A list is old when it was made so long before the last; more, and it was the clock that changed.
LATE_LIST: Final = 60.0
#: States in which the engine has more to say, or will.
_LIVING: Final = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING})

Key = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """How a log is wanted."""

    endpoint: Endpoint
    limit_bytes: int
    revision: str
    is_lost: bool


class Keeper:
    """The logs that are kept, and what keeps each of them."""

    def __init__(self, store: LogStore, connect: Callable[[Endpoint], ContainerEngine]) -> None:
        self.store = store
        self._connect = connect
        self._engines: dict[Endpoint, ContainerEngine] = {}
        self._logs: dict[Key, _KeptLog] = {}
        self._asked_at = 0.0
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="kept-logs")
        self._asking = asyncio.Semaphore(ASK_AT_ONCE)

    async def handle(self, order: LogOrder) -> dict[str, Any]:
        """Carry an order out and return its answer's data. Raises ``ValueError`` for one that makes no sense."""
        if isinstance(order, FinishLog):
            log = self._logs.get((order.host, order.container))
            return {"finished": log is None or await log.finish(max(0.0, min(order.patience, 10.0)))}
        return {"logs": [dataclasses.asdict(state) for state in await self._keep(order)]}

    async def close(self) -> None:
        """Stop keeping; everything that came is written."""
        logs = list(self._logs.values())
        self._logs.clear()
        await asyncio.gather(*(log.stop() for log in logs))
        for engine in self._engines.values():
            await engine.close()
        self._engines.clear()
        self._writing.shutdown()

    async def write(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do ``work`` where files are written."""
        return await asyncio.get_running_loop().run_in_executor(self._writing, work, *arguments)

    async def inspect(self, engine: ContainerEngine, container_id: str) -> ContainerDetail:
        """Ask an engine about a container, in turn. Raises ``BackendError``."""
        async with self._asking:
            try:
                async with asyncio.timeout(ASK_PATIENCE):
                    return await engine.inspect_container(container_id)
            except TimeoutError as error:
                raise TimedOut(f"the engine did not answer within {ASK_PATIENCE:g} s") from error

    def write_last(self, work: Callable[[], None]) -> None:
        """Do ``work`` after what is being written, without waiting for it."""
        self._writing.submit(work)

    async def _keep(self, order: KeepLogs) -> list[KeptState]:
        wanted, too_many = self._read(order)
        is_late = self._asked_at - LATE_LIST < order.at < self._asked_at
        if not is_late:
            self._asked_at = order.at
            for key, wish in wanted.items():
                self._take(key, wish)
            for key in [key for key in self._logs if key not in wanted]:
                self._logs[key].leave()
            await self._close_engines()
        known = [self._logs[key].told() for key in wanted if key in self._logs]
        return [*known, *(KeptState(host=h, container=c, state="failing", error="too_many") for h, c in too_many)]

    def _read(self, order: KeepLogs) -> tuple[dict[Key, _Wish], list[Key]]:
        wanted: dict[Key, _Wish] = {}
        too_many: list[Key] = []
        try:
            known = {str(host): endpoints.from_json(fields) for host, fields in order.hosts.items()}
            for wish in order.containers:
                key = (str(wish["host"]), str(wish["container"]))
                self.store.directory(*key)
                if len(wanted) < MOST_LOGS:
                    wanted[key] = _Wish(
                        endpoint=known[key[0]],
                        limit_bytes=int(wish["limit"]),
                        revision=str(wish["revision"]),
                        is_lost=bool(wish["is_lost"]),
                    )
                else:
                    too_many.append(key)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a list of logs: {error!r}") from error
        return wanted, too_many

    def _take(self, key: Key, wish: _Wish) -> None:
        log, endpoint = self._logs.get(key), wish.endpoint
        if log is not None and (log.is_over(wish) or log.endpoint != endpoint):
            log.forget()
            log = None
        if log is None:
            engine = self._engines.get(endpoint)
            if engine is None:
                engine = self._engines[endpoint] = self._connect(endpoint)
            log = self._logs[key] = _KeptLog(self, key, wish, engine=engine)
        log.want(wish)

    def left(self, log: _KeptLog) -> None:
        """``log`` has ended, and nobody wants it any more."""
        if self._logs.get(log.key) is log:
            del self._logs[log.key]

    async def _close_engines(self) -> None:
        used = {log.endpoint for log in self._logs.values()}
        for endpoint in [endpoint for endpoint in self._engines if endpoint not in used]:
            await self._engines.pop(endpoint).close()


class _KeptLog:
    """One container's log: a task that follows it, with at most two batches of it in memory."""

    def __init__(self, keeper: Keeper, key: Key, wish: _Wish, *, engine: ContainerEngine) -> None:
        self.key = key
        self.endpoint = wish.endpoint
        self._keeper = keeper
        self._engine = engine
        self._recorder: LogRecorder | None = None
        self._wish = wish
        self._state = KeptState(host=key[0], container=key[1], state="starting")
        self._is_wanted = True
        #: Something may be there to be read.
        self._wake = asyncio.Event()
        #: Fires, and is replaced, whenever lines were written or the state is another.
        self._moved = asyncio.Event()
        #: How often the log was read to its end.
        self._ends = 0
        self._rest = SHORTEST_PAUSE
        self._leaving: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run(), name=f"log {key[1][:12]}")

    # What the keeper says

    def is_over(self, wish: _Wish) -> bool:
        """Whether nothing follows it any more, though it may be there (again)."""
        is_back = not wish.is_lost and wish.revision != self._wish.revision
        return self._task.done() and (self._state.state != "gone" or is_back)

    def want(self, wish: _Wish) -> None:
        """Keep it, and look again when it is not as it was."""
        before, self._wish = self._wish, wish
        self._is_wanted = True
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if self._recorder is not None:
            self._recorder.writer.limit_bytes = wish.limit_bytes
        if (wish.revision, wish.is_lost) != (before.revision, before.is_lost):
            self._wake.set()

    def leave(self) -> None:
        """Nobody wants it any more: end with the stream, or soon."""
        if self._task.done():
            self._keeper.left(self)
        elif self._is_wanted:
            self._is_wanted = False
            self._wake.set()
            self._leaving = asyncio.get_running_loop().call_later(LEAVE_PATIENCE, self._task.cancel)

    def forget(self) -> None:
        """Somebody else keeps it from now on."""
        self._is_wanted = False
        self._task.cancel()

    async def stop(self) -> None:
        """End now."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def finish(self, patience: float) -> bool:
        """Return once everything written so far is kept; ``False`` when that cannot be had within ``patience``."""
        with suppress(TimeoutError, BackendError):
            async with asyncio.timeout(patience):
                return await self._finish()
        return False

    async def _finish(self) -> bool:
        asked: int | None = None
        while True:
            if self._state.state == "following":
                newest = await self._newest()
                while self._state.state == "following" and self._seen() < newest:
                    await self._moved.wait()
                if self._state.state == "following":
                    return True
            elif self._task.done():
                return self._state.state == "gone"
            elif self._state.state == "resting" and asked is None:
                asked = self._ends
                self._wake.set()
            elif asked is not None and self._ends > asked:
                return True
            else:
                await self._moved.wait()

    def _seen(self) -> int:
        return self._recorder.seen if self._recorder is not None else 0

    async def _newest(self) -> int:
        """Return the time of the last line that the engine has; 0 when it has none."""
        detail = await self._keeper.inspect(self._engine, self.key[1])
        parser, last = LineParser(), 0
        chunks = self._engine.logs(self.key[1], tty=detail.tty, timestamps=True, tail=1)
        async with _closing(chunks):
            async for chunk in chunks:
                last = max([last, *(line.at for line in parser.feed(chunk.channel, chunk.data))])
        return max([last, *(line.at for line in parser.finish())])

    def told(self) -> KeptState:
        """Say how it goes."""
        if self._recorder is None:
            return self._state
        writer = self._recorder.writer
        return dataclasses.replace(
            self._state, bytes=writer.size, first=writer.first, last=writer.last, is_cut=writer.is_cut
        )

    # What it does

    def _set(self, state: str, *, error: str = "") -> None:
        if (state, error) != (self._state.state, self._state.error):
            if error:
                logger.warning("log of %s not kept: %s", self.key[1][:12], error)
            self._state = dataclasses.replace(self._state, state=state, error=error)
        self._move()

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _run(self) -> None:
        pause = SHORTEST_PAUSE
        try:
            while True:
                started = time.monotonic()
                try:
                    await self._read_to_the_end()
                    if not self._is_wanted:
                        await self._seal()
                        return
                    pause = SHORTEST_PAUSE
                    continue
                except NotFound:
                    await self._seal()
                    self._set("gone")
                    return
                except Forgotten:
                    # Somebody removed what was kept. Is it still wanted, it begins anew.
                    self._close()
                    self._recorder = None
                    self._set("starting")
                except NoRoom:
                    self._set("failing", error="no_room")
                    pause = ROOM_PAUSE
                except OSError as error:
                    logger.warning("log of %s not written: %s", self.key[1][:12], error)
                    self._set("failing", error="storage")
                    pause = ROOM_PAUSE
                except BackendError as error:
                    self._set("failing", error=error.code)
                if not self._is_wanted:
                    return
                if time.monotonic() - started > LONGEST_PAUSE:
                    pause = SHORTEST_PAUSE
                await asyncio.sleep(pause * random.uniform(0.7, 1.0))  # noqa: S311  jitter
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            if self._leaving is not None:
                self._leaving.cancel()
            self._move()
            self._close()
            if not self._is_wanted:
                self._keeper.left(self)

    def _close(self) -> None:
        if self._recorder is not None:
            self._keeper.write_last(self._recorder.close)

    async def _seal(self) -> None:
        if self._recorder is not None:
            with suppress(Forgotten):
                await self._keeper.write(self._recorder.seal)

    async def _read_to_the_end(self) -> None:
        """Follow until the container does not run and all is kept, then wait until it may have more.

        Raises ``BackendError``, ``Forgotten``, ``OSError``.
        """
        self._wake.clear()
        if self._recorder is None:
            self._recorder = await self._keeper.write(self._open)
        detail = await self._keeper.inspect(self._engine, self.key[1])
        since = await self._keeper.write(self._recorder.begin)
        chunks = self._engine.logs(
            self.key[1], tty=detail.tty, follow=detail.container.state in _LIVING, timestamps=True, since=since
        )
        began = time.monotonic()
        if detail.container.state in _LIVING:
            self._set("following")
        async with _closing(chunks):
            await self._write_down(chunks, self._recorder)
        await self._keeper.write(self._recorder.finish)
        detail = await self._keeper.inspect(self._engine, self.key[1])
        self._note_end(detail)
        if detail.container.state in _LIVING:
            # It was started again, or soon will be: what it wrote meanwhile is in the log.
            lasted = time.monotonic() - began
            self._rest = SHORTEST_PAUSE if lasted > LONGEST_REST else min(self._rest * 2, LONGEST_REST)
            await asyncio.sleep(self._rest)
            return
        self._ends += 1
        self._set("resting")
        if self._is_wanted:
            await self._wake.wait()

    def _open(self) -> LogRecorder:
        return self._keeper.store.recorder(*self.key, limit_bytes=self._wish.limit_bytes)

    def _note_end(self, detail: ContainerDetail) -> None:
        ended = detail.container.state not in _LIVING and detail.started_at is not None
        self._state = dataclasses.replace(
            self._state,
            exit_code=detail.container.exit_code if ended else None,
            oom_killed=ended and detail.oom_killed,
            started_at=_seconds(detail.started_at),
            ended_at=_seconds(detail.finished_at) if ended else None,
        )

    async def _write_down(self, chunks: AsyncIterator[Chunk], recorder: LogRecorder) -> None:
        """Write what comes, a batch at a time, until the stream ends. Raises what reading or writing raises."""
        batch = _Batch()
        reading = asyncio.create_task(batch.fill(chunks))
        try:
            while not (reading.done() and not batch.chunks):
                await batch.wait()
                if batch.size < BATCH and not reading.done():
                    await asyncio.wait([reading], timeout=GATHER)
                if taken := batch.take():
                    started = time.monotonic()
                    await self._keeper.write(recorder.feed, taken)
                    self._move()
                    await asyncio.sleep(time.monotonic() - started)
            reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class _Batch:
    """What was read and is not written yet."""

    def __init__(self) -> None:
        self.chunks: list[tuple[Channel, bytes]] = []
        self.size = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def fill(self, chunks: AsyncIterator[Chunk]) -> None:
        """Read, and wait while nobody takes it."""
        try:
            async for chunk in chunks:
                self.chunks.append((chunk.channel, chunk.data))
                self.size += len(chunk.data)
                self._arrived.set()
                if self.size >= BATCH:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._arrived.set()

    async def wait(self) -> None:
        """Return when there is something, or nothing more comes."""
        await self._arrived.wait()

    def take(self) -> list[tuple[Channel, bytes]]:
        """Return what is there and make room."""
        taken, self.chunks, self.size = self.chunks, [], 0
        self._arrived.clear()
        self._room.set()
        return taken


class _closing:  # noqa: N801  like contextlib's
    """``aclosing`` for what the protocol calls an iterator: engines' are generators, with a connection to close."""

    def __init__(self, chunks: AsyncIterator[Chunk]) -> None:
        self._chunks = chunks

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_error: object) -> None:
        if hasattr(self._chunks, "aclose"):
            await cast("AsyncGenerator[Chunk, None]", self._chunks).aclose()


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None
