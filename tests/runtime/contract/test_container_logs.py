"""Logs: whole, by channel, tail, since, until, followed, of a TTY."""

import asyncio
import re
import time
from typing import Any

import pytest

from runtime import Channel, ContainerEngine, NotFound
from tests.runtime.contract.conftest import Run


async def collect(engine: ContainerEngine, container_id: str, **options: Any) -> dict[Channel, bytes]:
    found = dict.fromkeys(Channel, b"")
    async with asyncio.timeout(20):
        async for chunk in engine.logs(container_id, **{"tty": False, **options}):
            found[chunk.channel] += chunk.data
    return found


async def finished(engine: ContainerEngine, run: Run, script: str, **fields: Any) -> str:
    container_id = await run("sh", "-c", script, **fields)
    await engine.wait_container(container_id)
    return container_id


async def test_both_channels_come_apart(engine: ContainerEngine, run: Run) -> None:
    container_id = await finished(engine, run, "echo out; echo err >&2; echo again")
    found = await collect(engine, container_id)
    assert found[Channel.STDOUT] == b"out\nagain\n"
    assert found[Channel.STDERR] == b"err\n"


async def test_one_channel_can_be_had_alone(engine: ContainerEngine, run: Run) -> None:
    container_id = await finished(engine, run, "echo out; echo err >&2")
    assert (await collect(engine, container_id, stderr=False))[Channel.STDERR] == b""
    assert (await collect(engine, container_id, stdout=False))[Channel.STDOUT] == b""


async def test_the_tail(engine: ContainerEngine, run: Run) -> None:
    container_id = await finished(engine, run, "echo 1; echo 2; echo 3; echo 4")
    assert (await collect(engine, container_id, tail=2))[Channel.STDOUT] == b"3\n4\n"
    assert (await collect(engine, container_id, tail=0))[Channel.STDOUT] == b""
    assert (await collect(engine, container_id, tail=99))[Channel.STDOUT] == b"1\n2\n3\n4\n"


async def test_since_and_until(engine: ContainerEngine, run: Run) -> None:
    start = time.time()
    container_id = await finished(engine, run, "echo early; sleep 2.5; echo late")
    middle = start + 1.5
    assert (await collect(engine, container_id, since=middle))[Channel.STDOUT] == b"late\n"
    assert (await collect(engine, container_id, until=middle))[Channel.STDOUT] == b"early\n"


async def test_timestamps(engine: ContainerEngine, run: Run) -> None:
    container_id = await finished(engine, run, "echo stamped")
    line = (await collect(engine, container_id, timestamps=True))[Channel.STDOUT]
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S* stamped\n", line)


async def test_following_waits_for_more_and_ends_with_the_container(engine: ContainerEngine, run: Run) -> None:
    container_id = await run("sh", "-c", "echo first; sleep 0.7; echo second; sleep 1")
    assert (await collect(engine, container_id, follow=True))[Channel.STDOUT] == b"first\nsecond\n"


async def test_following_can_be_given_up(engine: ContainerEngine, run: Run) -> None:
    container_id = await run("sh", "-c", "echo first; sleep 1000")
    logs = engine.logs(container_id, tty=False, follow=True)
    async with asyncio.timeout(20):
        async for chunk in logs:
            assert chunk.data == b"first\n"
            break
        await logs.aclose()  # type: ignore[attr-defined]
    assert len(await engine.list_containers()) == 1


async def test_a_tty_has_one_channel(engine: ContainerEngine, run: Run) -> None:
    container_id = await finished(engine, run, "echo out; echo err >&2", tty=True)
    found = await collect(engine, container_id, tty=True)
    assert found[Channel.STDOUT] == b"out\r\nerr\r\n"
    assert found[Channel.STDERR] == b""


async def test_an_unknown_container_is_not_found(engine: ContainerEngine) -> None:
    with pytest.raises(NotFound):
        await collect(engine, "0" * 64)
