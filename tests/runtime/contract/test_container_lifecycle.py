"""Start, stop, restart, kill, pause, unpause, rename, remove, wait."""

import asyncio

import pytest

from runtime import (
    Conflict,
    ContainerEngine,
    ContainerSpec,
    ContainerState,
    EngineFailure,
    Invalid,
    NotFound,
    PublishedPort,
)
from tests.engines import free_port
from tests.runtime.conftest import IMAGE
from tests.runtime.contract.conftest import Run, eventually

UNKNOWN = "0" * 64


async def state_of(engine: ContainerEngine, container_id: str) -> ContainerState:
    return (await engine.inspect_container(container_id)).container.state


async def test_a_started_container_runs(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    found = await engine.inspect_container(container_id)
    assert found.container.state is ContainerState.RUNNING
    assert found.started_at is not None
    assert found.finished_at is None
    [row] = await engine.list_containers()
    assert (row.container_id, row.state, row.exit_code) == (container_id, ContainerState.RUNNING, None)
    assert row.status.startswith("Up")


async def test_starting_twice_is_success(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await engine.start_container(container_id)
    assert await state_of(engine, container_id) is ContainerState.RUNNING


async def test_a_missing_program_says_so(engine: ContainerEngine) -> None:
    container_id = await engine.create_container(
        ContainerSpec(name="missing", image=IMAGE, command=("/no/such/program",), init=False)
    )
    with pytest.raises(EngineFailure) as caught:
        await engine.start_container(container_id)
    assert caught.value.reason == "command_missing"


async def test_a_taken_port_says_so(engine: ContainerEngine, run: Run) -> None:
    port = PublishedPort(container_port=80, host_port=free_port(), host_ip="127.0.0.1")
    await run(ports=(port,))
    second = await engine.create_container(
        ContainerSpec(name="second", image=IMAGE, command=("sleep", "1000"), ports=(port,))
    )
    with pytest.raises(EngineFailure) as caught:
        await engine.start_container(second)
    assert caught.value.reason == "port_taken"


async def test_a_chosen_port_is_listed(engine: ContainerEngine, run: Run) -> None:
    container_id = await run(ports=(PublishedPort(container_port=80, host_ip="127.0.0.1"),))
    [row] = await engine.list_containers()
    [listed] = row.ports
    [inspected] = (await engine.inspect_container(container_id)).container.ports
    assert listed == inspected
    assert listed.container_port == 80
    assert listed.host_port is not None
    assert listed.host_port > 1023


async def test_stop_ends_it_with_its_signal(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await engine.stop_container(container_id, grace=5)
    found = await engine.inspect_container(container_id)
    assert found.container.state is ContainerState.EXITED
    assert found.container.exit_code == 143
    assert found.finished_at is not None
    [row] = await engine.list_containers()
    assert row.exit_code == 143


async def test_stopping_twice_is_success(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await engine.stop_container(container_id, grace=1)
    await engine.stop_container(container_id, grace=1)


async def test_restart_makes_it_new(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    before = (await engine.inspect_container(container_id)).started_at
    await engine.restart_container(container_id, grace=1)
    after = await engine.inspect_container(container_id)
    assert after.container.state is ContainerState.RUNNING
    assert before is not None
    assert after.started_at is not None
    assert after.started_at > before


async def test_kill_ends_it_at_once(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await engine.kill_container(container_id)
    assert await engine.wait_container(container_id) == 137


async def test_what_does_not_run_cannot_be_killed(engine: ContainerEngine) -> None:
    container_id = await engine.create_container(ContainerSpec(name="still", image=IMAGE, command=("true",)))
    with pytest.raises(Conflict) as caught:
        await engine.kill_container(container_id)
    assert caught.value.reason == "not_running"


async def test_pause_and_unpause(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await engine.pause_container(container_id)
    assert await state_of(engine, container_id) is ContainerState.PAUSED
    with pytest.raises(Conflict) as caught:
        await engine.pause_container(container_id)
    assert caught.value.reason in ("already_paused", "not_running")
    await engine.unpause_container(container_id)
    assert await state_of(engine, container_id) is ContainerState.RUNNING
    with pytest.raises(Conflict):
        await engine.unpause_container(container_id)


async def test_rename(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await engine.rename_container(container_id, name="renamed")
    assert (await engine.inspect_container("renamed")).container.container_id == container_id


async def test_renaming_to_a_taken_name_is_a_conflict(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    await run(name="taken")
    with pytest.raises(Conflict) as caught:
        await engine.rename_container(container_id, name="taken")
    assert caught.value.reason == "name_taken"


async def test_a_removed_container_is_gone(engine: ContainerEngine, run: Run) -> None:
    container_id = await run("true")
    await engine.wait_container(container_id)
    await engine.remove_container(container_id)
    with pytest.raises(NotFound):
        await engine.inspect_container(container_id)
    assert await engine.list_containers() == []


async def test_a_running_container_is_removed_by_force_only(engine: ContainerEngine, run: Run) -> None:
    container_id = await run()
    with pytest.raises(Conflict) as caught:
        await engine.remove_container(container_id)
    assert caught.value.reason == "running"
    await engine.remove_container(container_id, force=True)
    assert await engine.list_containers() == []


async def test_wait_returns_the_exit_code(engine: ContainerEngine, run: Run) -> None:
    container_id = await run("sh", "-c", "sleep 0.3; exit 7")
    async with asyncio.timeout(20):
        assert await engine.wait_container(container_id) == 7


async def test_an_exit_code_is_listed(engine: ContainerEngine, run: Run) -> None:
    container_id = await run("sh", "-c", "exit 3")
    await engine.wait_container(container_id)

    async def exited() -> bool:
        [row] = await engine.list_containers()
        return (row.state, row.exit_code) == (ContainerState.EXITED, 3)

    await eventually(exited)


async def test_an_unknown_container_is_not_found(engine: ContainerEngine) -> None:
    for action in ("start", "stop", "restart", "kill", "pause", "unpause", "remove", "inspect", "wait"):
        with pytest.raises(NotFound) as caught:
            await getattr(engine, f"{action}_container")(UNKNOWN)
        assert caught.value.reason == "container_missing", action


async def test_what_is_no_name_never_reaches_a_path(engine: ContainerEngine) -> None:
    for name in ("../images/json", "a/b", "", "a?force=1", "a%2fb", "-x", "é", "a\r\nX: y"):
        with pytest.raises(Invalid) as caught:
            await engine.inspect_container(name)
        assert caught.value.reason == "bad_name"
