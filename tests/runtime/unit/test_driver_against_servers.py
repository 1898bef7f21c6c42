"""The driver against servers that are no engines, or engines of another age."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runtime import (
    BackendError,
    ContainerEngine,
    Driver,
    Endpoint,
    ExecSpec,
    NotFound,
    ProtocolError,
    Terminated,
    Timeouts,
    Unreachable,
    Unsupported,
    connect,
)

Answer = Callable[[str], bytes]


def reply(body: bytes, *, status: str = "200 OK", headers: str = "", version: str = "1.41") -> bytes:
    head = f"HTTP/1.1 {status}\r\nApi-Version: {version}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@asynccontextmanager
async def engine_that(directory: Path, answer: Answer) -> AsyncIterator[ContainerEngine]:
    """An engine behind which ``answer`` is given the request line and says the whole answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := (await reader.readline()).decode():
            length = 0
            while (header := await reader.readline()).strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            await reader.readexactly(length)
            said = answer(line.rpartition(" ")[0])
            writer.write(said)
            await writer.drain()
            whole = said.endswith(b"0\r\n\r\n") if b"chunked" in said else b"Content-Length" in said
            if not whole:
                break
        writer.close()

    path = directory / "s"
    server = await asyncio.start_unix_server(serve, path)
    engine = connect(Endpoint(driver=Driver.DOCKER, url=f"unix://{path}", timeouts=Timeouts(connect=1, read=0.5)))
    try:
        yield engine
    finally:
        await engine.close()
        server.close()


def pinging(then: Answer, *, version: str = "1.41") -> Answer:
    return lambda line: reply(b"OK", version=version) if line == "GET /_ping" else then(line)


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00\x01\x02\x03",
        b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\nApi-Version: ../../x\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_garbage_is_a_protocol_error(socket_directory: Path, garbage: bytes) -> None:
    async with engine_that(socket_directory, lambda line: garbage) as engine:
        with pytest.raises(ProtocolError):
            await engine.ping()


@pytest.mark.parametrize("body", [b"", b"not json", b"{}", b'"x"', b'[{"State": 5}]', b"[" * 200_000, b"\xff\xfe"])
async def test_answers_of_the_wrong_shape_are_protocol_errors(socket_directory: Path, body: bytes) -> None:
    async with engine_that(socket_directory, pinging(lambda line: reply(body))) as engine:
        with pytest.raises(ProtocolError):
            await engine.list_containers()


async def test_no_answer_is_terminated(socket_directory: Path) -> None:
    async with engine_that(socket_directory, lambda line: b"") as engine:
        with pytest.raises(Terminated):
            await engine.ping()


async def test_half_an_answer_is_terminated(socket_directory: Path) -> None:
    half = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n[{"Id"'
    async with engine_that(socket_directory, pinging(lambda line: half)) as engine:
        with pytest.raises(Terminated):
            await engine.list_containers()


async def test_nobody_there_is_unreachable(socket_directory: Path) -> None:
    for url in (f"unix://{socket_directory}/none", "tcp://127.0.0.1:1"):
        engine = connect(Endpoint(driver=Driver.DOCKER, url=url))
        with pytest.raises(Unreachable):
            await engine.ping()
        with pytest.raises(Unreachable):
            await engine.open_exec("a" * 64, ExecSpec(command=("sh",)))
        await engine.close()


@pytest.mark.parametrize(
    ("offered", "used"), [("1.41", "1.41"), ("1.47", "1.47"), ("1.52", "1.47"), ("1.24", "1.24"), ("2.0", "1.47")]
)
async def test_the_version_is_the_newest_both_know(socket_directory: Path, offered: str, used: str) -> None:
    seen: list[str] = []

    def answer(line: str) -> bytes:
        seen.append(line)
        return reply(b"[]")

    async with engine_that(socket_directory, pinging(answer, version=offered)) as engine:
        assert await engine.ping() == used
        await engine.list_containers()
    assert seen[0].startswith(f"GET /v{used}/containers/json?all=1")


async def test_an_engine_too_old_is_unsupported(socket_directory: Path) -> None:
    async with engine_that(socket_directory, pinging(lambda line: reply(b"[]"), version="1.12")) as engine:
        with pytest.raises(Unsupported) as caught:
            await engine.list_containers()
    assert caught.value.reason == "api_version"


async def test_an_engine_exchanged_for_an_older_one_is_asked_anew(socket_directory: Path) -> None:
    version = "1.47"

    def answer(line: str) -> bytes:
        if line == "GET /_ping":
            return reply(b"OK", version=version)
        if f"/v{version}/" not in line:
            body = json.dumps({"message": f"client version 1.47 is too new. Maximum is {version}"}).encode()
            return reply(body, status="400 Bad Request")
        return reply(b"[]")

    async with engine_that(socket_directory, answer) as engine:
        assert await engine.list_containers() == []
        version = "1.41"
        with pytest.raises(Unsupported):
            await engine.list_containers()
        assert await engine.list_containers() == []


async def test_an_answer_without_end_is_not_taken_into_memory(socket_directory: Path) -> None:
    huge = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
    async with engine_that(socket_directory, lambda line: huge) as engine:
        with pytest.raises(ProtocolError):
            await engine.ping()


def chunked(*parts: bytes, end: bool = True) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if end else b"")


async def test_a_message_may_come_in_pieces(socket_directory: Path) -> None:
    pieces = (
        b'{"status": "Downl',
        b'oading", "id": "a", "progressDetail"',
        b': {"current": 1, "total": 2}}\r\n{"sta',
        b'tus": "x"}',
    )
    async with engine_that(socket_directory, pinging(lambda line: chunked(*pieces))) as engine:
        found = [step async for step in engine.pull_image("app")]
    assert [(step.message, step.current_bytes) for step in found] == [("Downloading", 1), ("x", 0)]


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ((b'{"errorDetail": {"message": "manifest unknown"}, "error": "manifest unknown"}\n',), NotFound),
        ((b"garbage\n",), ProtocolError),
        ((b"[1]\n",), ProtocolError),
        ((b"x" * 1_500_000,), ProtocolError),
    ],
)
async def test_how_a_pull_may_fail_on_the_way(
    socket_directory: Path, parts: tuple[bytes, ...], kind: type[BackendError]
) -> None:
    async with engine_that(socket_directory, pinging(lambda line: chunked(*parts))) as engine:
        with pytest.raises(kind):
            async for _ in engine.pull_image("app"):
                pass


async def test_events_that_end_are_terminated(socket_directory: Path) -> None:
    event = json.dumps({"Type": "container", "Action": "start", "Actor": {"ID": "a"}, "timeNano": 1}).encode()
    async with engine_that(socket_directory, pinging(lambda line: chunked(event + b"\n"))) as engine:
        events = engine.events()
        assert (await anext(events)).action == "start"
        with pytest.raises(Terminated):
            await anext(events)


async def test_a_log_cut_in_the_middle_is_terminated(socket_directory: Path) -> None:
    frame = b"\x01\x00\x00\x00\x00\x00\x00\x0ahello"
    for said in (chunked(frame), chunked(b"\x01\x00\x00\x00\x00\x00\x00\x05hello", end=False)):

        def answer(line: str, said: bytes = said) -> bytes:
            return said

        async with engine_that(socket_directory, pinging(answer)) as engine:
            with pytest.raises(Terminated):
                async for _ in engine.logs("a" * 64, tty=False):
                    pass
        (socket_directory / "s").unlink(missing_ok=True)


async def test_a_plain_port_in_front_of_tls_says_so(socket_directory: Path) -> None:
    said = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    async with engine_that(socket_directory, lambda line: said) as engine:
        with pytest.raises(Unreachable) as caught:
            await engine.ping()
    assert caught.value.reason == "tls"
