"""A spec as a compose file: what Docker's own compose reads in it is what was asked for."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from console.containers.masking import MASK, looks_secret
from console.containers.specs import check_spec
from console.containers.twins import compose
from console.gateway import ContainerSpec, Healthcheck, PublishedPort, RestartPolicy, TmpfsMount, VolumeMount
from launcher.paths import venv

Read = Callable[[ContainerSpec], dict[str, Any]]
MIB = 2**20

PLAIN = ContainerSpec(name="web-1", image="nginx:1.27", init=False)
RICH = ContainerSpec(
    name="on",
    image="registry.example.com:5000/team/app@sha256:" + "a" * 64,
    command=("sh", "-c", "echo $HOME 'a b'"),
    entrypoint=("/sbin/tini", "--"),
    environment=(("LOG", "debug"), ("FLAG", "on"), ("DB_PASSWORD", "canary-7f3"), ("EMPTY", ""), ("a.b", "1e3")),
    labels=(("team", "red"), ("com.example.port", "8080"), ("api_token", "canary-9a1")),
    hostname="app",
    user="1000:1000",
    working_directory="/srv",
    tty=True,
    open_stdin=True,
    read_only_root=True,
    ports=(
        PublishedPort(container_port=80, host_port=8080),
        PublishedPort(container_port=53, protocol="udp", host_port=5353, host_ip="::1"),
        PublishedPort(container_port=81),
    ),
    volumes=(VolumeMount(volume="orders", target="/data", read_only=True), VolumeMount(volume="1.2", target="/more")),
    tmpfs=(TmpfsMount(target="/scratch", size_bytes=16 * MIB), TmpfsMount(target="/tmp")),
    network="back end: *x",
    restart_policy=RestartPolicy.ON_FAILURE,
    restart_max_retries=3,
    memory_bytes=64 * MIB,
    nano_cpus=1_500_000_000,
    pids_limit=50,
    healthcheck=Healthcheck(test="wget -q $URL || exit 1", interval=60, retries=5),
    stop_timeout=90,
    cap_add=("CHOWN",),
    cap_drop=("ALL",),
    no_new_privileges=True,
    log_bytes=10 * MIB,
    log_files=3,
)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    """What Docker's compose makes of a spec's file."""
    path = tmp_path_factory.mktemp("compose") / "compose.yaml"

    def read_(spec: ContainerSpec) -> dict[str, Any]:
        path.write_text(compose(spec))
        command = [str(venv() / "bin" / "docker-compose"), "-f", str(path), "config", "--format", "json"]
        done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
        assert done.returncode == 0, f"{done.stderr}\n{compose(spec)}"
        assert done.stderr == ""
        parsed: dict[str, Any] = json.loads(done.stdout)
        return parsed

    return read_


def undoubled(value: Any) -> Any:
    """Return what `config` prints as the engine gets it: it writes each `$` twice, to be read again."""
    return json.loads(json.dumps(value).replace("$$", "$"))


def test_a_rich_spec_comes_back_whole(read: Read) -> None:
    file = undoubled(read(RICH))
    service = file["services"]["on"]

    assert service["image"] == RICH.image
    assert service["container_name"] == "on"
    assert service["command"] == list(RICH.command or ())
    assert service["entrypoint"] == list(RICH.entrypoint or ())
    assert service["environment"] == {"LOG": "debug", "FLAG": "on", "DB_PASSWORD": None, "EMPTY": "", "a.b": "1e3"}
    assert service["labels"] == {"team": "red", "com.example.port": "8080", "api_token": MASK}
    assert [(p["target"], p.get("published"), p["protocol"], p.get("host_ip")) for p in service["ports"]] == [
        (80, "8080", "tcp", None),
        (53, "5353", "udp", "::1"),
        (81, None, "tcp", None),
    ]
    assert [(v["type"], v.get("source"), v["target"], v.get("read_only", False)) for v in service["volumes"]] == [
        ("volume", "orders", "/data", True),
        ("volume", "1.2", "/more", False),
        ("tmpfs", None, "/scratch", False),
        ("tmpfs", None, "/tmp", False),
    ]
    assert service["volumes"][2]["tmpfs"] == {"size": str(16 * MIB)}
    assert file["volumes"] == {name: {"name": name, "external": True} for name in ("orders", "1.2")}
    assert file["networks"] == {"default": {"name": RICH.network, "ipam": {}, "external": True}}
    assert service["networks"] == {"default": None}
    assert service["mem_limit"] == service["memswap_limit"] == str(64 * MIB)
    assert service["cpus"] == 1.5
    assert service["pids_limit"] == 50
    assert service["restart"] == "on-failure:3"
    assert service["stop_grace_period"] == "1m30s"
    assert service["healthcheck"] == {
        "test": ["CMD-SHELL", "wget -q $URL || exit 1"],
        "interval": "1m0s",
        "timeout": "30s",
        "retries": 5,
        "start_period": "0s",
    }
    assert (service["cap_drop"], service["cap_add"]) == (["ALL"], ["CHOWN"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"] == {
        "driver": "json-file",
        "options": {"max-size": str(10 * MIB), "max-file": "3"},
    }
    assert (service["hostname"], service["user"], service["working_dir"]) == ("app", "1000:1000", "/srv")
    assert all(service[flag] is True for flag in ("tty", "stdin_open", "init", "read_only"))


def test_what_was_not_said_is_not_there(read: Read) -> None:
    assert read(PLAIN)["services"] == {
        "web-1": {
            "image": "nginx:1.27",
            "container_name": "web-1",
            "network_mode": "bridge",
            "command": None,
            "entrypoint": None,
        }
    }


@pytest.mark.parametrize("network", ["host", "none"])
def test_the_networks_of_every_engine_are_modes(read: Read, network: str) -> None:
    file = read(dataclasses.replace(PLAIN, network=network))

    assert file["services"]["web-1"]["network_mode"] == network
    assert "networks" not in file


def test_an_emptied_entrypoint_and_no_health_check(read: Read) -> None:
    service = read(dataclasses.replace(PLAIN, entrypoint=(), command=(), healthcheck=Healthcheck(test="")))["services"]

    assert (service["web-1"]["entrypoint"], service["web-1"]["command"]) == ([], [])
    assert service["web-1"]["healthcheck"] == {"disable": True}


def test_no_secret_is_told() -> None:
    assert "canary" not in compose(RICH)


HOSTILE = (
    *("on", "1e3", "a: b", "#", " # x", "*a", "&a", "!!binary x", "- x", "{", "[", "|", ">", "%", "@", "`", "? x", "~"),
    *(
        "null",
        "0x1f",
        "0o7",
        "1_000",
        "12:30:45",
        "2001-01-01",
        ".inf",
        "<<",
        "=",
        "",
        " ",
        "\n",
        "a\nb\n",
        "\r\n",
        "\t",
    ),
    *('"', "'", "\\", "\\n", "$HOME", "${A:-b}", "$$", "${", "$", "\x01", "\x7f", "\x85", "\u2028", "\ufeff", "\u200d"),
    *("\U0001f600", "한글", "---", "...", "--- x", "x" * 5000),
)
values = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(values, min_size=1, max_size=40))
@example(list(HOSTILE))
@settings(max_examples=15, deadline=None)
def test_hostile_text_comes_back_as_it_was(read: Read, texts: list[str]) -> None:
    names = list(dict.fromkeys(text for text in texts if text.strip()))
    spec = dataclasses.replace(
        PLAIN,
        command=tuple(texts),
        environment=tuple((f"V{number}", text) for number, text in enumerate(texts)),
        labels=tuple((name, name) for name in names if len(name) <= 255),
    )
    service = undoubled(read(spec))["services"]["web-1"]

    assert service["command"] == texts
    assert service["environment"] == {
        name: None if looks_secret(name, value) else value for name, value in spec.environment
    }
    assert service.get("labels", {}) == {
        name: MASK if looks_secret(name, value) else value for name, value in spec.labels
    }


@given(st.lists(values, min_size=1, max_size=40))
@example(list(HOSTILE))
@settings(max_examples=10, deadline=None)
def test_hostile_names_of_variables_come_back_as_they_were(read: Read, texts: list[str]) -> None:
    wanted = dataclasses.replace(PLAIN, environment=tuple((text, "1") for text in dict.fromkeys(texts)))
    wrong = {problem.row for problem in check_spec(wanted)}
    spec = dataclasses.replace(
        wanted, environment=tuple(pair for row, pair in enumerate(wanted.environment) if row not in wrong)
    )
    service = undoubled(read(spec))["services"]["web-1"]

    assert service.get("environment", {}) == {
        name: None if looks_secret(name, value) else value for name, value in spec.environment
    }
