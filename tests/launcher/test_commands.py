"""What `./pilothouse` answers before it does anything."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import system
from launcher.paths import ROOT, DataDir, from_user
from launcher.say import Trouble
from launcher.up import claim
from tests.launcher.conftest import free_port, pilothouse


@pytest.mark.parametrize("words", [(), ("help",), ("--help",), ("-h",)])
def test_help_names_every_command(words: tuple[str, ...]) -> None:
    done = pilothouse(*words)
    assert done.returncode == 0
    for command in ("up", "test", "check", "bench", "manage", "help"):
        assert f"./pilothouse {command}" in done.stdout


def test_an_unknown_command_is_named_with_the_known_ones() -> None:
    done = pilothouse("start")
    assert done.returncode == 2
    assert (
        done.stderr
        == "pilothouse: there is no command 'start'. The commands are: up, test, check, bench, manage, help.\n"
    )


def test_it_can_be_called_from_anywhere(tmp_path: Path) -> None:
    assert pilothouse("help", cwd=tmp_path).returncode == 0


def test_paths_are_read_from_where_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTHOUSE_CALLED_FROM", str(tmp_path))
    assert from_user("state") == tmp_path / "state"
    assert from_user("/srv/state") == Path("/srv/state")


def test_check_refuses_arguments() -> None:
    done = pilothouse("check", "everything")
    assert done.returncode == 2
    assert "takes no arguments" in done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80.5"])
def test_a_bad_port_is_refused(port: str, tmp_path: Path) -> None:
    done = pilothouse("up", f"--port={port}", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert f"argument --port: '{port}' is no port; write a number from 1 to 65535, as in --port 8440" in done.stderr


def test_an_unknown_option_is_refused() -> None:
    done = pilothouse("up", "--bind", "x")
    assert done.returncode == 2
    assert "unrecognized arguments: --bind x" in done.stderr


def test_a_taken_port_names_who_holds_it_and_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = pilothouse("up", "--port", str(port), "--data-dir", str(tmp_path))
    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken by " in done.stderr
    assert f"(process {os.getpid()})" in done.stderr
    assert f"./pilothouse up --port {port + 1}" in done.stderr


@pytest.mark.parametrize("host", ["no such host", "192.0.2.77"])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(Trouble, match=r"Use 127\.0\.0\.1, or 0\.0\.0\.0"):
        system.check_port(host, port=free_port())


def test_a_second_up_on_the_same_data_is_refused(tmp_path: Path) -> None:
    data_dir = DataDir.open(tmp_path)
    with claim(data_dir, public_url="http://127.0.0.1:8440"):
        done = pilothouse("up", "--data-dir", str(tmp_path), "--port", str(free_port()))
    assert done.returncode == 1
    assert f"already runs on {tmp_path}: process {os.getpid()}, at http://127.0.0.1:8440." in done.stderr


def test_data_of_an_up_that_was_killed_is_free_again(tmp_path: Path) -> None:
    data_dir = DataDir.open(tmp_path)
    (tmp_path / "running.json").write_text('{"pid": 1, "url": "http://127.0.0.1:8440"}')
    with claim(data_dir, public_url="http://127.0.0.1:8441"):
        assert f'"pid": {os.getpid()}' in (tmp_path / "running.json").read_text()


def test_a_data_directory_that_cannot_be_made_is_named() -> None:
    done = pilothouse("up", "--data-dir", "/proc/nowhere")
    assert done.returncode == 1
    assert "The data directory /proc/nowhere cannot be made" in done.stderr


def _bare_path(folder: Path, *programs: str) -> str:
    """A PATH with the named programs and no others."""
    for name in programs:
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True)
        (folder / name).symlink_to(found.stdout.strip())
    return str(folder)


def test_without_python_and_without_a_way_to_get_it_one_sentence_says_so(tmp_path: Path) -> None:
    path = _bare_path(tmp_path, "sh", "dirname", "id")
    done = subprocess.run(
        ["sh", str(ROOT / "pilothouse"), "help"], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Pilothouse needs Python 3.11 or newer and found none: install it")


def test_without_python_debians_package_is_installed_after_saying_so(tmp_path: Path) -> None:
    path = _bare_path(tmp_path, "sh", "dirname", "id", "env", "true", "ln")
    apt = tmp_path / "apt-get"
    real = Path(sys.executable).resolve()
    wanted = "install -y -q --no-install-recommends python3 python3-venv"
    apt.write_text(f'#!/bin/sh\n[ "$*" != "{wanted}" ] || ln -s {real} {tmp_path}/python3\n')
    apt.chmod(0o755)
    done = subprocess.run(
        ["sh", str(ROOT / "pilothouse"), "help"], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith(
        "Pilothouse needs Python 3.11 or newer: installing the packages python3 and python3-venv.\nPilothouse: a web"
    )


def test_an_old_python_is_passed_over(tmp_path: Path) -> None:
    path = _bare_path(tmp_path, "sh", "dirname", "id")
    old = tmp_path / "python3.13"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    (tmp_path / "python3").symlink_to(Path(sys.executable).resolve())
    done = subprocess.run(
        ["sh", str(ROOT / "pilothouse"), "help"], env={"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
