"""Our values as requests: typed, re-serialised, nothing else."""

import base64
import json

import pytest

from runtime import (
    ContainerSpec,
    ExecSpec,
    Healthcheck,
    Invalid,
    NetworkSpec,
    PublishedPort,
    RegistryCredentials,
    RestartPolicy,
    TmpfsMount,
    VolumeMount,
    VolumeSpec,
)
from runtime.drivers.docker.serialise import (
    container_body,
    exec_body,
    exec_start_body,
    image_segment,
    network_body,
    registry_auth,
    segment,
    split_reference,
    volume_body,
)

SPEC = ContainerSpec(name="a", image="b:1")


def test_the_least_asks_for_the_least() -> None:
    assert container_body(SPEC) == {
        "Image": "b:1",
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": [],
        "Labels": {},
        "HostConfig": {
            "Init": True,
            "ReadonlyRootfs": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
    }


def test_nothing_dangerous_can_be_said() -> None:
    everything = container_body(
        ContainerSpec(
            name="a",
            image="b",
            command=("c",),
            entrypoint=("d",),
            environment=(("Binds", "/:/host"), ("Privileged", "true")),
            labels=(("HostConfig", "x"),),
            hostname="h",
            user="u",
            working_directory="/w",
            ports=(PublishedPort(container_port=1),),
            volumes=(VolumeMount(volume="v", target="/v"),),
            tmpfs=(TmpfsMount(target="/t", size_bytes=1),),
            network="n",
            restart_policy=RestartPolicy.ON_FAILURE,
            restart_max_retries=2,
            memory_bytes=1,
            nano_cpus=1,
            pids_limit=1,
            disk_bytes=1,
            healthcheck=Healthcheck(test="t"),
            stop_timeout=1,
            cap_add=("CHOWN",),
            cap_drop=("ALL",),
            no_new_privileges=True,
            log_bytes=1,
            log_files=2,
        )
    )
    assert set(everything) == {
        "Image",
        "Tty",
        "OpenStdin",
        "StdinOnce",
        "Env",
        "Labels",
        "HostConfig",
        "Cmd",
        "Entrypoint",
        "Hostname",
        "User",
        "WorkingDir",
        "StopTimeout",
        "Healthcheck",
        "ExposedPorts",
    }
    assert set(everything["HostConfig"]) == {
        "Init",
        "ReadonlyRootfs",
        "RestartPolicy",
        "PortBindings",
        "Mounts",
        "NetworkMode",
        "Memory",
        "MemorySwap",
        "NanoCpus",
        "PidsLimit",
        "StorageOpt",
        "CapAdd",
        "CapDrop",
        "SecurityOpt",
        "LogConfig",
    }
    assert everything["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    assert everything["HostConfig"]["StorageOpt"] == {"size": "1"}
    assert everything["HostConfig"]["LogConfig"]["Type"] == "json-file"
    assert {mount["Type"] for mount in everything["HostConfig"]["Mounts"]} == {"volume", "tmpfs"}


def test_swap_is_never_granted_beyond_memory() -> None:
    host_config = container_body(ContainerSpec(name="a", image="b", memory_bytes=7))["HostConfig"]
    assert host_config["Memory"] == host_config["MemorySwap"] == 7


def test_nothing_and_none_are_different_commands() -> None:
    assert "Cmd" not in container_body(SPEC)
    assert "Entrypoint" not in container_body(SPEC)
    emptied = container_body(ContainerSpec(name="a", image="b", command=(), entrypoint=()))
    assert emptied["Cmd"] == []
    assert emptied["Entrypoint"] == [""]


def test_a_port_may_be_published_twice() -> None:
    body = container_body(
        ContainerSpec(
            name="a",
            image="b",
            ports=(
                PublishedPort(container_port=53, protocol="udp", host_port=5353, host_ip="127.0.0.1"),
                PublishedPort(container_port=53, protocol="udp"),
            ),
        )
    )
    assert body["HostConfig"]["PortBindings"] == {
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}, {"HostIp": "", "HostPort": ""}]
    }
    assert body["ExposedPorts"] == {"53/udp": {}}


def test_retries_belong_to_on_failure_only() -> None:
    body = container_body(
        ContainerSpec(name="a", image="b", restart_policy=RestartPolicy.ALWAYS, restart_max_retries=5)
    )
    assert body["HostConfig"]["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}


def test_durations_are_nanoseconds() -> None:
    body = container_body(
        ContainerSpec(
            name="a", image="b", healthcheck=Healthcheck(test="true", interval=1, timeout=2, retries=3, start_period=4)
        )
    )
    assert body["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"],
        "Interval": 1_000_000_000,
        "Timeout": 2_000_000_000,
        "Retries": 3,
        "StartPeriod": 4_000_000_000,
    }
    off = container_body(ContainerSpec(name="a", image="b", healthcheck=Healthcheck(test="")))
    assert off["Healthcheck"] == {"Test": ["NONE"]}


def test_a_volume_is_local_and_has_no_options() -> None:
    assert volume_body(VolumeSpec(name="data", labels=(("DriverOpts", "type=none,o=bind,device=/"),))) == {
        "Name": "data",
        "Driver": "local",
        "Labels": {"DriverOpts": "type=none,o=bind,device=/"},
    }


def test_a_network_is_a_bridge_whose_addresses_the_engine_chooses() -> None:
    assert network_body(NetworkSpec(name="team", labels=(("Options", "parent=eth0"),), internal=True)) == {
        "Name": "team",
        "Driver": "bridge",
        "Internal": True,
        "CheckDuplicate": True,
        "Labels": {"Options": "parent=eth0"},
    }


@pytest.mark.parametrize("name", ["", "/", "..", "/etc", "a/b", "a\n"])
def test_what_has_no_name_is_not_made(name: str) -> None:
    with pytest.raises(Invalid):
        volume_body(VolumeSpec(name=name))
    with pytest.raises(Invalid):
        network_body(NetworkSpec(name=name))


def test_a_size_goes_with_the_exec_where_it_can() -> None:
    spec = ExecSpec(command=("sh",), columns=100, rows=30)
    assert exec_body(spec, console_size=True)["ConsoleSize"] == [30, 100]
    assert exec_start_body(spec, console_size=True)["ConsoleSize"] == [30, 100]
    assert "ConsoleSize" not in exec_body(spec, console_size=False)
    assert "ConsoleSize" not in exec_start_body(ExecSpec(command=("sh",), tty=False), console_size=True)


def test_an_exec_is_never_privileged() -> None:
    assert "Privileged" not in exec_body(ExecSpec(command=("sh",)), console_size=True)


@pytest.mark.parametrize("name", ["a", "a_b-c.d", "0" * 64, "A1"])
def test_names_pass(name: str) -> None:
    assert segment(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "-a", "a\n", "a?b", "a%2e", "a#b", "é", "a" * 256])
def test_what_is_no_name_does_not(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        segment(name)
    assert caught.value.reason == "bad_name"


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("nginx", "nginx", "latest"),
        ("nginx:1.27", "nginx", "1.27"),
        ("127.0.0.1:5000/team/app", "127.0.0.1:5000/team/app", "latest"),
        ("127.0.0.1:5000/team/app:v1_2.3-x", "127.0.0.1:5000/team/app", "v1_2.3-x"),
        ("Host.example/a__b/c-d", "Host.example/a__b/c-d", "latest"),
        ("[::1]:5000/app:1", "[::1]:5000/app", "1"),
        (f"app@sha256:{'a' * 64}", "app", f"sha256:{'a' * 64}"),
        (f"app:1@sha256:{'a' * 64}", "app", f"sha256:{'a' * 64}"),
    ],
)
def test_references_come_apart(reference: str, repository: str, tag: str) -> None:
    assert split_reference(reference) == (repository, tag)
    assert "/../" not in image_segment(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "UPPER/Case",
        "a b",
        "a:b:c",
        "a//b",
        "/a",
        "a/",
        "../a",
        "a/../b",
        "a:",
        "a@sha256:12",
        "a?b",
        "a#b",
        "a\nb",
        "a:é",
    ],
)
def test_what_is_no_reference_does_not(reference: str) -> None:
    with pytest.raises(Invalid):
        split_reference(reference)
    with pytest.raises(Invalid):
        image_segment(reference)


def test_image_ids_are_references_too() -> None:
    assert image_segment("sha256:" + "ab" * 32) == "sha256:" + "ab" * 32
    assert image_segment("abcdef123456") == "abcdef123456"


def test_credentials_travel_as_the_api_wants_them() -> None:
    credentials = RegistryCredentials(username="alice", password="s3cret?>", server_address="127.0.0.1:5000")
    assert json.loads(base64.urlsafe_b64decode(registry_auth(credentials))) == {
        "username": "alice",
        "password": "s3cret?>",
        "serveraddress": "127.0.0.1:5000",
    }
    assert "s3cret" not in repr(credentials)
