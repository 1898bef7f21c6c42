"""A container engine in memory: a full member of the protocol, with state, and named ways to misbehave."""

# A fake takes every argument of the protocol, also those that change nothing here.
# ruff: noqa: ARG001, ARG002

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from runtime.containers import (
    Container,
    ContainerDetail,
    ContainerSpec,
    EngineInfo,
    Event,
    ExecDetail,
    ExecOutput,
    ExecSpec,
    Image,
    ImageDetail,
    LayerPhase,
    Network,
    NetworkSpec,
    PathStat,
    PullProgress,
    RegistryCredentials,
    RestartPolicy,
    Stats,
    Volume,
    VolumeSpec,
)
from runtime.drivers.docker import parse, serialise
from runtime.errors import BackendError, Conflict, EngineFailure, Invalid, NotFound, Terminated, TimedOut
from runtime.streams import ByteParts, Channel, Chunk, Terminal
from runtime.testing.files import FakeFiles
from runtime.testing.process import PROGRAMS, SIGNALS, FakeProcess

_PENDING_LIMIT: Final = 128 * 1024
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_EPHEMERAL_PORT: Final = 49153
#: The networks every engine has, and their drivers.
_OWN_NETWORKS: Final = (("bridge", "bridge"), ("host", "host"), ("none", "null"))


def _stamp(seconds: float) -> str:
    return (
        datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z") if seconds else "0001-01-01T00:00:00Z"
    )


@dataclass(slots=True)
class _Image:
    image_id: str
    tags: list[str]
    size_bytes: int
    created_at: float
    layers: int = 1
    command: tuple[str, ...] = ("sh",)
    labels: dict[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {
            "Id": self.image_id,
            "RepoTags": list(self.tags),
            "RepoDigests": [],
            "Size": self.size_bytes,
            "Created": int(self.created_at),
            "Labels": dict(self.labels),
        }

    def inspect(self) -> dict[str, Any]:
        return {
            **self.row(),
            "Created": _stamp(self.created_at),
            "Architecture": "amd64",
            "Os": "linux",
            "Config": {"Cmd": list(self.command), "Env": [_PATH], "Labels": dict(self.labels)},
            "RootFS": {"Type": "layers", "Layers": [f"sha256:{number:064x}" for number in range(self.layers)]},
        }


@dataclass(slots=True)
class _Volume:
    name: str
    created_at: float
    driver: str = "local"
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {
            "Name": self.name,
            "Driver": self.driver,
            "Mountpoint": f"/fake/volumes/{self.name}",
            "CreatedAt": _stamp(self.created_at),
            "Labels": dict(self.labels),
            "Options": dict(self.options),
        }


@dataclass(slots=True)
class _Network:
    network_id: str
    name: str
    created_at: float
    driver: str = "bridge"
    internal: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        return {
            "Id": self.network_id,
            "Name": self.name,
            "Driver": self.driver,
            "Scope": "local",
            "Internal": self.internal,
            "Created": _stamp(self.created_at),
            "Labels": dict(self.labels),
            "Options": dict(self.options),
        }


@dataclass(slots=True)
class _LogLine:
    at: float
    channel: Channel
    data: bytes


class _Container:
    """One container: the body it was created with, its process, its log."""

    def __init__(self, body: Mapping[str, Any], *, name: str, image: _Image) -> None:
        self.container_id = secrets.token_hex(32)
        self.name = name
        self.body = body
        self.image = image
        self.created_at = time.time()
        self.started_at = 0.0
        self.finished_at = 0.0
        self.state = "created"
        self.exit_code = 0
        self.health = ""
        self.restart_count = 0
        self.stopped_by_hand = False
        self.process: FakeProcess | None = None
        self.execs: dict[str, FakeProcess] = {}
        self.log: list[_LogLine] = []
        self.tree = FakeFiles()
        self.tree.read_only = bool(self.host_config.get("ReadonlyRootfs"))
        self.changed = asyncio.Event()
        self.attached: list[FakeTerminal] = []
        self.host_ports: dict[str, int] = {}
        self.background: set[asyncio.Task[None]] = set()

    @property
    def tty(self) -> bool:
        return bool(self.body["Tty"])

    @property
    def host_config(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.body["HostConfig"]
        return found

    @property
    def alive(self) -> bool:
        return self.state in ("running", "paused")

    @property
    def arguments(self) -> tuple[str, ...]:
        entrypoint = [word for word in self.body.get("Entrypoint") or [] if word]
        command = self.body.get("Cmd")
        return (*entrypoint, *(self.image.command if command is None else command))

    @property
    def environment(self) -> list[str]:
        return [_PATH, *self.body["Env"]]

    @property
    def variables(self) -> dict[str, str]:
        return dict(parse.pairs(self.environment))

    @property
    def mounts(self) -> list[dict[str, Any]]:
        return [
            {
                "Type": mount["Type"],
                "Name": mount.get("Source", ""),
                "Source": mount.get("Source", ""),
                "Destination": mount["Target"],
                "RW": not mount.get("ReadOnly", False),
            }
            for mount in self.host_config.get("Mounts", ())
        ]

    @property
    def volume_names(self) -> set[str]:
        return {mount["Name"] for mount in self.mounts if mount["Type"] == "volume"}

    @property
    def network(self) -> str:
        name: str = self.host_config.get("NetworkMode", "bridge")
        return "bridge" if name == "default" else name

    def announce(self) -> None:
        """Wake everybody who waits for this container to change or to say something."""
        self.changed.set()
        self.changed = asyncio.Event()

    def _status(self) -> str:
        match self.state:
            case "running":
                note = {"healthy": " (healthy)", "unhealthy": " (unhealthy)", "starting": " (health: starting)"}
                return "Up 1 second" + note.get(self.health, "")
            case "paused":
                return "Up 1 second (Paused)"
            case "exited":
                return f"Exited ({self.exit_code}) 1 second ago"
            case "restarting":
                return f"Restarting ({self.exit_code}) 1 second ago"
        return self.state.capitalize()

    def _ports(self) -> dict[str, list[dict[str, str]] | None]:
        ports: dict[str, list[dict[str, str]] | None] = {}
        for port, bindings in self.host_config.get("PortBindings", {}).items():
            ports[port] = [
                {"HostIp": binding["HostIp"] or "0.0.0.0", "HostPort": str(self.host_ports[port])}
                for binding in bindings
                if self.alive
            ] or None
        return ports

    def row(self) -> dict[str, Any]:
        return {
            "Id": self.container_id,
            "Names": [f"/{self.name}"],
            "Image": self.body["Image"],
            "ImageID": self.image.image_id,
            "Command": " ".join(self.arguments),
            "Created": int(self.created_at),
            "State": self.state,
            "Status": self._status(),
            "Ports": [
                {
                    "PrivatePort": int(port.partition("/")[0]),
                    "Type": port.partition("/")[2],
                    "IP": binding["HostIp"],
                    "PublicPort": int(binding["HostPort"]),
                }
                for port, bindings in self._ports().items()
                for binding in bindings or ()
            ],
            "Labels": dict(self.body["Labels"]),
            "Mounts": self.mounts,
            "NetworkSettings": {"Networks": {self.network: {}}},
        }

    def inspect(self) -> dict[str, Any]:
        arguments = self.arguments
        return {
            "Id": self.container_id,
            "Name": f"/{self.name}",
            "Created": _stamp(self.created_at),
            "Path": arguments[0] if arguments else "",
            "Args": list(arguments[1:]),
            "Image": self.image.image_id,
            "RestartCount": self.restart_count,
            "State": {
                "Status": self.state,
                "ExitCode": self.exit_code,
                "Error": "",
                "OOMKilled": False,
                "StartedAt": _stamp(self.started_at),
                "FinishedAt": _stamp(self.finished_at),
                **({"Health": {"Status": self.health, "Log": []}} if self.health else {}),
            },
            "Config": {
                "Image": self.body["Image"],
                "Hostname": self.body.get("Hostname") or self.container_id[:12],
                "User": self.body.get("User", ""),
                "WorkingDir": self.body.get("WorkingDir", ""),
                "Tty": self.body["Tty"],
                "OpenStdin": self.body["OpenStdin"],
                "Env": self.environment,
                "Cmd": list(self.image.command) if self.body.get("Cmd") is None else self.body["Cmd"],
                "Entrypoint": self.body.get("Entrypoint"),
                "Labels": dict(self.body["Labels"]),
                "ExposedPorts": self.body.get("ExposedPorts", {}),
                **{key: self.body[key] for key in ("StopTimeout", "Healthcheck") if key in self.body},
            },
            "HostConfig": dict(self.host_config),
            "Mounts": self.mounts,
            "ExecIDs": [exec_id for exec_id, process in self.execs.items() if process.exit_code is None] or None,
            "NetworkSettings": {
                "Ports": self._ports(),
                "Networks": {self.network: {"IPAddress": "10.88.0.2" if self.alive else ""}},
            },
        }


class FakeTerminal:
    """A terminal into a fake process. Not reading makes the process wait, as with a real one."""

    def __init__(self, *, exec_id: str | None, tty: bool) -> None:
        self._exec_id = exec_id
        self._tty = tty
        self._chunks: deque[Chunk] = deque()
        self._size = 0
        self._ended = False
        self._closed = False
        self._cut = False
        self._changed = asyncio.Event()
        self.process: FakeProcess | None = None

    @property
    def exec_id(self) -> str | None:
        """The exec's id; ``None`` for an attach."""
        return self._exec_id

    @property
    def tty(self) -> bool:
        """Whether the far end is a PTY."""
        return self._tty

    async def deliver(self, channel: Channel, data: bytes) -> None:
        """Take what the process prints; waits while nobody reads."""
        while self._size >= _PENDING_LIMIT and not self._closed:
            await self._wait()
        if not self._closed:
            self._chunks.append(Chunk(channel, data))
            self._size += len(data)
            self._announce()

    def end(self) -> None:
        """The process has ended: what is left can be read."""
        self._ended = True
        self._announce()

    def cut(self) -> None:
        """Misbehave: the engine goes away in the middle of the stream."""
        self._cut = True
        self.end()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self) -> None:
        await self._changed.wait()

    async def read(self) -> bytes:
        """Return the next output; ``b""`` at the end. Raises ``Terminated``."""
        await self._arrival()
        data = b"".join(chunk.data for chunk in self._chunks)
        self._chunks.clear()
        self._taken(len(data))
        return data

    async def read_chunk(self) -> Chunk | None:
        """Return the next output with its channel; ``None`` at the end. Raises ``Terminated``."""
        await self._arrival()
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self._taken(len(chunk.data))
        return chunk

    async def _arrival(self) -> None:
        while not self._chunks and not self._ended and not self._closed:
            await self._wait()
        if not self._chunks and self._cut and not self._closed:
            raise Terminated("the engine cut the stream while its process was running")

    def read_nowait(self, limit: int) -> bytes:
        """Return what has already arrived, at most ``limit`` bytes."""
        data = b"".join(chunk.data for chunk in self._chunks)
        self._chunks.clear()
        if len(data) > limit:
            self._chunks.append(Chunk(Channel.STDOUT, data[limit:]))
            data = data[:limit]
        self._taken(len(data))
        return data

    def _taken(self, size: int) -> None:
        self._size -= size
        self._announce()

    async def write(self, data: bytes) -> None:
        """Send input. Raises ``Terminated``."""
        if self._closed or self._ended or self.process is None:
            raise Terminated("the stream is closed")
        await self.process.feed(data)

    async def write_eof(self) -> None:
        """End the input."""
        if self.process is not None:
            self.process.feed_eof()

    async def resize(self, *, columns: int, rows: int) -> None:
        """Set the size. Raises ``Invalid``."""
        if not (1 <= columns <= 10_000 and 1 <= rows <= 10_000):
            raise Invalid(f"a terminal has 1 to 10000 columns and rows, not {columns} by {rows}")
        if self.process is not None:
            self.process.size = (columns, rows)

    async def exit_code(self) -> int | None:
        """Return the exit code once the process has ended."""
        return None if self.process is None else self.process.exit_code

    async def kill(self) -> bool:
        """End the exec's process; an attach leaves nothing behind."""
        if self._exec_id is not None and self.process is not None:
            self.process.signal(SIGNALS["SIGHUP"])
        return True

    async def close(self) -> None:
        """Stop listening. Idempotent."""
        self._closed = True
        self._announce()


class FakeEngine:
    """See ``runtime.containers.ContainerEngine``. Everything is in memory and belongs to one event loop.

    ``calls`` lists the methods called, in order. ``registry`` is what can be pulled: a reference and its layers' sizes.
    """

    def __init__(
        self,
        *,
        images: Iterable[str] = ("starter:latest",),
        registry: Mapping[str, tuple[int, ...]] | None = None,
        pull_pause: float = 0.0,
        stats_interval: float = 1.0,
    ) -> None:
        self.calls: list[str] = []
        self.specs: list[ContainerSpec] = []
        self.registry: dict[str, tuple[int, ...]] = dict(registry or {"demo:latest": (3_000_000, 1_000_000, 200)})
        self.pull_pause = pull_pause
        self.stats_interval = stats_interval
        #: How it stores containers, and on which file system: by these it bounds what they write, or refuses to.
        self.storage_driver = "overlay2"
        self.backing_filesystem = "extfs"
        self.connected = True
        self._failures: dict[str, deque[BackendError]] = {}
        self._containers: dict[str, _Container] = {}
        self._images: list[_Image] = []
        self._volumes: dict[str, _Volume] = {}
        self._networks = [
            _Network(f"{number:064x}", name, time.time(), driver=driver)
            for number, (name, driver) in enumerate(_OWN_NETWORKS, 1)
        ]
        self._events: list[Event] = []
        self._events_changed = asyncio.Event()
        for reference in images:
            self._add_image(reference, size_bytes=2_000_000, layers=1)

    # What tests do to it

    def fail_next(self, method: str, error: BackendError, *, times: int = 1) -> None:
        """Let the next calls of ``method`` raise ``error`` before they do anything."""
        self._failures.setdefault(method, deque()).extend([error] * times)

    def add_volume(
        self,
        name: str,
        *,
        driver: str = "local",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Make a volume exist, also one that we could not ask for."""
        self._volumes[name] = _Volume(
            name, time.time(), driver=driver, labels=dict(labels or {}), options=dict(options or {})
        )

    def files(self, container_id: str) -> FakeFiles:
        """Return a container's files."""
        return self._find(container_id).tree

    def processes(self, container_id: str) -> list[FakeProcess]:
        """Return a container's running processes: its own first, then its execs'."""
        container = self._find(container_id)
        found = [container.process] if container.process is not None else []
        found += container.execs.values()
        return [process for process in found if process.exit_code is None]

    async def shut_down(self) -> None:
        """End every process: for the end of a test."""
        for container in self._containers.values():
            container.stopped_by_hand = True
            for task in container.background:
                task.cancel()
            self._end_processes(container, SIGNALS["SIGKILL"])
        await asyncio.sleep(0)

    async def _enter(self, method: str) -> None:
        self.calls.append(method)
        waiting = self._failures.get(method)
        if waiting:
            raise waiting.popleft()

    # The engine itself

    @property
    def _limits_disk(self) -> bool:
        return parse.limits_disk(self.storage_driver, backing=self.backing_filesystem)

    async def close(self) -> None:
        """Idempotent; containers go on, as with a real engine."""

    async def ping(self) -> str:
        """Return the API version."""
        await self._enter("ping")
        return "1.41"

    async def info(self) -> EngineInfo:
        """Return plausible facts."""
        await self._enter("info")
        states = [container.state for container in self._containers.values()]
        return EngineInfo(
            engine_id="FAKE",
            name="fake",
            product="Docker",
            version="20.10.24",
            api_version="1.41",
            operating_system="Fake Linux",
            kernel_version="6.1.0",
            architecture="x86_64",
            cpus=2,
            memory_bytes=4 * 1024**3,
            storage_driver=self.storage_driver,
            backing_filesystem=self.backing_filesystem,
            limits_disk=self._limits_disk,
            cgroup_version="2",
            rootless=False,
            containers=len(states),
            containers_running=states.count("running"),
            containers_paused=states.count("paused"),
            containers_stopped=len(states) - states.count("running") - states.count("paused"),
            images=len(self._images),
        )

    # Containers

    async def list_containers(self, *, container_ids: Collection[str] = ()) -> list[Container]:
        """Return every container, or those named, newest first."""
        await self._enter("list_containers")
        return [
            parse.container(container.row())
            for container in reversed(self._containers.values())
            if not container_ids or container.container_id in container_ids
        ]

    async def inspect_container(self, container_id: str) -> ContainerDetail:
        """Raises ``NotFound``."""
        await self._enter("inspect_container")
        return parse.container_detail(self._find(container_id).inspect())

    async def create_container(self, spec: ContainerSpec) -> str:
        """Raises ``NotFound`` (image), ``Conflict`` (name)."""
        await self._enter("create_container")
        image = self._find_image(spec.image)
        name = spec.name or f"fake_{len(self._containers)}"
        self._check_name(name)
        if spec.disk_bytes and not self._limits_disk:
            raise EngineFailure("--storage-opt is supported only for overlay over xfs", reason="disk_not_limited")
        body = serialise.container_body(spec)
        if spec.network not in ("", "default"):
            body["HostConfig"]["NetworkMode"] = self._find_network(spec.network).name
        container = _Container(body, name=name, image=image)
        if not container.arguments:
            raise Invalid("No command specified")
        self.specs.append(spec)
        self._containers[container.container_id] = container
        for volume in container.volume_names:
            self._volumes.setdefault(volume, _Volume(volume, time.time()))
        self._emit("container", "create", container.container_id, name=name, image=spec.image)
        return container.container_id

    async def start_container(self, container_id: str) -> None:
        """Raises ``NotFound``, ``Conflict`` (paused), ``EngineFailure`` (port taken, program missing)."""
        await self._enter("start_container")
        container = self._find(container_id)
        if container.state == "paused":
            raise Conflict("cannot start a paused container, try unpause instead", reason="paused")
        if container.state != "running":
            self._launch(container)

    async def stop_container(self, container_id: str, *, grace: int = 10) -> None:
        """Already stopped is success. Raises ``NotFound``."""
        await self._enter("stop_container")
        await self._stop(self._find(container_id), SIGNALS["SIGTERM"])

    async def restart_container(self, container_id: str, *, grace: int = 10) -> None:
        """Raises ``NotFound``."""
        await self._enter("restart_container")
        container = self._find(container_id)
        await self._stop(container, SIGNALS["SIGTERM"])
        self._launch(container)
        self._emit("container", "restart", container.container_id, name=container.name)

    async def kill_container(self, container_id: str, *, signal: str = "SIGKILL") -> None:
        """Raises ``NotFound``, ``Conflict`` (not running), ``Invalid`` (no such signal)."""
        await self._enter("kill_container")
        container = self._find(container_id)
        name = signal if signal.startswith("SIG") else f"SIG{signal}"
        if name not in SIGNALS:
            raise Invalid(f"Invalid signal: {signal}")
        if not container.alive:
            raise Conflict(f"Container {container_id} is not running", reason="not_running")
        self._emit("container", "kill", container.container_id, name=container.name, signal=str(SIGNALS[name]))
        await self._stop(container, SIGNALS[name])

    async def pause_container(self, container_id: str) -> None:
        """Raises ``NotFound``, ``Conflict``."""
        await self._enter("pause_container")
        container = self._find(container_id)
        if container.state == "paused":
            raise Conflict(f"Container {container_id} is already paused", reason="already_paused")
        if container.state != "running" or container.process is None:
            raise Conflict(f"Container {container_id} is not running", reason="not_running")
        container.process.pause()
        container.state = "paused"
        self._emit("container", "pause", container.container_id, name=container.name)

    async def unpause_container(self, container_id: str) -> None:
        """Raises ``NotFound``, ``Conflict``."""
        await self._enter("unpause_container")
        container = self._find(container_id)
        if container.state != "paused" or container.process is None:
            raise Conflict(f"Container {container_id} is not paused", reason="not_paused")
        container.process.resume()
        container.state = "running"
        self._emit("container", "unpause", container.container_id, name=container.name)

    async def rename_container(self, container_id: str, *, name: str) -> None:
        """Raises ``NotFound``, ``Conflict`` (name taken)."""
        await self._enter("rename_container")
        container = self._find(container_id)
        self._check_name(name)
        old, container.name = container.name, name
        self._emit("container", "rename", container.container_id, name=name, oldName=f"/{old}")

    async def remove_container(self, container_id: str, *, force: bool = False, volumes: bool = False) -> None:
        """Raises ``NotFound``, ``Conflict`` (running)."""
        await self._enter("remove_container")
        container = self._find(container_id)
        if container.alive and not force:
            raise Conflict(f"You cannot remove a running container {container_id}", reason="running")
        await self._stop(container, SIGNALS["SIGKILL"])
        del self._containers[container.container_id]
        container.state = "removing"
        container.announce()
        self._emit("container", "destroy", container.container_id, name=container.name)

    async def wait_container(self, container_id: str) -> int:
        """Return the exit code once it is not running."""
        await self._enter("wait_container")
        container = self._find(container_id)
        while container.alive or container.state == "restarting":
            await container.changed.wait()
        return container.exit_code

    async def logs(
        self,
        container_id: str,
        *,
        tty: bool,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> AsyncIterator[Chunk]:
        """Yield the log's lines. Raises ``NotFound``, ``Invalid`` (no stream chosen)."""
        await self._enter("logs")
        container = self._find(container_id)
        if not stdout and not stderr:
            raise Invalid("Bad parameters: you must choose at least one stream")
        channels = {Channel.STDOUT} if stdout else set()
        if stderr:
            channels.add(Channel.STDERR)

        def wanted(line: _LogLine) -> bool:
            return (
                line.channel in channels and (since is None or line.at >= since) and (until is None or line.at <= until)
            )

        position = len(container.log)
        lines = [line for line in container.log if wanted(line)]
        for line in lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]:
            yield _log_chunk(line, timestamps=timestamps)
        while follow:
            changed = container.changed
            while position < len(container.log):  # more may be written while the caller has what is yielded
                line = container.log[position]
                position += 1
                if wanted(line):
                    yield _log_chunk(line, timestamps=timestamps)
            if not container.alive and container.state != "restarting":
                return
            if container.changed is changed:
                await changed.wait()

    async def stats(self, container_id: str) -> AsyncIterator[Stats]:
        """Yield a sample every ``stats_interval``; ends when the container is not running. Raises ``NotFound``."""
        await self._enter("stats")
        container = self._find(container_id)
        count = 0
        while container.alive:
            yield Stats(
                observed_at=datetime.now(UTC),
                cpu_cores=0.25 if count else 0.0,
                memory_bytes=10_000_000 + count * 1000,
                memory_limit_bytes=container.host_config.get("Memory", 4 * 1024**3),
                network_received_bytes=count * 1000,
                network_sent_bytes=count * 500,
                block_read_bytes=count * 4096,
                block_written_bytes=0,
                pids=1,
            )
            count += 1
            await asyncio.sleep(self.stats_interval)

    async def attach(self, container_id: str, *, tty: bool, stdin: bool = True) -> Terminal:
        """Raises ``NotFound``, ``Conflict`` (not running)."""
        await self._enter("attach")
        container = self._find(container_id)
        if container.state != "running":
            reason = "paused" if container.state == "paused" else "not_running"
            raise Conflict(f"the container is {container.state}", reason=reason)
        terminal = FakeTerminal(exec_id=None, tty=tty)
        terminal.process = container.process
        container.attached.append(terminal)
        return terminal

    # Exec

    async def open_exec(self, container_id: str, spec: ExecSpec) -> Terminal:
        """Raises ``NotFound``, ``Conflict`` (not running, paused)."""
        await self._enter("open_exec")
        return self._open_exec(container_id, spec)

    def _open_exec(self, container_id: str, spec: ExecSpec) -> FakeTerminal:
        container = self._find(container_id)
        if container.state == "paused":
            raise Conflict(f"Container {container_id} is paused, unpause the container before exec", reason="paused")
        if container.state != "running":
            raise Conflict(f"Container {container_id} is not running", reason="not_running")
        exec_id = secrets.token_hex(32)
        terminal = FakeTerminal(exec_id=exec_id, tty=spec.tty)
        process = FakeProcess(
            spec.command,
            environment={**container.variables, **dict(spec.environment)},
            emit=terminal.deliver,
            tty=spec.tty,
            user=spec.user or container.body.get("User", ""),
            working_directory=spec.working_directory or container.body.get("WorkingDir", ""),
            hostname=container.body.get("Hostname") or container.container_id[:12],
            size=(spec.columns, spec.rows),
            tree=container.tree,
        )
        terminal.process = process
        container.execs[exec_id] = process
        self._emit("container", f"exec_create: {' '.join(spec.command)}", container.container_id, execID=exec_id)
        self._emit("container", f"exec_start: {' '.join(spec.command)}", container.container_id, execID=exec_id)
        self._watch(container, self._exec_ended(container, process, terminal))
        return terminal

    async def _exec_ended(self, container: _Container, process: FakeProcess, terminal: FakeTerminal) -> None:
        await process.ended.wait()
        terminal.end()
        self._emit(
            "container",
            "exec_die",
            container.container_id,
            execID=terminal.exec_id or "",
            exitCode=str(process.exit_code),
        )

    async def run_exec(self, container_id: str, spec: ExecSpec, *, timeout: int = 10) -> ExecOutput:
        """Raises ``TimedOut``, ``NotFound``, ``Conflict``."""
        await self._enter("run_exec")
        terminal = self._open_exec(container_id, spec)
        output = {channel: bytearray() for channel in Channel}
        try:
            async with asyncio.timeout(timeout):
                await terminal.write_eof()
                while (chunk := await terminal.read_chunk()) is not None:
                    output[chunk.channel] += chunk.data
        except TimeoutError as error:
            await terminal.kill()
            raise TimedOut(f"the command did not end within {timeout} s") from error
        code = await terminal.exit_code()
        limit = 1024 * 1024
        return ExecOutput(
            exit_code=-1 if code is None else code,
            stdout=bytes(output[Channel.STDOUT][:limit]),
            stderr=bytes(output[Channel.STDERR][:limit]),
        )

    async def inspect_exec(self, exec_id: str) -> ExecDetail:
        """Raises ``NotFound``."""
        await self._enter("inspect_exec")
        for container in self._containers.values():
            if exec_id in container.execs:
                process = container.execs[exec_id]
                running = process.exit_code is None
                return ExecDetail(
                    exec_id=exec_id,
                    container_id=container.container_id,
                    running=running,
                    exit_code=process.exit_code,
                    pid=4321 if running else 0,
                )
        raise NotFound(f"No such exec instance: {exec_id}", reason="exec_missing")

    async def kill_execs(self, container_id: str, *, marker: str) -> bool:
        """End the processes with ``marker`` in their environment. Raises ``Invalid``, ``Conflict`` (paused)."""
        await self._enter("kill_execs")
        if len(marker) < 8:
            raise Invalid(f"a marker of {len(marker)} characters could be anybody's", reason="bad_marker")
        container = self._containers.get(container_id)
        if container is None:
            return True
        if container.state == "paused":
            raise Conflict(f"Container {container_id} is paused", reason="paused")
        for process in container.execs.values():
            if any(marker in value for value in process.environment.values()):
                process.signal(SIGNALS["SIGHUP"])
        return True

    # Files

    async def stat_archive(self, container_id: str, path: str) -> PathStat:
        """Raises ``NotFound``, ``Invalid``."""
        await self._enter("stat_archive")
        return self._find(container_id).tree.stat(serialise.inner_path(path))

    async def get_archive(self, container_id: str, path: str) -> tuple[PathStat, ByteParts]:
        """Raises ``NotFound``."""
        await self._enter("get_archive")
        tree = self._find(container_id).tree
        found = tree.stat(serialise.inner_path(path))
        return found, tree.tar(path)

    async def put_archive(
        self,
        container_id: str,
        path: str,
        tar: AsyncIterator[bytes],
        *,
        keep_kinds: bool = True,
        as_user: bool = False,
    ) -> None:
        """Raises ``NotFound``, ``Conflict``, ``Invalid``, ``EngineFailure``."""
        await self._enter("put_archive")
        tree = self._find(container_id).tree
        tree.check_folder(serialise.inner_path(path))
        text = b"".join([part async for part in tar])
        tree.unpack(path, text, keep_kinds=keep_kinds)

    # Images

    async def list_images(self) -> list[Image]:
        """Return every image."""
        await self._enter("list_images")
        return [parse.image(image.row()) for image in self._images]

    async def inspect_image(self, reference: str) -> ImageDetail:
        """Raises ``NotFound``."""
        await self._enter("inspect_image")
        return parse.image_detail(self._find_image(reference).inspect())

    async def pull_image(
        self, reference: str, *, credentials: RegistryCredentials | None = None
    ) -> AsyncIterator[PullProgress]:
        """Pull from ``registry``, layer by layer, pausing ``pull_pause`` seconds between steps. Raises ``NotFound``."""
        await self._enter("pull_image")
        repository, tag = serialise.split_reference(reference)
        full = f"{repository}@{tag}" if ":" in tag else f"{repository}:{tag}"
        sizes = self.registry.get(full)
        if sizes is None:
            raise NotFound(f"manifest for {full} not found: manifest unknown", reason="image_missing")
        yield PullProgress(message=f"{tag}: Pulling from {repository}")
        layers = [(f"{number + 1:012x}", size) for number, size in enumerate(sizes)]
        for layer_id, _ in layers:
            yield PullProgress(message="Pulling fs layer", layer_id=layer_id, phase=LayerPhase.WAITING)
        steps = [("Downloading", LayerPhase.DOWNLOADING, part) for part in (0.25, 0.5, 1.0)]
        steps += [("Download complete", LayerPhase.VERIFYING, 1.0), ("Extracting", LayerPhase.EXTRACTING, 1.0)]
        steps += [("Pull complete", LayerPhase.DONE, 1.0)]
        for layer_id, size in layers:
            for message, phase, part in steps:
                await asyncio.sleep(self.pull_pause)
                yield PullProgress(
                    message=message,
                    layer_id=layer_id,
                    phase=phase,
                    current_bytes=int(size * part),
                    total_bytes=size,
                )
        self._add_image(full, size_bytes=sum(sizes), layers=len(sizes))
        self._emit("image", "pull", full, name=full)
        yield PullProgress(message=f"Status: Downloaded newer image for {full}")

    async def tag_image(self, reference: str, *, repository: str, tag: str) -> None:
        """Raises ``NotFound``, ``Invalid``."""
        await self._enter("tag_image")
        image = self._find_image(reference)
        new = f"{repository}:{tag}"
        serialise.split_reference(new)
        for other in self._images:
            if new in other.tags:
                other.tags.remove(new)
        image.tags.append(new)
        self._emit("image", "tag", image.image_id, name=new)

    async def remove_image(self, reference: str, *, force: bool = False) -> None:
        """Raises ``NotFound``, ``Conflict`` (in use)."""
        await self._enter("remove_image")
        image = self._find_image(reference)
        named = reference not in (image.image_id, image.image_id.removeprefix("sha256:"))
        last = not named or len(image.tags) == 1
        users = [container for container in self._containers.values() if container.image is image]
        if last and users and (not force or any(container.alive for container in users)):
            raise Conflict(
                f"conflict: unable to remove {reference} - container {users[0].container_id[:12]} is using it",
                reason="in_use",
            )
        if named and not last:
            image.tags.remove(self._tag(reference))
            self._emit("image", "untag", image.image_id, name=reference)
            return
        self._images.remove(image)
        self._emit("image", "delete", image.image_id, name=image.image_id)

    async def import_image(self, tar: AsyncIterator[bytes], *, reference: str) -> None:
        """Raises ``Invalid`` for what is no tar."""
        await self._enter("import_image")
        repository, tag = serialise.split_reference(reference)
        size = 0
        start = b""
        async for part in tar:
            size += len(part)
            if len(start) < 512:
                start += part[:512]
        if start[257:262] != b"ustar":
            raise Invalid("Error processing tar file: archive/tar: invalid tar header")
        image = self._add_image(f"{repository}:{tag}", size_bytes=size, layers=1)
        image.command = ()
        self._emit("image", "import", image.image_id, name=image.image_id)

    # Volumes and networks

    async def list_volumes(self) -> list[Volume]:
        """Return every volume."""
        await self._enter("list_volumes")
        return parse.volumes({"Volumes": [volume.row() for volume in self._volumes.values()]})

    async def inspect_volume(self, name: str) -> Volume:
        """Raises ``NotFound``."""
        await self._enter("inspect_volume")
        return parse.volume(self._find_volume(name).row())

    async def create_volume(self, spec: VolumeSpec) -> Volume:
        """Return the volume that has the name already, if there is one. Raises ``Invalid``, ``Conflict``."""
        await self._enter("create_volume")
        body = serialise.volume_body(spec)
        found = self._volumes.get(spec.name)
        if found is None:
            found = self._volumes[spec.name] = _Volume(spec.name, time.time(), labels=body["Labels"])
            self._emit("volume", "create", spec.name, driver="local")
        if found.driver != body["Driver"]:
            raise Conflict(
                f"create {spec.name}: A volume named {spec.name} already exists with the {found.driver} driver. "
                "Choose a different volume name.",
                reason="name_taken",
            )
        return parse.volume(found.row())

    async def remove_volume(self, name: str) -> None:
        """Raises ``NotFound``, ``Conflict`` (in use)."""
        await self._enter("remove_volume")
        self._find_volume(name)
        if any(name in container.volume_names for container in self._containers.values()):
            raise Conflict(f"remove {name}: volume is in use", reason="in_use")
        del self._volumes[name]
        self._emit("volume", "destroy", name, driver="local")

    async def list_networks(self) -> list[Network]:
        """Return every network, the three that every engine has first."""
        await self._enter("list_networks")
        return parse.networks([network.row() for network in self._networks])

    async def inspect_network(self, network_id: str) -> Network:
        """Raises ``NotFound``."""
        await self._enter("inspect_network")
        network = self._find_network(network_id)
        return parse.network({**network.row(), "Containers": {key: {} for key in self._running_on(network)}})

    async def create_network(self, spec: NetworkSpec) -> str:
        """Raises ``Conflict`` (name taken), ``Invalid``."""
        await self._enter("create_network")
        body = serialise.network_body(spec)
        if spec.name in dict(_OWN_NETWORKS):
            raise Conflict(f"operation is not permitted on predefined {spec.name} network", reason="predefined")
        if any(network.name == spec.name for network in self._networks):
            raise Conflict(f"network with name {spec.name} already exists", reason="name_taken")
        network = _Network(secrets.token_hex(32), spec.name, time.time(), internal=spec.internal, labels=body["Labels"])
        self._networks.append(network)
        self._emit("network", "create", network.network_id, name=spec.name, type="bridge")
        return network.network_id

    async def remove_network(self, network_id: str) -> None:
        """Raises ``NotFound``, ``Conflict`` (in use, or one of the engine's own)."""
        await self._enter("remove_network")
        network = self._find_network(network_id)
        if network.name in dict(_OWN_NETWORKS):
            raise Conflict(f"{network.name} is a pre-defined network and cannot be removed", reason="predefined")
        if self._running_on(network):
            raise Conflict(
                f"error while removing network: network {network.name} id {network.network_id} has active endpoints",
                reason="in_use",
            )
        self._networks.remove(network)
        self._emit("network", "destroy", network.network_id, name=network.name, type=network.driver)

    # Events

    async def events(self, *, since: float | None = None) -> AsyncIterator[Event]:
        """Yield what happens; with ``since`` also what has happened. Raises ``Terminated`` when ``connected`` ends."""
        await self._enter("events")
        position = len(self._events)
        if since is not None:
            position = next(
                (number for number, event in enumerate(self._events) if event.occurred_at.timestamp() >= since),
                position,
            )
        while self.connected:
            changed = self._events_changed
            while position < len(self._events):
                position += 1
                yield self._events[position - 1]
            if self._events_changed is changed:
                await changed.wait()
        raise Terminated("the engine ended its stream of events")

    def disconnect(self) -> None:
        """Misbehave: end every stream of events, as an engine that goes away does."""
        self.connected = False
        self._announce_event()

    def _announce_event(self) -> None:
        self._events_changed.set()
        self._events_changed = asyncio.Event()

    def _emit(self, kind: str, action: str, object_id: str, **attributes: str) -> None:
        self._events.append(
            Event(
                kind=kind,
                action=action,
                object_id=object_id,
                attributes=attributes,
                occurred_at=datetime.now(UTC),
            )
        )
        self._announce_event()

    # Inside

    def _find(self, container_id: str) -> _Container:
        serialise.segment(container_id)
        if container_id in self._containers:
            return self._containers[container_id]
        for container in self._containers.values():
            if container.name == container_id:
                return container
        found = [container for key, container in self._containers.items() if key.startswith(container_id)]
        if len(found) == 1:
            return found[0]
        raise NotFound(f"No such container: {container_id}", reason="container_missing")

    def _check_name(self, name: str) -> None:
        serialise.segment(name)
        for container in self._containers.values():
            if container.name == name:
                raise Conflict(
                    f'The container name "/{name}" is already in use by container "{container.container_id}".',
                    reason="name_taken",
                )

    def _find_volume(self, name: str) -> _Volume:
        serialise.segment(name)
        if name not in self._volumes:
            raise NotFound(f"get {name}: no such volume", reason="volume_missing")
        return self._volumes[name]

    def _find_network(self, network_id: str) -> _Network:
        serialise.segment(network_id)
        for network in self._networks:
            if network_id in (network.network_id, network.name):
                return network
        raise NotFound(f"network {network_id} not found", reason="network_missing")

    def _running_on(self, network: _Network) -> list[str]:
        return [
            container.container_id
            for container in self._containers.values()
            if container.alive and container.network == network.name
        ]

    def _tag(self, reference: str) -> str:
        repository, tag = serialise.split_reference(reference)
        return f"{repository}@{tag}" if ":" in tag else f"{repository}:{tag}"

    def _find_image(self, reference: str) -> _Image:
        serialise.image_segment(reference)
        for image in self._images:
            digits = image.image_id.removeprefix("sha256:")
            if reference in (image.image_id, digits) or (len(reference) >= 12 and digits.startswith(reference)):
                return image
        if not reference.startswith("sha256:"):
            tag = self._tag(reference)
            for image in self._images:
                if tag in image.tags:
                    return image
        raise NotFound(f"No such image: {reference}", reason="image_missing")

    def _add_image(self, reference: str, *, size_bytes: int, layers: int) -> _Image:
        for other in self._images:
            if reference in other.tags:
                other.tags.remove(reference)
        image = _Image(f"sha256:{secrets.token_hex(32)}", [reference], size_bytes, time.time(), layers=layers)
        self._images.append(image)
        return image

    def _watch(self, container: _Container, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        container.background.add(task)
        task.add_done_callback(container.background.discard)

    def _launch(self, container: _Container) -> None:
        program = container.arguments[0].rpartition("/")[2]
        if program not in PROGRAMS:
            raise EngineFailure(
                f'OCI runtime create failed: exec: "{program}": executable file not found in $PATH',
                reason="command_missing",
            )
        taken = {
            port
            for other in self._containers.values()
            if other.alive and other is not container
            for port in other.host_ports.values()
        }
        for name, bindings in container.host_config.get("PortBindings", {}).items():
            wish = int(bindings[0]["HostPort"] or 0)
            if wish in taken:
                raise EngineFailure(
                    f"driver failed programming external connectivity: Bind for 0.0.0.0:{wish} failed: "
                    "port is already allocated",
                    reason="port_taken",
                )
            container.host_ports[name] = wish or max({*taken, _EPHEMERAL_PORT - 1}) + 1
            taken.add(container.host_ports[name])
        container.stopped_by_hand = False
        container.state = "running"
        container.started_at = time.time()
        container.finished_at = 0.0
        container.exit_code = 0

        async def emit(channel: Channel, data: bytes) -> None:
            at = time.time()
            for line in data.splitlines(keepends=True):
                container.log.append(_LogLine(at, channel, line))
            for terminal in container.attached:
                await terminal.deliver(channel, data)
            container.announce()

        container.process = FakeProcess(
            container.arguments,
            environment=container.variables,
            emit=emit,
            tty=container.tty,
            user=container.body.get("User", ""),
            working_directory=container.body.get("WorkingDir", ""),
            hostname=container.body.get("Hostname") or container.container_id[:12],
            tree=container.tree,
        )
        if not container.body["OpenStdin"]:
            container.process.feed_eof()
        self._emit("container", "start", container.container_id, name=container.name)
        self._watch(container, self._ended(container, container.process))
        check = container.body.get("Healthcheck", {}).get("Test", ["NONE"])
        container.health = ""
        if check[0] != "NONE":
            container.health = "starting"
            self._watch(container, self._check_health(container, container.process, check[1]))
        container.announce()

    async def _check_health(self, container: _Container, process: FakeProcess, test: str) -> None:
        async def ignore(channel: Channel, data: bytes) -> None:
            return

        await asyncio.sleep(container.body["Healthcheck"]["Interval"] / 1e9)
        probe = FakeProcess(("sh", "-c", test), environment={}, emit=ignore)
        await probe.ended.wait()
        if container.process is process and container.alive:
            container.health = "healthy" if probe.exit_code == 0 else "unhealthy"
            self._emit("container", f"health_status: {container.health}", container.container_id, name=container.name)

    async def _ended(self, container: _Container, process: FakeProcess) -> None:
        await process.ended.wait()
        if container.process is process and container.alive:
            self._settle(container, process.exit_code or 0)

    def _settle(self, container: _Container, exit_code: int) -> None:
        """The main process is gone: so is everything else in the container."""
        container.exit_code = exit_code
        container.state = "exited"
        container.health = ""
        container.finished_at = time.time()
        self._end_processes(container, SIGNALS["SIGKILL"])
        for terminal in container.attached:
            terminal.end()
        container.attached.clear()
        self._emit("container", "die", container.container_id, name=container.name, exitCode=str(container.exit_code))
        policy = container.host_config["RestartPolicy"]
        tries = policy["MaximumRetryCount"]
        again = policy["Name"] in (RestartPolicy.ALWAYS, RestartPolicy.UNLESS_STOPPED) or (
            policy["Name"] == RestartPolicy.ON_FAILURE and exit_code and (not tries or container.restart_count < tries)
        )
        if again and not container.stopped_by_hand:
            container.state = "restarting"
            self._watch(container, self._relaunch(container))
        container.announce()

    async def _relaunch(self, container: _Container) -> None:
        await asyncio.sleep(0.1)
        if container.state == "restarting":
            container.restart_count += 1
            self._launch(container)

    def _end_processes(self, container: _Container, number: int) -> None:
        for process in container.execs.values():
            process.signal(number)
        if container.process is not None:
            container.process.signal(number)

    async def _stop(self, container: _Container, number: int) -> None:
        container.stopped_by_hand = True
        if container.state == "restarting":
            container.state = "exited"
            container.announce()
        if not container.alive or container.process is None:
            return
        container.process.signal(number)
        self._settle(container, container.process.exit_code or 0)
        self._emit("container", "stop", container.container_id, name=container.name)


def _log_chunk(line: _LogLine, *, timestamps: bool) -> Chunk:
    return Chunk(line.channel, (_stamp(line.at).encode() + b" " + line.data) if timestamps else line.data)


class SlowEngine(FakeEngine):
    """Answers every call after ``delay`` seconds."""

    def __init__(self, *, delay: float = 1.0, images: Iterable[str] = ("starter:latest",)) -> None:
        super().__init__(images=images)
        self.delay = delay

    async def _enter(self, method: str) -> None:
        await asyncio.sleep(self.delay)
        await super()._enter(method)


class NeverEngine(FakeEngine):
    """Accepts every call and never answers: after ``limit`` seconds a timeout strikes, as a driver's does."""

    def __init__(self, *, limit: float = 0.05) -> None:
        super().__init__()
        self.limit = limit

    async def _enter(self, method: str) -> None:
        self.calls.append(method)
        await asyncio.sleep(self.limit)
        raise TimedOut("the fake engine accepted the connection and did not answer within the limit")


class FailingEngine(FakeEngine):
    """Answers every call with ``error``, or only the ``methods`` named."""

    def __init__(self, error: BackendError | None = None, *, methods: Iterable[str] | None = None) -> None:
        super().__init__()
        self.error = error if error is not None else EngineFailure("the fake engine was told to fail")
        self.methods = frozenset(methods) if methods is not None else None

    async def _enter(self, method: str) -> None:
        await super()._enter(method)
        if self.methods is None or method in self.methods:
            raise self.error
