"""The private Redis: nobody else can open it, and its password is on no command line."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client

from launcher import paths, redis
from launcher.paths import DataDir
from launcher.say import Trouble
from tests.launcher.conftest import wait_for


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir.open(tmp_path)


@pytest.fixture
def server(data_dir: DataDir) -> Iterator[subprocess.Popen[bytes]]:
    program = redis.program(redis.configure(data_dir))
    process = subprocess.Popen([str(word) for word in program.command], stdout=subprocess.DEVNULL)
    wait_for(lambda: redis.answers(data_dir))
    yield process
    process.kill()
    process.wait()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_url_connects_with_the_password(server: subprocess.Popen[bytes], data_dir: DataDir) -> None:
    assert client.from_url(redis.url(data_dir)).ping()


def test_without_the_password_nothing_is_answered(server: subprocess.Popen[bytes], data_dir: DataDir) -> None:
    stranger = client.from_url(f"unix://{data_dir.folder('redis') / 'redis.sock'}")
    with pytest.raises(client.AuthenticationError):
        stranger.ping()


def test_files_and_socket_are_ours_alone(server: subprocess.Popen[bytes], data_dir: DataDir) -> None:
    assert _mode(data_dir.path) == _mode(data_dir.folder("redis")) == _mode(data_dir.folder("keys")) == 0o700
    assert _mode(data_dir.folder("keys") / "redis") == _mode(data_dir.folder("redis") / "redis.conf") == 0o600
    assert _mode(data_dir.folder("redis") / "redis.sock") == 0o700


def test_the_password_is_not_among_the_arguments(server: subprocess.Popen[bytes], data_dir: DataDir) -> None:
    password = (data_dir.folder("keys") / "redis").read_text()
    assert password not in Path(f"/proc/{server.pid}/cmdline").read_text()
    assert password not in Path(f"/proc/{server.pid}/environ").read_text()


def test_its_settings_cannot_be_changed_from_outside(server: subprocess.Popen[bytes], data_dir: DataDir) -> None:
    with pytest.raises(client.ResponseError, match="no permissions"):
        client.from_url(redis.url(data_dir)).config_set("dir", "/etc")


def test_what_was_written_survives_a_kill(server: subprocess.Popen[bytes], data_dir: DataDir) -> None:
    connection = client.from_url(redis.url(data_dir))
    connection.set("kept", "yes")
    # The append-only file is synced once a second; a SIGKILL loses nothing that reached the kernel.
    server.kill()
    server.wait()
    again = subprocess.Popen(
        [str(word) for word in redis.program(redis.configure(data_dir)).command], stdout=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: redis.answers(data_dir))
        assert client.from_url(redis.url(data_dir)).get("kept") == b"yes"
    finally:
        again.kill()
        again.wait()


def test_a_deep_data_directory_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = DataDir.open(tmp_path / ("deep" * 25))
    folder = deep.run_folder("redis", longest="redis.sock")
    assert len(f"{folder}/redis.sock") <= 104
    assert _mode(folder) == 0o700
    assert folder == deep.run_folder("redis", longest="redis.sock")
    folder.rmdir()


def test_a_socket_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    deep = DataDir.open(tmp_path / ("deep" * 25))
    folder = deep.run_folder("redis", longest="redis.sock")
    folder.chmod(0o777)
    try:
        with pytest.raises(Trouble, match="not ours alone"):
            deep.run_folder("redis", longest="redis.sock")
    finally:
        folder.rmdir()


def test_without_our_wheel_the_machines_own_server_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTHOUSE_VENV", str(tmp_path))
    own = tmp_path / "redis-server"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert redis.find_server() == own


def test_without_any_server_the_next_step_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTHOUSE_VENV", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Trouble, match="PILOTHOUSE_REDIS_URL"):
        redis.find_server()


def test_the_wheels_server_is_preferred() -> None:
    assert redis.find_server().is_relative_to(paths.venv())
    assert sys.prefix in str(redis.find_server())
