"""Every field that an engine takes is classified; what is sent is what the table says, and nothing else ever."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import (
    ContainerSpec,
    ExecSpec,
    Healthcheck,
    NetworkSpec,
    PublishedPort,
    RestartPolicy,
    TmpfsMount,
    VolumeMount,
    VolumeSpec,
)
from runtime.drivers.docker.fields import FIELDS, Fixed, Never, Spec
from runtime.drivers.docker.serialise import (
    container_body,
    exec_body,
    exec_start_body,
    network_body,
    volume_body,
)
from tests.runtime.unit.engine_api import ENDPOINTS, bodies_of, leaves, recorded

#: What engines take without their description saying so.
UNDESCRIBED = {
    "container create": {"HostConfig.Mounts.ClusterOptions"},
    "exec create": {"Detach"},
}

FULL: dict[str, Any] = {
    "container create": ContainerSpec(
        name="a",
        image="b:1",
        command=("c",),
        entrypoint=("d",),
        environment=(("E", "1"),),
        labels=(("l", "1"),),
        hostname="h",
        user="1000",
        working_directory="/w",
        tty=True,
        open_stdin=True,
        init=True,
        read_only_root=True,
        ports=(PublishedPort(container_port=80, protocol="tcp", host_port=8000, host_ip="127.0.0.1"),),
        volumes=(VolumeMount(volume="v", target="/v", read_only=True),),
        tmpfs=(TmpfsMount(target="/t", size_bytes=4096),),
        network="n",
        restart_policy=RestartPolicy.ON_FAILURE,
        restart_max_retries=2,
        memory_bytes=64,
        nano_cpus=10,
        pids_limit=20,
        disk_bytes=21,
        healthcheck=Healthcheck(test="true", interval=1, timeout=2, retries=3, start_period=4),
        stop_timeout=5,
        cap_add=("CHOWN",),
        cap_drop=("ALL",),
        no_new_privileges=True,
        log_bytes=6,
        log_files=7,
    ),
    "exec create": ExecSpec(command=("sh",), user="u", working_directory="/w", environment=(("E", "1"),)),
    "network create": NetworkSpec(name="a", labels=(("l", "1"),), internal=True),
    "volume create": VolumeSpec(name="a", labels=(("l", "1"),)),
}
FULL["exec start"] = FULL["exec create"]

SERIALISE: dict[str, Callable[[Any], dict[str, Any]]] = {
    "container create": container_body,
    "exec create": lambda spec: exec_body(spec, console_size=True),
    "exec start": lambda spec: exec_start_body(spec, console_size=True),
    "network create": network_body,
    "volume create": volume_body,
}


def values_at(path: str, *, name: str, spec: object) -> list[Any]:
    return [value for found, value in leaves(SERIALISE[name](spec), FIELDS[name]) if found == path]


def is_plain(value: object) -> bool:
    """Whether ``value`` has no fields that could go unnoticed: a word, words, or words by a key."""
    if isinstance(value, list):
        return all(isinstance(item, (str, int)) for item in value)
    if isinstance(value, dict):
        return all(isinstance(item, str) or item == {} for item in value.values())
    return value is None or isinstance(value, (str, int))


def unclassified(bodies: Mapping[str, list[str]]) -> set[str]:
    return {f"{name}: {path}" for name, paths in bodies.items() for path in paths if path not in FIELDS[name]}


# The engine's own description


@pytest.mark.parametrize("version", recorded())
def test_every_field_that_an_engine_describes_is_classified(version: str) -> None:
    assert set(recorded()[version]) == set(FIELDS)
    assert unclassified(recorded()[version]) == set()


@pytest.mark.parametrize("name", FIELDS)
def test_the_table_knows_no_field_that_no_engine_takes(name: str) -> None:
    described = {path for version in recorded().values() for path in version[name]}
    assert set(FIELDS[name]) - described == UNDESCRIBED.get(name, set())


def test_the_oldest_engine_of_the_suite_and_the_newest_that_there_is_are_on_record() -> None:
    assert set(recorded()) >= {"1.41", "1.56"}


def description(**fields: Any) -> dict[str, Any]:
    """Return an engine's description, made up, in which every body has ``fields``."""
    body = {"in": "body", "schema": {"allOf": [{"$ref": "#/definitions/Known"}, {"properties": fields}]}}
    return {
        "definitions": {
            "Known": {"properties": {"Labels": {"type": "object", "additionalProperties": {"type": "string"}}}},
            "New": {"properties": {"Power": {"type": "string"}, "Words": {"type": "array", "items": {}}}},
        },
        "paths": {path: {"post": {"parameters": [{"in": "path"}, body]}} for path in ENDPOINTS.values()},
    }


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"Power": {"type": "string"}}, {"Power"}),
        ({"Power": {"$ref": "#/definitions/New"}}, {"Power.Power", "Power.Words"}),
        ({"Power": {"type": "array", "items": {"$ref": "#/definitions/New"}}}, {"Power.Power", "Power.Words"}),
        ({"Power": {"additionalProperties": {"$ref": "#/definitions/New"}}}, {"Power.*.Power", "Power.*.Words"}),
        ({"HostConfig": {"allOf": [{"$ref": "#/definitions/New"}]}}, {"HostConfig.Power", "HostConfig.Words"}),
        # A field that we know, with something below it that we do not.
        ({"Labels": {"properties": {"Power": {"type": "string"}}}}, {"Labels.Power"}),
    ],
)
def test_a_field_that_nobody_classified_is_named(fields: dict[str, Any], found: set[str]) -> None:
    unknown = unclassified(bodies_of(description(**fields)))
    assert {f"{name}: {path}" for name in FIELDS for path in found} <= unknown
    assert "container create: Labels" not in unknown


# What is sent


def every(kind: type, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any value of a spec, with every field of it drawn."""
    drawn: dict[str, Any] = dict.fromkeys([field.name for field in dataclasses.fields(kind)], ...)
    return st.builds(kind, **{**drawn, **strategies})


def some(kind: type, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(every(kind, **strategies), max_size=3).map(tuple)


#: What an engine reads as a path, another container or the host, among all else.
WORDS = st.sampled_from(["/", "/etc", "host", "container:a", "npipe", "bind"]) | st.text()
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,9}", fullmatch=True)
ANY: dict[str, st.SearchStrategy[Any]] = {
    "container create": every(
        ContainerSpec,
        ports=some(PublishedPort),
        volumes=some(VolumeMount, volume=WORDS),
        network=WORDS,
        tmpfs=some(TmpfsMount),
        healthcheck=st.none() | every(Healthcheck),
    ),
    "exec create": every(ExecSpec),
    "exec start": every(ExecSpec),
    "network create": every(NetworkSpec, name=NAMES),
    "volume create": every(VolumeSpec, name=NAMES),
}


@pytest.mark.parametrize("name", SERIALISE)
@given(data=st.data())
def test_whatever_is_asked_for_only_what_the_table_says_is_sent(name: str, data: st.DataObject) -> None:
    for path, value in leaves(SERIALISE[name](data.draw(ANY[name])), FIELDS[name]):
        treatment = FIELDS[name].get(path)
        assert isinstance(treatment, (Spec, Fixed)), f"{path} is sent: {treatment}"
        assert is_plain(value), f"{path} hides fields: {value!r}"
        if isinstance(treatment, Fixed):
            assert value in treatment.values


@pytest.mark.parametrize("name", FIELDS)
def test_what_the_table_says_is_sent_is_sent(name: str) -> None:
    said = {path for path, treatment in FIELDS[name].items() if not isinstance(treatment, Never)}
    if name not in SERIALISE:
        assert said == set()
        return
    assert {path for path, _value in leaves(SERIALISE[name](FULL[name]), FIELDS[name])} == said
    for path, treatment in FIELDS[name].items():
        if isinstance(treatment, Fixed):
            assert set(values_at(path, name=name, spec=FULL[name])) == set(treatment.values), path


def changed(value: object) -> Any:
    """Return another value of the same kind."""
    match value:
        case bool():
            return not value
        case RestartPolicy():
            return RestartPolicy.ALWAYS
        case int():
            return value + 1
        case str():
            return f"{value}x"
        case (tuple(), *_) if value:
            return (("x", "y"),)
        case tuple():
            return ("x",)
    raise AssertionError(f"no other value is known for {value!r}")


def with_another(spec: Any, source: str) -> Any:
    """Return ``spec`` with another value in the one field ``source``."""
    field, _dot, inner = source.partition(".")
    value = getattr(spec, field)
    if not inner:
        return dataclasses.replace(spec, **{field: changed(value)})
    if isinstance(value, tuple):
        return dataclasses.replace(spec, **{field: tuple(with_another(item, inner) for item in value)})
    return dataclasses.replace(spec, **{field: with_another(value, inner)})


@pytest.mark.parametrize(
    ("name", "path", "source"),
    [
        (name, path, source)
        for name, fields in FIELDS.items()
        for path, treatment in fields.items()
        if isinstance(treatment, Spec)
        for source in treatment.sources
    ],
)
def test_a_field_is_sent_as_the_spec_says(name: str, path: str, source: str) -> None:
    spec = FULL[name]
    assert values_at(path, name=name, spec=with_another(spec, source)) != values_at(path, name=name, spec=spec)


def sources_of(kind: type) -> set[str]:
    """Return the fields of a spec, and of what it holds."""
    inner = {"ports": PublishedPort, "volumes": VolumeMount, "tmpfs": TmpfsMount, "healthcheck": Healthcheck}
    found = set()
    for field in dataclasses.fields(kind):
        below = inner.get(field.name) if kind is ContainerSpec else None
        found |= {f"{field.name}.{name}" for name in sources_of(below)} if below else {field.name}
    return found


@pytest.mark.parametrize("kind", [ContainerSpec, ExecSpec, NetworkSpec, VolumeSpec])
def test_every_field_of_a_spec_is_in_the_table(kind: type) -> None:
    # A container's name stands in the address.
    said = {
        source
        for name, spec in FULL.items()
        for treatment in FIELDS[name].values()
        for source in (treatment.sources if isinstance(spec, kind) and isinstance(treatment, Spec) else ())
    }
    assert said == sources_of(kind) - ({"name"} if kind is ContainerSpec else set())
