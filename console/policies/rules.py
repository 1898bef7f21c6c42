"""What a team's containers may be: a policy as values, and the decision on a spec. Everything here is pure.

A policy is a closed allow-list. :func:`complete` fills in what a person may leave open, :func:`decide` says what is not
allowed, :func:`harden` adds what every container of a team gets. The web asks so that people see it early; the worker
asks again, with the policy of then, just before it calls the engine.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _

from console.gateway import ContainerSpec, RestartPolicy
from console.lib.amounts import MIB, cpus_text, size_text
from console.lib.decoding import decode

#: Capabilities that programs in containers ordinarily need: to change owners and users, to listen below port 1024.
ORDINARY_CAPABILITIES: Final = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETUID",
)
#: What an engine grants by itself; beyond these a policy grants nothing, since each reaches for the host.
GRANTABLE_CAPABILITIES: Final = (
    "AUDIT_WRITE",
    *ORDINARY_CAPABILITIES[:5],
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
)
#: The log of each container of a team: so many files of so many bytes.
LOG_BYTES: Final = 10 * MIB
LOG_FILES: Final = 3
MOST_RETRIES: Final = 5
SHORTEST_HEALTH_INTERVAL: Final = 5
#: Why something is refused: the host could not keep a limit of disk.
NOT_LIMITED: Final = "disk_not_limited"
_ORDINARY_TMPFS: Final = 64 * MIB
_ANY_ADDRESS: Final = ("", "0.0.0.0", "::")


class Recorded(enum.StrEnum):
    """Whether the shells in a team's containers are recorded."""

    OFF = "off"
    #: A recording that fails is given up, and the shell goes on.
    ON = "on"
    #: No recording, no shell.
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one team's containers may be. The defaults are what a team has until an admin says something else."""

    #: Patterns like ``nginx``, ``nginx:1.*``, ``registry.example.com/team/*``; none allows no image.
    images: tuple[str, ...] = ()
    commands: bool = True
    root: bool = True
    capabilities: tuple[str, ...] = ORDINARY_CAPABILITIES
    volumes: bool = True
    #: The most that one mount in memory may hold; 0 allows none.
    tmpfs_bytes: int = _ORDINARY_TMPFS
    #: Whether other networks of the team may be joined than the one that each team has.
    networks: bool = True
    ports: bool = True
    #: How the names of labels may begin.
    labels: tuple[str, ...] = ()
    shells: bool = True
    #: Nobody opens a shell before somebody else has approved it, for some minutes.
    shell_approval: bool = False
    #: A shell that nobody types into ends after so many minutes; 0 is never.
    shell_idle_minutes: int = 0
    #: No shell lives longer; 0 is no limit.
    shell_hours: int = 0
    #: Open shells of one person, in all containers of the team.
    shells_at_once: int = 20
    recording: Recorded = Recorded.OFF
    #: What is typed as well, though never while it is not shown.
    record_input: bool = False
    recording_days: int = 30
    #: For so many days after a container is gone its log is kept, at most so many bytes of it; 0 days keep none.
    log_days: int = 0
    log_kept_bytes: int = 100 * MIB
    #: The most of one container, and what it gets when nobody says.
    memory_bytes: int = 512 * MIB
    nano_cpus: int = 10**9
    pids: int = 512
    #: The same for what it writes beside its volumes, where the host limits that.
    disk_bytes: int = 10 * 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Everything that a decision for one team on one host needs to know."""

    team_id: UUID
    team: str
    #: How the names of what it makes begin.
    prefix: str
    rules: Rules
    #: Whether an admin gave the host to the team.
    has_host: bool
    #: The host's ports that the team may publish, and where; ``None`` is none.
    ports: tuple[int, int] | None = None
    address: str = ""
    #: The names of volumes, and the names and ids of networks, that the team owns on the host.
    volumes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    #: Whether the host bounds what a container writes, how it stores them, and whether the team has a quota of it.
    limits_disk: bool = False
    storage: str = ""
    has_disk_quota: bool = False


@dataclass(frozen=True, slots=True)
class Denial:
    """What is not allowed, and why: ``field`` is one of a spec's, ``row`` counts from 0 where that is a list."""

    field: str
    message: str
    next_step: str
    row: int | None = None
    kind: str = "policy"
    #: A finer name of its cause than kind and field, if it has one.
    reason: str = ""

    @property
    def code(self) -> str:
        """A stable name for programs."""
        return self.reason or f"{self.kind}.{self.field}"


def from_json(data: object) -> Rules:
    """Return the rules in ``data``. Raises ``Malformed``."""
    return decode(Rules, data, where="policy")


def to_json(rules: Rules) -> dict[str, Any]:
    """Return ``rules`` as plain JSON values."""
    return dataclasses.asdict(rules)


# Filling in


def prefixed(name: str, *, prefix: str) -> str:
    """Return ``name`` as a team has it: no two teams can want the same one, and none tells of another's."""
    return name if name.startswith(f"{prefix}-") else f"{prefix}-{name}"


def own_network(prefix: str) -> str:
    """Return the name of the network that each team has on each of its hosts."""
    return f"{prefix}-net"


def complete(spec: ContainerSpec, bounds: Bounds) -> ContainerSpec:
    """Return ``spec`` with what its author left open: names, limits, the address of ports. Does nothing twice."""
    rules = bounds.rules
    volumes = tuple(
        volume
        if volume.volume in bounds.volumes
        else dataclasses.replace(volume, volume=prefixed(volume.volume, prefix=bounds.prefix))
        for volume in spec.volumes
    )
    tmpfs = tuple(
        mount if mount.size_bytes else dataclasses.replace(mount, size_bytes=min(rules.tmpfs_bytes, _ORDINARY_TMPFS))
        for mount in spec.tmpfs
    )
    ports = tuple(port if port.host_ip else dataclasses.replace(port, host_ip=bounds.address) for port in spec.ports)
    limited = spec.restart_policy is RestartPolicy.ON_FAILURE and not spec.restart_max_retries
    return dataclasses.replace(
        spec,
        name=prefixed(spec.name, prefix=bounds.prefix),
        volumes=volumes,
        tmpfs=tmpfs,
        ports=ports,
        restart_max_retries=MOST_RETRIES if limited else spec.restart_max_retries,
        memory_bytes=spec.memory_bytes or rules.memory_bytes,
        nano_cpus=spec.nano_cpus or rules.nano_cpus,
        pids_limit=spec.pids_limit or rules.pids,
        disk_bytes=spec.disk_bytes or (rules.disk_bytes if bounds.limits_disk else 0),
    )


def harden(spec: ContainerSpec, rules: Rules) -> ContainerSpec:
    """Return ``spec`` with what every container of a team gets, whatever its author said."""
    wanted = {*spec.cap_add, *ORDINARY_CAPABILITIES}
    return dataclasses.replace(
        spec,
        cap_drop=("ALL",),
        cap_add=tuple(sorted(wanted.intersection(rules.capabilities))),
        no_new_privileges=True,
        init=True,
        log_bytes=LOG_BYTES,
        log_files=LOG_FILES,
    )


# Deciding


def decide(spec: ContainerSpec, bounds: Bounds) -> list[Denial]:
    """Return what of a completed ``spec`` the team may not have; nothing means that it may."""
    if not bounds.has_host:
        return [
            Denial(
                "host",
                _("The team %(team)s may create nothing on this host.") % {"team": bounds.team},
                _("Choose another host, or ask an admin to give this one to the team."),
            )
        ]
    return list(_denials(spec, bounds))


def _denials(spec: ContainerSpec, bounds: Bounds) -> Iterator[Denial]:
    rules, team = bounds.rules, {"team": bounds.team}
    ask = _("Ask an admin to change the team's policy, or leave it out.")
    if not spec.name.startswith(f"{bounds.prefix}-"):
        yield Denial(
            "name",
            _("The names of what the team %(team)s makes begin with “%(prefix)s-”.")
            % {**team, "prefix": bounds.prefix},
            _("Choose such a name."),
        )
    if not allows_image(spec.image, rules.images):
        yield _image_denial(spec, bounds)
    for field, words in (("command", spec.command), ("entrypoint", spec.entrypoint)):
        if words is not None and not rules.commands:
            message = _("The team %(team)s runs images as they are, without a command of its own.")
            yield Denial(field, message % team, ask)
    if spec.user and may_be_root(spec.user) and not rules.root:
        yield Denial("user", _("The team %(team)s may not run programs as root.") % team, _root_advice())
    unknown = sorted(set(spec.cap_add) - set(rules.capabilities))
    if unknown:
        yield Denial(
            "cap_add",
            _("The capability %(name)s is not allowed for the team %(team)s.") % {**team, "name": unknown[0]},
            ask,
        )
    yield from _mount_denials(spec, bounds)
    yield from _network_denials(spec, bounds)
    for row, (name, _value) in enumerate(spec.labels):
        if not name.startswith(rules.labels or ("\0",)):
            message = _("The label %(name)s is not allowed for the team %(team)s: other programs act on labels.")
            yield Denial("labels", message % {**team, "name": name[:100]}, ask, row)
    yield from _limit_denials(spec, bounds)


def _image_denial(spec: ContainerSpec, bounds: Bounds) -> Denial:
    parts = {"team": bounds.team, "image": spec.image[:200], "images": ", ".join(bounds.rules.images[:5])}
    if not bounds.rules.images:
        message = _("No image is allowed for the team %(team)s yet.") % parts
        return Denial("image", message, _("Ask an admin to say in the team's policy which images it may run."))
    message = _("The image %(image)s is not allowed for the team %(team)s.") % parts
    return Denial("image", message, _("Choose one that its policy allows: %(images)s.") % parts)


def _mount_denials(spec: ContainerSpec, bounds: Bounds) -> Iterator[Denial]:
    rules, team = bounds.rules, {"team": bounds.team}
    for row, volume in enumerate(spec.volumes):
        if "/" in volume.volume:
            yield Denial(
                "volumes",
                _("Mounts of type bind are not allowed for the team %(team)s.") % team,
                _("Choose a volume of the team instead of a path of the host."),
                row,
            )
        elif not rules.volumes:
            yield Denial(
                "volumes",
                _("Volumes are not allowed for the team %(team)s.") % team,
                _("Ask an admin to change the team's policy, or leave it out."),
                row,
            )
        elif volume.volume not in bounds.volumes and not volume.volume.startswith(f"{bounds.prefix}-"):
            yield Denial(
                "volumes",
                _("The volume %(name)s is not one of the team %(team)s.") % {**team, "name": volume.volume[:100]},
                _("Choose a volume of the team, or a new name."),
                row,
            )
    for row, mount in enumerate(spec.tmpfs):
        if not 0 < mount.size_bytes <= rules.tmpfs_bytes:
            most = size_text(rules.tmpfs_bytes)
            message = (
                _("One mount in memory has at most %(most)s for the team %(team)s.") % {**team, "most": most}
                if rules.tmpfs_bytes
                else _("Mounts in memory are not allowed for the team %(team)s.") % team
            )
            yield Denial("tmpfs", message, _("Ask for less, or leave it out."), row)


def _network_denials(spec: ContainerSpec, bounds: Bounds) -> Iterator[Denial]:
    rules, team = bounds.rules, {"team": bounds.team}
    own = spec.network in ("", "none") or (rules.networks and spec.network in bounds.networks)
    if not own:
        yield Denial(
            "network",
            _("The network %(name)s is not allowed for the team %(team)s.") % {**team, "name": spec.network[:100]},
            _("Choose the team's own network."),
        )
    for row, port in enumerate(spec.ports):
        if not rules.ports or bounds.ports is None:
            message = _("The team %(team)s may publish no ports on this host.") % team
            yield Denial("ports", message, _("Leave the port out, or ask an admin for a range of ports."), row)
            continue
        first, last = bounds.ports
        # 0 is a wish for any: one of the range is chosen when the operation is accepted.
        if port.host_port and not first <= port.host_port <= last:
            message = _("The port %(port)s is not one of the team %(team)s, which has %(first)s to %(last)s here.")
            parts = {**team, "port": port.host_port, "first": first, "last": last}
            yield Denial("ports", message % parts, _("Choose one of these, or leave it open."), row)
        if port.host_ip != bounds.address and {port.host_ip, bounds.address} - set(_ANY_ADDRESS):
            message = _("The team %(team)s publishes ports at %(address)s and nowhere else.")
            parts = {**team, "address": bounds.address or _("every address")}
            yield Denial("ports", message % parts, _("Leave the address empty."), row)


def _limit_denials(spec: ContainerSpec, bounds: Bounds) -> Iterator[Denial]:
    rules = bounds.rules
    for field, asked, most, text in (
        ("memory", spec.memory_bytes, rules.memory_bytes, size_text(rules.memory_bytes)),
        ("cpus", spec.nano_cpus, rules.nano_cpus, cpus_text(rules.nano_cpus)),
        ("pids_limit", spec.pids_limit, rules.pids, str(rules.pids)),
    ):
        if not 0 < asked <= most:
            message = _("One container of the team %(team)s has at most: %(most)s.")
            yield Denial(field, message % {"team": bounds.team, "most": text}, _("Ask for less."))
    yield from _disk_denials(spec, bounds)
    if spec.restart_policy is RestartPolicy.ALWAYS or spec.restart_max_retries > MOST_RETRIES:
        yield Denial(
            "restart_policy",
            _("A container of the team %(team)s is restarted until somebody stops it, or at most %(most)s times.")
            % {"team": bounds.team, "most": MOST_RETRIES},
            _("Choose one of these."),
        )
    check = spec.healthcheck
    if check is not None and check.test and check.interval < SHORTEST_HEALTH_INTERVAL:
        yield Denial(
            "health_interval",
            _("A health check of the team %(team)s runs every %(least)s seconds, or less often.")
            % {"team": bounds.team, "least": SHORTEST_HEALTH_INTERVAL},
            _("Choose a longer interval."),
        )


def _disk_denials(spec: ContainerSpec, bounds: Bounds) -> Iterator[Denial]:
    if bounds.limits_disk:
        if not 0 < spec.disk_bytes <= bounds.rules.disk_bytes:
            parts = {"team": bounds.team, "most": size_text(bounds.rules.disk_bytes)}
            message = _("One container of the team %(team)s has at most: %(most)s.") % parts
            yield Denial("disk", message, _("Ask for less."))
    elif bounds.has_disk_quota:
        # Without a limit of its own one container could fill what all of them may have.
        message = _("The team %(team)s has a quota of disk on this host, which cannot be kept.") % {"team": bounds.team}
        advice = _("Choose another host, or ask an admin to take the quota of disk away.")
        yield Denial("disk", f"{message} {limits_nothing(bounds.storage)}", advice, kind="quota", reason=NOT_LIMITED)
    elif spec.disk_bytes:
        advice = _("Leave the limit of disk out, or choose another host.")
        yield Denial("disk", limits_nothing(bounds.storage), advice, reason=NOT_LIMITED)


def limits_nothing(storage: str) -> str:
    """Return in words that a host, which stores containers like this, bounds nothing of what they write."""
    if not storage:
        return _("This host has not told yet whether it limits the disk of containers.")
    return _("The host's storage driver (%(storage)s) limits nothing.") % {"storage": storage}


def may_be_root(user: str) -> bool:
    """Whether ``user`` can turn out to be root: by number 0, and by any name, since the image says what that means."""
    name = user.partition(":")[0]
    return not name.isdigit() or int(name) == 0


def _root_advice() -> str:
    return _("Write a user as a number other than 0, like 1000.")


def decide_image(
    spec: ContainerSpec,
    bounds: Bounds,
    *,
    user: str,
    labels: tuple[str, ...],
    health_interval_nanoseconds: int,
    reserved: str,
) -> list[Denial]:
    """Return what of the image itself, known only once the host has it, the team may not have."""
    found = []
    taken = [name for name in labels if name.casefold().startswith(reserved)]
    if taken:
        message = _("The image carries the label %(name)s, which only this console may set.") % {"name": taken[0][:100]}
        found.append(Denial("image", message, _("Choose another image, or build it without the label.")))
    if not bounds.rules.root and not spec.user and may_be_root(user):
        message = _("The image may run as root, which the team %(team)s may not.") % {"team": bounds.team}
        found.append(Denial("user", message, _root_advice()))
    if spec.healthcheck is None and 0 < health_interval_nanoseconds < SHORTEST_HEALTH_INTERVAL * 10**9:
        message = _("The image's health check runs more often than every %(least)s seconds.")
        found.append(
            Denial("health", message % {"least": SHORTEST_HEALTH_INTERVAL}, _("Say another health check, or none."))
        )
    return found


# Images


def allows_image(reference: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of ``patterns`` names the image. Ids never match: they say nothing of where an image came from."""
    if reference.startswith("sha256:"):
        return False
    repository, tag = split_image(reference)
    return any(_matches(pattern, repository=repository, tag=tag) for pattern in patterns)


def split_image(reference: str) -> tuple[str, str]:
    """Return the full name of an image's repository, with its registry, and its tag; a digest has no tag."""
    name, _at, digest = reference.partition("@")
    head, slash, last = name.rpartition("/")
    last, _colon, tag = last.partition(":")
    repository = f"{head}{slash}{last}"
    domain, slash, _rest = repository.partition("/")
    if not slash:
        repository = f"docker.io/library/{repository}"
    elif "." not in domain and ":" not in domain and domain != "localhost":
        repository = f"docker.io/{repository}"
    return repository, tag or ("" if digest else "latest")


def _matches(pattern: str, *, repository: str, tag: str) -> bool:
    names, tags = _compiled(pattern)
    return names.fullmatch(repository) is not None and (tags is None or tags.fullmatch(tag) is not None)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    if pattern == "*":
        return re.compile(".*"), None
    repository, _tag = split_image(pattern)
    has_tag = ":" in pattern.rpartition("/")[2]
    return _glob(repository), _glob(pattern.rpartition(":")[2]) if has_tag else None


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
