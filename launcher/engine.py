"""Which container engine the console is given: one that runs already, else a private one, else none."""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from launcher import engine_api, say, starter_image, system
from launcher.paths import ROOT, DataDir
from launcher.processes import run
from launcher.supervisor import Program

_NEXT_STEP = "The console starts without an engine; its Hosts page says how to add one."
_TOOLS = {"ip": "iproute2", "iptables": "iptables", "unshare": "util-linux"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine for the console's host named local."""

    url: str
    driver: str
    note: str
    private: Program | None = None
    #: A folder with ca.pem, cert.pem and key.pem.
    certificates: Path | None = None


def choose(data_dir: DataDir) -> Engine | None:
    """Return the engine to use, after installing one if that is allowed here; None to start without."""
    wish = os.environ.get("PILOTHOUSE_ENGINE", "auto")
    if wish not in ("auto", "private", "none"):
        raise say.Trouble(f"PILOTHOUSE_ENGINE is {wish!r}; write auto, private or none.")
    if wish == "none":
        say.line("No engine, as PILOTHOUSE_ENGINE=none asks.")
        return None
    if wish == "auto":
        if os.environ.get("DOCKER_HOST"):
            return _from_docker_host(os.environ["DOCKER_HOST"])
        if running := find_running():
            return running
    try:
        installed = _install_missing()
    except say.Trouble as trouble:
        say.warning(f"{trouble}\n{_NEXT_STEP}")
        return None
    # Where the machine's own service manager runs, an installed package starts its service.
    if installed and wish == "auto" and (running := _wait_for_service()):
        return running
    return _private(data_dir)


def _from_docker_host(url: str) -> Engine | None:
    if not url.startswith(("unix://", "tcp://")):
        say.warning(f"DOCKER_HOST is {url}, but only unix:// and tcp:// can be taken over. {_NEXT_STEP}")
        return None
    if os.environ.get("DOCKER_TLS_VERIFY"):
        certificates = Path(os.environ.get("DOCKER_CERT_PATH") or "~/.docker").expanduser()
        return Engine(url=url, driver="docker", note="from DOCKER_HOST", certificates=certificates)
    driver = engine_api.driver_at(url)
    if driver is None:
        say.warning(f"Nothing answers at DOCKER_HOST ({url}). The host named local shows when it does.")
    return Engine(url=url, driver=driver or "docker", note="from DOCKER_HOST")


def _sockets() -> Iterator[Path]:
    yield Path("/run/docker.sock")
    yield Path("/var/run/docker.sock")
    private = os.environ.get("XDG_RUNTIME_DIR")
    if private:
        yield Path(private, "docker.sock")
        yield Path(private, "podman", "podman.sock")
    yield Path("/run/podman/podman.sock")


def find_running() -> Engine | None:
    """Return the first engine of this machine that answers at one of the usual places."""
    for path in _sockets():
        if path.is_socket() and (driver := engine_api.driver_at(f"unix://{path}")):
            return Engine(url=f"unix://{path}", driver=driver, note=f"this machine's {driver.capitalize()}")
    return None


def _install_missing() -> bool:
    """Install what a private engine needs. Returns whether the daemon itself was new."""
    if not system.is_root():
        raise say.Trouble(
            "No Docker or Podman answers on this machine, "
            "and only root can start a private engine (sudo ./pilothouse up)."
        )
    packages = [package for tool, package in _TOOLS.items() if not system.has(tool)]
    new = not system.has("dockerd")
    if new:
        packages.insert(0, "docker.io")
    if starter_image.find_busybox() is None:
        packages.append("busybox-static")
    if packages:
        system.install(packages, why="a private container engine")
    return new


def _wait_for_service() -> Engine | None:
    if not Path("/run/systemd/system").is_dir():
        return None
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if running := find_running():
            return running
        time.sleep(0.2)
    return None


def _private(data_dir: DataDir) -> Engine:
    folder = data_dir.folder("engine")
    run_folder = data_dir.run_folder("engine", longest="exec/containerd/containerd-debug.sock")
    socket_path = run_folder / "docker.sock"
    bridge = _Bridge(name=f"ph-{data_dir.tag}")
    command: list[str | Path] = [
        # In a process namespace of its own: when its first process ends, the kernel ends all others.
        *("unshare", "--pid", "--mount", "--propagation", "slave", "--fork", "--kill-child", "--mount-proc"),
        *(sys.executable, "-m", "launcher.engine_init", "dockerd"),
        *("--data-root", folder / "data", "--exec-root", run_folder / "exec", "--pidfile", folder / "pid"),
        *("--host", f"unix://{socket_path}", "--bridge", bridge.name),
        *("--shutdown-timeout", "2", "--log-level", "error"),
    ]
    if not bridge.owns_iptables:
        command.append("--iptables=false")

    def before_start() -> None:
        # All of it describes processes that are gone: we hold the data directory's lock.
        shutil.rmtree(run_folder / "exec", ignore_errors=True)
        (folder / "pid").unlink(missing_ok=True)
        socket_path.unlink(missing_ok=True)
        bridge.lay()

    program = Program(
        name="engine",
        command=command,
        env=dict(os.environ),
        cwd=ROOT,
        service=True,
        before_start=before_start,
        hide=("level=info", "level=warning"),
    )
    return Engine(url=f"unix://{socket_path}", driver="docker", note="private engine", private=program)


def clean_up(data_dir: DataDir) -> None:
    """Take away the bridge of the private engine."""
    _Bridge(name=f"ph-{data_dir.tag}").remove()


class _Bridge:
    """The network bridge of a private engine, beside those of any other engine on this machine."""

    def __init__(self, *, name: str) -> None:
        self.name = name
        # Two daemons that both write the DOCKER chains delete each other's rules.
        self.owns_iptables = not _another_daemon_runs()

    def lay(self) -> None:
        """Make the bridge, if it is missing, with the first free network of 172.16.0.0/12."""
        if Path("/sys/class/net", self.name).exists():
            return
        network = free_network()
        run(["ip", "link", "add", self.name, "type", "bridge"])
        run(["ip", "address", "add", f"{network[1]}/{network.prefixlen}", "dev", self.name])
        run(["ip", "link", "set", self.name, "up"])
        if not self.owns_iptables:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            for rule in self._rules(network):
                run(["iptables", *_at_the_top(rule)])

    def remove(self) -> None:
        """Take away the bridge and our rules for it."""
        if not Path("/sys/class/net", self.name).exists():
            return
        for table in ("nat", "filter"):
            for rule in run(["iptables", "-t", table, "-S"]).splitlines():
                if f'"pilothouse {self.name}"' in rule:
                    words = rule.replace('"', "").replace(f"pilothouse {self.name}", "\0").split()
                    cleaned = [f"pilothouse {self.name}" if word == "\0" else word for word in words]
                    run(["iptables", "-t", table, "-D", *cleaned[1:]])
        run(["ip", "link", "delete", self.name])

    def _rules(self, network: ipaddress.IPv4Network) -> list[list[str]]:
        mark = ["-m", "comment", "--comment", f"pilothouse {self.name}"]
        return [
            ["-t", "nat", "-A", "POSTROUTING", "-s", str(network), "!", "-o", self.name, "-j", "MASQUERADE", *mark],
            ["-t", "filter", "-A", "FORWARD", "-i", self.name, "-j", "ACCEPT", *mark],
            ["-t", "filter", "-A", "FORWARD", "-o", self.name, "-j", "ACCEPT", *mark],
        ]


def _at_the_top(rule: list[str]) -> list[str]:
    return ["-I" if word == "-A" else word for word in rule]


def _another_daemon_runs() -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "comm").read_text().strip() == "dockerd":
                    return True
    return False


def free_network() -> ipaddress.IPv4Network:
    """Return a network for containers that no route of this machine covers."""
    taken = []
    for row in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = row.split()
        address, mask = (int.from_bytes(bytes.fromhex(text), "little") for text in (fields[1], fields[7]))
        if mask:
            taken.append(ipaddress.ip_network((address, bin(mask).count("1")), strict=False))
    # Above what engines hand out to networks by themselves.
    for network in ipaddress.IPv4Network("172.30.0.0/15").subnets(new_prefix=24):
        if network[0] >= ipaddress.IPv4Address("172.30.100.0") and not any(map(network.overlaps, taken)):
            return network
    raise say.Trouble("No free network below 172.30.0.0/15 is left for a private engine. Free one, or set DOCKER_HOST.")
