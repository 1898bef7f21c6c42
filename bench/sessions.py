"""Many terminals at once: all alive in little memory, and quick when all of them are busy."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

import uvloop

from bench.console import Browser, console
from bench.idle import memory_of
from bench.streams import RawExec, WebTerminal
from bench.table import Figure, percentile, show
from bench.terminal import Site, prepare_site

IDLE: Final = 2000
BUSY: Final = 500
#: A person may have so many sockets: several people, then.
_EACH: Final = 400
_RATES: Final = (4_000, 40_000)
_PIECE: Final = 1000
_BUSY_SECONDS: Final = 30.0
_ECHO: Final = ["sh", "-c", "stty raw -echo; printf ready; exec cat"]
_ACK_EVERY: Final = 64 * 1024


def main() -> int:
    """Measure and print; 1 when over budget."""
    with console() as running:
        site = prepare_site(running)
        people = _people(site, IDLE // _EACH + 1)
        figures = [*_idle(site, people)]
        for rate in _RATES:
            figures += _busy(site, people, rate)
    return show("bench sessions: many terminals at once", figures)


def _people(site: Site, count: int) -> list[Browser]:
    """Make as many admins as it takes, and sign them in."""
    names = [f"crowd{number}" for number in range(count)]
    site.running.manage(
        "shell",
        "-v0",
        code="from console.accounts.models import Role, User\n"
        + "".join(f"User.objects.create_user({name!r}, 'a long password', role=Role.ADMIN)\n" for name in names),
    )
    return [site.running.sign_in(name, password="a long password") for name in names]


def _open(site: Site, people: list[Browser], count: int, command: list[str]) -> list[WebTerminal]:
    found = []
    for number in range(count):
        found.append(WebTerminal(people[number // _EACH], site.host_id, site.container_id, command))
        if number % 200 == 199:
            print(f"    {number + 1} open", flush=True)
    return found


# Idle


def _idle(site: Site, people: list[Browser]) -> list[Figure]:
    print(f"  measuring: {IDLE} idle terminals", flush=True)
    first = _open(site, people, 1, ["cat"])
    terminals = first + _open(site, people, IDLE - 1, ["cat"])
    time.sleep(5)
    sizes = [size for name, size in memory_of(site.running.process.pid) if _is_ours(name)]
    alive = 0
    for terminal in terminals:
        terminal.send(b"x")
    for terminal in terminals:
        try:
            alive += terminal.receive(20) == b"x"
        except (OSError, RuntimeError, TimeoutError):
            continue  # counted as dead
    for terminal in terminals:
        terminal.socket.send_control({"type": "close"})
        terminal.close()
    time.sleep(30)
    return [
        Figure(name=f"of {IDLE} idle terminals, not alive", value=IDLE - alive, unit="", budget=0),
        Figure(name=f"hub and web together, {IDLE} idle terminals", value=sum(sizes), unit="MB", budget=600),
    ]


def _is_ours(name: str) -> bool:
    return "runtime.hub" in name or "console.asgi" in name


# Busy


def _busy(site: Site, people: list[Browser], rate: int) -> list[Figure]:
    print(f"  measuring: {BUSY} terminals at {rate / 1000:g} KB/s both ways", flush=True)
    raw = [RawExec(site.path, site.container_id, _ECHO) for _number in range(BUSY)]
    reference, raw_dropped = _crowd([_Raw(stream) for stream in raw], rate)
    for stream in raw:
        stream.close()
    web = _open(site, people, BUSY, _ECHO)
    times, dropped = _crowd([_Web(terminal) for terminal in web], rate)
    for terminal in web:
        terminal.socket.send_control({"type": "close"})
        terminal.close()
    what = f"{BUSY} terminals at {rate / 1000:g} KB/s both ways"
    return [
        Figure(
            name=f"{what}: echo p95",
            value=percentile(times, 0.95),
            unit="ms",
            reference=percentile(reference, 0.95),
            reference_name="raw exec",
            budget=100,
        ),
        Figure(name=f"{what}: dropped (raw: {raw_dropped})", value=dropped, unit="", budget=0),
    ]


@dataclass
class _Raw:
    """A raw exec as a member of the crowd."""

    stream: RawExec

    def descriptor(self) -> int:
        """Its socket."""
        return os.dup(self.stream.fileno())

    def type(self, data: bytes) -> bytes:
        """What is written to type ``data``."""
        return data

    def typed(self, data: bytes) -> tuple[int, bytes]:
        """How much output ``data`` holds, and what is to be answered."""
        return len(data), b""


@dataclass
class _Web:
    """A terminal of ours as a member of the crowd."""

    terminal: WebTerminal
    buffer: bytearray = field(default_factory=bytearray)
    read: int = 0
    told: int = 0

    def descriptor(self) -> int:
        """Its socket."""
        return os.dup(self.terminal.socket.fileno())

    def type(self, data: bytes) -> bytes:
        """A binary frame with a mask of zeros."""
        return _frame(2, data)

    def typed(self, data: bytes) -> tuple[int, bytes]:
        """Take frames apart; acknowledge now and then."""
        buffer = self.buffer
        buffer += data
        size = 0
        answer = b""
        while len(buffer) >= 2:
            length, head = buffer[1] & 0x7F, 2
            if length == 126:
                length, head = int.from_bytes(buffer[2:4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(buffer[2:10], "big"), 10
            if len(buffer) < head + length:
                break
            kind = buffer[0] & 0x0F
            if kind == 2:
                size += length
            elif kind == 9:
                answer += _frame(10, bytes(buffer[head : head + length]))
            del buffer[: head + length]
        self.read += size
        if self.read - self.told >= _ACK_EVERY:
            self.told = self.read
            offset = self.terminal.offset + self.read
            answer += _frame(1, json.dumps({"type": "ack", "offset": offset}).encode())
        return size, answer


def _frame(kind: int, data: bytes) -> bytes:
    size = len(data)
    length = bytes((0x80 | size,)) if size < 126 else bytes((0x80 | 126,)) + size.to_bytes(2, "big")
    return bytes((0x80 | kind,)) + length + b"\0\0\0\0" + data


def _crowd(members: list[Any], rate: int) -> tuple[list[float], int]:
    """Let all of them type at ``rate`` for a while; return the times of the echoes in ms, and how many fell silent."""
    for member in members:
        stream = member.stream if isinstance(member, _Raw) else member.terminal
        seen = b""
        while b"ready" not in seen:
            seen += stream.receive(60)
    here, there = multiprocessing.Pipe()
    # A process of its own: what types must not share a loop with what measures memory and prints.
    process = multiprocessing.get_context("fork").Process(target=_type, args=(members, rate, there), daemon=True)
    process.start()
    times: list[float]
    times, dropped = here.recv()
    process.join(10)
    return times, dropped


def _type(members: list[Any], rate: int, result: Connection) -> None:
    result.send(uvloop.run(_type_all(members, rate)))


async def _type_all(members: list[Any], rate: int) -> tuple[list[float], int]:
    end = time.monotonic() + _BUSY_SECONDS
    found = await asyncio.gather(*(_Typist(member, rate).run(end) for member in members))
    return [taken for times, _alive in found for taken in times], sum(not alive for _times, alive in found)


class _Typist(asyncio.Protocol):
    """Types a piece, waits for its echo, and types the next one when it is due."""

    def __init__(self, member: Any, rate: int) -> None:
        self._member = member
        self._pause = _PIECE / rate
        self._wanted = 0
        self._came = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        """Remember the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Count what came."""
        size, answer = self._member.typed(data)
        if answer and self._transport is not None:
            self._transport.write(answer)
        self._wanted -= size
        if self._wanted <= 0:
            self._came.set()

    async def run(self, end: float) -> tuple[list[float], bool]:
        """Type until ``end``; return how long each echo took, in ms, and whether the last one came."""
        connection = socket.socket(fileno=self._member.descriptor())
        connection.setblocking(False)  # noqa: FBT003  its only argument
        loop = asyncio.get_running_loop()
        make: Callable[..., Coroutine[Any, Any, Any]] = loop.create_connection
        await make(lambda: self, sock=connection)
        await asyncio.sleep(random.random() * self._pause)
        times: list[float] = []
        due = time.monotonic()
        piece = b"x" * _PIECE
        while time.monotonic() < end:
            begun = time.perf_counter()
            self._wanted, self._came = _PIECE, asyncio.Event()
            assert self._transport is not None
            self._transport.write(self._member.type(piece))
            try:
                await asyncio.wait_for(self._came.wait(), 30)
            except TimeoutError:
                return times, False
            times.append((time.perf_counter() - begun) * 1000)
            due += self._pause
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        return times, True
