"""One container: what its engine says now, how it was made, what happened to it, and what is known once it is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from signal import Signals
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.audit.models import AuditEvent, Outcome
from console.containers.masking import MASK, looks_secret
from console.containers.queries import address_of, port_links
from console.containers.signals import Remembered, gone_asked
from console.containers.specs import RESERVED_PREFIX, TEAM_LABEL, argv_text, quota_cpus
from console.containers.states import exit_words, state_badge
from console.gateway import (
    ContainerDetail,
    ContainerEngine,
    ContainerSpec,
    Healthcheck,
    ImageDetail,
    NotFound,
    Port,
    PublishedPort,
    RestartPolicy,
    TmpfsMount,
    VolumeMount,
    call,
)
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.lib.amounts import MIB, cpus_text, size_text
from console.operations.models import Operation
from console.rbac.policy import allowed

_HISTORY = 50
#: What compose calls the project that it made a container for.
_PROJECT = "com.docker.compose.project"


def inspect(container: ObservedContainer) -> ContainerDetail:
    """Ask the engine about ``container`` now. Raises ``BackendError``."""
    return call(container.host.endpoint, lambda engine: engine.inspect_container(container.container_id))


def inspect_with_image(container: ObservedContainer) -> tuple[ContainerDetail, ImageDetail | None]:
    """Ask the engine about ``container`` and its image, which may be gone. Raises ``BackendError``."""

    async def ask(engine: ContainerEngine) -> tuple[ContainerDetail, ImageDetail | None]:
        detail = await engine.inspect_container(container.container_id)
        try:
            return detail, await engine.inspect_image(detail.container.image_id or detail.container.image)
        except NotFound:
            return detail, None

    return call(container.host.endpoint, ask)


# What the overview shows


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and a value; ``value`` is masked when ``is_secret``."""

    name: str
    value: str
    is_secret: bool = False
    kind: str = ""

    @property
    def reveal(self) -> str:
        """What the page sends to have the value shown."""
        return json.dumps({"kind": self.kind, "name": self.name})


@dataclass(frozen=True, slots=True)
class MountFact:
    """A mount, and whether it would be lost with the container's volumes."""

    kind: str
    source: str
    target: str
    read_only: bool
    is_anonymous: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """A container's overview, as its engine tells it."""

    badge: str
    label: str
    why: str
    error: str
    started_at: datetime | None
    finished_at: datetime | None
    restart_count: int
    health: str
    health_log: tuple[str, ...]
    ports: list[dict[str, str]]
    exposed: list[str]
    mounts: list[MountFact]
    networks: list[tuple[str, str]]
    limits: list[tuple[str, str]]
    process: list[tuple[str, str]]
    environment: list[Pair]
    labels: list[Pair]
    restart_policy: str


def facts(detail: ContainerDetail, *, host: Host, address: str) -> Facts:
    """Return ``detail`` in the shape of the overview, with values that look secret masked."""
    container = detail.container
    ended = container.state.value in ("exited", "dead")
    badge, label = state_badge(container.state.value, health=container.health.value, exit_code=container.exit_code)
    ports = [_plain(port) for port in container.ports]
    return Facts(
        badge=badge,
        label=label,
        why=exit_words(container.exit_code, oom_killed=detail.oom_killed) if ended else "",
        error=detail.error,
        started_at=detail.started_at,
        finished_at=detail.finished_at,
        restart_count=detail.restart_count,
        health=container.health.value,
        health_log=detail.health_log,
        ports=port_links(ports, host_address=address_of(host, address=address)),
        exposed=sorted({f"{p.container_port}/{p.protocol}" for p in container.ports if p.host_port is None}),
        mounts=[
            MountFact(mount.kind, mount.source, mount.target, mount.read_only, is_anonymous(mount.kind, mount.source))
            for mount in container.mounts
        ],
        networks=[(name, detail.ip_addresses.get(name, "")) for name in container.networks],
        limits=list(_limits(detail)),
        process=list(_process(detail)),
        environment=[_pair(name, value, kind="environment") for name, value in detail.environment],
        labels=[
            _pair(name, value, kind="label")
            for name, value in sorted(container.labels.items())
            if not name.startswith(RESERVED_PREFIX)
        ],
        restart_policy=restart_words(detail.restart_policy, _mapping(detail.raw.get("HostConfig"))),
    )


def _plain(port: Port) -> dict[str, Any]:
    return {
        "container_port": port.container_port,
        "protocol": port.protocol,
        "host_ip": port.host_ip,
        "host_port": port.host_port,
    }


def _pair(name: str, value: str, *, kind: str = "") -> Pair:
    secret = looks_secret(name, value)
    return Pair(name, MASK if secret else value, is_secret=secret, kind=kind)


def is_anonymous(kind: str, source: str) -> bool:
    """Whether a mount is a volume that nobody named: engines give those 64 hexadecimal digits."""
    return kind == "volume" and len(source) == 64 and all(character in "0123456789abcdef" for character in source)


def restart_words(policy: str, host_config: Mapping[str, Any]) -> str:
    """Return a restart policy in words."""
    retries = _mapping(host_config.get("RestartPolicy")).get("MaximumRetryCount") or 0
    words = {
        "": _("Never"),
        "no": _("Never"),
        "always": _("Always, also after the host restarts"),
        "unless-stopped": _("Always, unless somebody stopped it"),
        "on-failure": _("When it fails, at most %(count)s times") % {"count": retries}
        if retries
        else _("When it fails"),
    }
    return words.get(policy, policy)


def _limits(detail: ContainerDetail) -> Iterator[tuple[str, str]]:
    none = _("no limit")
    yield _("Memory"), size_text(detail.memory_bytes) if detail.memory_bytes else none
    yield _("CPUs"), cpus_text(detail.nano_cpus) if detail.nano_cpus else none
    yield _("Processes"), str(detail.pids_limit) if (detail.pids_limit or 0) > 0 else none
    yield _("Disk"), size_text(detail.disk_bytes) if detail.disk_bytes else none


def _process(detail: ContainerDetail) -> Iterator[tuple[str, str]]:
    yield _("Entrypoint"), argv_text(detail.entrypoint)
    yield _("Command"), argv_text(detail.command)
    yield _("User"), detail.user or _("root (the image says nothing)")
    yield _("Working directory"), detail.working_directory or "/"
    yield _("Host name"), detail.hostname
    yield _("TTY"), _("yes") if detail.tty else _("no")


def losses(detail: ContainerDetail) -> tuple[list[MountFact], list[MountFact]]:
    """Return the anonymous volumes that may go with a container, and the named ones that stay."""
    volumes = [
        MountFact(mount.kind, mount.source, mount.target, mount.read_only, is_anonymous(mount.kind, mount.source))
        for mount in detail.container.mounts
        if mount.kind == "volume"
    ]
    return [v for v in volumes if v.is_anonymous], [v for v in volumes if not v.is_anonymous]


# How it was made


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def spec_of(detail: ContainerDetail, *, image: ImageDetail | None) -> tuple[ContainerSpec, list[str]]:
    """Return the spec that would make ``detail`` again, without what comes from its image, and what no spec can say."""
    config, host = _mapping(detail.raw.get("Config")), _mapping(detail.raw.get("HostConfig"))
    container = detail.container
    inherited = set(image.environment) if image else set()
    image_labels = image.image.labels if image else {}
    network = str(host.get("NetworkMode") or "")
    policy = _mapping(host.get("RestartPolicy"))
    known = {member.value for member in RestartPolicy}
    spec = ContainerSpec(
        name=container.name,
        image=str(config.get("Image") or container.image),
        command=None if not detail.command or (image and detail.command == image.command) else detail.command,
        entrypoint=None
        if not detail.entrypoint or (image and detail.entrypoint == image.entrypoint)
        else detail.entrypoint,
        environment=tuple(pair for pair in detail.environment if pair not in inherited),
        labels=tuple(
            (name, value)
            for name, value in sorted(container.labels.items())
            if not name.startswith(RESERVED_PREFIX) and image_labels.get(name) != value
        ),
        hostname="" if container.container_id.startswith(detail.hostname) else detail.hostname,
        user="" if image and detail.user == image.user else detail.user,
        working_directory=""
        if image and detail.working_directory == image.working_directory
        else detail.working_directory,
        tty=detail.tty,
        open_stdin=detail.open_stdin,
        init=bool(host.get("Init")),
        read_only_root=bool(host.get("ReadonlyRootfs")),
        ports=tuple(_published(host)),
        volumes=tuple(_volumes(host)),
        tmpfs=tuple(_tmpfs(host)),
        network="" if network in ("default", "bridge", "podman") or ":" in network else network,
        restart_policy=RestartPolicy(detail.restart_policy) if detail.restart_policy in known else RestartPolicy.NO,
        restart_max_retries=int(policy.get("MaximumRetryCount") or 0) if detail.restart_policy == "on-failure" else 0,
        memory_bytes=detail.memory_bytes,
        nano_cpus=detail.nano_cpus,
        pids_limit=max(0, detail.pids_limit or 0),
        disk_bytes=detail.disk_bytes,
        healthcheck=_healthcheck(config, image),
        stop_timeout=config.get("StopTimeout") if isinstance(config.get("StopTimeout"), int) else None,
        cap_add=tuple(_added(host)),
    )
    return spec, list(_left_out(detail, image=image))


def _added(host: Mapping[str, Any]) -> list[str]:
    """Return the capabilities beyond the engine's own; where those are dropped, the rest is no addition."""
    return [] if host.get("CapDrop") else sorted(str(name).removeprefix("CAP_") for name in host.get("CapAdd") or ())


def _published(host: Mapping[str, Any]) -> Iterator[PublishedPort]:
    for key, bindings in sorted(_mapping(host.get("PortBindings")).items()):
        number, _slash, protocol = str(key).partition("/")
        for binding in bindings or ():
            outside = str(binding.get("HostPort") or "0")
            yield PublishedPort(
                container_port=int(number),
                protocol=protocol or "tcp",
                host_port=int(outside) if outside.isdigit() else 0,
                host_ip=str(binding.get("HostIp") or ""),
            )


def _volumes(host: Mapping[str, Any]) -> Iterator[VolumeMount]:
    for bind in host.get("Binds") or ():
        source, _colon, rest = str(bind).partition(":")
        target, _colon, options = rest.partition(":")
        if target and not source.startswith("/") and not is_anonymous("volume", source):
            yield VolumeMount(volume=source, target=target, read_only="ro" in options.split(","))
    for mount in host.get("Mounts") or ():
        source = str(mount.get("Source") or "")
        if mount.get("Type") == "volume" and source and not is_anonymous("volume", source):
            yield VolumeMount(volume=source, target=str(mount["Target"]), read_only=bool(mount.get("ReadOnly")))


def _tmpfs(host: Mapping[str, Any]) -> Iterator[TmpfsMount]:
    for target, options in sorted(_mapping(host.get("Tmpfs")).items()):
        size = next((part[5:] for part in str(options).split(",") if part.startswith("size=")), "0")
        factor = {"k": 1024, "m": MIB, "g": 1024 * MIB}.get(size[-1:].lower(), 1)
        digits = size[:-1] if factor > 1 else size
        yield TmpfsMount(target=str(target), size_bytes=int(digits) * factor if digits.isdigit() else 0)
    for mount in host.get("Mounts") or ():
        if mount.get("Type") == "tmpfs":
            size_bytes = _mapping(mount.get("TmpfsOptions")).get("SizeBytes") or 0
            yield TmpfsMount(target=str(mount["Target"]), size_bytes=int(size_bytes))


def _healthcheck(config: Mapping[str, Any], image: ImageDetail | None) -> Healthcheck | None:
    check = _mapping(config.get("Healthcheck"))
    test = list(check.get("Test") or ())
    if not test or (image and _mapping(image.raw.get("Config")).get("Healthcheck") == config.get("Healthcheck")):
        return None
    if test[0] == "NONE":
        return Healthcheck(test="")

    def seconds(name: str, default: int) -> int:
        return round((check.get(name) or 0) / 10**9) or default

    return Healthcheck(
        test=str(test[1]) if test[0] == "CMD-SHELL" and len(test) == 2 else argv_text(tuple(map(str, test[1:]))),
        interval=seconds("Interval", 30),
        timeout=seconds("Timeout", 30),
        retries=int(check.get("Retries") or 3),
        start_period=seconds("StartPeriod", 0),
    )


#: Left at nothing unless somebody asked.
_UNSPOKEN = (
    "AutoRemove",
    "BlkioWeight",
    "CgroupParent",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "DeviceCgroupRules",
    "Devices",
    "DeviceRequests",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "MemoryReservation",
    "OomKillDisable",
    "OomScoreAdj",
    "Privileged",
    "PublishAllPorts",
    "Sysctls",
    "VolumesFrom",
)
#: What Docker and Podman fill in themselves.
_ORDINARY: dict[str, tuple[object, ...]] = {
    "Runtime": (None, "", "runc", "oci"),
    "ShmSize": (None, 0, 64 * MIB, 65_536_000),
}
_ORDINARY_LOGS = ("", "json-file", "journald", "k8s-file")
#: Podman sets these two for every container, and marks them by these names.
_ORDINARY_ULIMITS = ("RLIMIT_NOFILE", "RLIMIT_NPROC")
#: Whose name spaces it shares; "private" and the like share none.
_SHARED = ("PidMode", "IpcMode", "UsernsMode", "UTSMode")


def _left_out(detail: ContainerDetail, *, image: ImageDetail | None) -> Iterator[str]:
    """Yield what the container has and our spec has no word for; what an engine fills in by itself is no such thing."""
    config, host = _mapping(detail.raw.get("Config")), _mapping(detail.raw.get("HostConfig"))
    made_by_image = image.volumes if image else ()
    for mount in detail.container.mounts:
        if mount.kind == "bind":
            yield _("the host's path %(source)s at %(target)s") % {"source": mount.source, "target": mount.target}
        elif is_anonymous(mount.kind, mount.source) and mount.target not in made_by_image:
            yield _("an unnamed volume at %(target)s") % {"target": mount.target}
    for port, bindings in sorted(_mapping(host.get("PortBindings")).items()):
        for binding in bindings or ():
            if "-" in (outside := str(binding.get("HostPort") or "")):
                yield _("one of the host's ports %(range)s for %(port)s") % {"range": outside, "port": port}
    for name in _UNSPOKEN:
        if host.get(name):
            yield f"{name} {host[name]}"[:200]
    for name, ordinary in _ORDINARY.items():
        if host.get(name) not in ordinary:
            yield f"{name} {host[name]}"[:200]
    yield from _other_limits(detail, host)
    # Every container of a team has these, so one like it gets them too.
    if TEAM_LABEL not in detail.container.labels:
        for name in ("CapAdd", "CapDrop", "SecurityOpt") if host.get("CapDrop") else ("SecurityOpt",):
            if host.get(name):
                yield f"{name} {host[name]}"[:200]
        yield from _left_out_log(host)
    if config.get("Domainname"):
        yield f"Domainname {config['Domainname']}"[:200]
    stop = _signal_name(config.get("StopSignal"))
    if stop != _signal_name(_mapping(image.raw.get("Config")).get("StopSignal") if image else ""):
        yield f"StopSignal {stop}"[:200]
    for name in _SHARED:
        if str(host.get(name) or "").startswith(("host", "container:")):
            yield f"{name} {host[name]}"[:200]
    if str(host.get("NetworkMode") or "").startswith("container:"):
        yield _("the network of another container")
    if len(detail.container.networks) > 1:
        yield _("more than one network: %(names)s") % {"names": ", ".join(detail.container.networks)[:200]}
    yield from _endpoints(detail)


def _left_out_log(host: Mapping[str, Any]) -> Iterator[str]:
    log = _mapping(host.get("LogConfig"))
    if log.get("Config") or log.get("Type", "") not in _ORDINARY_LOGS:
        # Names only: some drivers take a token.
        yield f"LogConfig {log.get('Type')} {', '.join(sorted(_mapping(log.get('Config'))))}".strip()[:200]


def _other_limits(detail: ContainerDetail, host: Mapping[str, Any]) -> Iterator[str]:
    # We grant no swap; without a limit of memory none is counted.
    if detail.memory_bytes and host.get("MemorySwap") not in (None, 0, detail.memory_bytes):
        yield f"MemorySwap {host['MemorySwap']}"
    # Podman tells a share of processors in both ways.
    if (host.get("CpuQuota") or 0) > 0 and quota_cpus(host) != detail.nano_cpus:
        yield f"CpuQuota {host['CpuQuota']}"
    storage = _mapping(host.get("StorageOpt"))
    if storage.keys() - ({"size"} if detail.disk_bytes else set()):
        yield f"StorageOpt {dict(storage)}"[:200]
    ulimits = [limit for limit in host.get("Ulimits") or () if _mapping(limit).get("Name") not in _ORDINARY_ULIMITS]
    if ulimits:
        yield f"Ulimits {ulimits}"[:200]


def _endpoints(detail: ContainerDetail) -> Iterator[str]:
    container = detail.container
    networks = _mapping(_mapping(detail.raw.get("NetworkSettings")).get("Networks"))
    for network, endpoint in sorted((name, _mapping(endpoint)) for name, endpoint in networks.items()):
        # Engines add the container's own id and names.
        aliases = [
            alias
            for alias in map(str, endpoint.get("Aliases") or ())
            if alias not in (container.name, detail.hostname) and not container.container_id.startswith(alias)
        ]
        if aliases:
            yield _("its names in the network %(network)s: %(names)s") % {
                "network": network[:100],
                "names": ", ".join(aliases)[:200],
            }
        fixed = _mapping(endpoint.get("IPAMConfig"))
        if addresses := [str(fixed[key]) for key in ("IPv4Address", "IPv6Address") if fixed.get(key)]:
            yield _("its address in the network %(network)s: %(addresses)s") % {
                "network": network[:100],
                "addresses": ", ".join(addresses),
            }


def _signal_name(value: object) -> str:
    """Return a signal as ``SIGTERM``, which also stands for none; Podman tells numbers."""
    text = str(value or "SIGTERM").upper()
    if text.isdecimal():
        return next((known.name for known in Signals if known.value == int(text)), text)
    return text if text.startswith("SIG") else f"SIG{text}"


def sections(spec: ContainerSpec) -> list[tuple[str, list[Pair]]]:
    """Return ``spec`` as the create form's sections, with what was said and nothing else."""
    yes = _("yes")
    check = spec.healthcheck
    volumes = [Pair(v.target, f"{v.volume}{_(' (read-only)') if v.read_only else ''}") for v in spec.volumes]
    memory = [Pair(t.target, size_text(t.size_bytes) if t.size_bytes else _("in memory")) for t in spec.tmpfs]
    ports = [
        Pair(
            f"{p.container_port}/{p.protocol}",
            f"{p.host_ip}:{p.host_port}" if p.host_ip else str(p.host_port or _("chosen by the engine")),
        )
        for p in spec.ports
    ]
    found: list[tuple[str, list[tuple[str, str]] | list[Pair]]] = [
        (_("Basics"), [(_("Name"), spec.name), (_("Image"), spec.image)]),
        (
            _("Process"),
            [
                (_("Entrypoint"), argv_text(spec.entrypoint)),
                (_("Command"), argv_text(spec.command)),
                (_("User"), spec.user),
                (_("Working directory"), spec.working_directory),
                (_("TTY"), yes if spec.tty else ""),
                (_("Keeps standard input open"), yes if spec.open_stdin else ""),
                (_("Init process"), yes if spec.init else ""),
                (_("Read-only file system"), yes if spec.read_only_root else ""),
            ],
        ),
        (_("Environment"), [_pair(name, value) for name, value in spec.environment]),
        (_("Ports"), ports),
        (_("Network"), [(_("Network"), spec.network), (_("Host name"), spec.hostname)]),
        (_("Storage"), [*volumes, *memory]),
        (
            _("Limits"),
            [
                (_("Memory"), size_text(spec.memory_bytes) if spec.memory_bytes else ""),
                (_("CPUs"), cpus_text(spec.nano_cpus) if spec.nano_cpus else ""),
                (_("Processes"), str(spec.pids_limit or "")),
                (_("Disk"), size_text(spec.disk_bytes) if spec.disk_bytes else ""),
            ],
        ),
        (
            _("Life"),
            [
                (_("Restart"), restart_words(spec.restart_policy.value, {}) if spec.restart_policy != "no" else ""),
                (
                    _("Stop timeout"),
                    "" if spec.stop_timeout is None else _("%(count)s s") % {"count": spec.stop_timeout},
                ),
            ],
        ),
        (
            _("Health check"),
            [
                (_("Command"), check.test or _("none")),
                (_("Interval"), _("%(count)s s") % {"count": check.interval}),
                (_("Timeout"), _("%(count)s s") % {"count": check.timeout}),
                (_("Retries"), str(check.retries)),
            ]
            if check is not None
            else [],
        ),
        (_("Labels"), [_pair(name, value) for name, value in spec.labels]),
    ]
    shown = [(title, [pair if isinstance(pair, Pair) else Pair(*pair) for pair in pairs]) for title, pairs in found]
    return [(title, kept) for title, pairs in shown if (kept := [pair for pair in pairs if pair.value])]


# What happened to it


def operations_on(user: User, *, host_id: UUID, container_id: str) -> list[Operation]:
    """Return the last operations on a container, newest first."""
    operations = Operation.objects.visible_to(user).filter(host_id=host_id, object_id=container_id)
    return list(operations.select_related("actor").defer("arguments", "output")[:_HISTORY])


def audit_of(user: User, *, host_id: UUID, container_id: str) -> list[AuditEvent]:
    """Return the last audit rows about a container, newest first."""
    if not allowed(user, "audit.view"):
        return []
    return list(AuditEvent.objects.filter(object_id=container_id, host_id=host_id)[:_HISTORY])


@dataclass(frozen=True, slots=True)
class Gone:
    """What is known of a container that no longer exists."""

    host: Host
    container_id: str
    name: str
    operations: list[Operation]
    events: list[AuditEvent]
    remembered: list[Remembered]


def gone(user: User, *, host: Host, container_id: str) -> Gone | None:
    """Return what the records know of a container that no host holds any more.

    ``None`` when it was never known, or when ``user`` may see none of what is known.
    """
    operations = operations_on(user, host_id=host.pk, container_id=container_id)
    events = audit_of(user, host_id=host.pk, container_id=container_id)
    asked: list[tuple[Any, Any]] = gone_asked.send(sender=None, user=user, host_id=host.pk, container_id=container_id)
    remembered = [answer for _receiver, answer in asked if answer is not None]
    # A refusal proves nothing: anybody may have asked for any id.
    if not operations and not remembered and all(event.outcome == Outcome.DENIED for event in events):
        return None
    names = [operation.object_name for operation in operations] + [event.object_name for event in events]
    names += [left.name for left in remembered]
    name = next((name for name in names if name), container_id[:12])
    return Gone(host, container_id, name, operations, events, remembered)


@dataclass(frozen=True, slots=True)
class Stack:
    """The containers of one host that compose made as one project."""

    name: str
    containers: list[ObservedContainer]


def stack_of(user: User, *, host_id: UUID, container_id: str, most: int) -> Stack | None:
    """Return what a container was made with, as far as ``user`` may see it; ``None`` when it is alone."""
    visible = ObservedContainer.objects.visible_to(user).filter(host_id=host_id)
    mine = visible.filter(container_id=container_id).first()
    project = mine.labels.get(_PROJECT) if mine is not None else None
    if not project:
        return None
    same = visible.filter(label_rows__key=_PROJECT, label_rows__value=project).order_by("name")
    containers = list(same[:most])
    return Stack(project, containers) if len(containers) > 1 else None
