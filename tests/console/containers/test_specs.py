"""The closed spec: read from an operation, checked, written as a command line, held against what was made."""

from __future__ import annotations

import dataclasses
import json
import shlex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.containers.forms import parse_block, parse_seconds, parse_words
from console.containers.specs import (
    DEFAULT_CAPABILITIES,
    argv_text,
    check_spec,
    differences,
    from_arguments,
    is_reference,
    to_arguments,
)
from console.containers.twins import compose, docker_run
from console.gateway import (
    ContainerSpec,
    Healthcheck,
    PublishedPort,
    RestartPolicy,
    TmpfsMount,
    VolumeMount,
)
from console.lib.amounts import parse_size
from console.lib.decoding import Malformed
from runtime.drivers.docker.serialise import container_body

text = st.text(max_size=20)
words = st.lists(text, max_size=4).map(tuple)
numbers = st.integers(min_value=-5, max_value=2**40)
specs = st.builds(
    ContainerSpec,
    name=text,
    image=text,
    command=st.none() | words,
    entrypoint=st.none() | words,
    environment=st.lists(st.tuples(text, text), max_size=3).map(tuple),
    labels=st.lists(st.tuples(text, text), max_size=3).map(tuple),
    hostname=text,
    user=text,
    working_directory=text,
    tty=st.booleans(),
    open_stdin=st.booleans(),
    init=st.booleans(),
    read_only_root=st.booleans(),
    ports=st.lists(
        st.builds(PublishedPort, container_port=numbers, protocol=text, host_port=numbers, host_ip=text), max_size=3
    ).map(tuple),
    volumes=st.lists(st.builds(VolumeMount, volume=text, target=text, read_only=st.booleans()), max_size=3).map(tuple),
    tmpfs=st.lists(st.builds(TmpfsMount, target=text, size_bytes=numbers), max_size=3).map(tuple),
    network=text,
    restart_policy=st.sampled_from(RestartPolicy),
    restart_max_retries=numbers,
    memory_bytes=numbers,
    nano_cpus=numbers,
    pids_limit=numbers,
    healthcheck=st.none() | st.builds(Healthcheck, test=text, interval=numbers, retries=numbers),
    stop_timeout=st.none() | numbers,
)
scalars: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers() | text
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3))


@given(specs)
@settings(max_examples=60, deadline=None)
def test_a_spec_survives_the_row_of_its_operation(spec: ContainerSpec) -> None:
    assert from_arguments(json.loads(json.dumps(to_arguments(spec)))) == spec


@given(specs, st.sampled_from([field.name for field in dataclasses.fields(ContainerSpec)]), anything)
@settings(max_examples=60, deadline=None)
def test_arguments_are_a_spec_of_the_right_types_or_nothing(spec: ContainerSpec, key: str, value: Any) -> None:
    arguments = json.loads(json.dumps({**to_arguments(spec), key: value}))
    try:
        read = from_arguments(arguments)
    except Malformed:
        return
    assert json.loads(json.dumps(to_arguments(read))) == arguments


@pytest.mark.parametrize(
    "key", ["Binds", "hostConfig", "privileged", "\u017f", "Networ\u212aMode", "name ", "NAME", "", "command\u0000"]
)
def test_an_unknown_key_is_named_and_refused(key: str) -> None:
    with pytest.raises(Malformed, match="is not a field"):
        from_arguments({"name": "web", "image": "nginx", key: 1})


@pytest.mark.parametrize("value", [None, [], "x", 1, {"name": "web"}, {"name": "web", "image": "nginx", "tty": 1}])
def test_what_is_no_spec_is_refused(value: object) -> None:
    with pytest.raises(Malformed):
        from_arguments(value)


@given(specs)
@settings(max_examples=60, deadline=None)
def test_whatever_passes_the_check_can_be_sent_and_shown(spec: ContainerSpec) -> None:
    problems = check_spec(spec)
    docker_run(spec)
    compose(spec)
    if not problems:
        body = container_body(spec)
        assert "Binds" not in body["HostConfig"]
        assert all(mount["Type"] in ("volume", "tmpfs") for mount in body["HostConfig"].get("Mounts", ()))
        assert not any(mount.get("Source", "").startswith("/") for mount in body["HostConfig"].get("Mounts", ()))


@pytest.mark.parametrize(
    ("reference", "known"),
    [
        ("nginx", True),
        ("nginx:1.27", True),
        ("team/app", True),
        ("registry.example.com:5000/team/app:2", True),
        ("localhost:5000/app", True),
        ("app@sha256:" + "a" * 64, True),
        ("sha256:" + "a" * 64, True),
        ("", False),
        ("Nginx", False),
        ("-nginx", False),
        ("nginx:", False),
        ("nginx:1 2", False),
        ("http://nginx", False),
        ("../nginx", False),
        ("nginx\n", False),
        ("ngınx", False),
        ("a" * 400, False),
    ],
)
def test_references(reference: str, known: bool) -> None:
    assert is_reference(reference) is known


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8), min_size=1))
@settings(max_examples=60, deadline=None)
def test_words_are_read_as_they_are_written(argv: list[str]) -> None:
    expected: tuple[str, ...] = () if argv == [""] else tuple(argv)
    assert parse_words(argv_text(tuple(argv))) == expected


@pytest.mark.parametrize(
    ("typed", "size"),
    [("", 0), ("1 KB", 1024), ("256MB", 2**28), ("256 mib", 2**28), ("1.5g", 3 * 2**29), ("0,5 GB", 2**29), ("9b", 9)],
)
def test_sizes(typed: str, size: int) -> None:
    assert parse_size(typed) == size


@pytest.mark.parametrize(("typed", "seconds"), [("30", 30), ("30s", 30), ("1m30s", 90), ("2 h", 7200), ("1h 5m", 3900)])
def test_durations(typed: str, seconds: int) -> None:
    assert parse_seconds(typed) == seconds


def test_pasted_blocks() -> None:
    block = "# comment\n\nexport A=1\nB = 'x y'\nC=a=b\nD=\"q\"\r\nE="
    assert list(parse_block(block)) == [("A", "1"), ("B", "x y"), ("C", "a=b"), ("D", "q"), ("E", "")]


def test_a_command_line_can_be_read_back_by_a_shell() -> None:
    spec = ContainerSpec(name="web", image="nginx", command=("sh", "-c", "echo 'a b' $HOME `id`"), memory_bytes=2**28)
    assert shlex.split(docker_run(spec).replace("\\\n", "")) == [
        *("docker", "run", "--detach", "--name", "web", "--memory", "256m", "--memory-swap", "256m", "--init", "nginx"),
        *("sh", "-c", "echo 'a b' $HOME `id`"),
    ]


def made(spec: ContainerSpec) -> dict[str, Any]:
    """Return what an honest engine shows of a container made after ``spec``."""
    body = container_body(spec)
    host = body.pop("HostConfig")
    return {"Config": {**body, "Env": [*body["Env"], "PATH=/bin"]}, "HostConfig": {**host, "Privileged": False}}


FULL = ContainerSpec(
    name="web",
    image="nginx",
    command=("sleep", "1"),
    entrypoint=("sh",),
    environment=(("A", "1"),),
    labels=(("team", "red"),),
    user="1000",
    working_directory="/srv/",
    tty=True,
    ports=(PublishedPort(container_port=80, host_port=8080), PublishedPort(container_port=81)),
    volumes=(VolumeMount(volume="data", target="/data", read_only=True),),
    tmpfs=(TmpfsMount(target="/t"),),
    restart_policy=RestartPolicy.ALWAYS,
    memory_bytes=2**28,
    nano_cpus=500_000_000,
    pids_limit=10,
)


def test_what_an_honest_engine_made_does_not_differ() -> None:
    assert differences(FULL, made(FULL)) == []
    plain = ContainerSpec(name="web", image="nginx")
    assert differences(plain, made(plain)) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("HostConfig", "Privileged", True),
        ("HostConfig", "CapAdd", ["SYS_ADMIN"]),
        ("HostConfig", "Devices", [{"PathOnHost": "/dev/sda"}]),
        ("HostConfig", "DeviceCgroupRules", ["a *:* rwm"]),
        ("HostConfig", "Binds", ["/:/h"]),
        ("HostConfig", "Mounts", [{"Type": "bind", "Source": "/", "Target": "/h"}]),
        ("HostConfig", "PidMode", "host"),
        ("HostConfig", "PidMode", "container:abc"),
        ("HostConfig", "IpcMode", "host"),
        ("HostConfig", "UsernsMode", "host"),
        ("HostConfig", "PublishAllPorts", True),
        ("HostConfig", "VolumesFrom", ["other"]),
        ("HostConfig", "PortBindings", {"80/tcp": [{"HostIp": "", "HostPort": "9090"}]}),
        ("HostConfig", "Memory", 0),
        ("HostConfig", "NanoCpus", 0),
        ("HostConfig", "PidsLimit", None),
        ("HostConfig", "RestartPolicy", {"Name": "no"}),
        ("HostConfig", "ReadonlyRootfs", True),
        ("Config", "Cmd", ["rm"]),
        ("Config", "Entrypoint", None),
        ("Config", "Env", ["A=2"]),
        ("Config", "Labels", {"team": "blue"}),
        ("Config", "User", "0"),
        ("Config", "WorkingDir", "/"),
        ("Config", "Tty", False),
        ("Config", "OpenStdin", True),
    ],
)
def test_what_an_engine_changed_is_told(section: str, key: str, value: object) -> None:
    raw = made(FULL)
    raw[section][key] = value

    assert differences(FULL, raw)


NARROW = dataclasses.replace(
    FULL,
    network="red-net",
    cap_drop=("ALL",),
    cap_add=("CHOWN", "NET_BIND_SERVICE"),
    no_new_privileges=True,
)


def test_a_narrowed_one_as_podman_tells_it_does_not_differ() -> None:
    assert differences(NARROW, made(NARROW)) == []
    raw = made(NARROW)
    raw["HostConfig"]["CapAdd"] = []
    raw["HostConfig"]["CapDrop"] = [
        f"CAP_{name}" for name in sorted(DEFAULT_CAPABILITIES - {"CHOWN", "NET_BIND_SERVICE"})
    ]
    assert differences(NARROW, raw) == []


def test_what_podman_keeps_writable_of_a_read_only_one_does_not_differ() -> None:
    spec = dataclasses.replace(FULL, read_only_root=True, tmpfs=(TmpfsMount(target="/tmp"), TmpfsMount(target="/t")))
    raw = made(spec)
    raw["HostConfig"]["Tmpfs"] = dict.fromkeys(("/run", "/tmp", "/var/tmp"), "rw,rprivate,nosuid,nodev,tmpcopyup")
    assert differences(spec, raw) == []
    raw["HostConfig"]["Tmpfs"]["/opt"] = "rw"
    assert differences(spec, raw)

    writable = dataclasses.replace(spec, read_only_root=False)
    raw = made(writable)
    raw["HostConfig"]["Tmpfs"] = {"/run": "rw"}
    assert differences(writable, raw), "only a read-only one has them"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CapDrop", []),
        ("CapDrop", ["MKNOD"]),
        ("CapDrop", [f"CAP_{name}" for name in ("CHOWN", "DAC_OVERRIDE", "FOWNER")]),
        ("CapAdd", ["CHOWN", "NET_BIND_SERVICE", "SYS_ADMIN"]),
        ("CapAdd", ["ALL"]),
        ("SecurityOpt", []),
        ("SecurityOpt", ["no-new-privileges:false"]),
        ("NetworkMode", "blue-net"),
        ("NetworkMode", "host"),
    ],
)
def test_what_an_engine_widened_is_told(key: str, value: object) -> None:
    raw = made(NARROW)
    raw["HostConfig"][key] = value

    assert differences(NARROW, raw)


def test_a_changed_value_is_told_without_the_value() -> None:
    raw = made(dataclasses.replace(FULL, environment=(("TOKEN", "canary"),)))
    raw["Config"]["Env"] = []

    assert "canary" not in repr(differences(dataclasses.replace(FULL, environment=(("TOKEN", "canary"),)), raw))
