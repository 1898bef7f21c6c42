"""What a policy decides about a spec: one sentence for each thing that a team may not have."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest

from console.gateway import ContainerSpec, Healthcheck, PublishedPort, RestartPolicy, TmpfsMount, VolumeMount
from console.lib.amounts import MIB
from console.lib.decoding import Malformed
from console.policies.rules import (
    GRANTABLE_CAPABILITIES,
    Bounds,
    Rules,
    allows_image,
    complete,
    decide,
    decide_image,
    from_json,
    harden,
    to_json,
)

RULES = Rules(images=("nginx:1.*", "registry.example.com/red/*"))
BOUNDS = Bounds(
    team_id=UUID(int=1),
    team="Red",
    prefix="red",
    rules=RULES,
    has_host=True,
    ports=(8000, 8009),
    address="10.0.0.5",
    volumes=frozenset({"red-data", "adopted"}),
    networks=frozenset({"red-net", "a" * 64}),
)
SPEC = ContainerSpec(name="web", image="nginx:1.27")


def denied(spec: ContainerSpec, bounds: Bounds = BOUNDS) -> list[str]:
    return [denial.code for denial in decide(complete(spec, bounds), bounds)]


def with_rules(**rules: Any) -> Bounds:
    return dataclasses.replace(BOUNDS, rules=dataclasses.replace(RULES, **rules))


def test_an_ordinary_container_is_allowed() -> None:
    spec = dataclasses.replace(
        SPEC,
        command=("nginx", "-g", "daemon off;"),
        environment=(("A", "1"),),
        user="1000",
        ports=(PublishedPort(container_port=80, host_port=8001), PublishedPort(container_port=81)),
        volumes=(VolumeMount(volume="data", target="/data"), VolumeMount(volume="adopted", target="/more")),
        tmpfs=(TmpfsMount(target="/tmp"),),
        network="red-net",
        restart_policy=RestartPolicy.UNLESS_STOPPED,
        memory_bytes=64 * MIB,
        healthcheck=Healthcheck(test="true", interval=5),
    )
    assert denied(spec) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"image": "nginx:2.0"}, "policy.image"),
        ({"image": "nginx"}, "policy.image"),
        ({"image": "registry.example.com/blue/app:1"}, "policy.image"),
        ({"image": "registry.example.com.evil.org/red/app:1"}, "policy.image"),
        ({"image": "localhost/nginx:1.27"}, "policy.image"),
        ({"image": "evil/nginx:1.27"}, "policy.image"),
        ({"image": "sha256:" + "a" * 64}, "policy.image"),
        ({"image": "nginx@sha256:" + "a" * 64}, "policy.image"),
        ({"cap_add": ("SYS_ADMIN",)}, "policy.cap_add"),
        ({"cap_add": ("ALL",)}, "policy.cap_add"),
        ({"cap_add": ("NET_RAW",)}, "policy.cap_add"),
        ({"volumes": (VolumeMount(volume="/", target="/h"),)}, "policy.volumes"),
        ({"volumes": (VolumeMount(volume="/var/run/docker.sock", target="/s"),)}, "policy.volumes"),
        ({"volumes": (VolumeMount(volume="../etc", target="/h"),)}, "policy.volumes"),
        ({"network": "host"}, "policy.network"),
        ({"network": "bridge"}, "policy.network"),
        ({"network": "default"}, "policy.network"),
        ({"network": "none;"}, "policy.network"),
        ({"network": "blue-net"}, "policy.network"),
        ({"network": "b" * 64}, "policy.network"),
        ({"network": "container:" + "c" * 64}, "policy.network"),
        ({"ports": (PublishedPort(container_port=80, host_port=7999),)}, "policy.ports"),
        ({"ports": (PublishedPort(container_port=80, host_port=8010),)}, "policy.ports"),
        ({"ports": (PublishedPort(container_port=80, host_port=8000, host_ip="0.0.0.0"),)}, "policy.ports"),
        ({"ports": (PublishedPort(container_port=80, host_port=8000, host_ip="10.0.0.6"),)}, "policy.ports"),
        ({"labels": (("traefik.http.routers.x.rule", "Host(`bank`)"),)}, "policy.labels"),
        ({"memory_bytes": 513 * MIB}, "policy.memory"),
        ({"nano_cpus": 1_000_000_001}, "policy.cpus"),
        ({"pids_limit": 513}, "policy.pids_limit"),
        ({"tmpfs": (TmpfsMount(target="/tmp", size_bytes=65 * MIB),)}, "policy.tmpfs"),
        ({"restart_policy": RestartPolicy.ALWAYS}, "policy.restart_policy"),
        ({"restart_policy": RestartPolicy.ON_FAILURE, "restart_max_retries": 6}, "policy.restart_policy"),
        ({"healthcheck": Healthcheck(test="true", interval=4)}, "policy.health_interval"),
    ],
)
def test_what_the_policy_does_not_name_is_denied_by_its_field(change: dict[str, Any], code: str) -> None:
    assert denied(dataclasses.replace(SPEC, **change)) == [code]


@pytest.mark.parametrize(
    ("rules", "change", "code"),
    [
        ({"images": ()}, {}, "policy.image"),
        ({"commands": False}, {"command": ("sh",)}, "policy.command"),
        ({"commands": False}, {"command": ()}, "policy.command"),
        ({"commands": False}, {"entrypoint": ("sh",)}, "policy.entrypoint"),
        ({"root": False}, {"user": "root"}, "policy.user"),
        ({"root": False}, {"user": "0:1000"}, "policy.user"),
        ({"root": False}, {"user": "000"}, "policy.user"),
        ({"root": False}, {"user": "toor"}, "policy.user"),
        ({"volumes": False}, {"volumes": (VolumeMount(volume="red-data", target="/d"),)}, "policy.volumes"),
        ({"tmpfs_bytes": 0}, {"tmpfs": (TmpfsMount(target="/tmp"),)}, "policy.tmpfs"),
        ({"networks": False}, {"network": "red-net"}, "policy.network"),
        ({"ports": False}, {"ports": (PublishedPort(container_port=80),)}, "policy.ports"),
    ],
)
def test_each_rule_can_be_switched_off(rules: dict[str, Any], change: dict[str, Any], code: str) -> None:
    assert denied(dataclasses.replace(SPEC, **change), with_rules(**rules)) == [code]


def test_without_the_host_nothing_else_counts() -> None:
    assert denied(SPEC, dataclasses.replace(BOUNDS, has_host=False)) == ["policy.host"]


def test_without_a_range_no_port_is_published() -> None:
    spec = dataclasses.replace(SPEC, ports=(PublishedPort(container_port=80),))
    assert denied(spec, dataclasses.replace(BOUNDS, ports=None)) == ["policy.ports"]


def test_a_refusal_names_the_team_the_rule_and_the_row() -> None:
    volumes = (VolumeMount(volume="red-data", target="/d"), VolumeMount(volume="/etc", target="/e"))
    [denial] = decide(complete(dataclasses.replace(SPEC, volumes=volumes), BOUNDS), BOUNDS)
    assert denial.message == "Mounts of type bind are not allowed for the team Red."
    assert (denial.field, denial.row) == ("volumes", 1)
    assert denial.next_step == "Choose a volume of the team instead of a path of the host."


def test_what_is_left_open_is_filled_in_once() -> None:
    spec = dataclasses.replace(
        SPEC,
        volumes=(VolumeMount(volume="data", target="/d"), VolumeMount(volume="adopted", target="/a")),
        tmpfs=(TmpfsMount(target="/tmp"),),
        ports=(PublishedPort(container_port=80),),
        restart_policy=RestartPolicy.ON_FAILURE,
    )
    done = complete(spec, BOUNDS)
    assert done.name == "red-web"
    assert [volume.volume for volume in done.volumes] == ["red-data", "adopted"]
    assert done.tmpfs[0].size_bytes == 64 * MIB
    assert done.ports[0].host_ip == "10.0.0.5"
    assert (done.memory_bytes, done.nano_cpus, done.pids_limit) == (512 * MIB, 10**9, 512)
    assert done.restart_max_retries == 5
    assert complete(done, BOUNDS) == done


def test_every_container_of_a_team_is_hardened_whatever_it_says() -> None:
    loose = dataclasses.replace(SPEC, cap_drop=(), no_new_privileges=False, init=False, cap_add=("SYS_ADMIN", "CHOWN"))
    done = harden(loose, RULES)
    assert done.cap_drop == ("ALL",)
    assert set(done.cap_add) == set(RULES.capabilities)
    assert done.no_new_privileges
    assert done.init
    assert (done.log_bytes, done.log_files) == (10 * MIB, 3)
    assert harden(loose, dataclasses.replace(RULES, capabilities=())).cap_add == ()
    more = dataclasses.replace(RULES, capabilities=GRANTABLE_CAPABILITIES)
    assert "NET_RAW" not in harden(loose, more).cap_add
    assert "NET_RAW" in harden(dataclasses.replace(loose, cap_add=("NET_RAW",)), more).cap_add


@pytest.mark.parametrize(
    ("pattern", "allowed", "not_allowed"),
    [
        (
            "nginx",
            ["nginx", "nginx:1", "docker.io/library/nginx:1", "nginx@sha256:" + "a" * 64],
            ["nginx2", "me/nginx"],
        ),
        ("me/*", ["me/app", "docker.io/me/app:3"], ["you/app", "ghcr.io/me/app"]),
        ("ghcr.io/org/*", ["ghcr.io/org/a/b:1"], ["ghcr.io/organ/a", "ghcr.io.evil.org/org/a", "org/a"]),
        ("localhost:5000/red-*", ["localhost:5000/red-app"], ["localhost:5001/red-app", "red-app"]),
        ("nginx:1.2?", ["nginx:1.2?"], ["nginx:1.27"]),
        ("*", ["anything:1", "ghcr.io/a/b"], ["sha256:" + "a" * 64]),
    ],
)
def test_images_are_matched_by_their_full_name(pattern: str, allowed: list[str], not_allowed: list[str]) -> None:
    assert [reference for reference in allowed if not allows_image(reference, (pattern,))] == []
    assert [reference for reference in not_allowed if allows_image(reference, (pattern,))] == []


def judged(spec: ContainerSpec = SPEC, bounds: Bounds = BOUNDS, **image: Any) -> list[str]:
    traits = {"user": "1000", "labels": (), "health_interval_nanoseconds": 0, "reserved": "pilothouse.", **image}
    return [denial.code for denial in decide_image(spec, bounds, **traits)]


def test_what_the_image_brings_is_judged_too() -> None:
    assert judged() == []
    assert judged(labels=("maintainer", "PilotHouse.team")) == ["policy.image"]
    assert judged(health_interval_nanoseconds=10**6) == ["policy.health"]
    assert judged(dataclasses.replace(SPEC, healthcheck=Healthcheck(test="")), health_interval_nanoseconds=10**6) == []
    nobody = with_rules(root=False)
    assert judged(bounds=nobody) == []
    assert [judged(bounds=nobody, user=user) for user in ("", "root", "0", "www")] == [["policy.user"]] * 4
    assert judged(dataclasses.replace(SPEC, user="1000"), nobody, user="root") == []


def test_a_policy_survives_being_stored_and_nothing_unknown_is_read() -> None:
    assert from_json(to_json(RULES) | {"images": ["nginx:1.*", "registry.example.com/red/*"]}) == RULES
    with pytest.raises(Malformed, match=r"policy\.privileged"):
        from_json({"privileged": True})
    with pytest.raises(Malformed, match=r"policy\.root"):
        from_json({"root": "yes"})
