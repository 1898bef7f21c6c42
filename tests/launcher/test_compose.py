"""The compose file and the Dockerfile: what Docker's own tools say about them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from launcher import up
from launcher.paths import ROOT, DataDir, venv


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    """What Docker's compose makes of the file."""
    command = [str(venv() / "bin" / "docker-compose"), "-f", "docker-compose.dev.yml", "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_every_process_of_up_is_a_service(configuration: dict[str, Any], tmp_path: Path) -> None:
    options = up.Options(host="127.0.0.1", port=8440, data_dir=tmp_path, json_logs=False)
    names = {program.name for program in up.applications(options, data_dir=DataDir(tmp_path), env={})}
    services = configuration["services"]
    assert names <= set(services)
    assert {"redis", "postgres", "engine", "setup"} <= set(services)
    assert all(services[name]["command"] == [name] for name in names)


def test_the_processes_share_one_image_and_one_data_directory(configuration: dict[str, Any]) -> None:
    for name in ("setup", "web", "hub", "worker", "scheduler", "watch"):
        service = configuration["services"][name]
        assert service["image"] == "pilothouse:dev"
        assert {"data", "engine-socket"} == {volume["source"] for volume in service["volumes"]}


def test_the_others_wait_until_setup_is_done(configuration: dict[str, Any]) -> None:
    for name in ("web", "hub", "worker", "scheduler", "watch"):
        depends = configuration["services"][name]["depends_on"]
        assert depends["setup"]["condition"] == "service_completed_successfully"


def test_only_this_machine_can_reach_the_console(configuration: dict[str, Any]) -> None:
    published = [port for service in configuration["services"].values() for port in service.get("ports", [])]
    assert [(port["host_ip"], port["target"]) for port in published] == [("127.0.0.1", 8440)]


def test_the_engine_lets_the_images_group_in(configuration: dict[str, Any]) -> None:
    group = re.search(r"groupadd --gid (\d+)", (ROOT / "Dockerfile").read_text())
    assert group is not None
    assert f"--group={group[1]}" in configuration["services"]["engine"]["command"]


def test_the_image_does_not_run_as_root() -> None:
    instructions = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line for line in instructions if line.startswith("USER ")]
    assert users == ["USER pilothouse"]
    assert instructions.index("USER pilothouse") < instructions.index('CMD ["web"]')


def test_the_base_of_the_image_can_be_chosen() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "ARG BASE=" in text
    assert set(re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)) == {"${BASE}"}


@pytest.mark.live
@pytest.mark.timeout(600)
def test_the_image_builds_and_runs() -> None:
    engine, base = os.environ.get("PILOTHOUSE_TEST_ENGINE"), os.environ.get("PILOTHOUSE_TEST_BASE")
    if not engine or not base:
        pytest.skip(
            "no registry, so no base image: name an engine that holds one in PILOTHOUSE_TEST_ENGINE (unix://…) "
            "and the image in PILOTHOUSE_TEST_BASE"
        )

    def docker(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "DOCKER_BUILDKIT": "0"}
        return subprocess.run(["docker", "--host", engine, *words], cwd=ROOT, env=env, capture_output=True, text=True)

    tag = f"pilothouse-test:{os.getpid()}"
    built = docker("build", "--network", "host", "--build-arg", f"BASE={base}", "--tag", tag, ".")
    assert built.returncode == 0, built.stdout[-3000:]
    try:
        who = docker("run", "--rm", "--entrypoint", "id", tag)
        assert who.stdout == "uid=10001(pilothouse) gid=10001(pilothouse) groups=10001(pilothouse)\n"
        lost = docker("run", "--rm", tag, "web")
        assert lost.returncode == 1
        assert "PILOTHOUSE_PUBLIC_URL and PILOTHOUSE_REDIS_URL must be set" in lost.stderr
        assert docker("run", "--rm", tag, "nonsense").returncode == 2
    finally:
        docker("image", "rm", tag)
