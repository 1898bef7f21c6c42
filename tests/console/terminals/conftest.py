"""A browser's end of a socket, spoken to without a server, and a container with a fake engine behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.gateway import ContainerSpec
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.lib.origin import Origin
from console.lib.websocket import in_database
from console.terminals import services
from console.terminals.models import TerminalSession
from runtime.hub.server import Hub
from runtime.testing import FakeEngine

ORIGIN = b"http://testserver"
PATIENCE = 10.0


class Closed(Exception):
    """The server closed the socket, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Viewer:
    """A socket from the browser's side. It takes what the server sends only when asked to: like a slow network.

    With ``room``, only as many messages as that fit between the two: then the server waits.
    """

    def __init__(self, path: str, *, headers: list[tuple[bytes, bytes]], room: int = 0) -> None:
        from console.asgi import application

        path, _mark, query = path.partition("?")
        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": headers,
            "client": ("192.0.2.7", 40000),
            "subprotocols": [],
        }
        self._to_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_server: asyncio.Queue[dict[str, Any]] = asyncio.Queue(room)
        self._to_server.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(application(scope, self._to_server.get, self._from_server.put))
        #: Bytes of data taken so far.
        self.taken = 0
        self.is_terminal = path == "/ws/terminal/"

    async def next(self, *, timeout: float = PATIENCE) -> dict[str, Any]:
        """Return the server's next message. Raises ``Closed``."""
        message = await asyncio.wait_for(self._from_server.get(), timeout)
        if message["type"] == "websocket.close":
            raise Closed(message.get("code", 1000))
        self.taken += len(message.get("bytes") or b"")
        return message

    async def accepted(self) -> Viewer:
        """Wait for the handshake. Raises ``Closed`` when it is refused."""
        assert (await self.next())["type"] == "websocket.accept"
        return self

    def send(self, frame: dict[str, Any]) -> None:
        """Send a control frame."""
        self.send_text(json.dumps(frame))

    def send_text(self, text: str) -> None:
        """Send a text frame as it is."""
        self._to_server.put_nowait({"type": "websocket.receive", "text": text})

    def send_bytes(self, data: bytes) -> None:
        """Send data."""
        self._to_server.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        """Close the browser's side."""
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": 1001})

    def lose(self) -> None:
        """Lose the network: nobody closed anything."""
        self._to_server.put_nowait({"type": "websocket.disconnect", "code": 1006})

    def acknowledge(self) -> None:
        """Say that everything taken so far has been rendered."""
        self.send({"type": "ack", "offset" if self.is_terminal else "bytes": self.taken})

    async def control(self, kind: str) -> dict[str, Any]:
        """Skip data and other frames until a control frame of ``kind``."""
        while True:
            text = (await self.next()).get("text")
            if text is not None and json.loads(text)["type"] == kind:
                frame: dict[str, Any] = json.loads(text)
                return frame

    async def blocks(self) -> list[tuple[int, bytes]]:
        """Return the blocks of a log in the next frame, each with its channel; none in a frame of control."""
        data = (await self.next()).get("bytes") or b""
        found = []
        at = 0
        while at < len(data):
            end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
            assert end <= len(data), "a block was cut"
            found.append((data[at], data[at + 5 : end]))
            at = end
        return found

    async def read_until(self, wanted: bytes, *, acknowledge: bool = True) -> bytes:
        """Collect data until ``wanted`` is in it."""
        data = b""
        while wanted not in data:
            data += (await self.next()).get("bytes") or b""
            if acknowledge:
                self.acknowledge()
        return data

    async def waiting(self, *, quiet: float = 0.15) -> int:
        """Return how many bytes of data lie here untaken, once no more come."""
        size = -1
        while size != self._untaken():
            size = self._untaken()
            await asyncio.sleep(quiet)
        return size

    def _untaken(self) -> int:
        waiting: deque[dict[str, Any]] = self._from_server._queue  # type: ignore[attr-defined]
        return sum(len(message.get("bytes") or b"") for message in waiting)

    async def ending(self) -> tuple[int, dict[str, Any] | None]:
        """Return how the server closes, and the error frame before it."""
        error = None
        try:
            while True:
                text = (await self.next()).get("text")
                if text is not None and json.loads(text)["type"] == "error":
                    error = json.loads(text)
        except Closed as closed:
            return closed.code, error


Connect = Callable[..., Awaitable[Viewer]]


def headers_of(session_key: str, *, origin: bytes = ORIGIN) -> list[tuple[bytes, bytes]]:
    """The headers of a browser in which somebody is signed in."""
    return [(b"origin", origin), (b"cookie", f"pilothouse_session={session_key}".encode()), (b"user-agent", b"tests")]


@pytest.fixture
def signed_in(client_of: Callable[..., Client]) -> Callable[[User], str]:
    """Sign somebody in and return the key of their session."""

    def sign_in(user: User) -> str:
        return client_of(user).session.session_key or ""

    return sign_in


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Open sockets; whatever is left of them ends with the test."""
    viewers: list[Viewer] = []

    async def open_socket(path: str, session_key: str, *, first: dict[str, Any] | None = None, room: int = 0) -> Viewer:
        viewer = Viewer(path, headers=headers_of(session_key), room=room)
        viewers.append(viewer)
        await viewer.accepted()
        if first is not None:
            viewer.send(first)
        return viewer

    yield open_socket
    for viewer in viewers:
        viewer.leave()
    done, pending = await asyncio.wait([viewer.task for viewer in viewers], timeout=PATIENCE) if viewers else ([], [])
    assert not pending, "a socket outlived its browser"
    for task in done:
        task.result()


@pytest.fixture(autouse=True)
async def hub(engine: FakeEngine) -> AsyncIterator[Hub]:
    """A hub in this process, which opens the fake engine whatever it is told."""
    held = Hub(data_dir=settings.DATA_DIR, connect=lambda _endpoint: engine)
    settings.HUB_SOCKET.parent.mkdir(exist_ok=True)
    await held.listen(settings.HUB_SOCKET)
    yield held
    await held.close()


@pytest.fixture(autouse=True)
def _one_engine(host: Host, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Consumers and views open the fake engine too."""
    for module in ("consumers", "file_views", "log_views"):
        monkeypatch.setattr(f"console.terminals.{module}.open_engine", lambda _endpoint: engine)


@pytest.fixture
async def run(host: Host, engine: FakeEngine) -> AsyncIterator[Callable[..., Awaitable[ObservedContainer]]]:
    """Start a container that the inventory knows."""

    async def start(*command: str, name: str = "web-1", tty: bool = False) -> ObservedContainer:
        spec = ContainerSpec(name=name, image="starter:latest", command=command, tty=tty, open_stdin=True)
        container_id = await engine.create_container(spec)
        await engine.start_container(container_id)
        engine.calls.clear()
        return await in_database(lambda: observe(host, container_id, name=name))

    yield start
    await engine.shut_down()


def observe(host: Host, container_id: str, *, name: str = "web-1") -> ObservedContainer:
    """Put a running container into the inventory."""
    return ObservedContainer.objects.create(
        host=host,
        container_id=container_id,
        name=name,
        image="starter:latest",
        image_id="sha256:" + "1" * 64,
        state="running",
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        observed_at=timezone.now(),
    )


async def ticket_for(
    container: ObservedContainer, *, actor: User, session_key: str, kind: str = "exec", **parameters: Any
) -> str:
    """Issue a ticket, as the view does."""
    given = {"command": None, "user": "", **parameters}
    ticket, _session = await in_database(
        lambda: services.issue_ticket(
            actor=actor,
            session_key=session_key,
            container=container,
            kind=kind,
            parameters=given,
            origin=Origin(address="192.0.2.7"),
        )
    )
    return ticket


def opening(ticket: str, *, viewer: str = "tab-0001", columns: int = 80, rows: int = 24, **more: Any) -> dict[str, Any]:
    """The first frame of a terminal."""
    return {"type": "open", "ticket": ticket, "viewer": viewer, "columns": columns, "rows": rows, **more}


async def ended_session() -> TerminalSession:
    """Return the only session, once it has ended; the worker looks meanwhile, as it does every few seconds."""
    for _attempt in range(200):
        await in_database(services.look_after_terminals)
        session = await in_database(lambda: TerminalSession.objects.get())
        if session.state == "ended":
            return session
        await asyncio.sleep(0.02)
    raise AssertionError("the session never ended")


async def audit_rows(action: str) -> list[AuditEvent]:
    """Return the audit rows of ``action``, oldest first."""
    return await in_database(lambda: list(AuditEvent.objects.filter(action=action).order_by("sequence")))


@contextlib.contextmanager
def untouched(engine: FakeEngine) -> Any:
    """Nothing reaches the engine meanwhile."""
    engine.calls.clear()
    yield
    assert engine.calls == []
