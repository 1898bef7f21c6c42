"""Creating containers: every field of the specification arrives, mistakes have names."""

import pytest

from runtime import (
    Conflict,
    ContainerEngine,
    ContainerSpec,
    ContainerState,
    Healthcheck,
    Invalid,
    NotFound,
    PublishedPort,
    RestartPolicy,
    TmpfsMount,
    VolumeMount,
)
from runtime.testing import FakeEngine
from tests.runtime.conftest import IMAGE

MIB = 1024 * 1024


async def test_it_returns_the_full_id(engine: ContainerEngine) -> None:
    container_id = await engine.create_container(ContainerSpec(name="full", image=IMAGE, command=("true",)))
    assert len(container_id) == 64
    assert int(container_id, 16) >= 0


async def test_every_field_arrives(engine: ContainerEngine) -> None:
    container_id = await engine.create_container(
        ContainerSpec(
            name="every-field",
            image=IMAGE,
            entrypoint=("sh", "-c"),
            command=("sleep 1000",),
            environment=(("COLOUR", "green"), ("EQUALS", "a=b=c"), ("EMPTY", "")),
            labels=(("made-by", "contract"), ("empty", "")),
            hostname="lighthouse",
            user="1000",
            working_directory="/tmp",
            tty=True,
            open_stdin=True,
            read_only_root=True,
            ports=(PublishedPort(container_port=8080, host_ip="127.0.0.1"),),
            volumes=(VolumeMount(volume="contract-data", target="/data", read_only=True),),
            tmpfs=(TmpfsMount(target="/scratch", size_bytes=MIB),),
            restart_policy=RestartPolicy.ON_FAILURE,
            restart_max_retries=3,
            memory_bytes=64 * MIB,
            nano_cpus=500_000_000,
            pids_limit=50,
            stop_timeout=3,
        )
    )
    found = await engine.inspect_container(container_id)
    assert found.container.container_id == container_id
    assert found.container.name == "every-field"
    assert found.container.state is ContainerState.CREATED
    assert found.container.exit_code is None
    assert found.entrypoint[:1] == ("sh",) or found.raw["Path"] == "sh"
    assert found.command == ("sleep 1000",)
    assert {("COLOUR", "green"), ("EQUALS", "a=b=c"), ("EMPTY", "")} <= set(found.environment)
    assert found.container.labels["made-by"] == "contract"
    assert found.container.labels["empty"] == ""
    assert found.hostname == "lighthouse"
    assert found.user == "1000"
    assert found.working_directory == "/tmp"
    assert found.tty
    assert found.open_stdin
    assert found.raw["HostConfig"]["ReadonlyRootfs"] is True
    assert found.restart_policy == "on-failure"
    assert found.raw["HostConfig"]["RestartPolicy"]["MaximumRetryCount"] == 3
    assert found.memory_bytes == 64 * MIB
    assert found.raw["HostConfig"]["MemorySwap"] == 64 * MIB
    assert found.nano_cpus == 500_000_000
    assert found.pids_limit == 50
    assert found.started_at is None
    [volume] = [mount for mount in found.container.mounts if mount.kind == "volume"]
    assert (volume.source, volume.target, volume.read_only) == ("contract-data", "/data", True)
    assert "contract-data" in [found.name for found in await engine.list_volumes()]


async def test_no_privilege_is_ever_asked_for(engine: ContainerEngine) -> None:
    container_id = await engine.create_container(ContainerSpec(name="plain", image=IMAGE, command=("true",)))
    host_config = (await engine.inspect_container(container_id)).raw["HostConfig"]
    assert not host_config.get("Privileged")
    assert not host_config.get("Binds")
    assert not host_config.get("CapAdd")


async def test_a_taken_name_is_a_conflict(engine: ContainerEngine) -> None:
    spec = ContainerSpec(name="twice", image=IMAGE, command=("true",))
    await engine.create_container(spec)
    with pytest.raises(Conflict) as caught:
        await engine.create_container(spec)
    assert caught.value.reason == "name_taken"


async def test_an_unknown_image_is_not_found(engine: ContainerEngine) -> None:
    with pytest.raises(NotFound) as caught:
        await engine.create_container(ContainerSpec(name="ghost", image="localhost/ghost:1", command=("true",)))
    assert caught.value.reason == "image_missing"


async def test_nothing_to_run_is_invalid(engine: ContainerEngine) -> None:
    with pytest.raises(Invalid):
        await engine.create_container(ContainerSpec(name="idle", image=IMAGE, command=()))


async def test_a_healthcheck_is_reported(engine: ContainerEngine, member: str) -> None:
    container_id = await engine.create_container(
        ContainerSpec(
            name="checked",
            image=IMAGE,
            command=("sleep", "1000"),
            healthcheck=Healthcheck(test="true", interval=1, timeout=2, retries=1),
        )
    )
    await engine.start_container(container_id)
    found = await engine.inspect_container(container_id)
    # Podman leaves the checks to systemd, which this machine may not have; that one is asked for is seen all the same.
    assert found.container.health.value in ("starting", "healthy")


async def test_rights_and_the_log_can_be_narrowed(engine: ContainerEngine) -> None:
    container_id = await engine.create_container(
        ContainerSpec(
            name="narrowed",
            image=IMAGE,
            command=("sh", "-c", "grep -E '^(CapEff|CapPrm|NoNewPrivs)' /proc/self/status"),
            cap_drop=("ALL",),
            cap_add=("NET_BIND_SERVICE", "CHOWN"),
            no_new_privileges=True,
            log_bytes=MIB,
            log_files=2,
            pids_limit=30,
        )
    )
    found = await engine.inspect_container(container_id)
    host_config = found.raw["HostConfig"]
    assert any(option.startswith("no-new-privileges") for option in host_config["SecurityOpt"])
    assert host_config["LogConfig"]["Type"] == "json-file"
    assert found.pids_limit == 30

    if isinstance(engine, FakeEngine):
        return  # it runs no process that could tell
    await engine.start_container(container_id)
    await engine.wait_container(container_id)
    told = b"".join([chunk.data async for chunk in engine.logs(container_id, tty=False)]).decode()
    status = dict(line.split() for line in told.splitlines())
    # CHOWN is bit 0, NET_BIND_SERVICE bit 10.
    assert int(status["CapEff:"], 16) == int(status["CapPrm:"], 16) == 0b100_0000_0001
    assert status["NoNewPrivs:"] == "1"
