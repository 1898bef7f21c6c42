"""What machine this is, and how to add a distribution's package to it."""

from __future__ import annotations

import os
import resource
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from launcher import say
from launcher.processes import run


def is_root() -> bool:
    """Whether we may do what only the administrator may."""
    return os.geteuid() == 0


#: Sockets and files that one process may have open: every stream costs two.
_OPEN_FILES = 65_536


def raise_file_limit() -> None:
    """Let this process, and what it starts, open as many files as the machine lets it, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def has(program: str) -> bool:
    """Whether a program can be found on the PATH."""
    return shutil.which(program) is not None


def _is_debian() -> bool:
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return False
    ids = [line.partition("=")[2].strip('"') for line in text.splitlines() if line.startswith(("ID=", "ID_LIKE="))]
    return any(name in ("debian", "ubuntu") for value in ids for name in value.split())


def _root_prefix() -> list[str] | None:
    if is_root():
        return []
    if has("sudo"):
        try:
            run(["sudo", "-n", "true"])
        except say.Trouble:
            return None
        return ["sudo", "-n"]
    return None


def can_install() -> bool:
    """Whether packages of the distribution can be installed without asking for a password."""
    return _is_debian() and has("apt-get") and _root_prefix() is not None


def install(packages: Sequence[str], *, why: str) -> None:
    """Install Debian packages after saying so.

    Raises :class:`say.Trouble` when it cannot be done here, with the command that a person could run instead.
    """
    names = " ".join(packages)
    if not can_install():
        raise say.Trouble(f"{why} needs {names}. On Debian or Ubuntu, as root: apt-get install {names}")
    prefix = _root_prefix() or []
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    with say.step(f"Installing {names} from the distribution, for {why}"):
        run([*apt, "update"])
        run([*apt, "install", "-y", "--no-install-recommends", *packages])


def find_listener(port: int) -> str | None:
    """Say which process listens on a TCP port, as far as we may see it."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                links = {str(link.readlink()) for link in (process / "fd").iterdir()}
                if inodes & links:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
            except OSError:
                continue  # it ended, or is somebody else's
    return None


def check_port(host: str, *, port: int) -> None:
    """Raise :class:`say.Trouble` unless the web process will be able to listen there."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as cause:
        raise say.Trouble(f"--host {host} is no address of this machine. Use 127.0.0.1, or 0.0.0.0 for all.") from cause
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except PermissionError as cause:
            raise say.Trouble(f"Port {port} needs root. Choose one above 1023, as in --port 8440.") from cause
        except OSError as cause:
            if cause.errno == 98:
                holder = find_listener(port) or "another process"
                raise say.Trouble(
                    f"Port {port} on {host} is taken by {holder}. "
                    f"Choose another, as in: ./pilothouse up --port {port + 1}"
                ) from cause
            raise say.Trouble(f"--host {host} cannot be used: {cause.strerror}. Use 127.0.0.1, or 0.0.0.0.") from cause


def outward_address() -> str:
    """The address by which other machines most likely reach this one. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
