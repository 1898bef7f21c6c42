"""The stream of what happens."""

import asyncio
import time

from runtime import ContainerEngine, Event, VolumeSpec
from tests.runtime.contract.conftest import Run


async def test_what_happens_is_told(engine: ContainerEngine, run: Run) -> None:
    since = time.time() - 1
    container_id = await run("true", name="eventful")
    await engine.wait_container(container_id)
    await engine.remove_container(container_id, force=True)
    seen: list[Event] = []
    async with asyncio.timeout(20):
        async for event in engine.events(since=since):
            if event.kind == "container" and event.object_id == container_id:
                seen.append(event)
                if event.action == "destroy":
                    break
    actions = [event.action for event in seen]
    for action in ("create", "start", "die", "destroy"):
        assert action in actions, actions
    created = seen[actions.index("create")]
    assert created.attributes["name"] == "eventful"
    assert abs(created.occurred_at.timestamp() - time.time()) < 60
    ended = seen[actions.index("die")]
    assert ended.attributes.get("exitCode", ended.attributes.get("containerExitCode")) == "0"


async def test_the_end_of_a_volume_is_told_by_its_name(engine: ContainerEngine) -> None:
    since = time.time() - 1
    await engine.create_volume(VolumeSpec(name="short-lived"))
    await engine.remove_volume("short-lived")
    async with asyncio.timeout(20):
        async for event in engine.events(since=since):
            if event.kind == "volume" and event.action == "destroy":
                assert event.object_id == "short-lived"
                return


async def test_what_happens_now_comes_now(engine: ContainerEngine, run: Run) -> None:
    events = engine.events()

    async def first_start() -> Event:
        async for event in events:
            if event.action == "start":
                return event
        raise AssertionError("the stream ended")

    waiting = asyncio.create_task(first_start())
    await asyncio.sleep(0.3)
    container_id = await run()
    async with asyncio.timeout(20):
        assert (await waiting).object_id == container_id
    await events.aclose()  # type: ignore[attr-defined]
