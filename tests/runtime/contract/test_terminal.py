"""Terminals: exec with and without a TTY, byte by byte; attach; the end of everything they started."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runtime import Channel, Conflict, ContainerEngine, ExecSpec, Invalid, NotFound, Terminal, Terminated, TimedOut
from runtime.testing import FakeEngine
from tests.runtime.contract.conftest import Run, eventually, read_all, read_until

RAW_CAT = ("sh", "-c", "stty raw -echo; echo ready; cat")


@asynccontextmanager
async def opened(engine: ContainerEngine, container_id: str, *command: str, **fields: Any) -> AsyncIterator[Terminal]:
    terminal = await engine.open_exec(container_id, ExecSpec(command=command, **fields))
    try:
        yield terminal
    finally:
        await terminal.kill()
        await terminal.close()


def utf8_text(size: int) -> bytes:
    text = "".join(f"{number} 가나다 ψ🚢\t~ " for number in range(size // 20)).encode()
    return text[:size].decode(errors="ignore").encode()


async def test_a_shell_answers_and_ends(engine: ContainerEngine, run: Run) -> None:
    async with opened(engine, await run(), "sh") as terminal:
        assert terminal.tty
        assert terminal.exec_id
        await terminal.write(b"echo he''llo\n")
        await read_until(terminal, b"hello")
        assert await terminal.exit_code() is None
        await terminal.write(b"exit 3\n")
        await read_all(terminal)
        assert await terminal.exit_code() == 3
        assert await terminal.read() == b""


async def test_the_size_is_there_from_the_start_and_changes(engine: ContainerEngine, run: Run) -> None:
    async with opened(engine, await run(), "sh", columns=101, rows=33) as terminal:
        await read_until(terminal, b" ")
        await terminal.write(b"stty size\n")
        await read_until(terminal, b"33 101")
        await terminal.resize(columns=50, rows=10)
        await terminal.write(b"stty size\n")
        await read_until(terminal, b"10 50")


async def test_sizes_have_bounds(engine: ContainerEngine, run: Run) -> None:
    async with opened(engine, await run(), "sh") as terminal:
        for columns, rows in ((0, 24), (80, 0), (10_001, 24), (80, -1)):
            with pytest.raises(Invalid):
                await terminal.resize(columns=columns, rows=rows)


async def test_a_large_text_comes_back_byte_for_byte(engine: ContainerEngine, run: Run) -> None:
    text = utf8_text(1_000_000)
    async with opened(engine, await run(), *RAW_CAT) as terminal:
        await read_until(terminal, b"ready\n")
        digest = hashlib.sha256()
        received = 0

        async def receive() -> None:
            nonlocal received
            while received < len(text):
                data = await terminal.read()
                received += len(data)
                digest.update(data)

        # Podman's input is paced, and a machine may be busy.
        async with asyncio.timeout(150):
            await asyncio.gather(receive(), terminal.write(text))
    assert received == len(text)
    assert digest.hexdigest() == hashlib.sha256(text).hexdigest()


async def test_no_key_is_swallowed(engine: ContainerEngine, run: Run) -> None:
    async with opened(engine, await run(), *RAW_CAT) as terminal:
        await read_until(terminal, b"ready\n")
        # Ctrl-P, Ctrl-Q is how the engines' own clients detach.
        for key in (b"\x10", b"\x11", b"\x10", b"\x1b", b"\x03", b"\x1d", b"\xff"):
            await terminal.write(key)
            async with asyncio.timeout(5):
                assert await terminal.read() == key


async def test_a_megabyte_is_pasted_into_a_pipe(engine: ContainerEngine, run: Run) -> None:
    async with opened(engine, await run(), "wc", "-c", tty=False) as terminal:
        async with asyncio.timeout(60):
            await terminal.write(b"0123456789abcdef" * 65_536)
            await terminal.write_eof()
        assert (await read_all(terminal)).strip() == b"1048576"
        assert await terminal.exit_code() == 0


async def test_without_a_tty_eight_megabytes_go_round(engine: ContainerEngine, run: Run) -> None:
    text = utf8_text(1_000_000) * 8
    async with opened(engine, await run(), "cat", tty=False) as terminal:

        async def send() -> None:
            await terminal.write(text)
            await terminal.write_eof()

        received, _ = await asyncio.gather(read_all(terminal), send())
    assert hashlib.sha256(received).hexdigest() == hashlib.sha256(text).hexdigest()


async def test_without_a_tty_the_channels_come_apart(engine: ContainerEngine, run: Run) -> None:
    async with opened(engine, await run(), "sh", "-c", "echo out; echo err >&2; exit 5", tty=False) as terminal:
        found = dict.fromkeys(Channel, b"")
        async with asyncio.timeout(20):
            while (chunk := await terminal.read_chunk()) is not None:
                found[chunk.channel] += chunk.data
        assert found[Channel.STDOUT] == b"out\n"
        assert found[Channel.STDERR] == b"err\n"
        assert await terminal.exit_code() == 5


async def test_what_has_arrived_is_taken_without_waiting(engine: ContainerEngine, run: Run) -> None:
    async with opened(engine, await run(), *RAW_CAT) as terminal:
        await read_until(terminal, b"ready\n")
        assert terminal.read_nowait(100) == b""
        await terminal.write(b"abcdefgh")
        taken = b""
        async with asyncio.timeout(10):
            while len(taken) < 8:
                part = terminal.read_nowait(3)
                assert len(part) <= 3
                taken += part
                await asyncio.sleep(0.01)
        assert taken == b"abcdefgh"


async def test_user_directory_and_environment_arrive(engine: ContainerEngine, run: Run) -> None:
    spec = ExecSpec(
        command=("sh", "-c", "id -u; pwd; echo $COLOUR"),
        tty=False,
        user="1000",
        working_directory="/tmp",
        environment=(("COLOUR", "deep green"),),
    )
    output = await engine.run_exec(await run(), spec)
    assert (output.exit_code, output.stdout) == (0, b"1000\n/tmp\ndeep green\n")


async def test_a_program_that_is_not_there_ends_with_127_or_126(engine: ContainerEngine, run: Run) -> None:
    output = await engine.run_exec(await run(), ExecSpec(command=("no-such-program",), tty=False))
    assert output.exit_code in (126, 127)
    assert b"not found" in output.stdout + output.stderr


async def test_output_is_kept_up_to_a_megabyte(engine: ContainerEngine, run: Run) -> None:
    spec = ExecSpec(command=("sh", "-c", "echo $BIG; echo end >&2"), tty=False, environment=(("BIG", "x" * 1000),))
    output = await engine.run_exec(await run(), spec)
    assert output.stdout == b"x" * 1000 + b"\n"
    assert output.stderr == b"end\n"


async def test_what_does_not_end_in_time_is_ended(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    with pytest.raises(TimedOut):
        await engine.run_exec(container_id, ExecSpec(command=("sleep", "777"), tty=False), timeout=1)
    assert await running_with(engine, container_id, "777") == 0


async def running_with(engine: ContainerEngine, container_id: str, text: str) -> int:
    """Return how many processes of the container have ``text`` in their command line."""
    if isinstance(engine, FakeEngine):
        return sum(text in " ".join(process.arguments) for process in engine.processes(container_id))
    output = await engine.run_exec(container_id, ExecSpec(command=("ps", "-o", "args"), tty=False))
    return sum(text in line for line in output.stdout.decode().splitlines())


@pytest.mark.parametrize("user", ["", "1000"])
async def test_kill_leaves_nothing_behind(engine: ContainerEngine, run: Run, user: str) -> None:
    container_id = await run()
    terminal = await engine.open_exec(container_id, ExecSpec(command=("sh",), user=user))
    await read_until(terminal, b" ")
    # A child in the background, one that ignores the hang-up, one in a session of its own.
    await terminal.write(b"sleep 888 & (trap '' HUP; exec sleep 888) & setsid sleep 888 &\n")
    await asyncio.sleep(0.3)
    assert await terminal.kill()
    await terminal.close()
    assert await running_with(engine, container_id, "888") == 0


async def test_a_marker_finds_what_a_lost_terminal_left(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    spec = ExecSpec(command=("sleep", "999"), environment=(("PILOTHOUSE_TERMINAL", "marker-of-a-lost-one"),))
    terminal = await engine.open_exec(container_id, spec)
    other = await engine.open_exec(container_id, ExecSpec(command=("sleep", "998")))
    await terminal.close()
    assert terminal.exec_id is not None
    detail = await engine.inspect_exec(terminal.exec_id)
    assert (detail.container_id, detail.exit_code) == (container_id, None)
    assert await engine.kill_execs(container_id, marker="marker-of-a-lost-one")
    assert await running_with(engine, container_id, "999") == 0
    assert await running_with(engine, container_id, "998") == 1
    assert await other.exit_code() is None
    await other.kill()
    await other.close()


async def test_a_marker_must_be_long_enough_to_be_unique(engine: ContainerEngine, run: Run) -> None:
    with pytest.raises(Invalid):
        await engine.kill_execs(await run(), marker="")


async def test_where_nothing_runs_nothing_is_left(engine: ContainerEngine) -> None:
    assert await engine.kill_execs("0" * 64, marker="some-long-marker")


async def test_no_terminal_into_what_does_not_run(engine: ContainerEngine, run: Run) -> None:
    container_id = await run("true")
    await engine.wait_container(container_id)
    with pytest.raises(Conflict):
        await engine.open_exec(container_id, ExecSpec(command=("sh",)))
    with pytest.raises(Conflict):
        await engine.attach(container_id, tty=False)
    with pytest.raises(NotFound):
        await engine.open_exec("0" * 64, ExecSpec(command=("sh",)))
    with pytest.raises(NotFound):
        await engine.attach("0" * 64, tty=False)
    with pytest.raises(NotFound):
        await engine.inspect_exec("0" * 64)


async def test_a_stopped_container_ends_its_terminals(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    async with opened(engine, container_id, "sh") as terminal:
        await read_until(terminal, b" ")
        await engine.kill_container(container_id)
        async with asyncio.timeout(20):
            try:
                await read_all(terminal)
            except Terminated:
                return  # an engine may not know any more how the exec ended
        assert await terminal.exit_code() is not None


async def test_attach_without_a_tty_comes_apart_and_takes_input(engine: ContainerEngine, run: Run) -> None:
    # Podman ends the input when its last reader goes; the process goes on all the same.
    container_id = await run("sh", "-c", "cat; sleep 1000", open_stdin=True)
    terminal = await engine.attach(container_id, tty=False)
    assert terminal.exec_id is None
    await terminal.write(b"typed\n")
    found = dict.fromkeys(Channel, b"")
    async with asyncio.timeout(20):
        while b"typed" not in found[Channel.STDOUT]:
            chunk = await terminal.read_chunk()
            assert chunk is not None
            found[chunk.channel] += chunk.data
    assert await terminal.kill()
    await terminal.close()
    assert (await engine.inspect_container(container_id)).container.state.value == "running"


async def test_attach_to_a_tty_is_one_raw_channel(engine: ContainerEngine, run: Run) -> None:
    container_id = await run("sh", tty=True, open_stdin=True)
    terminal = await engine.attach(container_id, tty=True)
    await terminal.resize(columns=61, rows=17)
    await terminal.write(b"stty size\n")
    await read_until(terminal, b"17 61")
    await terminal.write(b"exit 6\n")
    await read_all(terminal)
    assert await terminal.exit_code() == 6
    await terminal.close()


async def test_closing_twice_is_fine(engine: ContainerEngine, run: Run) -> None:
    terminal = await engine.open_exec(await run(), ExecSpec(command=("sh",)))
    await terminal.kill()
    await terminal.close()
    await terminal.close()
    with pytest.raises(Terminated):
        await terminal.write(b"x")


async def test_an_ended_exec_says_so(engine: ContainerEngine, run: Run) -> None:
    terminal = await engine.open_exec(await run(), ExecSpec(command=("sh",)))
    exec_id = terminal.exec_id
    assert exec_id is not None

    async def runs() -> bool:
        # An engine answers before the process is there.
        return (await engine.inspect_exec(exec_id)).running

    async def ended() -> bool:
        return not (await engine.inspect_exec(exec_id)).running

    await eventually(runs)
    await terminal.kill()
    await eventually(ended)
    assert (await engine.inspect_exec(exec_id)).exit_code is not None
    await terminal.close()
