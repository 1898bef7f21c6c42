"""A proxy between us and an engine that records every request: what is not in its list did not reach the engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from runtime.endpoint import Driver, Endpoint

_READ: Final = 64 * 1024
_VERSION = re.compile(r"^/v\d+\.\d+(?=/)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TapRequest:
    """One request as it reached the engine. ``path`` is without version and query."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    body: bytes = b""

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method not in ("GET", "HEAD")

    def json(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class _Fault:
    """What to do with requests whose "METHOD path" matches, ``times`` times."""

    pattern: re.Pattern[str]
    times: int
    delay: float = 0.0
    hang: bool = False
    answer: bytes | None = None
    #: Bytes of the reply to let through before cutting the connection; ``None`` is all.
    reply_bytes: int | None = None


class EngineTap:
    """Listens on a unix socket of its own and forwards to ``upstream``. A context manager; runs in its own thread.

    Faults take ``matching``, a regular expression over ``"METHOD /path"``, and apply to the next ``times`` requests.
    """

    def __init__(self, upstream: Path, *, listen: Path, driver: Driver = Driver.DOCKER) -> None:
        self.upstream = upstream
        self.listen = listen
        self.endpoint = Endpoint(driver=driver, url=f"unix://{listen}")
        #: Every request so far, in order.
        self.requests: list[TapRequest] = []
        self._faults: list[_Fault] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine-tap", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._problem is not None:
            raise self._problem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    # What tests ask and do

    @property
    def changes(self) -> list[TapRequest]:
        """The requests that may have changed something."""
        return [request for request in self.requests if request.changes]

    def clear(self) -> None:
        """Forget requests and faults."""
        self.requests.clear()
        self._faults.clear()

    def delay(self, seconds: float, *, matching: str = "", times: int = 1_000_000) -> None:
        """Hold requests back for so long before the engine sees them."""
        self._faults.append(_Fault(re.compile(matching), times, delay=seconds))

    def hang(self, *, matching: str = "", times: int = 1_000_000) -> None:
        """Swallow requests: the engine never sees them, the client never hears."""
        self._faults.append(_Fault(re.compile(matching), times, hang=True))

    def answer(self, reply: bytes, *, matching: str = "", times: int = 1_000_000) -> None:
        """Answer these bytes (garbage, say) and close; the engine never sees the request."""
        self._faults.append(_Fault(re.compile(matching), times, answer=reply))

    def cut_reply(self, *, after: int, matching: str = "", times: int = 1) -> None:
        """Let the engine work, then cut the connection after so many bytes of its reply (0: the reply is lost)."""
        self._faults.append(_Fault(re.compile(matching), times, reply_bytes=after))

    def cut_all(self) -> None:
        """Cut every open connection now."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._connections])

    # The proxy

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            server = await asyncio.start_unix_server(self._accept, self.listen, limit=1024 * 1024)
        except OSError as error:
            self._problem = error
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self.listen.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        # However a connection ends (cut, refused, closed), only its own two ends are concerned.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(self.upstream, limit=1024 * 1024)
        limit: list[int | None] = [None]
        replies = asyncio.create_task(self._pass_replies(engine_reader, writer, limit))
        requests = asyncio.create_task(self._pass_requests(reader, writer, engine_writer, limit))
        try:
            done, _ = await asyncio.wait({replies, requests}, return_when=asyncio.FIRST_COMPLETED)
            if requests in done and requests.exception() is None and not requests.result():
                # The client said its last word and listens on.
                await replies
        finally:
            for task in (replies, requests):
                task.cancel()
            await asyncio.gather(replies, requests, return_exceptions=True)
            engine_writer.close()

    async def _pass_requests(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        engine: asyncio.StreamWriter,
        limit: list[int | None],
    ) -> bool:
        """Forward requests; ``True`` when the connection is to be cut."""
        while True:
            head = await _head(reader)
            if not head:
                engine.write_eof()
                return False
            request, headers = _parse(head)
            body, raw = await _body(reader, headers)
            fault = self._fault_for(f"{request.method} {request.path}")
            if fault is not None and fault.delay:
                await asyncio.sleep(fault.delay)
            if fault is not None and fault.hang:
                await asyncio.sleep(86_400)
            if fault is not None and fault.answer is not None:
                writer.write(fault.answer)
                await writer.drain()
                return True
            self.requests.append(replace(request, body=body))
            limit[0] = fault.reply_bytes if fault is not None else None
            engine.write(head + raw)
            await engine.drain()
            if "upgrade" in headers.get("connection", "").lower():
                await _copy(reader, engine)
                return False

    async def _pass_replies(
        self, engine: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: list[int | None]
    ) -> None:
        while data := await engine.read(_READ):
            room = limit[0]
            if room is not None:
                data = data[:room]
                limit[0] = room - len(data)
            writer.write(data)
            await writer.drain()
            if limit[0] == 0:
                return

    def _fault_for(self, text: str) -> _Fault | None:
        for fault in self._faults:
            if fault.times > 0 and fault.pattern.search(text):
                fault.times -= 1
                return fault
        return None


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        return error.partial


def _parse(head: bytes) -> tuple[TapRequest, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    parts = urlsplit(rest.rpartition(" ")[0])
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name:
            headers[name.lower()] = value.strip()
    request = TapRequest(
        method=method, path=_VERSION.sub("", parts.path), query=dict(parse_qsl(parts.query)), headers=headers
    )
    return request, headers


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> tuple[bytes, bytes]:
    """Return the request's body, decoded and as it came."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return body, body
    decoded = raw = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        chunk = await reader.readexactly(size + 2)
        raw += line + chunk
        if size == 0:
            return decoded, raw
        decoded += chunk[:-2]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_READ):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
