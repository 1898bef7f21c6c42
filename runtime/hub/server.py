"""The hub: a private unix socket, and what is ordered there."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import struct
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, Protocol

from runtime.connect import connect
from runtime.containers import ContainerEngine
from runtime.endpoint import Endpoint
from runtime.errors import BackendError
from runtime.hub import endpoints, messages
from runtime.hub.connection import Connection
from runtime.hub.keeper import Keeper
from runtime.hub.logs import LogHub
from runtime.hub.messages import (
    VERSION,
    Answer,
    Ended,
    EndTerminal,
    FinishLog,
    FollowLog,
    ForgetTerminal,
    JoinTerminal,
    KeepLogs,
    ListTerminals,
    LockTerminal,
    Message,
    OpenTerminal,
    Refused,
    SetPerson,
    TellTerminal,
)
from runtime.hub.terminals import HeldTerminal
from runtime.hub.wire import Link
from runtime.kept_logs import LogStore
from runtime.recordings import RecordingFailure

logger = logging.getLogger(__name__)

#: Terminals at once. Each holds two mebibytes of output at most, and a socket of its engine.
MOST_TERMINALS: Final = 5000
#: Killing looks at every process of a container: a hundred at once would stand in each other's way.
KILLS_AT_ONCE: Final = 4
#: Seconds between two looks at what is idle, old or alone.
LOOK_EVERY: Final = 1.0
#: Seconds that the output of a terminal that ended is there for who comes back late.
KEEP_ENDED: Final = 120.0
#: Seconds that it is kept when nobody asks to forget it: then the console's database has long been away.
KEEP_UNTOLD: Final = 24 * 3600.0
#: Seconds that the end of all terminals may take when the hub is told to stop.
STOP_PATIENCE: Final = 2.0
#: Seconds that a connection may take to say what it wants.
ORDER_PATIENCE: Final = 10.0


class Connect(Protocol):
    """Opens engines: :func:`runtime.connect`, or a test's own."""

    def __call__(self, endpoint: Endpoint) -> ContainerEngine:
        """Return an engine; nothing is asked of it yet."""


class Hub:
    """Everything that one hub process holds."""

    def __init__(self, *, data_dir: Path, connect: Connect = connect) -> None:
        #: Another hub after this one is somebody else: it knows nothing of what this one held.
        self.id = secrets.token_hex(16)
        self._connect = connect
        self._engines: dict[Endpoint, ContainerEngine] = {}
        self._terminals: dict[str, HeldTerminal] = {}
        self._forgotten: set[str] = set()
        self._logs = LogHub(self.engine)
        self._keeper = Keeper(LogStore(data_dir / "logs"), connect)
        self._kills = asyncio.Semaphore(KILLS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    # The process

    async def listen(self, path: Path) -> None:
        """Answer on ``path``, which only this user may open. A socket that a dead hub left is replaced."""
        await asyncio.to_thread(path.unlink, missing_ok=True)
        before = os.umask(0o177)
        try:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(lambda: Link(on_connected=self._greet), path=str(path))
        finally:
            os.umask(before)
        self._keep(self._look())

    async def close(self) -> None:
        """End every terminal, then close what is open. What cannot be ended in time is the console's to reap."""
        if self._server is not None:
            self._server.close()
        living = [terminal for terminal in self._terminals.values() if terminal.ended is None]
        if living:
            ends = [terminal.end(Ended(reason="hub")) for terminal in living]
            await asyncio.wait(ends, timeout=STOP_PATIENCE)
        for task in list(self._tasks):
            task.cancel()
        await self._logs.close()
        await self._keeper.close()
        for engine in self._engines.values():
            await engine.close()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = time.monotonic()
            for session, terminal in list(self._terminals.items()):
                terminal.look(now)
                if terminal.ended is None:
                    continue
                past = now - terminal.ended_at
                if past >= KEEP_UNTOLD or (session in self._forgotten and past >= KEEP_ENDED):
                    del self._terminals[session]
                    self._forgotten.discard(session)

    # Connections

    def _greet(self, link: Link) -> None:
        if not _is_ours(link):
            logger.warning("a process of another user was turned away")
            link.abort()
            return
        late = asyncio.get_running_loop().call_later(ORDER_PATIENCE, link.abort)

        def hear(message: Message) -> None:
            late.cancel()
            self._obey(message, link)

        link.on_message = hear
        link.on_lost = lambda _problem: late.cancel()

    def _obey(self, order: Message, link: Link) -> None:
        if getattr(order, "version", VERSION) != VERSION:
            message = f"the hub speaks version {VERSION}; restart the console, or the hub"
            self._refuse(link, Refused(code="version", message=message))
            return
        match order:
            case OpenTerminal():
                self._open(order, link)
            case JoinTerminal():
                self._join(order, link)
            case FollowLog():
                self._keep(self._follow(order, link))
            case KeepLogs() | FinishLog():
                self._keep(self._keep_logs(order, link))
            case ListTerminals():
                link.send(self._list())
            case EndTerminal() | ForgetTerminal() | LockTerminal() | TellTerminal() | SetPerson():
                terminal = self._terminals.get(order.session)
                link.send(Refused(code="unknown_session") if terminal is None else self._order(order, terminal))
            case _:
                self._refuse(link, Refused(code="bad_message", message=f"{order.type} is no order"))

    def _refuse(self, link: Link, refused: Refused) -> None:
        link.send(refused)
        link.close()

    def engine(self, fields: dict[str, Any]) -> ContainerEngine:
        """Return the engine at an endpoint; its connections are pooled. Raises ``ValueError``."""
        endpoint = endpoints.from_json(fields)
        engine = self._engines.get(endpoint)
        if engine is None:
            engine = self._engines[endpoint] = self._connect(endpoint)
        return engine

    # Terminals

    def _open(self, order: OpenTerminal, link: Link) -> None:
        try:
            engine = self.engine(order.endpoint)
        except ValueError as error:
            self._refuse(link, Refused(code="bad_message", message=str(error)))
            return
        if order.session in self._terminals:
            self._refuse(link, Refused(code="bad_message", message="this session was opened before"))
            return
        if len(self._terminals) >= MOST_TERMINALS:
            message = f"{MOST_TERMINALS} terminals are open, which is the most"
            self._refuse(link, Refused(code="too_many", message=message))
            return
        terminal = HeldTerminal(order, hub_id=self.id, engine=engine, kills=self._kills)
        self._terminals[order.session] = terminal
        self._keep(self._start(terminal, order, link))

    async def _start(self, terminal: HeldTerminal, order: OpenTerminal, link: Link) -> None:
        try:
            await terminal.start()
        except RecordingFailure as failure:
            self._refuse(link, Refused(code="unrecorded", message=failure.code.value))
            return
        except BackendError as error:
            clean = terminal.ended is None or terminal.ended.clean
            self._refuse(link, Refused(code="engine", error=messages.error_of(error), clean=clean))
            return
        terminal.sit(link, order.viewer, columns=order.columns, rows=order.rows, from_offset=None)
        if link.is_closed:
            # Whoever ordered it has gone while the engine was working.
            link.on_lost("")

    def _join(self, order: JoinTerminal, link: Link) -> None:
        terminal = self._terminals.get(order.session)
        if terminal is None:
            self._refuse(link, Refused(code="unknown_session"))
            return
        terminal.sit(link, order.viewer, columns=order.columns, rows=order.rows, from_offset=order.from_offset)

    # Logs

    async def _follow(self, order: FollowLog, link: Link) -> None:
        try:
            await self._logs.serve(order, Connection(link))
        except ValueError as error:
            link.send(Refused(code="bad_message", message=str(error)))
        finally:
            link.close()

    async def _keep_logs(self, order: KeepLogs | FinishLog, link: Link) -> None:
        try:
            link.send(Answer(data=await self._keeper.handle(order)))
        except ValueError as error:
            link.send(Refused(code="bad_message", message=str(error)))

    def _list(self) -> Answer:
        terminals = [terminal.as_json() for terminal in self._terminals.values()]
        told = [terminal for terminal in terminals if terminal["session"] not in self._forgotten]
        return Answer(data={"hub": self.id, "terminals": told})

    def _order(self, order: Message, terminal: HeldTerminal) -> Answer | Refused:
        match order:
            case EndTerminal(reason=reason, by=by):
                terminal.end(Ended(reason=reason, by=by))
            case ForgetTerminal(session=session):
                if terminal.ended is None:
                    return Refused(code="bad_message", message="the terminal is open")
                self._forgotten.add(session)
            case LockTerminal(locked=locked, by=by):
                terminal.lock(locked=locked, by=by)
            case TellTerminal(text=text, by=by):
                terminal.tell(text=text, by=by)
            case SetPerson():
                terminal.set_person(order)
        return Answer()


def _is_ours(link: Link) -> bool:
    """Whether the other end is a process of our own user, or of root: beside the socket's own rights."""
    transport = link.peer
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is None:
        return False
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, user, _group = struct.unpack("3i", credentials)
    return user in (0, os.geteuid())
