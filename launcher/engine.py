"""Which container engine the console is given: one that runs already, else a private one, else none."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from launcher import bridges, engine_api, say, starter_image, system
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
    #: To be called when the console has ended.
    clean_up: Callable[[], None] = lambda: None


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
    network = _Network(name=f"ph-{data_dir.tag}", data_root=folder / "data")
    configuration = folder / "daemon.json"

    def before_start() -> None:
        # All of it describes processes that are gone: we hold the data directory's lock.
        shutil.rmtree(run_folder / "exec", ignore_errors=True)
        (folder / "pid").unlink(missing_ok=True)
        socket_path.unlink(missing_ok=True)
        configuration.write_text(json.dumps(network.lay()))

    program = Program(
        name="engine",
        command=[
            # In a process namespace of its own: when its first process ends, the kernel ends all others.
            *("unshare", "--pid", "--mount", "--propagation", "slave", "--fork", "--kill-child", "--mount-proc"),
            *(sys.executable, "-m", "launcher.engine_init", "dockerd", "--config-file", configuration),
            *("--data-root", folder / "data", "--exec-root", run_folder / "exec", "--pidfile", folder / "pid"),
            *("--host", f"unix://{socket_path}", "--shutdown-timeout", "2", "--log-level", "error"),
        ],
        env=dict(os.environ),
        cwd=ROOT,
        service=True,
        before_start=before_start,
        hide=("level=info", "level=warning"),
    )
    return Engine(
        url=f"unix://{socket_path}", driver="docker", note="private engine", private=program, clean_up=network.remove
    )


@dataclass(slots=True, kw_only=True)
class _Network:
    """What connects a private engine's containers, beside any other engine of this machine."""

    name: str
    data_root: Path
    bridge: bridges.Bridge | None = None
    #: Two daemons that both write the DOCKER chains delete each other's rules.
    owns_iptables: bool = field(default_factory=lambda: not _another_daemon_runs())

    def lay(self) -> Mapping[str, object]:
        """Make the bridge, if it is missing, and return what the daemon must be told."""
        if self.bridge is None:
            self.bridge = bridges.make(self.name, data_root=self.data_root)
            if not self.owns_iptables:
                self._let_pass(self.bridge.network)
        return {**self.bridge.for_daemon, "iptables": self.owns_iptables}

    def remove(self) -> None:
        """Take away the bridges and our rules for them."""
        if self.bridge is None:
            return
        if not self.owns_iptables:
            self._forget_rules()
        self.bridge.remove()
        self.bridge = None

    def _let_pass(self, network: bridges.Network) -> None:
        # A killed run may have left some, for another range.
        self._forget_rules()
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for rule in self._rules(network):
            run(["iptables", *rule])

    def _forget_rules(self) -> None:
        mark = f"pilothouse {self.name}"
        for table in ("nat", "filter"):
            for rule in run(["iptables", "-t", table, "-S"]).splitlines():
                if f'"{mark}"' in rule:
                    run(["iptables", "-t", table, "-D", *shlex.split(rule)[1:]])

    def _rules(self, network: bridges.Network) -> list[list[str]]:
        mark = ["-m", "comment", "--comment", f"pilothouse {self.name}"]
        # At the top: the other daemon's rules end in refusals.
        return [
            ["-t", "nat", "-I", "POSTROUTING", "-s", str(network), "!", "-o", self.name, "-j", "MASQUERADE", *mark],
            ["-t", "filter", "-I", "FORWARD", "-i", self.name, "-j", "ACCEPT", *mark],
            ["-t", "filter", "-I", "FORWARD", "-o", self.name, "-j", "ACCEPT", *mark],
        ]


def _another_daemon_runs() -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "comm").read_text().strip() == "dockerd":
                    return True
    return False
