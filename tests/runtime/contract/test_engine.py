"""The engine itself: ping and info."""

import asyncio

from runtime import ContainerEngine
from tests.runtime.contract.conftest import Run


async def test_a_ping_tells_the_api_version(engine: ContainerEngine) -> None:
    major, _, minor = (await engine.ping()).partition(".")
    assert (int(major), int(minor)) >= (1, 24)


async def test_the_info_says_what_it_is(engine: ContainerEngine, member: str) -> None:
    info = await engine.info()
    assert info.product == ("Podman" if member == "podman" else "Docker")
    assert info.version
    assert info.cpus >= 1
    assert info.memory_bytes > 0
    assert info.operating_system
    assert not info.rootless


async def test_the_info_counts_containers(engine: ContainerEngine, run: Run) -> None:
    before = await engine.info()
    await run()
    after = await engine.info()
    assert after.containers == before.containers + 1
    assert after.containers_running == before.containers_running + 1


async def test_many_calls_at_once_are_answered(engine: ContainerEngine) -> None:
    answers = await asyncio.gather(*(engine.list_containers() for _ in range(30)))
    assert answers == [[]] * 30


async def test_it_closes_twice(engine: ContainerEngine) -> None:
    await engine.ping()
    await engine.close()
    await engine.close()
