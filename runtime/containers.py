"""What a container engine holds, as frozen values, and the protocol every engine driver fulfils.

Names follow the Engine API (https://docs.docker.com/reference/api/engine/). Sizes are bytes, durations seconds, times
aware UTC datetimes. Every string in a value that came from an engine is hostile text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from runtime.streams import ByteParts, Chunk, Terminal


class ContainerState(StrEnum):
    """``State`` of the Engine API."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """``State.Health.Status`` of the Engine API."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of a container; ``host_port`` is ``None`` when it is exposed and not published."""

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mount of a container: ``kind`` is volume, bind or tmpfs; ``source`` the volume's name or the host's path."""

    kind: str
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One row of ``GET /containers/json``."""

    container_id: str
    name: str
    image: str
    image_id: str
    command: str
    state: ContainerState
    status: str
    created_at: datetime
    health: Health = Health.NONE
    exit_code: int | None = None
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    networks: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDetail:
    """``GET /containers/{id}/json``: the summary, what the pages need beside it, and the engine's whole answer."""

    container: Container
    restart_count: int
    started_at: datetime | None
    finished_at: datetime | None
    error: str
    oom_killed: bool
    tty: bool
    open_stdin: bool
    user: str
    working_directory: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    hostname: str
    restart_policy: str
    memory_bytes: int
    nano_cpus: int
    pids_limit: int | None
    #: What it may write beside its volumes; 0 is no limit.
    disk_bytes: int
    ip_addresses: Mapping[str, str]
    exec_ids: tuple[str, ...]
    health_log: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One row of ``GET /images/json``."""

    image_id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size_bytes: int
    created_at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetail:
    """``GET /images/{name}/json``: the summary, the configuration containers inherit, and the engine's whole answer."""

    image: Image
    architecture: str
    os: str
    author: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    exposed_ports: tuple[str, ...]
    volumes: tuple[str, ...]
    user: str
    working_directory: str
    layers: int
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One row of ``GET /volumes``. ``options`` matter: a "local" volume with options can be a bind in disguise."""

    name: str
    driver: str
    mountpoint: str
    created_at: datetime | None
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One row of ``GET /networks``. ``container_ids`` run on it now, and only ``inspect_network`` knows them."""

    network_id: str
    name: str
    driver: str
    scope: str
    internal: bool
    created_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    container_ids: tuple[str, ...] = ()


class LayerPhase(StrEnum):
    """Where one layer of a pull is."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    EXTRACTING = "extracting"
    DONE = "done"
    EXISTS = "exists"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """One message of a pull. ``layer_id`` is empty for messages about the whole image (``message`` says what)."""

    message: str
    layer_id: str = ""
    phase: LayerPhase | None = None
    current_bytes: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryCredentials:
    """What ``X-Registry-Auth`` carries."""

    username: str
    password: str = field(repr=False)
    server_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """``Config.Healthcheck``. Durations are seconds; the container's shell runs ``test``; empty switches it off."""

    test: str
    interval: int = 30
    timeout: int = 30
    retries: int = 3
    start_period: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A wish to publish: ``host_port`` 0 lets the engine choose; ``host_ip`` empty means every address."""

    container_port: int
    protocol: str = "tcp"
    host_port: int = 0
    host_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeMount:
    """A named volume (made if missing) at ``target``."""

    volume: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TmpfsMount:
    """Memory mounted at ``target``, at most ``size_bytes`` (0: the engine's default)."""

    target: str
    size_bytes: int = 0


class RestartPolicy(StrEnum):
    """``HostConfig.RestartPolicy.Name``."""

    NO = "no"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Everything we ask of an engine when we create a container. Closed: what has no field here cannot be asked for.

    ``command`` and ``entrypoint`` are argument vectors; ``None`` keeps the image's, ``()`` empties it. 0 means no limit
    for ``memory_bytes``, ``nano_cpus`` and ``pids_limit``; swap is never granted beyond memory. Capabilities are named
    like ``NET_BIND_SERVICE``; ``("ALL",)`` drops the engine's own set. ``log_bytes`` 0 leaves the log to the engine's
    own settings, else it is kept in at most ``log_files`` files of that size. ``disk_bytes`` bounds the container's own
    file system, not its volumes, and only where ``EngineInfo.limits_disk``.
    """

    name: str
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    labels: tuple[tuple[str, str], ...] = ()
    hostname: str = ""
    user: str = ""
    working_directory: str = ""
    tty: bool = False
    open_stdin: bool = False
    init: bool = True
    read_only_root: bool = False
    ports: tuple[PublishedPort, ...] = ()
    volumes: tuple[VolumeMount, ...] = ()
    tmpfs: tuple[TmpfsMount, ...] = ()
    network: str = ""
    restart_policy: RestartPolicy = RestartPolicy.NO
    restart_max_retries: int = 0
    memory_bytes: int = 0
    nano_cpus: int = 0
    pids_limit: int = 0
    disk_bytes: int = 0
    healthcheck: Healthcheck | None = None
    stop_timeout: int | None = None
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    no_new_privileges: bool = False
    log_bytes: int = 0
    log_files: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    """Everything we ask of an engine when we create a volume. Its driver is "local", and it has no options."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """Everything we ask of an engine when we create a network. Its driver is "bridge"; the engine chooses addresses.

    ``internal``: nothing on it reaches beyond it.
    """

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    internal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecSpec:
    """A process to run in a running container. ``columns`` and ``rows`` apply to a TTY, before its first output."""

    command: tuple[str, ...]
    tty: bool = True
    user: str = ""
    working_directory: str = ""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    attach_stdin: bool = True
    columns: int = 80
    rows: int = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecDetail:
    """``GET /exec/{id}/json``. ``pid`` is the process in the host's numbering; 0 when it is not running."""

    exec_id: str
    container_id: str
    running: bool
    exit_code: int | None
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecOutput:
    """What a finished exec without a TTY printed, and how it ended."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class PathKind(StrEnum):
    """What is at a path inside a container."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """What an engine says of a path inside a container. ``mode`` is the permission bits alone.

    ``link_target`` is where a link ends, as a whole path inside the container; empty for what is no link.
    """

    name: str
    kind: PathKind
    size_bytes: int
    mode: int = 0
    modified_at: datetime | None = None
    link_target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """One sample of ``GET /containers/{id}/stats``. ``cpu_cores`` is the use in cores since the sample before."""

    observed_at: datetime
    cpu_cores: float
    memory_bytes: int
    memory_limit_bytes: int
    network_received_bytes: int
    network_sent_bytes: int
    block_read_bytes: int
    block_written_bytes: int
    pids: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One message of ``GET /events``: ``kind`` is container, image, volume, network or daemon."""

    kind: str
    action: str
    object_id: str
    attributes: Mapping[str, str]
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """``GET /info`` and ``GET /version``, what the pages need of them."""

    engine_id: str
    name: str
    product: str
    version: str
    api_version: str
    operating_system: str
    kernel_version: str
    architecture: str
    cpus: int
    memory_bytes: int
    storage_driver: str
    #: What the storage driver keeps its files on, as the engine calls it ("extfs"); empty when it does not say.
    backing_filesystem: str = ""
    #: Whether ``ContainerSpec.disk_bytes`` binds: else an engine refuses it or, worse, ignores it.
    limits_disk: bool = False
    cgroup_version: str
    rootless: bool
    containers: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    warnings: tuple[str, ...] = ()


class ContainerEngine(Protocol):
    """An open container engine. Safe for concurrent use within one event loop.

    Every method may raise ``Unreachable``, ``TimedOut``, ``AccessDenied``, ``ProtocolError`` and ``EngineFailure``; the
    others are named. ``container_id`` is the full 64-hex id unless a method says otherwise.
    """

    async def close(self) -> None:
        """Close every connection. Idempotent."""

    async def ping(self) -> str:
        """``GET /_ping``: return the API version in use, e.g. ``"1.41"``."""

    async def info(self) -> EngineInfo:
        """``GET /info`` and ``GET /version``."""

    # Containers

    async def list_containers(self, *, container_ids: Collection[str] = ()) -> list[Container]:
        """``GET /containers/json?all=1``; with ``container_ids`` only those of them that exist, in the same shape."""

    async def inspect_container(self, container_id: str) -> ContainerDetail:
        """``GET /containers/{id}/json``. Also takes a name (to look one up). Raises ``NotFound``."""

    async def create_container(self, spec: ContainerSpec) -> str:
        """``POST /containers/create``: return the id. Raises ``NotFound`` (image), ``Conflict`` (name), ``Invalid``."""

    async def start_container(self, container_id: str) -> None:
        """``POST /containers/{id}/start``; already running is success. Raises ``NotFound``, ``EngineFailure``."""

    async def stop_container(self, container_id: str, *, grace: int = 10) -> None:
        """``POST /containers/{id}/stop``: SIGTERM, then SIGKILL after ``grace`` seconds; already stopped is success."""

    async def restart_container(self, container_id: str, *, grace: int = 10) -> None:
        """``POST /containers/{id}/restart``. Raises ``NotFound``."""

    async def kill_container(self, container_id: str, *, signal: str = "SIGKILL") -> None:
        """``POST /containers/{id}/kill``. Raises ``NotFound``, ``Conflict`` (not running)."""

    async def pause_container(self, container_id: str) -> None:
        """``POST /containers/{id}/pause``. Raises ``NotFound``, ``Conflict``."""

    async def unpause_container(self, container_id: str) -> None:
        """``POST /containers/{id}/unpause``. Raises ``NotFound``, ``Conflict``."""

    async def rename_container(self, container_id: str, *, name: str) -> None:
        """``POST /containers/{id}/rename``. Raises ``NotFound``, ``Conflict`` (name taken)."""

    async def remove_container(self, container_id: str, *, force: bool = False, volumes: bool = False) -> None:
        """``DELETE /containers/{id}``; ``volumes``: its anonymous volumes too. Raises ``NotFound``, ``Conflict``."""

    async def wait_container(self, container_id: str) -> int:
        """``POST /containers/{id}/wait``: return the exit code once it is not running; no time limit."""

    def logs(
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
        """``GET /containers/{id}/logs`` as chunks of bytes. Times are Unix seconds; ``tail`` ``None`` is everything."""

    def stats(self, container_id: str) -> AsyncIterator[Stats]:
        """``GET /containers/{id}/stats?stream=1``: a sample about every second (Podman: every 5)."""

    async def attach(self, container_id: str, *, tty: bool, stdin: bool = True) -> Terminal:
        """``POST /containers/{id}/attach`` (hijacked). Raises ``NotFound``, ``Conflict`` (not running)."""

    # Exec

    async def open_exec(self, container_id: str, spec: ExecSpec) -> Terminal:
        """``POST /containers/{id}/exec``, then ``/exec/{id}/start`` (hijacked). Raises ``NotFound``, ``Conflict``."""

    async def run_exec(self, container_id: str, spec: ExecSpec, *, timeout: int = 10) -> ExecOutput:
        """Run to its end and return its output (at most 1 MiB). Raises ``TimedOut``, ``NotFound``, ``Conflict``."""

    async def inspect_exec(self, exec_id: str) -> ExecDetail:
        """``GET /exec/{id}/json``. Raises ``NotFound``."""

    async def kill_execs(self, container_id: str, *, marker: str) -> bool:
        """End every process of the container with ``marker`` in its environment; ``True`` when none is left."""

    # Files

    async def stat_archive(self, container_id: str, path: str) -> PathStat:
        """``HEAD /containers/{id}/archive``: a link is not followed. Raises ``NotFound``, ``Invalid``."""

    async def get_archive(self, container_id: str, path: str) -> tuple[PathStat, ByteParts]:
        """``GET /containers/{id}/archive``: what is at ``path``, and a tar of it as it comes; to be closed.

        A link is not followed: the tar holds the link. Works on containers that do not run. Raises ``NotFound``.
        """

    async def put_archive(
        self,
        container_id: str,
        path: str,
        tar: AsyncIterator[bytes],
        *,
        keep_kinds: bool = True,
        as_user: bool = False,
    ) -> None:
        """``PUT /containers/{id}/archive``: unpack a plain tar into the folder at ``path``.

        ``keep_kinds`` refuses to replace a folder by something else, or the other way round. ``as_user`` gives what is
        unpacked to the container's user instead of to whom the tar names. Raises ``NotFound``, ``Conflict``.

        The tar must be one of ours (``runtime.archives``): engines before 29.5.1 run a program *of the container*, as
        root of the host, to unpack what looks compressed.
        """

    # Images

    async def list_images(self) -> list[Image]:
        """``GET /images/json``."""

    async def inspect_image(self, reference: str) -> ImageDetail:
        """``GET /images/{name}/json``. Raises ``NotFound``."""

    def pull_image(
        self, reference: str, *, credentials: RegistryCredentials | None = None
    ) -> AsyncIterator[PullProgress]:
        """``POST /images/create``: progress as it comes; closing the iterator cancels the pull.

        Raises ``NotFound`` (no such image), ``AccessDenied``, ``EngineFailure`` (reason ``no_space``, …).
        """

    async def tag_image(self, reference: str, *, repository: str, tag: str) -> None:
        """``POST /images/{name}/tag``. Raises ``NotFound``, ``Conflict``, ``Invalid``."""

    async def remove_image(self, reference: str, *, force: bool = False) -> None:
        """``DELETE /images/{name}``. Raises ``NotFound``, ``Conflict`` (in use)."""

    async def import_image(self, tar: AsyncIterator[bytes], *, reference: str) -> None:
        """``POST /images/create?fromSrc=-``: a root file system as a plain tar becomes an image. Raises ``Invalid``."""

    # Volumes and networks

    async def list_volumes(self) -> list[Volume]:
        """``GET /volumes``."""

    async def inspect_volume(self, name: str) -> Volume:
        """``GET /volumes/{name}``. Raises ``NotFound``."""

    async def create_volume(self, spec: VolumeSpec) -> Volume:
        """``POST /volumes/create``. Raises ``Invalid``, ``Conflict`` (the name is another driver's).

        Engines answer with the volume that has the name already, and change nothing of it: who needs a new one looks
        for their own label in the answer.
        """

    async def remove_volume(self, name: str) -> None:
        """``DELETE /volumes/{name}``. Raises ``NotFound``, ``Conflict`` (in use)."""

    async def list_networks(self) -> list[Network]:
        """``GET /networks``."""

    async def inspect_network(self, network_id: str) -> Network:
        """``GET /networks/{id}``, with the containers that run on it. Also takes a name. Raises ``NotFound``."""

    async def create_network(self, spec: NetworkSpec) -> str:
        """``POST /networks/create``: return the full id. Raises ``Conflict`` (name taken), ``Invalid``."""

    async def remove_network(self, network_id: str) -> None:
        """``DELETE /networks/{id}``. Raises ``NotFound``, ``Conflict`` (in use, or one of the engine's own).

        Docker counts what runs as use; Podman also what has stopped.
        """

    # Events

    def events(self, *, since: float | None = None) -> AsyncIterator[Event]:
        """``GET /events``: endless; raises ``Terminated`` when the engine goes away. ``since`` is Unix seconds."""
