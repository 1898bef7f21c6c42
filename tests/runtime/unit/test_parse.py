"""JSON of engines as values: tolerant of what is missing, strict on types."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import ContainerState, Health, LayerPhase, Port, ProtocolError
from runtime.drivers.docker import parse

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
KEYS = " ".join(
    (
        "Id Names Image ImageID Command Created State Status Ports Labels Mounts NetworkSettings Networks Config",
        "HostConfig Health RestartPolicy Name Type Destination RW PrivatePort PublicPort IP Env Cmd Entrypoint",
        "ExecIDs RepoTags Size Volumes Driver read preread cpu_stats precpu_stats memory_stats networks",
        "blkio_stats pids_stats status id progressDetail errorDetail Actor timeNano Action Attributes RootFS ID",
        "ExitCode Running Pid StatusCode",
    )
).split()
likely_objects = st.dictionaries(st.sampled_from(KEYS), json_values, max_size=12)
PARSERS: list[Callable[[Any], object]] = [
    parse.container,
    parse.containers,
    parse.container_detail,
    parse.image,
    parse.images,
    parse.image_detail,
    parse.volume,
    parse.volumes,
    parse.network,
    parse.networks,
    parse.exec_detail,
    parse.event,
    parse.stats,
    parse.identifier,
    parse.exit_code,
    parse.pull_error,
    lambda value: parse.engine_info(value, value),
    lambda value: parse.PullProgressReader().feed(value),
]


@pytest.mark.parametrize("parser", PARSERS)
@settings(max_examples=40, deadline=None)
@given(value=json_values | likely_objects)
def test_whatever_comes_is_a_value_or_a_protocol_error(parser: Callable[[Any], object], value: Any) -> None:
    with contextlib.suppress(ProtocolError):
        parser(value)


def test_a_row_with_little_is_a_container() -> None:
    found = parse.container({"Id": "a" * 64, "State": "created"})
    assert found.state is ContainerState.CREATED
    assert (found.name, found.ports, found.labels, found.exit_code) == ("", (), {}, None)


@pytest.mark.parametrize(
    ("state", "status", "health", "exit_code"),
    [
        ("running", "Up 5 minutes", Health.NONE, None),
        ("running", "Up 5 minutes (healthy)", Health.HEALTHY, None),
        ("running", "Up 5 minutes (unhealthy)", Health.UNHEALTHY, None),
        ("running", "Up 1 second (health: starting)", Health.STARTING, None),
        ("exited", "Exited (0) 2 hours ago", Health.NONE, 0),
        ("exited", "Exited (137) 2 hours ago", Health.NONE, 137),
        ("restarting", "Restarting (1) 3 seconds ago", Health.NONE, None),
        ("paused", "Up 5 minutes (Paused)", Health.NONE, None),
    ],
)
def test_a_status_tells_health_and_exit_code(state: str, status: str, health: Health, exit_code: int | None) -> None:
    found = parse.container({"Id": "a", "State": state, "Status": status})
    assert (found.health, found.exit_code) == (health, exit_code)


def test_its_own_name_is_the_one_without_a_link() -> None:
    assert parse.container({"State": "running", "Names": ["/other/alias", "/own"]}).name == "own"


def test_podmans_words_are_understood() -> None:
    assert parse.container({"State": "configured"}).state is ContainerState.CREATED
    assert parse.container({"State": "stopped"}).state is ContainerState.EXITED


def test_an_unknown_state_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="flying"):
        parse.container({"State": "flying"})


@pytest.mark.parametrize(
    "row",
    [
        {"State": "running", "Id": 5},
        {"State": "running", "Names": "x", "Labels": {"a": 1}},
        {"State": "running", "Ports": {}},
        {"State": "running", "Created": "yesterday"},
        {"State": "running", "Created": 1e300},
        {"State": "running", "Ports": [{"PrivatePort": "80"}]},
        {"State": "running", "Ports": [{"PrivatePort": True}]},
        [],
        "x",
        None,
    ],
)
def test_wrong_types_are_protocol_errors(row: Any) -> None:
    with pytest.raises(ProtocolError):
        parse.container(row)


def test_ports_of_a_detail_are_published_or_only_exposed() -> None:
    found = parse.container_detail(
        {
            "Id": "a",
            "State": {"Status": "running"},
            "Config": {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "::", "HostPort": "8080"}], "53/udp": None}},
        }
    )
    assert found.container.ports == (
        Port(container_port=53, protocol="udp"),
        Port(container_port=80, protocol="tcp", host_ip="::", host_port=8080),
    )


def test_times_are_utc_and_never_is_none() -> None:
    state = {
        "Status": "exited",
        "StartedAt": "2026-11-24T11:00:00.123456789+01:00",
        "FinishedAt": "0001-01-01T00:00:00Z",
    }
    found = parse.container_detail({"Id": "a", "State": state})
    assert found.started_at == datetime(2026, 11, 24, 10, 0, 0, 123456, UTC)
    assert found.finished_at is None
    with pytest.raises(ProtocolError):
        parse.container_detail({"Id": "a", "State": {"Status": "exited", "StartedAt": "soon"}})


def test_environments_stay_out_of_sight() -> None:
    found = parse.container_detail({"State": {"Status": "created"}, "Config": {"Env": ["TOKEN=s3cret", "BARE"]}})
    assert found.environment == (("TOKEN", "s3cret"), ("BARE", ""))
    assert "s3cret" not in repr(found)


def test_cpu_is_counted_in_cores_between_two_samples() -> None:
    sample = {
        "read": "2026-11-24T10:00:02Z",
        "preread": "2026-11-24T10:00:00Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 4_000_000_000}},
        "precpu_stats": {"cpu_usage": {"total_usage": 1_000_000_000}},
        "memory_stats": {"usage": 100, "limit": 1000, "stats": {"total_inactive_file": 30}},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"op": "Read", "value": 5},
                {"op": "read", "value": 6},
                {"op": "Write", "value": 7},
                {"op": "Total", "value": 99},
            ]
        },
        "pids_stats": {"current": 3},
    }
    found = parse.stats(sample)
    assert found is not None
    assert found.cpu_cores == 1.5
    assert (found.memory_bytes, found.memory_limit_bytes) == (70, 1000)
    assert (found.network_received_bytes, found.network_sent_bytes) == (11, 22)
    assert (found.block_read_bytes, found.block_written_bytes) == (11, 7)
    assert found.pids == 3


def test_a_sample_of_what_does_not_run_is_none() -> None:
    assert parse.stats({"read": "0001-01-01T00:00:00Z"}) is None


def test_a_layer_keeps_its_size_to_the_end() -> None:
    reader = parse.PullProgressReader()
    messages: list[dict[str, Any]] = [
        {"status": "Pulling from team/app", "id": "1"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "aa"},
        {"status": "Waiting", "progressDetail": {}, "id": "aa"},
        {"status": "Downloading", "progressDetail": {"current": 10, "total": 100}, "id": "aa"},
        {"status": "Retrying in 5 seconds", "progressDetail": {}, "id": "aa"},
        {"status": "Verifying Checksum", "progressDetail": {}, "id": "aa"},
        {"status": "Download complete", "progressDetail": {}, "id": "aa"},
        {"status": "Extracting", "progressDetail": {"current": 50, "total": 100}, "id": "aa"},
        {"status": "Extracting", "progressDetail": {"current": 2, "units": "s"}, "id": "aa"},
        {"status": "Pull complete", "progressDetail": {}, "id": "aa"},
        {"status": "Already exists", "progressDetail": {}, "id": "bb"},
        {"status": "Status: Downloaded newer image for team/app:1"},
    ]
    found = [reader.feed(message) for message in messages]
    assert [(step.layer_id, step.phase, step.current_bytes, step.total_bytes) for step in found] == [
        ("", None, 0, 0),
        ("aa", LayerPhase.WAITING, 0, 0),
        ("aa", LayerPhase.WAITING, 0, 0),
        ("aa", LayerPhase.DOWNLOADING, 10, 100),
        ("aa", LayerPhase.WAITING, 0, 0),
        ("aa", LayerPhase.VERIFYING, 100, 100),
        ("aa", LayerPhase.VERIFYING, 100, 100),
        ("aa", LayerPhase.EXTRACTING, 50, 100),
        ("aa", LayerPhase.EXTRACTING, 0, 100),
        ("aa", LayerPhase.DONE, 100, 100),
        ("bb", LayerPhase.EXISTS, 0, 0),
        ("", None, 0, 0),
    ]
    assert found[0].message == "1: Pulling from team/app"


def test_an_event_of_podman_has_dockers_name() -> None:
    found = parse.event({"Type": "container", "Action": "died", "Actor": {"ID": "a"}, "timeNano": 1_500_000_000})
    assert (found.action, found.occurred_at.timestamp()) == ("die", 1.5)


@pytest.mark.parametrize(
    ("driver", "status", "limits"),
    [
        ("btrfs", [["Build Version", "Btrfs v6.2"]], True),
        ("zfs", [["Zpool", "tank"]], True),
        ("devicemapper", [], True),
        ("windowsfilter", [], True),
        ("overlay2", [["Backing Filesystem", "xfs"], ["Supports d_type", "true"]], True),
        ("overlay2", [["Backing Filesystem", "extfs"]], False),
        ("overlay2", None, False),
        ("vfs", None, False),
        ("fuse-overlayfs", [["Backing Filesystem", "xfs"]], False),
        # containerd's snapshotters take a limit without a word and ignore it.
        ("btrfs", [["driver-type", "io.containerd.snapshotter.v1"]], False),
        ("overlayfs", [["driver-type", "io.containerd.snapshotter.v1"]], False),
        ("", [[], ["a"], ["Backing Filesystem", 7], "x"], False),
    ],
)
def test_only_some_storage_drivers_bound_what_a_container_writes(driver: str, status: Any, limits: bool) -> None:
    found = parse.engine_info({"Driver": driver, "DriverStatus": status}, {})
    assert (found.storage_driver, found.limits_disk) == (driver, limits)


def test_podman_does_not_tell_what_it_bounds() -> None:
    info = {"Driver": "btrfs", "DriverStatus": [["Backing Filesystem", "btrfs"]]}
    found = parse.engine_info(info, {"Components": [{"Name": "Podman Engine"}]})
    assert (found.backing_filesystem, found.limits_disk) == ("btrfs", False)


@pytest.mark.parametrize(
    ("size", "disk_bytes"),
    [("20971520", 20 * 2**20), ("20M", 20 * 2**20), ("1.5 GB", 3 * 2**29), ("2gib", 2**31), ("", 0), ("much", 0)],
)
def test_a_limit_of_disk_is_told_in_bytes(size: str, disk_bytes: int) -> None:
    raw = {"Id": "a" * 64, "State": {"Status": "created"}, "HostConfig": {"StorageOpt": {"size": size}}}
    assert parse.container_detail(raw).disk_bytes == disk_bytes
