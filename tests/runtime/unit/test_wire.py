"""Our own socket: handshakes, what comes with them, refusals, garbage, back-pressure, half-close, silence."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runtime import Driver, Endpoint, ProtocolError, Terminated, TimedOut, Timeouts, Unreachable
from runtime.transport.tls import client_context
from runtime.transport.upgrade import PENDING_LIMIT, READ_SIZE, Wire, open_wire
from tests.engines import Certificates, certificates

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


@pytest.fixture(scope="module")
def keys() -> Certificates:
    return certificates()


def server_context(keys: Certificates, directory: Path) -> ssl.SSLContext:
    for name, text in (
        ("ca", keys.ca_pem),
        ("certificate", keys.server_certificate_pem),
        ("key", keys.server_key_pem),
    ):
        (directory / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=directory / "ca")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(directory / "certificate", directory / "key")
    return context


@asynccontextmanager
async def served(directory: Path, serve: Serve, *, read: float = 5.0) -> AsyncIterator[Wire]:
    path = directory / "s"
    server = await asyncio.start_unix_server(serve, path)
    wire = await open_wire(
        Endpoint(driver=Driver.DOCKER, url=f"unix://{path}", timeouts=Timeouts(connect=2, read=read)), context=None
    )
    try:
        yield wire
    finally:
        wire.close()
        server.close()


def scripted(reply: bytes, *, close: bool = False) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        if close:
            writer.close()

    return serve


async def test_bytes_that_came_with_the_handshake_are_kept(socket_directory: Path) -> None:
    async with served(socket_directory, scripted(UPGRADED + b"first words")) as wire:
        head, body = await wire.upgrade("/exec/x/start", body={})
        assert (head.status, body) == (101, b"")
        assert await wire.read() == b"first words"


async def test_an_old_engine_says_200(socket_directory: Path) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\nhello"
    async with served(socket_directory, scripted(reply)) as wire:
        head, _ = await wire.upgrade("/exec/x/start", body={})
        assert head.status == 200
        assert await wire.read() == b"hello"


@pytest.mark.parametrize(
    "reply",
    [
        b'HTTP/1.1 409 Conflict\r\nContent-Length: 15\r\n\r\n{"message":"x"}',
        b'HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"mes\r\na;x=y\r\nsage":"x"}\r\n0\r\n\r\n',
    ],
)
async def test_a_refusal_is_read_whole(socket_directory: Path, reply: bytes) -> None:
    async with served(socket_directory, scripted(reply)) as wire:
        head, body = await wire.upgrade("/exec/x/start", body={})
        assert (head.status, body) == (409, b'{"message":"x"}')


async def test_one_connection_serves_two_requests(socket_directory: Path) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (b'HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n{"Id":"abc"}', UPGRADED):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
            seen.append(head.split(b"\r\n")[0] + b" " + body)
            writer.write(reply)

    async with served(socket_directory, serve) as wire:
        head, _ = await wire.request("POST", "/containers/x/exec", body={"Cmd": ["é"]})
        assert head.status == 201
        await wire.upgrade("/exec/abc/start", body={"Tty": True})
    assert seen[0] == 'POST /containers/x/exec HTTP/1.1 {"Cmd": ["é"]}'.encode()
    assert seen[1].startswith(b"POST /exec/abc/start HTTP/1.1 ")


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 500 Broken\r\n\r\nhow long is this",
        b"HTTP/1.1 500 Broken\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 500 Broken\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 500 Broken\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n",
        b"HTTP/1.1 500 " + b"x" * 400_000,
    ],
)
async def test_garbage_is_a_protocol_error(socket_directory: Path, reply: bytes) -> None:
    async with served(socket_directory, scripted(reply, close=False)) as wire:
        with pytest.raises(ProtocolError):
            await wire.upgrade("/exec/x/start", body={})


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 101 UPG", b"HTTP/1.1 500 X\r\nContent-Length: 50\r\n\r\nshort"])
async def test_an_answer_cut_short_is_terminated(socket_directory: Path, reply: bytes) -> None:
    async with served(socket_directory, scripted(reply, close=True)) as wire:
        with pytest.raises(Terminated):
            await wire.upgrade("/exec/x/start", body={})


async def test_silence_is_timed_out(socket_directory: Path) -> None:
    async with served(socket_directory, scripted(b""), read=0.1) as wire:
        with pytest.raises(TimedOut):
            await wire.upgrade("/exec/x/start", body={})


async def test_nobody_there_is_unreachable(socket_directory: Path) -> None:
    endpoint = Endpoint(driver=Driver.DOCKER, url=f"unix://{socket_directory}/none")
    with pytest.raises(Unreachable):
        await open_wire(endpoint, context=None)
    with pytest.raises(Unreachable):
        await open_wire(Endpoint(driver=Driver.DOCKER, url="tcp://127.0.0.1:1"), context=None)


async def test_not_reading_stops_the_other_side_and_costs_little(socket_directory: Path) -> None:
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED)
        writer.transport.set_write_buffer_limits(high=0)
        while sent < 20_000_000:
            writer.write(b"x" * 10_000)
            await writer.drain()
            sent += 10_000
        writer.close()

    async with served(socket_directory, serve) as wire:
        await wire.upgrade("/x", body={})
        await asyncio.sleep(0.3)
        stopped_at = sent
        assert wire.stalled
        await asyncio.sleep(0.2)
        assert sent == stopped_at < 2_000_000
        held = len(wire.take())
        assert PENDING_LIMIT <= held < PENDING_LIMIT + READ_SIZE
        received = held
        while data := await wire.read():
            assert len(data) < 256 * 1024
            received += len(data)
        assert received == 20_000_000


async def test_writing_waits_while_the_other_side_does_not_read(socket_directory: Path) -> None:
    go = asyncio.Event()
    received = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED)
        await go.wait()
        while data := await reader.read(65536):
            received += len(data)
        writer.write(b"thanks")
        writer.close()

    async with served(socket_directory, serve) as wire:
        await wire.upgrade("/x")
        writing = asyncio.create_task(wire.write(b"x" * 5_000_000))
        await asyncio.sleep(0.1)
        assert not writing.done()
        go.set()
        await writing
        await wire.write_eof()
        assert await wire.read() == b"thanks"
        assert await wire.read() == b""
        # The empty object of the request came along.
        assert received >= 5_000_000


async def test_a_broken_connection_ends_waiting_writers(socket_directory: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED)
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.transport.abort()

    async with served(socket_directory, serve) as wire:
        await wire.upgrade("/x")
        with pytest.raises(Terminated):
            await wire.write(b"x" * 50_000_000)
        with pytest.raises(Terminated):
            await wire.write(b"x")


async def test_through_tls_one_direction_closes_and_the_other_goes_on(keys: Certificates, tmp_path: Path) -> None:
    received = 0

    def serve(connection: ssl.SSLSocket) -> None:
        nonlocal received
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        connection.sendall(UPGRADED + b"ready")
        # read() returns nothing at the peer's close_notify; ours is not sent yet.
        while data := connection.recv(65536):
            received += len(data)
        connection.sendall(b"all " + str(received).encode())
        connection.unwrap()

    async with tls_server(keys, tmp_path, serve) as endpoint:
        wire = await open_wire(endpoint, context=client_context(keys.client))
        await wire.upgrade("/x")
        assert await wire.read() == b"ready"
        await wire.write(b"x" * 3_000_000)
        await wire.write_eof()
        async with asyncio.timeout(10):
            said = b""
            while data := await wire.read():
                said += data
        assert said == b"all 3000000"
        wire.close()


@asynccontextmanager
async def tls_server(
    keys: Certificates, directory: Path, serve: Callable[[ssl.SSLSocket], None]
) -> AsyncIterator[Endpoint]:
    """A server of plain blocking sockets: asyncio's own cannot half-close through TLS."""
    import socket
    import threading

    context = server_context(keys, directory)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=True) as secure:
                    serve(secure)
            except OSError:
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        yield Endpoint(driver=Driver.DOCKER, url=url, tls=keys.client)
        thread.join(5)


async def test_a_server_of_another_authority_is_unreachable(keys: Certificates, tmp_path: Path) -> None:
    stranger = certificates()
    async with tls_server(stranger, tmp_path, lambda connection: None) as endpoint:
        with pytest.raises(Unreachable) as caught:
            await open_wire(endpoint, context=client_context(keys.client))
    assert caught.value.reason == "tls"


def test_certificates_that_are_none_say_so(keys: Certificates) -> None:
    from dataclasses import replace

    for broken in (
        replace(keys.client, ca_pem="nonsense"),
        replace(keys.client, certificate_pem="nonsense"),
        replace(keys.client, key_pem=keys.server_key_pem),
    ):
        with pytest.raises(Unreachable) as caught:
            client_context(broken)
        assert caught.value.reason == "tls"
