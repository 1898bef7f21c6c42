"""Bytes both ways: exact, bounded, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from console.accounts.models import User
from console.inventory.models import ObservedContainer
from console.lib.websocket import in_database
from console.terminals.terminal_consumer import INPUT_LIMIT
from runtime.testing import FakeEngine
from runtime.testing.fake import FakeTerminal
from tests.console.terminals.conftest import Connect, Viewer, ended_session, opening, ticket_for

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], str]
Run = Callable[..., Any]
WINDOW = 256 * 1024
#: What the fake engine, as the real driver, keeps of what nobody reads.
ENGINE_KEEPS = 256 * 1024


@pytest.fixture
async def open_terminal(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> Callable[..., Any]:
    """Run a container and open a terminal in it."""

    async def open_one(*command: str, kind: str = "exec", tty: bool = False) -> tuple[Viewer, ObservedContainer]:
        main = command if kind == "attach" else ("sleep", "1000")
        container = await run(*main, tty=tty)
        key = await in_database(lambda: signed_in(alice))
        parameters = {"command": list(command)} if kind == "exec" else {}
        ticket = await ticket_for(container, actor=alice, session_key=key, kind=kind, **parameters)
        viewer = await connect("/ws/terminal/", key, first=opening(ticket))
        await viewer.control("opened")
        return viewer, container

    return open_one


async def test_any_bytes_come_back_as_they_were(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("sh", "-c", "stty raw; printf ready; cat")
    await viewer.read_until(b"ready")
    text = "한국어 ♞ e\u0301 \U0001f9ed".encode()
    data = text + bytes(range(256)) + text[:-1] + b"\xff\xfe"
    for byte in data:
        viewer.send_bytes(bytes((byte,)))
    said = b""
    while len(said) < len(data):
        said += (await viewer.next()).get("bytes") or b""
    assert said == data


async def test_a_megabyte_is_pasted_while_its_echo_comes_back(open_terminal: Callable[..., Any]) -> None:
    """The browser sends as fast as it may, and acknowledges only what it took: neither end waits for the other."""
    viewer, _container = await open_terminal("sh", "-c", "stty raw; printf ready; cat")
    await viewer.read_until(b"ready")
    paste = random.Random(7).randbytes(1_000_000)
    sent = taken = 0
    said = bytearray()
    while len(said) < len(paste):
        while sent < len(paste) and sent - taken < 96 * 1024:
            viewer.send_bytes(paste[sent : sent + 32 * 1024])
            sent += len(paste[sent : sent + 32 * 1024])
        message = await viewer.next()
        if message.get("bytes") is not None:
            said += message["bytes"]
            viewer.acknowledge()
        elif '"taken"' in message["text"]:
            taken = json.loads(message["text"])["bytes"]
    assert bytes(said) == paste


async def test_a_browser_that_reads_nothing_stops_the_engine(
    open_terminal: Callable[..., Any], engine: FakeEngine
) -> None:
    viewer, container = await open_terminal("yes", "0123456789")
    first = await viewer.waiting()
    assert first <= WINDOW + ENGINE_KEEPS
    await asyncio.sleep(0.2)
    assert await viewer.waiting() == first
    process = engine.processes(container.container_id)[1]
    assert process.exit_code is None
    await viewer.next()
    viewer.acknowledge()
    assert await viewer.waiting() >= first - 64 * 1024, "the window opens again"


async def test_input_that_the_process_never_takes_ends_it_at_a_bound(
    open_terminal: Callable[..., Any], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, container = await open_terminal("sleep", "1000")

    async def stuck(_terminal: FakeTerminal, _data: bytes) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeTerminal, "write", stuck)
    for _piece in range(INPUT_LIMIT // 65536 + 3):
        viewer.send_bytes(b"x" * 65536)
    assert (await viewer.ending())[0] == 1009
    await ended_session()
    assert len(engine.processes(container.container_id)) == 1


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "ack", "bytes": 10_000_000},
        {"type": "ack", "bytes": -1},
        {"type": "resize", "columns": 0, "rows": 24},
        {"type": "resize", "columns": 80, "rows": 10_001},
        {"type": "kill", "signal": "SIGKILL"},
        {"type": "open", "ticket": "x" * 43, "columns": 80, "rows": 24},
    ],
)
async def test_a_frame_that_is_none_ends_it(
    frame: dict[str, Any], open_terminal: Callable[..., Any], engine: FakeEngine
) -> None:
    viewer, container = await open_terminal("sh")
    viewer.send(frame)
    assert (await viewer.ending())[0] == 4400
    await ended_session()
    assert len(engine.processes(container.container_id)) == 1


async def test_a_frame_beyond_a_megabyte_ends_it(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("sh")
    viewer.send_bytes(b"x" * (1024 * 1024 + 1))
    assert (await viewer.ending())[0] == 1009


async def test_the_last_size_wins(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("sh")
    await viewer.read_until(b"$ ")
    for columns in range(20, 140, 10):
        viewer.send({"type": "resize", "columns": columns, "rows": 50})
    viewer.send_bytes(b"stty size\r")
    assert b"50 130" in await viewer.read_until(b"50 130")


async def test_latency_is_measured(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("sh")
    viewer.send({"type": "ping", "at": 1234})
    assert await viewer.control("pong") == {"type": "pong", "at": 1234}


async def test_closing_the_terminal_ends_the_process(open_terminal: Callable[..., Any], engine: FakeEngine) -> None:
    viewer, container = await open_terminal("sh")
    await viewer.read_until(b"$ ")
    assert len(engine.processes(container.container_id)) == 2
    viewer.send({"type": "close"})
    session = await ended_session()
    assert (session.exit_code, session.end_reason) == (None, "its owner closed it")
    assert len(engine.processes(container.container_id)) == 1


async def test_the_exit_code_is_told(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("sh", "-c", "echo bye; exit 42")
    assert b"bye" in await viewer.read_until(b"bye")
    assert (await viewer.control("exit"))["code"] == 42
    assert (await viewer.ending())[0] == 1000
    session = await ended_session()
    assert session.exit_code == 42


async def test_a_command_that_cannot_run_offers_others(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("/bin/nosuch")
    choice = await viewer.control("choose")
    assert "/bin/nosuch" in choice["message"]
    assert "/bin/ash" in choice["commands"]


async def test_a_shell_that_ends_with_127_is_an_end_like_any(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("sh")
    await viewer.read_until(b"$ ")
    viewer.send_bytes(b"exit 127\r")
    kinds = []
    while "exit" not in kinds:
        text = (await viewer.next()).get("text")
        if text is not None:
            kinds.append(text.split('"')[3])
    assert kinds == ["exit"]


async def test_the_main_process_without_a_tty_comes_in_two_channels(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("sh", kind="attach")
    viewer.send_bytes(b"echo out\necho err >&2\n")
    said: dict[int, bytes] = {1: b"", 2: b""}
    while b"out\n" not in said[1] or b"err\n" not in said[2]:
        data = (await viewer.next()).get("bytes")
        while data:
            size = int.from_bytes(data[1:5], "big")
            said[data[0]] += data[5 : 5 + size]
            data = data[5 + size :]
    assert said == {1: b"out\n", 2: b"err\n"}


async def test_closing_the_main_process_lets_it_run(open_terminal: Callable[..., Any], engine: FakeEngine) -> None:
    viewer, container = await open_terminal("cat", kind="attach")
    viewer.send({"type": "close"})
    await ended_session()
    assert len(engine.processes(container.container_id)) == 1


async def test_the_end_of_input_comes_after_the_input(open_terminal: Callable[..., Any]) -> None:
    viewer, _container = await open_terminal("wc", kind="attach")
    viewer.send_bytes(b"twelve bytes")
    viewer.send({"type": "end"})
    assert b"12\n" in await viewer.read_until(b"\n")
