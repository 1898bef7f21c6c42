"""Our own socket to an engine, for exec and attach: a little HTTP/1.1, then, once hijacked, raw bytes both ways.

asyncio stands straight on the socket: one copy per read, nothing allocated while idle, and not reading stops the
engine. TLS is done here too, because asyncio's own cannot close one direction (which is how standard input ends).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from runtime.endpoint import Endpoint
from runtime.errors import ProtocolError, Terminated, TimedOut, Unreachable

#: One read of the socket.
READ_SIZE: Final = 128 * 1024
#: What has arrived and nobody has taken: from here on we stop reading. With one more read it stays within 256 KiB.
PENDING_LIMIT: Final = 128 * 1024
_WRITE_LIMIT: Final = 64 * 1024
_HEAD_LIMIT: Final = 64 * 1024
_BODY_LIMIT: Final = 1024 * 1024


class _Scratch(threading.local):
    """Where sockets are read into. asyncio fills it and reports it in one step, so a loop's connections share it."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(READ_SIZE))


_scratch = _Scratch()


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]


def parse_head(text: bytes) -> Head:
    """Parse status line and headers (without the empty line). Raises ``ProtocolError``."""
    lines = text.split(b"\r\n")
    parts = lines[0].split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or len(parts[1]) != 3 or not parts[1].isdigit():
        raise ProtocolError("the engine does not answer in HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise ProtocolError("the engine sent a header that is none")
        headers[name.strip().lower().decode("latin-1")] = value.strip().decode("latin-1")
    return Head(int(parts[1]), headers)


class Wire(asyncio.BufferedProtocol):
    """One connection. One reader and one writer at a time.

    Make it with :func:`open_wire`; speak HTTP with :meth:`request`; after :meth:`upgrade` the rest is raw bytes.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.where = endpoint.url
        self._loop = asyncio.get_running_loop()
        self._host = "engine" if endpoint.address is None else "{}:{}".format(*endpoint.address)
        self._timeout = endpoint.timeouts.read
        self._transport: asyncio.Transport | None = None
        self._pending: deque[bytes] = deque()
        self._size = 0
        #: Bytes that have arrived so far.
        self.received = 0
        self._ended = False
        self._error: Exception | None = None
        self._reading = True
        self._arrival: asyncio.Future[None] | None = None
        self._may_write = True
        self._drain: asyncio.Future[None] | None = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=_WRITE_LIMIT)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (asyncio's signature)
        return _scratch.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._arrived(bytes(_scratch.buffer[:nbytes]))

    def eof_received(self) -> bool:
        self._end(None)
        # The engine has no more to say, and may still listen.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(exc)
        self._release_writer()

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._release_writer()

    def _arrived(self, data: bytes) -> None:
        self._pending.append(data)
        self._size += len(data)
        self.received += len(data)
        if self._size >= PENDING_LIMIT and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()
        self._wake_reader()

    def _end(self, error: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._error = error
        self._wake_reader()

    def _wake_reader(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    def _release_writer(self) -> None:
        drain, self._drain = self._drain, None
        if drain is not None and not drain.done():
            drain.set_result(None)

    # What we call

    @property
    def ended(self) -> bool:
        """Whether everything the engine sent has been taken and no more will come."""
        return self._ended and not self._pending

    @property
    def stalled(self) -> bool:
        """Whether so much stands unread that the engine is kept waiting."""
        return not self._reading and not self._ended

    def take(self) -> bytes:
        """Return everything that has arrived, less than 256 KiB, possibly nothing; never waits."""
        pending = self._pending
        if not pending:
            return b""
        data = pending.popleft() if len(pending) == 1 else b"".join(pending)
        pending.clear()
        self._size = 0
        if not self._reading and not self._ended and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        return data

    def put_back(self, data: bytes) -> None:
        """Give back the unused end of what :meth:`take` returned."""
        if data:
            self._pending.appendleft(data)
            self._size += len(data)

    async def wait(self) -> None:
        """Return when something has arrived or the stream has ended."""
        while not self._pending and not self._ended:
            self._arrival = self._loop.create_future()
            await self._arrival

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte; ``b""`` at the end. Raises ``Terminated``."""
        await self.wait()
        data = self.take()
        if not data and self._error is not None:
            raise Terminated(f"the connection to {self.where} broke: {self._error}") from self._error
        return data

    async def write(self, data: bytes) -> None:
        """Send; waits while the engine does not take it. Raises ``Terminated``."""
        if self._transport is None or self._transport.is_closing() or self._ended:
            raise Terminated(f"the connection to {self.where} is closed")
        self._send(self._transport, data)
        while not self._may_write:
            self._drain = self._loop.create_future()
            await self._drain
            if self._transport is None:
                raise Terminated(f"the connection to {self.where} broke: {self._error or 'closed'}")

    def _send(self, transport: asyncio.Transport, data: bytes) -> None:
        transport.write(data)

    async def write_eof(self) -> None:
        """Close our direction; what the engine says still arrives."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def close(self) -> None:
        """Close at once. Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    # HTTP

    async def request(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> tuple[Head, bytes]:
        """Ask and read the whole answer; the connection stays open for the next. Default timeout: ``read``."""
        async with self._limited(timeout):
            await self.send_request(method, path, body=body)
            head = await self._read_head()
            return head, await self._read_body(head)

    async def upgrade(
        self, path: str, *, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> tuple[Head, bytes]:
        """Ask for a raw stream. After 101 (or an old engine's 200) this connection is one; else the body is returned.

        Bytes that came with the handshake are kept and read first.
        """
        async with self._limited(timeout):
            await self.send_request("POST", path, body=body, upgrade=True)
            head = await self._read_head()
            if head.status == 101 or (head.status == 200 and "content-length" not in head.headers):
                return head, b""
            return head, await self._read_body(head)

    def _limited(self, timeout: float | None) -> _Limit:
        return _Limit(self.where, self._timeout if timeout is None else timeout)

    async def send_request(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, upgrade: bool = False
    ) -> None:
        """Send a request; what comes back is the caller's to read."""
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", "User-Agent: pilothouse"]
        if upgrade:
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        if body is not None:
            lines.append("Content-Type: application/json")
        if body is not None or method == "POST":
            lines.append(f"Content-Length: {len(content)}")
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + content)

    async def _more(self, text: bytes, *, limit: int) -> bytes:
        data = await self.read()
        if not data:
            raise Terminated(f"{self.where} closed the connection before its answer was complete")
        if len(text) + len(data) > limit + READ_SIZE:
            raise ProtocolError(f"{self.where} sent an answer that does not end")
        return text + data

    async def _read_head(self) -> Head:
        text = b""
        while (end := text.find(b"\r\n\r\n")) < 0:
            if text and not b"HTTP/1.".startswith(text[:7]):
                raise ProtocolError(f"{self.where} does not answer in HTTP/1.1")
            text = await self._more(text, limit=_HEAD_LIMIT)
        self.put_back(text[end + 4 :])
        return parse_head(text[:end])

    async def _read_body(self, head: Head) -> bytes:
        if head.status in (204, 304):
            return b""
        if head.headers.get("transfer-encoding", "").lower() == "chunked":
            return await self._read_chunked()
        length = head.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _BODY_LIMIT:
            raise ProtocolError(f"{self.where} sent an answer whose length we cannot tell")
        size = int(length)
        text = b""
        while len(text) < size:
            text = await self._more(text, limit=_BODY_LIMIT)
        self.put_back(text[size:])
        return text[:size]

    async def _read_chunked(self) -> bytes:
        text = b""
        body = b""
        while True:
            while (end := text.find(b"\r\n")) < 0:
                text = await self._more(text, limit=_BODY_LIMIT)
            try:
                size = int(text[:end].partition(b";")[0], 16)
            except ValueError as error:
                raise ProtocolError(f"{self.where} sent a chunk without a size") from error
            stop = end + 2 + size
            if not 0 <= size <= _BODY_LIMIT - len(body):
                raise ProtocolError(f"{self.where} sent an answer larger than {_BODY_LIMIT} bytes")
            while len(text) < stop + 2:
                text = await self._more(text, limit=_BODY_LIMIT)
            body += text[end + 2 : stop]
            text = text[stop + 2 :]
            if size == 0:
                self.put_back(text)
                return body


class _Limit:
    """A time limit whose overrun is our ``TimedOut``."""

    def __init__(self, where: str, seconds: float) -> None:
        self._where = where
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as overrun:
            raise TimedOut(f"{self._where} accepted the connection and did not answer within the limit") from overrun


class TlsWire(Wire):
    """A wire through TLS, done in memory: reading goes on after our direction is closed."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext, *, host: str) -> None:
        super().__init__(endpoint)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._shaken = False
        self._handshake: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._advance()

    def buffer_updated(self, nbytes: int) -> None:
        self._incoming.write(_scratch.buffer[:nbytes])
        self._advance()

    def eof_received(self) -> bool:
        self._incoming.write_eof()
        self._advance()
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self._handshake.done():
            self._handshake.set_exception(exc or ConnectionResetError("closed during the TLS handshake"))

    async def shaken(self) -> None:
        """Return when the handshake is done. Raises ``ssl.SSLError`` or ``OSError``."""
        await self._handshake

    def _advance(self) -> None:
        """Take in what the socket brought, hand on what it means, send what TLS wants to say."""
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                if not self._handshake.done():
                    self._handshake.set_result(None)
            while True:
                data = self._tls.read(READ_SIZE)
                if not data:
                    self._end(None)
                    break
                self._arrived(data)
        except ssl.SSLWantReadError:
            pass  # everything so far is taken; asyncio calls again when there is more
        except ssl.SSLZeroReturnError:
            self._end(None)
        except ssl.SSLError as error:
            self._end(error)
            if not self._handshake.done():
                self._handshake.set_exception(error)
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending and self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._outgoing.read())

    def _send(self, transport: asyncio.Transport, data: bytes) -> None:  # noqa: ARG002 (what TLS makes of it is sent)
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise Terminated(f"the connection to {self.where} broke: {error}") from error
        self._flush()

    async def write_eof(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # Our close_notify is written; the peer's comes when it has said everything, and is read like data.
            self._flush()
        else:
            self._flush()


async def open_wire(endpoint: Endpoint, *, context: ssl.SSLContext | None) -> Wire:
    """Connect within the endpoint's ``connect`` limit. Raises ``Unreachable``."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(endpoint.timeouts.connect):
            if endpoint.socket_path is not None:
                _, wire = await loop.create_unix_connection(lambda: Wire(endpoint), endpoint.socket_path)
                return wire
            host, port = cast("tuple[str, int]", endpoint.address)
            if context is None:
                _, wire = await loop.create_connection(lambda: Wire(endpoint), host, port)
                return wire
            _, secure = await loop.create_connection(lambda: TlsWire(endpoint, context, host=host), host, port)
            try:
                await secure.shaken()
            except BaseException:
                secure.close()
                raise
            return secure
    except TimeoutError as error:
        raise Unreachable(f"no connection to {endpoint.url} within the limit") from error
    except ssl.SSLError as error:
        raise Unreachable(f"the TLS handshake with {endpoint.url} failed: {error}", reason="tls") from error
    except OSError as error:
        raise Unreachable(f"no connection to {endpoint.url}: {error.strerror or error}") from error
