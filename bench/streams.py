"""Both ends of the comparison: an exec over the engine's own socket, and a terminal over ours.

Each is a thin blocking client, so that what is measured is what lies between, not the client.
"""

from __future__ import annotations

import base64
import http.client
import json
import multiprocessing
import os
import secrets
import socket
import struct
import time
import urllib.parse
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Protocol

from bench.console import Browser, raw_request

_READ = 256 * 1024
_ACK_EVERY = 64 * 1024
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


class StreamEnded(Exception):
    """The other side closed."""


class Stream(Protocol):
    """An interactive stream, whichever way it goes."""

    def send(self, data: bytes) -> None:
        """Type."""

    def receive(self, timeout: float = 30.0) -> bytes:
        """Return the next output. Raises ``StreamEnded``, ``TimeoutError``."""

    def close(self) -> None:
        """Go away without a word, as a closed tab does."""


def read_until(stream: Stream, wanted: bytes, *, timeout: float = 30.0) -> bytes:
    """Read until ``wanted`` has come; return everything read."""
    limit = time.monotonic() + timeout
    read = b""
    while wanted not in read:
        read += stream.receive(max(0.01, limit - time.monotonic()))
    return read


class RawExec:
    """An exec straight on the engine's socket: the floor."""

    def __init__(self, path: Path, container_id: str, command: list[str]) -> None:
        body = {
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": True,
            "Cmd": command,
            "Env": ["TERM=xterm-256color"],
        }
        made = raw_request(
            path,
            "POST",
            f"/containers/{container_id}/exec",
            json.dumps(body).encode(),
            content_type="application/json",
        )
        if made.status != 201:
            raise RuntimeError(f"no exec: {made.status} {made.text[:500]}")
        self.exec_id: str = json.loads(made.body)["Id"]
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        start = b'{"Detach":false,"Tty":true}'
        self._socket.sendall(
            (
                f"POST /exec/{self.exec_id}/start HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(start)}\r\n\r\n"
            ).encode()
            + start
        )
        read = b""
        while b"\r\n\r\n" not in read:
            read += self._socket.recv(65536)
        self._early = read.partition(b"\r\n\r\n")[2]

    def send(self, data: bytes) -> None:
        """Type."""
        self._socket.sendall(data)

    def receive(self, timeout: float = 30.0) -> bytes:
        """Return the next output. Raises ``StreamEnded``, ``TimeoutError``."""
        if self._early:
            data, self._early = self._early, b""
            return data
        self._socket.settimeout(timeout)
        data = self._socket.recv(_READ)
        if not data:
            raise StreamEnded
        return data

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; the process goes on."""
        self._socket.close()


class Socket:
    """A WebSocket as a browser opens it, with as little as possible around the bytes."""

    def __init__(self, browser: Browser, path: str) -> None:
        self._socket = socket.create_connection((browser.host, browser.port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: {browser.host}:{browser.port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                f"Origin: http://{browser.host}:{browser.port}\r\nCookie: {cookies}\r\n\r\n"
            ).encode()
        )
        self._buffer = bytearray()

    def accepted(self) -> Socket:
        """Wait for the handshake. Raises ``StreamEnded`` when it is refused."""
        while b"\r\n\r\n" not in self._buffer:
            data = self._socket.recv(65536)
            if not data:
                raise StreamEnded("the handshake was refused")
            self._buffer += data
        end = self._buffer.index(b"\r\n\r\n")
        if b" 101 " not in self._buffer[:20]:
            raise StreamEnded(f"the handshake was refused: {bytes(self._buffer[:end]).decode(errors='replace')}")
        del self._buffer[: end + 4]
        return self

    def send_frame(self, kind: int, data: bytes) -> None:
        """Send one frame; its mask is zero, so that masking costs nothing here."""
        size = len(data)
        if size < 126:
            head = struct.pack(">BB", 0x80 | kind, 0x80 | size)
        elif size < 65536:
            head = struct.pack(">BBH", 0x80 | kind, 0x80 | 126, size)
        else:
            head = struct.pack(">BBQ", 0x80 | kind, 0x80 | 127, size)
        self._socket.sendall(head + b"\0\0\0\0" + data)

    def send_control(self, frame: dict[str, Any]) -> None:
        """Send a text frame."""
        self.send_frame(_TEXT, json.dumps(frame).encode())

    def receive_frame(self, timeout: float) -> tuple[int, bytes]:
        """Return the next frame's kind and payload; pings are answered here. Raises ``StreamEnded``."""
        limit = time.monotonic() + timeout
        while True:
            kind, data = self._receive_one(limit)
            if kind == _PING:
                self.send_frame(_PONG, data)
            elif kind == _CLOSE:
                code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
                raise StreamEnded(f"closed with {code}")
            else:
                return kind, data

    def _receive_one(self, limit: float) -> tuple[int, bytes]:
        self._need(2, limit)
        size = self._buffer[1] & 0x7F
        head = 2
        if size == 126:
            self._need(4, limit)
            (size,) = struct.unpack_from(">H", self._buffer, 2)
            head = 4
        elif size == 127:
            self._need(10, limit)
            (size,) = struct.unpack_from(">Q", self._buffer, 2)
            head = 10
        self._need(head + size, limit)
        kind = self._buffer[0] & 0x0F
        data = bytes(memoryview(self._buffer)[head : head + size])
        del self._buffer[: head + size]
        return kind, data

    def _need(self, size: int, limit: float) -> None:
        while len(self._buffer) < size:
            self._socket.settimeout(max(0.01, limit - time.monotonic()))
            data = self._socket.recv(_READ)
            if not data:
                raise StreamEnded
            self._buffer += data

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close TCP without the closing handshake."""
        self._socket.close()


class WebTerminal:
    """A terminal through the console: ticket, socket, window."""

    def __init__(self, browser: Browser, host_id: str, container_id: str, command: list[str]) -> None:
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)
        form = {"host": host_id, "container": container_id, "kind": "exec", "command": quoted, "user": ""}
        answer = browser.post("/terminals/tickets/", form)
        #: From here on it is what an exec at the engine is, too.
        self.ticket_at = time.perf_counter()
        if answer.status != 200:
            raise RuntimeError(f"no ticket: {answer.status} {answer.text[:500]}")
        self.socket = Socket(browser, "/ws/terminal/").accepted()
        first = {"type": "open", "viewer": secrets.token_hex(8), "columns": 80, "rows": 24}
        self.socket.send_control({**first, "ticket": json.loads(answer.body)["ticket"]})
        self._read = self._told = 0
        while self._control(*self.socket.receive_frame(30)) != "opened":
            pass

    def _control(self, kind: int, data: bytes) -> str:
        if kind != _TEXT:
            raise RuntimeError("output came before the terminal was open")
        frame = json.loads(data)
        if frame["type"] == "error":
            raise RuntimeError(f"the terminal was refused: {frame}")
        name: str = frame["type"]
        return name

    @property
    def offset(self) -> int:
        """How much output has been read so far."""
        return self._read

    def send(self, data: bytes) -> None:
        """Type."""
        self.socket.send_frame(_BINARY, data)

    def receive(self, timeout: float = 30.0) -> bytes:
        """Return the next output, and acknowledge as a browser does that renders at once."""
        while True:
            kind, data = self.socket.receive_frame(timeout)
            if kind == _BINARY:
                self._read += len(data)
                if self._read - self._told >= _ACK_EVERY:
                    self._told = self._read
                    self.socket.send_control({"type": "ack", "offset": self._read})
                return data
            if self._control(kind, data) == "exit":
                raise StreamEnded

    def close(self) -> None:
        """Close TCP, as a browser that crashed."""
        self.socket.close()


# Floods are read by a process of their own: what reads them must not slow the clock of what is measured.


def _drain(stream: Stream, rate: float, stop: Event, started: Event) -> None:
    read = 0
    begun = time.monotonic()
    while not stop.is_set():
        read += len(stream.receive())
        started.set()
        ahead = read / rate - (time.monotonic() - begun)
        if ahead > 0:
            stop.wait(ahead)
    stream.close()


class Flood:
    """A stream that floods, read at ``rate`` bytes a second beside what is measured."""

    def __init__(self, stream: Stream, *, rate: float) -> None:
        fork = multiprocessing.get_context("fork")
        self._stop = fork.Event()
        started = fork.Event()
        self._process = fork.Process(target=_drain, args=(stream, rate, self._stop, started), daemon=True)
        self._process.start()
        stream.close()  # ours; the reader has its own
        if not started.wait(30):
            raise RuntimeError("the flood never came")

    def end(self) -> None:
        """Close the flood."""
        self._stop.set()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()


def read_frame(socket: Socket, timeout: float) -> tuple[dict[str, Any] | None, bytes]:
    """Return the next control frame, or output. Raises ``StreamEnded``; ``RuntimeError`` for an error of the server."""
    kind, data = socket.receive_frame(timeout)
    if kind == _BINARY:
        return None, data
    frame: dict[str, Any] = json.loads(data)
    if frame["type"] == "error":
        raise RuntimeError(f"the terminal was refused: {frame}")
    return frame, b""


class RawLog:
    """A log straight from the engine's socket."""

    def __init__(self, path: Path, container_id: str, *, tail: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        query = urllib.parse.urlencode({"stdout": 1, "stderr": 1, "tail": tail, "timestamps": 1})
        self._socket.sendall(f"GET /containers/{container_id}/logs?{query} HTTP/1.1\r\nHost: engine\r\n\r\n".encode())
        self._response = http.client.HTTPResponse(self._socket)
        self._response.begin()

    def lines(self, *, most: int | None = None) -> int:
        """Count lines until the end, or until ``most`` have come."""
        count = 0
        while data := self._response.read1(_READ):
            count += data.count(b"\n")
            if most is not None and count >= most:
                break
        return count

    def close(self) -> None:
        """Let go."""
        self._socket.close()


def _lines_in(blocks: bytes) -> int:
    """Count the lines in blocks of a log: a byte of channel, four of length, the lines."""
    count = at = 0
    while at < len(blocks):
        (size,) = struct.unpack_from(">I", blocks, at + 1)
        at += 5
        count += blocks.count(b"\n", at, at + size)
        at += size
    return count


class WebLog:
    """A log through the console."""

    def __init__(
        self, browser: Browser, host_id: str, container_id: str, *, tail: int | None, follow: bool = False
    ) -> None:
        self.socket = Socket(browser, "/ws/logs/").accepted()
        self._first = {
            "type": "open",
            "host": host_id,
            "container": container_id,
            "timestamps": True,
            "follow": follow,
            **({} if tail is None else {"tail": tail}),
        }

    def ask(self) -> None:
        """Send the opening frame."""
        self.socket.send_control(self._first)

    def opened(self) -> None:
        """Wait until the log is open."""
        kind, data = self.socket.receive_frame(60)
        if kind != _TEXT or json.loads(data)["type"] != "opened":
            raise RuntimeError(f"the log was not opened: {data[:500]!r}")

    def lines(self, *, most: int | None = None) -> int:
        """Count lines until the end, or until ``most`` have come."""
        count = read = told = 0
        while True:
            kind, data = self.socket.receive_frame(60)
            if kind == _BINARY:
                count += _lines_in(data)
                read += len(data)
                if read - told >= _ACK_EVERY:
                    told = read
                    self.socket.send_control({"type": "ack", "bytes": read})
                if most is not None and count >= most:
                    return count
            else:
                frame = json.loads(data)
                if frame["type"] == "error":
                    raise RuntimeError(f"the log was refused: {frame}")
                if frame["type"] not in ("opened", "pong"):
                    return count

    def close(self) -> None:
        """Let go."""
        self.socket.close()
