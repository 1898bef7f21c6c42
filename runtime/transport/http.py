"""Ordinary requests and streamed answers over HTTP/1.1: unix socket, TCP, TCP with mutual TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from yarl import URL

from runtime.endpoint import Endpoint
from runtime.errors import ProtocolError, Terminated, TimedOut, Unreachable
from runtime.transport.tls import client_context

#: The largest answer we take into memory: a list of some 40,000 containers.
ANSWER_LIMIT: Final = 64 * 1024 * 1024
#: The largest single message of a streamed answer (an event, a sample, a step of a pull).
MESSAGE_LIMIT: Final = 1024 * 1024
_READ_SIZE: Final = 256 * 1024

Body = Mapping[str, Any] | AsyncIterator[bytes] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Decode the body. Raises ``ProtocolError``."""
        return decode_json(self.body)


def decode_json(text: bytes) -> Any:
    """Decode JSON that an engine sent. Raises ``ProtocolError``."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the engine's answer is not JSON") from error


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the wire library's exceptions into ours, most specific first. ``where`` names the endpoint in messages."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise Unreachable(f"no connection to {where} within the limit") from error
    except (aiohttp.ServerTimeoutError, TimeoutError) as error:
        raise TimedOut(f"{where} accepted the connection and did not answer within the limit") from error
    except aiohttp.ClientSSLError as error:
        raise Unreachable(f"the TLS handshake with {where} failed: {error}", reason="tls") from error
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(f"no connection to {where}: {error.strerror or error}") from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError) as error:
        raise Terminated(f"{where} closed the connection before its answer was complete") from error
    except (aiohttp.ClientOSError, ConnectionError) as error:
        raise Terminated(f"the connection to {where} broke: {error}") from error
    except (aiohttp.ClientError, aiohttp.http_exceptions.HttpProcessingError, ValueError) as error:
        raise ProtocolError(f"{where} does not speak HTTP as we know it") from error


class StreamedAnswer:
    """An answer whose body is read as it comes. Reads raise the package's errors."""

    __slots__ = ("_response", "_where", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, *, where: str) -> None:
        self._response = response
        self._where = where
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte; ``b""`` at the end of the body."""
        with translated(self._where):
            return await self._response.content.readany()

    async def read_all(self, *, limit: int = ANSWER_LIMIT) -> bytes:
        """Return the rest of the body. Raises ``ProtocolError`` beyond ``limit`` bytes."""
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            size += len(data)
            if size > limit:
                raise ProtocolError(f"{self._where} answered with more than {limit} bytes")
            parts.append(data)
        return b"".join(parts)

    async def messages(self) -> AsyncGenerator[Any, None]:
        """Yield the JSON values of a body that holds one a line. Raises ``ProtocolError``."""
        rest = b""
        while data := await self.read():
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            if len(rest) > MESSAGE_LIMIT:
                raise ProtocolError(f"{self._where} sent a message of more than {MESSAGE_LIMIT} bytes")
            for line in lines:
                if line.strip():
                    yield decode_json(line)
        if rest.strip():
            yield decode_json(rest)


class HttpTransport:
    """One endpoint's pool of connections. Made without I/O; connects on first use; belongs to one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        #: How error messages name the endpoint.
        self.where = endpoint.url
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None
        self._base = (
            "http://engine" if endpoint.socket_path else endpoint.url.replace("tcp://", "http://", 1).rstrip("/")
        )
        if endpoint.tls is not None:
            self._base = self._base.replace("http://", "https://", 1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        limit: int = ANSWER_LIMIT,
    ) -> Answer:
        """Ask and read the whole answer. ``timeout`` (seconds) bounds each silence; default: ``Timeouts.read``."""
        async with self.stream(
            method,
            path,
            parameters=parameters,
            body=body,
            headers=headers,
            timeout=timeout if timeout is not None else self.endpoint.timeouts.read,
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read_all(limit=limit))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None,
        head_unbounded: bool = False,
    ) -> AsyncIterator[StreamedAnswer]:
        """Ask and hand out the answer while its body comes; ``timeout`` bounds each silence, ``None`` is no limit.

        The head of the answer is awaited with a limit all the same, unless ``head_unbounded``: an engine that hangs
        still accepts connections.
        """
        session = self._open_session()
        sent_headers = dict(headers or {})
        data: bytes | AsyncIterator[bytes] | None = None
        if isinstance(body, Mapping):
            data = json.dumps(body, ensure_ascii=False).encode()
            sent_headers["Content-Type"] = "application/json"
        elif body is not None:
            data = body
        limit: float | None = self.endpoint.timeouts.connect + (timeout or self.endpoint.timeouts.read)
        if head_unbounded or isinstance(data, AsyncIterator):
            # An upload takes as long as it takes; the silence after it is bounded by ``timeout``.
            limit = None
        url = URL(self._base + path, encoded=True)
        if parameters:
            url = url.with_query(parameters)
        with translated(self.where):
            async with asyncio.timeout(limit):
                response = await session.request(
                    method,
                    url,
                    data=data,
                    headers=sent_headers,
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=self.endpoint.timeouts.connect, sock_read=timeout
                    ),
                    allow_redirects=False,
                    read_bufsize=_READ_SIZE,
                )
        try:
            yield StreamedAnswer(response, where=self.where)
        finally:
            # Read to its end, the connection goes back to the pool; else it is closed, which cancels the request.
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the endpoint's TLS context, ``None`` without TLS. Raises ``Unreachable`` (reason ``tls``)."""
        if self._context is None and self.endpoint.tls is not None:
            self._context = client_context(self.endpoint.tls)
        return self._context

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            path = self.endpoint.socket_path
            connector: aiohttp.BaseConnector
            if path is not None:
                connector = aiohttp.UnixConnector(path, limit=0)
            else:
                connector = aiohttp.TCPConnector(limit=0, ssl=self.tls_context() or True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
                headers={"User-Agent": "pilothouse"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session
