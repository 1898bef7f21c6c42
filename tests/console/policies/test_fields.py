"""Every field of a container's spec is somebody's to say: the policy's, ours, or the team's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from console.gateway import ContainerSpec, Healthcheck, PublishedPort, RestartPolicy, TmpfsMount, VolumeMount
from console.policies.rules import complete, decide, harden
from tests.console.policies.test_rules import BOUNDS, RULES, SPEC, with_rules

#: What a policy decides: a value that it refuses, under the field's name in the refusal.
DECIDED: dict[str, tuple[Any, str]] = {
    "name": ("web", "name"),
    "image": ("evil/miner:1", "image"),
    "command": (("sh",), "command"),
    "entrypoint": (("sh",), "entrypoint"),
    "labels": ((("traefik.enable", "true"),), "labels"),
    "user": ("0", "user"),
    "ports": ((PublishedPort(container_port=80, host_port=22, host_ip=BOUNDS.address),), "ports"),
    "volumes": ((VolumeMount(volume="blue-data", target="/data"),), "volumes"),
    "tmpfs": ((TmpfsMount(target="/t", size_bytes=2**40),), "tmpfs"),
    "network": ("host", "network"),
    "restart_policy": (RestartPolicy.ALWAYS, "restart_policy"),
    "restart_max_retries": (6, "restart_policy"),
    "memory_bytes": (2**40, "memory"),
    "nano_cpus": (10**12, "cpus"),
    "pids_limit": (10**6, "pids_limit"),
    "disk_bytes": (2**30, "disk"),
    "healthcheck": (Healthcheck(test="true", interval=1), "health_interval"),
    "cap_add": (("SYS_ADMIN",), "cap_add"),
}
#: What is always the same, with two values that somebody might want.
OURS: dict[str, tuple[Any, Any]] = {
    "cap_drop": ((), ("CHOWN",)),
    "no_new_privileges": (False, True),
    "init": (False, True),
    "log_bytes": (0, 2**40),
    "log_files": (1, 100),
}
#: What reaches no further than into the container.
FREE: dict[str, Any] = {
    "environment": (("Privileged", "true"),),
    "hostname": "web",
    "working_directory": "/srv",
    "tty": True,
    "open_stdin": True,
    "read_only_root": True,
    "stop_timeout": 3600,
}


def test_each_field_is_one_of_the_three() -> None:
    assert sorted([*DECIDED, *OURS, *FREE]) == sorted(field.name for field in dataclasses.fields(ContainerSpec))


@pytest.mark.parametrize("field", DECIDED)
def test_a_policy_has_a_say(field: str) -> None:
    value, said = DECIDED[field]
    bounds = with_rules(commands=False, root=False)
    spec = dataclasses.replace(complete(SPEC, bounds), **{field: value})
    assert [denial.field for denial in decide(spec, bounds)] == [said]


@pytest.mark.parametrize("field", OURS)
def test_what_is_ours_is_the_same_whatever_was_asked_for(field: str) -> None:
    one, other = (harden(dataclasses.replace(SPEC, **{field: value}), RULES) for value in OURS[field])
    assert one == other


@pytest.mark.parametrize("field", FREE)
def test_what_reaches_no_further_is_free(field: str) -> None:
    spec = complete(dataclasses.replace(SPEC, **{field: FREE[field]}), BOUNDS)
    assert decide(spec, BOUNDS) == []
    assert getattr(harden(spec, RULES), field) == FREE[field]
