"""What a duplicate would not have: told where a container differs from an ordinary one, and only there."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from console.containers.detail_queries import spec_of
from runtime.drivers.docker import parse

ID = "408fb0a8f3c0" + "1" * 52
ANONYMOUS = "b02b8bac" * 8

#: What engines tell of a container that was made with nothing but an image and a command.
ORDINARY: dict[str, dict[str, Any]] = {
    "docker": {
        "Id": ID,
        "Name": "/web",
        "State": {"Status": "running"},
        "Config": {"Hostname": ID[:12], "Domainname": "", "Cmd": ["sleep", "1"], "Image": "box", "Volumes": None},
        "HostConfig": {
            "Binds": None,
            "LogConfig": {"Type": "json-file", "Config": {}},
            "NetworkMode": "default",
            "PortBindings": {},
            "IpcMode": "private",
            "OomScoreAdj": 0,
            "ShmSize": 67108864,
            "Runtime": "runc",
            "CgroupParent": "",
            "CpusetCpus": "",
            "Memory": 0,
            "MemorySwap": 0,
            "OomKillDisable": False,
            "Ulimits": [],
        },
        "NetworkSettings": {"Networks": {"bridge": {"IPAMConfig": None, "Aliases": None}}},
        "Mounts": [],
    },
    "podman": {
        "Id": ID,
        "Name": "/web",
        "State": {"Status": "running"},
        "Config": {"Hostname": ID[:12], "Domainname": "", "Cmd": ["sleep", "1"], "Image": "box", "StopSignal": "15"},
        "HostConfig": {
            "Binds": [],
            "LogConfig": {"Type": "journald", "Config": None},
            "NetworkMode": "bridge",
            "PortBindings": {},
            "IpcMode": "shareable",
            "OomScoreAdj": 0,
            "ShmSize": 65536000,
            "Runtime": "oci",
            "NanoCpus": 500000000,
            "CpuPeriod": 100000,
            "CpuQuota": 50000,
            "Memory": 0,
            "MemorySwap": 0,
            "PidMode": "private",
            "Ulimits": [{"Name": "RLIMIT_NOFILE", "Hard": 1024, "Soft": 1024}, {"Name": "RLIMIT_NPROC", "Hard": 4096}],
        },
        "NetworkSettings": {"Networks": {"podman": {"IPAMConfig": None, "Aliases": [ID[:12]]}}},
        "Mounts": [],
    },
}


def left_out(raw: dict[str, Any], *, image: dict[str, Any] | None = None) -> list[str]:
    """Return what is told of the container in ``raw``."""
    _spec, found = spec_of(
        parse.container_detail(raw), image=parse.image_detail({"Id": "sha256:1", "Config": image or {}})
    )
    return found


@pytest.mark.parametrize("engine", ORDINARY)
def test_of_an_ordinary_container_nothing_is_told(engine: str) -> None:
    assert left_out(ORDINARY[engine]) == []


@pytest.mark.parametrize("engine", ORDINARY)
@pytest.mark.parametrize(
    ("section", "values", "told"),
    [
        ("HostConfig", {"Memory": 1000, "MemorySwap": 2000}, "MemorySwap 2000"),
        ("HostConfig", {"Memory": 1000, "MemorySwap": -1}, "MemorySwap -1"),
        ("HostConfig", {"MemoryReservation": 5}, "MemoryReservation 5"),
        ("HostConfig", {"CpuShares": 512}, "CpuShares 512"),
        ("HostConfig", {"CpuQuota": 70000}, "CpuQuota 70000"),
        ("HostConfig", {"CpusetCpus": "0-1"}, "CpusetCpus 0-1"),
        ("HostConfig", {"ShmSize": 2**30}, "ShmSize 1073741824"),
        ("HostConfig", {"LogConfig": {"Type": "syslog", "Config": {}}}, "LogConfig syslog"),
        (
            "HostConfig",
            {"LogConfig": {"Type": "splunk", "Config": {"splunk-url": "x", "splunk-token": "canary"}}},
            "LogConfig splunk splunk-token, splunk-url",
        ),
        ("HostConfig", {"OomScoreAdj": -500}, "OomScoreAdj -500"),
        ("HostConfig", {"Runtime": "runsc"}, "Runtime runsc"),
        ("HostConfig", {"CgroupParent": "batch.slice"}, "CgroupParent batch.slice"),
        ("HostConfig", {"Ulimits": [{"Name": "core", "Hard": 0}]}, "Ulimits [{'Name': 'core', 'Hard': 0}]"),
        ("HostConfig", {"PortBindings": {"80/tcp": [{"HostPort": "8000-8010"}]}}, "8000-8010"),
        ("Config", {"StopSignal": "SIGQUIT"}, "StopSignal SIGQUIT"),
        ("Config", {"Domainname": "example.com"}, "Domainname example.com"),
        ("NetworkSettings", {"Networks": {"n1": {"Aliases": [ID[:12], "web", "db"]}}}, "network n1: db"),
        (
            "NetworkSettings",
            {"Networks": {"n1": {"IPAMConfig": {"IPv4Address": "10.9.0.5"}}}},
            "address in the network n1: 10.9.0.5",
        ),
    ],
)
def test_what_a_duplicate_would_not_have_is_told(engine: str, section: str, values: dict[str, Any], told: str) -> None:
    raw = deepcopy(ORDINARY[engine])
    raw[section] |= values

    (sentence,) = left_out(raw)

    assert told in sentence


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("HostConfig", {"Memory": 1000, "MemorySwap": 1000}),
        ("HostConfig", {"LogConfig": {"Type": "json-file", "Config": None}}),
        ("Config", {"StopSignal": "SIGTERM"}),
        ("NetworkSettings", {"Networks": {"n1": {"Aliases": [ID[:12], "web"], "IPAMConfig": {}}}}),
    ],
)
def test_what_a_duplicate_has_as_well_is_not_told(section: str, values: dict[str, Any]) -> None:
    raw = deepcopy(ORDINARY["docker"])
    raw[section] |= values

    assert left_out(raw) == []


@pytest.mark.parametrize("said", ["SIGQUIT", "3", "QUIT"])
def test_the_images_own_signal_is_not_told(said: str) -> None:
    raw = deepcopy(ORDINARY["docker"])
    raw["Config"]["StopSignal"] = said

    assert left_out(raw, image={"StopSignal": "SIGQUIT"}) == []
    assert left_out(raw, image={"StopSignal": "SIGINT"}) == ["StopSignal SIGQUIT"]


@pytest.mark.parametrize("binds", [None, [f"{ANONYMOUS}:/data:rw,nosuid"]], ids=["docker", "podman"])
def test_an_unnamed_volume_is_told_and_not_shared_with_the_duplicate(binds: list[str] | None) -> None:
    raw = deepcopy(ORDINARY["docker"])
    raw["HostConfig"]["Binds"] = binds
    raw["Mounts"] = [{"Type": "volume", "Name": ANONYMOUS, "Source": "/var/lib/x", "Destination": "/data", "RW": True}]
    image = parse.image_detail({"Id": "sha256:1", "Config": {"Volumes": {"/data": {}}}})

    spec, _told = spec_of(parse.container_detail(raw), image=None)

    assert spec.volumes == ()
    assert left_out(raw) == ["an unnamed volume at /data"]
    assert spec_of(parse.container_detail(raw), image=image)[1] == [], "the duplicate's image makes one of its own"
