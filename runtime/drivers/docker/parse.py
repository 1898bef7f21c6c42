"""Engine API JSON as our values. What is missing gets a default; what has the wrong type is a ``ProtocolError``."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from runtime.containers import (
    Container,
    ContainerDetail,
    ContainerState,
    EngineInfo,
    Event,
    ExecDetail,
    Health,
    Image,
    ImageDetail,
    LayerPhase,
    Mount,
    Network,
    PathKind,
    PathStat,
    Port,
    PullProgress,
    Stats,
    Volume,
)
from runtime.errors import ProtocolError
from runtime.transport.http import decode_json

_T = TypeVar("_T")
Json = Mapping[str, Any]

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
#: Go's bits of a file's mode: those of permission are Unix's, the others its own.
_GO_FOLDER: Final = 1 << 31
_GO_LINK: Final = 1 << 27
_GO_IRREGULAR: Final = (1 << 19) | (1 << 21) | (1 << 24) | (1 << 25) | (1 << 26)
_EXITED = re.compile(r"Exited \((-?\d+)\)")
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,6})?) ?([kmgtp]?)i?b?\Z", re.IGNORECASE)
#: Storage drivers of Docker that bound a container's own files whatever they keep them on.
_LIMITING: Final = frozenset({"btrfs", "zfs", "devicemapper", "windowsfilter"})

#: Podman's own words for what Docker has a state for.
_STATES: Final = {
    "configured": ContainerState.CREATED,
    "initialized": ContainerState.CREATED,
    "stopping": ContainerState.RUNNING,
    "stopped": ContainerState.EXITED,
    "unknown": ContainerState.DEAD,
    **{state.value: state for state in ContainerState},
}

_PHASES: Final = {
    "Pulling fs layer": LayerPhase.WAITING,
    "Waiting": LayerPhase.WAITING,
    "Downloading": LayerPhase.DOWNLOADING,
    "Verifying Checksum": LayerPhase.VERIFYING,
    "Download complete": LayerPhase.VERIFYING,
    "Extracting": LayerPhase.EXTRACTING,
    "Pull complete": LayerPhase.DONE,
    "Already exists": LayerPhase.EXISTS,
}

#: Podman's own words for Docker's events.
_ACTIONS: Final = {"died": "die", "remove": "destroy", "stopped": "stop", "cleanup": "cleanup"}


def record(value: Any, *, what: str) -> Json:
    """Return a JSON object. Raises ``ProtocolError``."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} should be an object and is {type(value).__name__}")
    return value


def records(value: Any, *, what: str) -> list[Json]:
    """Return a list of JSON objects; null is empty. Raises ``ProtocolError``."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProtocolError(f"{what} should be a list and is {type(value).__name__}")
    return [record(item, what=what) for item in value]


def _typed(source: Json, key: str, kind: type[_T], default: _T) -> _T:
    value = source.get(key)
    if value is None:
        return default
    if kind is float and type(value) is int:
        value = float(value)
    # In JSON true is no number, in Python it is one.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ProtocolError(f"{key} should be {kind.__name__} and is {type(value).__name__}")
    return value


def _text(source: Json, key: str) -> str:
    return _typed(source, key, str, "")


def _integer(source: Json, key: str) -> int:
    value = source.get(key)
    # Some engines print large counters as 1.2e+09.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _typed(source, key, int, 0)


def _flag(source: Json, key: str, *, default: bool = False) -> bool:
    return _typed(source, key, bool, default)


def _record(source: Json, key: str) -> Json:
    value = source.get(key)
    return {} if value is None else record(value, what=key)


def _records(source: Json, key: str) -> list[Json]:
    return records(source.get(key), what=key)


def _texts(source: Json, key: str) -> tuple[str, ...]:
    value = source.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProtocolError(f"{key} should be a list of strings")
    return tuple(value)


def _mapping(source: Json, key: str) -> dict[str, str]:
    value = _record(source, key)
    if not all(isinstance(item, str) for item in value.values()):
        raise ProtocolError(f"{key} should be a mapping of strings")
    return dict(value)


def _time(source: Json, key: str) -> datetime | None:
    """Return an RFC 3339 time in UTC; ``None`` for the zero time (year 1) with which Go says "never"."""
    text = _text(source, key)
    if not text or text.startswith("0001-"):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ProtocolError(f"{key} should be a time and is {text[:40]!r}") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _unix_time(seconds: float, *, key: str) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ProtocolError(f"{key} is no time: {seconds}") from error


def _state(text: str) -> ContainerState:
    try:
        return _STATES[text.lower()]
    except KeyError as error:
        raise ProtocolError(f"State is {text[:40]!r}, which is no state of a container") from error


def _health(text: str) -> Health:
    try:
        return Health(text or "none")
    except ValueError:
        return Health.NONE


def pairs(entries: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Split ``NAME=value`` entries."""
    return tuple((name, value) for name, _, value in (entry.partition("=") for entry in entries))


def _pairs(source: Json, key: str) -> tuple[tuple[str, str], ...]:
    return pairs(_texts(source, key))


def _mounts(source: Json) -> tuple[Mount, ...]:
    return tuple(
        Mount(
            kind=_text(mount, "Type"),
            source=_text(mount, "Name") if _text(mount, "Type") == "volume" else _text(mount, "Source"),
            target=_text(mount, "Destination"),
            read_only=not _flag(mount, "RW", default=True),
        )
        for mount in _records(source, "Mounts")
    )


def decode(text: bytes) -> Any:
    """Decode JSON. Raises ``ProtocolError``."""
    return decode_json(text)


def identifier(value: Any) -> str:
    """Return the ``Id`` of what was created. Raises ``ProtocolError``."""
    found = _text(record(value, what="what was created"), "Id")
    if not found:
        raise ProtocolError("the engine created something and did not say its id")
    return found


def exit_code(value: Any) -> int:
    """Parse the answer of ``POST /containers/{id}/wait``."""
    return _integer(record(value, what="the end of a container"), "StatusCode")


def container(value: Any) -> Container:
    """Parse one row of ``GET /containers/json``."""
    row = record(value, what="a container")
    status = _text(row, "Status")
    state = _state(_text(row, "State"))
    exited = _EXITED.search(status)
    health = Health.NONE
    if status.endswith("(healthy)"):
        health = Health.HEALTHY
    elif status.endswith("(unhealthy)"):
        health = Health.UNHEALTHY
    elif status.endswith(("(health: starting)", "(starting)")):
        health = Health.STARTING
    # A linked container also goes by /other/alias; its own name has one slash.
    names = [name.removeprefix("/") for name in _texts(row, "Names")]
    own = [name for name in names if "/" not in name] or names
    return Container(
        container_id=_text(row, "Id"),
        name=own[0] if own else "",
        image=_text(row, "Image"),
        image_id=_text(row, "ImageID"),
        command=_text(row, "Command"),
        state=state,
        status=status,
        created_at=_unix_time(_typed(row, "Created", float, 0.0), key="Created"),
        health=health,
        exit_code=int(exited[1]) if exited and state in (ContainerState.EXITED, ContainerState.RESTARTING) else None,
        ports=tuple(
            sorted(
                (
                    Port(
                        container_port=_integer(port, "PrivatePort"),
                        protocol=_text(port, "Type") or "tcp",
                        host_ip=_text(port, "IP"),
                        host_port=_integer(port, "PublicPort") or None,
                    )
                    for port in _records(row, "Ports")
                ),
                key=lambda port: (port.container_port, port.protocol, port.host_ip),
            )
        ),
        mounts=_mounts(row),
        networks=tuple(sorted(_record(_record(row, "NetworkSettings"), "Networks"))),
        labels=_mapping(row, "Labels"),
    )


def containers(value: Any) -> list[Container]:
    """Parse ``GET /containers/json``."""
    return [container(row) for row in records(value, what="the list of containers")]


def _detail_ports(settings: Json, config: Json) -> Iterator[Port]:
    published = _record(settings, "Ports")
    for name in sorted({*published, *_record(config, "ExposedPorts")}):
        number, _, protocol = name.partition("/")
        if not number.isdigit():
            raise ProtocolError(f"Ports has {name[:40]!r}, which is no port")
        bindings = records(published.get(name), what="Ports")
        for binding in bindings:
            host_port = _text(binding, "HostPort")
            yield Port(
                container_port=int(number),
                protocol=protocol or "tcp",
                host_ip=_text(binding, "HostIp"),
                host_port=int(host_port) if host_port.isdigit() else None,
            )
        if not bindings:
            yield Port(container_port=int(number), protocol=protocol or "tcp")


def _status(state: ContainerState, health: Health, exit_code: int) -> str:
    """A sentence as the list has one; the engine gives none with a single container."""
    if state is ContainerState.EXITED:
        return f"Exited ({exit_code})"
    if state is ContainerState.RUNNING:
        return "Up" if health is Health.NONE else f"Up ({health.value})"
    return state.value.capitalize()


def container_detail(value: Any) -> ContainerDetail:
    """Parse ``GET /containers/{id}/json``."""
    raw = record(value, what="a container")
    config = _record(raw, "Config")
    host_config = _record(raw, "HostConfig")
    settings = _record(raw, "NetworkSettings")
    state_record = _record(raw, "State")
    # Podman before 5 calls it Healthcheck.
    health_record = _record(state_record, "Health") or _record(state_record, "Healthcheck")
    state = _state(_text(state_record, "Status"))
    health = _health(_text(health_record, "Status"))
    exit_code = _integer(state_record, "ExitCode")
    networks = _record(settings, "Networks")
    restart = _record(host_config, "RestartPolicy")
    command = (_text(raw, "Path"), *_texts(raw, "Args"))
    summary = Container(
        container_id=_text(raw, "Id"),
        name=_text(raw, "Name").removeprefix("/"),
        image=_text(config, "Image"),
        image_id=_text(raw, "Image"),
        command=" ".join(part for part in command if part),
        state=state,
        status=_status(state, health, exit_code),
        created_at=_time(raw, "Created") or _EPOCH,
        health=health,
        exit_code=exit_code if state in (ContainerState.EXITED, ContainerState.DEAD) else None,
        ports=tuple(_detail_ports(settings, config)),
        mounts=_mounts(raw),
        networks=tuple(sorted(networks)),
        labels=_mapping(config, "Labels"),
    )
    return ContainerDetail(
        container=summary,
        restart_count=_integer(raw, "RestartCount"),
        started_at=_time(state_record, "StartedAt"),
        finished_at=_time(state_record, "FinishedAt"),
        error=_text(state_record, "Error"),
        oom_killed=_flag(state_record, "OOMKilled"),
        tty=_flag(config, "Tty"),
        open_stdin=_flag(config, "OpenStdin"),
        user=_text(config, "User"),
        working_directory=_text(config, "WorkingDir"),
        entrypoint=_texts(config, "Entrypoint"),
        command=_texts(config, "Cmd"),
        environment=_pairs(config, "Env"),
        hostname=_text(config, "Hostname"),
        restart_policy=_text(restart, "Name") or "no",
        memory_bytes=_integer(host_config, "Memory"),
        nano_cpus=_integer(host_config, "NanoCpus"),
        pids_limit=_integer(host_config, "PidsLimit") or None,
        disk_bytes=_size(_mapping(host_config, "StorageOpt").get("size", "")),
        ip_addresses={
            name: _text(record(network, what="Networks"), "IPAddress") for name, network in sorted(networks.items())
        },
        exec_ids=_texts(raw, "ExecIDs"),
        health_log=tuple(_text(entry, "Output") for entry in _records(health_record, "Log")),
        raw=raw,
    )


def _size(text: str) -> int:
    """Return a size as people give it to an engine, 10G, in bytes; 0 when it says none."""
    match = _SIZE.match(text)
    return int(float(match[1]) * 1024.0 ** " kmgtp".index(match[2].lower() or " ")) if match else 0


def _tags(source: Json, key: str) -> tuple[str, ...]:
    return tuple(tag for tag in _texts(source, key) if not tag.startswith("<none>"))


def image(value: Any) -> Image:
    """Parse one row of ``GET /images/json``."""
    row = record(value, what="an image")
    return Image(
        image_id=_image_id(_text(row, "Id")),
        tags=_tags(row, "RepoTags"),
        digests=_tags(row, "RepoDigests"),
        size_bytes=_integer(row, "Size"),
        created_at=_unix_time(_typed(row, "Created", float, 0.0), key="Created"),
        labels=_mapping(row, "Labels"),
    )


def _image_id(text: str) -> str:
    return text if not text or ":" in text else f"sha256:{text}"


def images(value: Any) -> list[Image]:
    """Parse ``GET /images/json``."""
    return [image(row) for row in records(value, what="the list of images")]


def image_detail(value: Any) -> ImageDetail:
    """Parse ``GET /images/{name}/json``."""
    raw = record(value, what="an image")
    config = _record(raw, "Config") or _record(raw, "ContainerConfig")
    return ImageDetail(
        image=Image(
            image_id=_image_id(_text(raw, "Id")),
            tags=_tags(raw, "RepoTags"),
            digests=_tags(raw, "RepoDigests"),
            size_bytes=_integer(raw, "Size"),
            created_at=_time(raw, "Created") or _EPOCH,
            labels=_mapping(config, "Labels"),
        ),
        architecture=_text(raw, "Architecture"),
        os=_text(raw, "Os"),
        author=_text(raw, "Author"),
        entrypoint=_texts(config, "Entrypoint"),
        command=_texts(config, "Cmd"),
        environment=_pairs(config, "Env"),
        exposed_ports=tuple(sorted(_record(config, "ExposedPorts"))),
        volumes=tuple(sorted(_record(config, "Volumes"))),
        user=_text(config, "User"),
        working_directory=_text(config, "WorkingDir"),
        layers=len(_texts(_record(raw, "RootFS"), "Layers")),
        raw=raw,
    )


def volume(value: Any) -> Volume:
    """Parse a row of ``GET /volumes``, and the same of ``GET /volumes/{name}`` and ``POST /volumes/create``."""
    row = record(value, what="a volume")
    return Volume(
        name=_text(row, "Name"),
        driver=_text(row, "Driver"),
        mountpoint=_text(row, "Mountpoint"),
        created_at=_time(row, "CreatedAt"),
        labels=_mapping(row, "Labels"),
        options=_mapping(row, "Options"),
    )


def volumes(value: Any) -> list[Volume]:
    """Parse ``GET /volumes``."""
    return [volume(row) for row in _records(record(value, what="the list of volumes"), "Volumes")]


def network(value: Any) -> Network:
    """Parse a row of ``GET /networks``, and ``GET /networks/{id}``, which says what runs on it."""
    row = record(value, what="a network")
    return Network(
        network_id=_text(row, "Id"),
        name=_text(row, "Name"),
        driver=_text(row, "Driver"),
        scope=_text(row, "Scope"),
        internal=_flag(row, "Internal"),
        created_at=_time(row, "Created"),
        labels=_mapping(row, "Labels"),
        options=_mapping(row, "Options"),
        container_ids=tuple(_record(row, "Containers")),
    )


def networks(value: Any) -> list[Network]:
    """Parse ``GET /networks``."""
    return [network(row) for row in records(value, what="the list of networks")]


def exec_detail(value: Any) -> ExecDetail:
    """Parse ``GET /exec/{id}/json``."""
    row = record(value, what="an exec")
    running = _flag(row, "Running")
    exit_code = row.get("ExitCode")
    return ExecDetail(
        exec_id=_text(row, "ID"),
        container_id=_text(row, "ContainerID"),
        running=running,
        exit_code=None if running or exit_code is None else _integer(row, "ExitCode"),
        pid=_integer(row, "Pid") if running else 0,
    )


def engine_info(info: Any, version: Any) -> EngineInfo:
    """Parse ``GET /info`` and ``GET /version``."""
    about = record(info, what="the engine's info")
    release = record(version, what="the engine's version")
    podman = any("podman" in _text(part, "Name").lower() for part in _records(release, "Components"))
    security = _texts(about, "SecurityOptions")
    driver, status = _text(about, "Driver"), dict(_status_pairs(about))
    backing = status.get("Backing Filesystem", "")
    return EngineInfo(
        engine_id=_text(about, "ID"),
        name=_text(about, "Name"),
        product="Podman" if podman else "Docker",
        version=_text(release, "Version"),
        api_version=_text(release, "ApiVersion"),
        operating_system=_text(about, "OperatingSystem"),
        kernel_version=_text(about, "KernelVersion"),
        architecture=_text(about, "Architecture"),
        cpus=_integer(about, "NCPU"),
        memory_bytes=_integer(about, "MemTotal"),
        storage_driver=driver,
        backing_filesystem=backing,
        # containerd's snapshotters take a limit and ignore it; Podman takes one and does not tell it afterwards.
        limits_disk=not podman and "driver-type" not in status and limits_disk(driver, backing=backing),
        cgroup_version=_text(about, "CgroupVersion"),
        rootless=_flag(about, "Rootless") or any(option.startswith("name=rootless") for option in security),
        containers=_integer(about, "Containers"),
        containers_running=_integer(about, "ContainersRunning"),
        containers_paused=_integer(about, "ContainersPaused"),
        containers_stopped=_integer(about, "ContainersStopped"),
        images=_integer(about, "Images"),
        warnings=_texts(about, "Warnings"),
    )


def limits_disk(driver: str, *, backing: str) -> bool:
    """Whether a storage driver of Docker bounds what a container may write, on the file system ``backing``.

    On xfs that takes a mount with project quotas, of which nobody tells; without, the engine refuses a limit. "vfs"
    does not even say what it is on.
    """
    return driver in _LIMITING or (driver == "overlay2" and backing == "xfs")


def _status_pairs(about: Json) -> Iterator[tuple[str, str]]:
    for pair in _typed(about, "DriverStatus", list, []):
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair):
            yield pair[0], pair[1]


def event(value: Any) -> Event:
    """Parse one message of ``GET /events``."""
    message = record(value, what="an event")
    actor = _record(message, "Actor")
    nanoseconds = _integer(message, "timeNano")
    seconds = nanoseconds / 1e9 if nanoseconds else _integer(message, "time")
    action = _text(message, "Action") or _text(message, "status")
    kind = _text(message, "Type")
    attributes = _mapping(actor, "Attributes")
    return Event(
        kind=kind,
        action=_ACTIONS.get(action, action) if kind in ("container", "volume") else action,
        # Podman names a volume among the attributes alone.
        object_id=_text(actor, "ID")
        or _text(message, "id")
        or (attributes.get("name", "") if kind == "volume" else ""),
        attributes=attributes,
        occurred_at=_unix_time(seconds, key="timeNano"),
    )


def stats(value: Any) -> Stats | None:
    """Parse one sample of ``GET /containers/{id}/stats``; ``None`` when the container is not running."""
    sample = record(value, what="a sample")
    observed_at = _time(sample, "read")
    if observed_at is None:
        return None
    memory = _record(sample, "memory_stats")
    details = _record(memory, "stats")
    # The page cache is not the container's need: version 2 of cgroups calls it inactive_file, version 1 total_….
    cache = _integer(details, "total_inactive_file") or _integer(details, "inactive_file")
    usage = _integer(memory, "usage")
    networks_record = _record(sample, "networks")
    received = sum(_integer(record(entry, what="networks"), "rx_bytes") for entry in networks_record.values())
    sent = sum(_integer(record(entry, what="networks"), "tx_bytes") for entry in networks_record.values())
    read = written = 0
    for entry in _records(_record(sample, "blkio_stats"), "io_service_bytes_recursive"):
        operation = _text(entry, "op").lower()
        if operation == "read":
            read += _integer(entry, "value")
        elif operation == "write":
            written += _integer(entry, "value")
    return Stats(
        observed_at=observed_at,
        cpu_cores=_cpu_cores(sample, observed_at),
        memory_bytes=usage - cache if cache < usage else usage,
        memory_limit_bytes=_integer(memory, "limit"),
        network_received_bytes=received,
        network_sent_bytes=sent,
        block_read_bytes=read,
        block_written_bytes=written,
        pids=_integer(_record(sample, "pids_stats"), "current"),
    )


def _cpu_cores(sample: Json, observed_at: datetime) -> float:
    before_at = _time(sample, "preread")
    if before_at is None or before_at >= observed_at:
        return 0.0
    used = _integer(_record(_record(sample, "cpu_stats"), "cpu_usage"), "total_usage")
    used_before = _integer(_record(_record(sample, "precpu_stats"), "cpu_usage"), "total_usage")
    elapsed = (observed_at - before_at).total_seconds()
    return max(0.0, (used - used_before) / 1e9 / elapsed)


class PullProgressReader:
    """Turns the messages of one pull into progress; remembers layer sizes, which only the downloading messages have."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def feed(self, value: Any) -> PullProgress:
        """Parse one message that is not an error."""
        message = record(value, what="a step of a pull")
        status = _text(message, "status") or _text(message, "stream").strip()
        layer_id = _text(message, "id")
        phase = _PHASES.get(status)
        if phase is None and layer_id and status.startswith("Retrying in"):
            phase = LayerPhase.WAITING
        if phase is None or not layer_id:
            return PullProgress(message=f"{layer_id}: {status}" if layer_id and status else status or layer_id)
        detail = _record(message, "progressDetail")
        current, total = _integer(detail, "current"), _integer(detail, "total")
        if phase is LayerPhase.DOWNLOADING and total > 0:
            self._sizes[layer_id] = total
        size = self._sizes.get(layer_id, 0)
        if phase is LayerPhase.EXTRACTING and not total:
            # Engines with containerd's store count seconds here, not bytes.
            current, total = 0, size
        elif phase in (LayerPhase.VERIFYING, LayerPhase.DONE):
            current = total = size
        return PullProgress(
            message=status, layer_id=layer_id, phase=phase, current_bytes=max(0, current), total_bytes=max(0, total)
        )


def pull_error(value: Any) -> str | None:
    """Return the sentence with which a pull says that it failed, else ``None``."""
    message = record(value, what="a step of a pull")
    return _text(_record(message, "errorDetail"), "message") or _text(message, "error") or None


def path_stat(header: str | None) -> PathStat:
    """Parse ``X-Docker-Container-Path-Stat``: JSON in base64. Raises ``ProtocolError``."""
    if header is None:
        raise ProtocolError("the engine does not say what is at the path")
    try:
        text = base64.b64decode(header, altchars=b"-_" if "-" in header or "_" in header else None, validate=True)
    except ValueError as error:
        raise ProtocolError("what the engine says of the path is not base64") from error
    found = record(decode_json(text), what="what is at the path")
    mode = _integer(found, "mode")
    kind = PathKind.FILE
    if mode & _GO_FOLDER:
        kind = PathKind.FOLDER
    elif mode & _GO_LINK:
        kind = PathKind.LINK
    elif mode & _GO_IRREGULAR:
        kind = PathKind.OTHER
    return PathStat(
        name=_text(found, "name"),
        kind=kind,
        size_bytes=max(0, _integer(found, "size")) if kind is PathKind.FILE else 0,
        mode=mode & 0o777,
        modified_at=_time(found, "mtime"),
        link_target=_text(found, "linkTarget") if kind is PathKind.LINK else "",
    )
