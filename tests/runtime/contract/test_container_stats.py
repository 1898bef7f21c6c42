"""Samples of what a container uses."""

import asyncio

import pytest

from runtime import ContainerEngine, NotFound
from tests.runtime.contract.conftest import Run


async def test_samples_come_one_after_the_other(engine: ContainerEngine, run: Run) -> None:
    container_id = await run(memory_bytes=64 * 1024 * 1024)
    samples = []
    async with asyncio.timeout(20):
        async for sample in engine.stats(container_id):
            samples.append(sample)
            if len(samples) == 2:
                break
    first, second = samples
    assert second.observed_at > first.observed_at
    assert 0 <= second.cpu_cores < 8
    assert second.memory_bytes > 0
    assert second.memory_limit_bytes == 64 * 1024 * 1024
    assert second.pids >= 1


async def test_they_end_when_it_does_not_run(engine: ContainerEngine, run: Run) -> None:
    container_id = await run("true")
    await engine.wait_container(container_id)
    async with asyncio.timeout(20):
        assert [sample async for sample in engine.stats(container_id)] == []


async def test_an_unknown_container_is_not_found(engine: ContainerEngine) -> None:
    with pytest.raises(NotFound):
        async for _ in engine.stats("0" * 64):
            pass
