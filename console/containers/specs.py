"""What a container is asked to be: as an operation's arguments, in words, and held against what was made.

Everything here is pure. The worker trusts none of it: it reads the arguments through :func:`from_arguments`, checks
them with :func:`check_spec` and compares the created object by :func:`differences` before it starts it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import shlex
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from console.gateway import ContainerSpec, RestartPolicy
from console.lib.amounts import LARGEST_MEMORY, MIB
from console.lib.decoding import decode

#: Labels of ours: which operation made the container, and our signature on that.
OPERATION_LABEL = "pilothouse.operation"
SIGNATURE_LABEL = "pilothouse.signature"
#: Which team something was made for, and our signature on that.
TEAM_LABEL = "pilothouse.team"
TEAM_SIGNATURE_LABEL = "pilothouse.team-signature"
RESERVED_PREFIX = "pilothouse."

#: The engine refuses less memory than this.
SMALLEST_MEMORY = 6 * MIB
#: Less than this holds no program's first file.
SMALLEST_DISK = MIB
MOST_ENVIRONMENT = 300
MOST_PORTS = 200
MOST_MOUNTS = 100
MOST_LABELS = 200
MOST_ARGUMENTS = 500
MOST_CAPABILITIES = 50
LONGEST_VALUE = 100_000

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
_HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?\Z")
_USER = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*(:[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?\Z")
_CAPABILITY = re.compile(r"[A-Z][A-Z_]{1,30}\Z")
_ENVIRONMENT_NAME = re.compile(r"[^\s=\x00-\x1f\x7f]{1,200}\Z")
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]{1,5})?"
_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:sha256:[0-9a-f]{{64}}|(?:{_DOMAIN}/)?{_PATH}(?:/{_PATH})*(?::\w[\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?)\Z",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field of a spec: ``row`` counts from 0 where the field is a list."""

    field: str
    message: str
    row: int | None = None


# As an operation's arguments


def to_arguments(spec: ContainerSpec) -> dict[str, Any]:
    """Return ``spec`` as plain JSON values."""
    return dataclasses.asdict(spec)


def from_arguments(data: object) -> ContainerSpec:
    """Return the spec in ``data``. Raises ``Malformed`` for an unknown key, a missing one or a wrong type."""
    return decode(ContainerSpec, data, where="spec")


# What may be asked for


def is_reference(text: str) -> bool:
    """Whether ``text`` names an image: repository, tag and digest, or a full image id."""
    return len(text) <= 300 and _REFERENCE.match(text) is not None


def is_name(text: str) -> bool:
    """Whether a volume or a network can have this name."""
    return len(text) <= 255 and _NAME.match(text) is not None


def check_spec(spec: ContainerSpec) -> list[Problem]:
    """Return what an engine, or a person reading the container later, would stumble over."""
    return list(_problems(spec))


def _problems(spec: ContainerSpec) -> Iterator[Problem]:
    if len(spec.name) > 200 or not _NAME.match(spec.name):
        yield Problem(
            "name",
            _("Use two or more letters, digits, “_”, “.” or “-”, and begin with a letter or digit."),
        )
    if not is_reference(spec.image):
        yield Problem(
            "image", _("This is no image reference. Write it like nginx:1.27 or registry.example.com/team/app:2.")
        )
    yield from _argument_problems("command", spec.command)
    yield from _argument_problems("entrypoint", spec.entrypoint)
    yield from _pair_problems(spec)
    if spec.hostname and (not _HOSTNAME.match(spec.hostname) or ".." in spec.hostname):
        yield Problem("hostname", _("Use up to 63 letters, digits, “-” and “.”."))
    if spec.user and (len(spec.user) > 64 or not _USER.match(spec.user)):
        yield Problem("user", _("Write a user name or number, with a group after a colon if you need one: 1000:1000."))
    if spec.working_directory:
        yield from _path_problems("working_directory", spec.working_directory, row=None)
    yield from _port_problems(spec)
    yield from _mount_problems(spec)
    if spec.network and (len(spec.network) > 255 or "\0" in spec.network or spec.network.startswith("container:")):
        yield Problem("network", _("Choose one of the host's networks."))
    if spec.restart_max_retries and spec.restart_policy is not RestartPolicy.ON_FAILURE:
        yield Problem("restart_max_retries", _("A number of retries only goes with “on failure”."))
    if not 0 <= spec.restart_max_retries <= 1000:
        yield Problem("restart_max_retries", _("Write a number from 0 (no limit) to 1000."))
    if spec.memory_bytes and not SMALLEST_MEMORY <= spec.memory_bytes <= LARGEST_MEMORY:
        yield Problem(
            "memory", _("An engine needs at least 6 MB for a container; write 6 MB or more, or leave it empty.")
        )
    if spec.nano_cpus and not 10_000_000 <= spec.nano_cpus <= 4096 * 10**9:
        yield Problem("cpus", _("Write at least 0.01, or leave it empty for no limit."))
    if spec.disk_bytes and not SMALLEST_DISK <= spec.disk_bytes <= LARGEST_MEMORY:
        yield Problem("disk", _("Write 1 MB or more, or leave it empty."))
    for field, names in (("cap_add", spec.cap_add), ("cap_drop", spec.cap_drop)):
        if len(names) > MOST_CAPABILITIES or not all(_CAPABILITY.match(name) for name in names):
            yield Problem(field, _("A capability is written like NET_BIND_SERVICE, without CAP_ before it."))
    if spec.log_bytes < 0 or not 1 <= spec.log_files <= 100:
        yield Problem("log_bytes", _("A log is kept in 1 to 100 files."))
    if not 0 <= spec.pids_limit <= 4_194_304:
        yield Problem("pids_limit", _("Write a number from 1 to 4194304, or leave it empty for no limit."))
    if spec.stop_timeout is not None and not 0 <= spec.stop_timeout <= 3600:
        yield Problem("stop_timeout", _("Write a number of seconds from 0 to 3600."))
    yield from _health_problems(spec)


def _argument_problems(field: str, words: tuple[str, ...] | None) -> Iterator[Problem]:
    if words is None:
        return
    if len(words) > MOST_ARGUMENTS or any(len(word) > LONGEST_VALUE for word in words):
        yield Problem(field, _("This is too long for a command line."))
    if any("\0" in word for word in words):
        yield Problem(field, _("A NUL character cannot be passed to a program."))


def _pair_problems(spec: ContainerSpec) -> Iterator[Problem]:
    for field, pairs, most in (
        ("environment", spec.environment, MOST_ENVIRONMENT),
        ("labels", spec.labels, MOST_LABELS),
    ):
        if len(pairs) > most:
            yield Problem(field, _("At most %(most)s of these are possible.") % {"most": most})
        seen: set[str] = set()
        for row, (name, value) in enumerate(pairs):
            if field == "environment" and not _ENVIRONMENT_NAME.match(name):
                yield Problem(field, _("A name has up to 200 characters, without spaces and “=”."), row)
            elif field == "labels" and (not name.strip() or len(name) > 255 or "\0" in name):
                yield Problem(field, _("A label has a name of up to 255 characters."), row)
            elif field == "labels" and name.casefold().startswith(RESERVED_PREFIX):
                yield Problem(
                    field, _("Names that begin with “pilothouse.” are the console's own; choose another."), row
                )
            elif name in seen:
                yield Problem(field, _("“%(name)s” is here twice; keep one of them.") % {"name": name}, row)
            if "\0" in value or len(value) > LONGEST_VALUE:
                yield Problem(field, _("A value has up to 100,000 characters and no NUL among them."), row)
            seen.add(name)


def _path_problems(field: str, path: str, *, row: int | None) -> Iterator[Problem]:
    if not path.startswith("/") or len(path) > 4096 or any(character in path for character in "\0\n\r"):
        yield Problem(field, _("Write a full path that begins with “/”."), row)
    elif ".." in path.split("/"):
        yield Problem(field, _("A path cannot hold “..”; write where it ends."), row)
    elif ":" in path and field != "working_directory":
        yield Problem(field, _("A path to mount at cannot hold “:”."), row)


def _port_problems(spec: ContainerSpec) -> Iterator[Problem]:
    if len(spec.ports) > MOST_PORTS:
        yield Problem("ports", _("At most %(most)s of these are possible.") % {"most": MOST_PORTS})
    if spec.ports and spec.network in ("host", "none"):
        yield Problem("ports", _("With the network “%(name)s” nothing can be published.") % {"name": spec.network}, 0)
    taken: list[tuple[str, int, str]] = []
    for row, port in enumerate(spec.ports):
        if not 1 <= port.container_port <= 65535 or not 0 <= port.host_port <= 65535:
            yield Problem("ports", _("A port is a number from 1 to 65535."), row)
        if port.protocol not in ("tcp", "udp", "sctp"):
            yield Problem("ports", _("The protocol is tcp, udp or sctp."), row)
        address = ""
        if port.host_ip:
            try:
                address = str(ipaddress.ip_address(port.host_ip))
            except ValueError:
                yield Problem("ports", _("“%(text)s” is no IP address.") % {"text": port.host_ip[:60]}, row)
        wildcard = address in ("", "0.0.0.0", "::")
        for other, number, protocol in taken:
            overlaps = wildcard or other == address or other in ("", "0.0.0.0", "::")
            if port.host_port and number == port.host_port and protocol == port.protocol and overlaps:
                yield Problem("ports", _("Host port %(port)s is here twice.") % {"port": port.host_port}, row)
                break
        taken.append((address, port.host_port, port.protocol))


def _mount_problems(spec: ContainerSpec) -> Iterator[Problem]:
    targets: set[str] = set()
    if len(spec.volumes) + len(spec.tmpfs) > MOST_MOUNTS:
        yield Problem("volumes", _("At most %(most)s of these are possible.") % {"most": MOST_MOUNTS})
    for row, volume in enumerate(spec.volumes):
        if not is_name(volume.volume):
            yield Problem(
                "volumes",
                _("A volume's name has letters, digits, “_”, “.” and “-”; a path of the host is not possible."),
                row,
            )
        yield from _target_problems("volumes", volume.target, targets, row=row)
    for row, mount in enumerate(spec.tmpfs):
        if mount.size_bytes and not 4096 <= mount.size_bytes <= LARGEST_MEMORY:
            yield Problem("tmpfs", _("A size is 4 KB or more; leave it empty for the engine's default."), row)
        yield from _target_problems("tmpfs", mount.target, targets, row=row)


def _target_problems(field: str, target: str, targets: set[str], *, row: int) -> Iterator[Problem]:
    path = target.rstrip("/")
    yield from _path_problems(field, target, row=row)
    if not path:
        yield Problem(field, _("The container's whole file system cannot be mounted over."), row)
    elif path in targets:
        yield Problem(field, _("Something else is mounted at %(path)s already.") % {"path": path[:200]}, row)
    targets.add(path)


def _health_problems(spec: ContainerSpec) -> Iterator[Problem]:
    check = spec.healthcheck
    if check is None or not check.test:
        return
    if len(check.test) > LONGEST_VALUE or "\0" in check.test:
        yield Problem("health_test", _("This is too long for a command line."))
    for field, seconds, smallest in (
        ("health_interval", check.interval, 1),
        ("health_timeout", check.timeout, 1),
        ("health_start_period", check.start_period, 0),
    ):
        if not smallest <= seconds <= 86_400:
            yield Problem(field, _("Write a number of seconds from %(least)s to 86400.") % {"least": smallest})
    if not 1 <= check.retries <= 1000:
        yield Problem("health_retries", _("Write a number from 1 to 1000."))


# In words


def image_repository(reference: str) -> str:
    """Return the last part of a reference's repository: ``web`` of ``registry/team/web:2``."""
    if reference.startswith("sha256:"):
        return "container"
    return reference.split("@")[0].rsplit("/", 1)[-1].split(":")[0] or "container"


def argv_text(words: tuple[str, ...] | None) -> str:
    """Return an argument vector as a person would type it."""
    return shlex.join(words) if words else ""


# Held against what was made


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def differences(spec: ContainerSpec, raw: Mapping[str, Any]) -> list[str]:
    """Return in words where the inspected container in ``raw`` is not what ``spec`` asked for.

    Only what could do harm or break the promise of the form is compared: rights, mounts, ports, limits, labels and
    what runs. An engine may add (the image's environment, its own defaults), never change or widen.
    """
    config, host = _mapping(raw.get("Config")), _mapping(raw.get("HostConfig"))
    found: list[str] = []

    def expect(what: str, wanted: object, got: object) -> None:
        if wanted != got:
            found.append(f"{what}: asked for {wanted!r}, got {got!r}")

    if spec.command is not None:
        expect("command", list(spec.command), list(config.get("Cmd") or ()))
    if spec.entrypoint is not None:
        entrypoint = config.get("Entrypoint") or ()
        got = shlex.split(entrypoint) if isinstance(entrypoint, str) else [word for word in entrypoint if word]
        expect("entrypoint", list(spec.entrypoint), got)
    environment = set(config.get("Env") or ())
    for name, value in spec.environment:
        if f"{name}={value}" not in environment:
            found.append(f"environment: {name} is not what was asked for")  # the value may be a secret
    labels = _mapping(config.get("Labels"))
    for name, value in spec.labels:
        expect(f"label {name}", value, labels.get(name))
    if spec.user:
        expect("user", spec.user, config.get("User"))
    if spec.working_directory:
        expect("working directory", spec.working_directory.rstrip("/"), str(config.get("WorkingDir")).rstrip("/"))
    expect("TTY", spec.tty, bool(config.get("Tty")))
    expect("open standard input", spec.open_stdin, bool(config.get("OpenStdin")))
    expect("read-only root", spec.read_only_root, bool(host.get("ReadonlyRootfs")))
    if spec.memory_bytes:
        expect("memory", spec.memory_bytes, host.get("Memory"))
    if spec.nano_cpus:
        expect("CPUs", spec.nano_cpus, host.get("NanoCpus") or quota_cpus(host))
    if spec.pids_limit:
        expect("process limit", spec.pids_limit, host.get("PidsLimit"))
    if spec.disk_bytes:
        expect("disk limit", str(spec.disk_bytes), _mapping(host.get("StorageOpt")).get("size"))
    policy = _mapping(host.get("RestartPolicy"))
    expect("restart policy", spec.restart_policy.value, policy.get("Name") or "no")
    _compare_ports(spec, host, expect)
    _compare_mounts(spec, host, expect)
    _compare_rights(spec, host, expect)
    if spec.network and spec.network not in ("none", "host"):
        networks = {str(host.get("NetworkMode")), *_mapping(_mapping(raw.get("NetworkSettings")).get("Networks"))}
        expect("network", spec.network, spec.network if spec.network in networks else sorted(networks))
    for field in ("Privileged", "Devices", "DeviceCgroupRules", "PublishAllPorts", "VolumesFrom"):
        if host.get(field):
            found.append(f"{field}: not asked for, got {host[field]!r}")
    for field in ("PidMode", "IpcMode", "UTSMode", "UsernsMode"):
        if str(host.get(field) or "").startswith(("host", "container:")):
            found.append(f"{field}: not asked for, got {host[field]!r}")
    return found


Expect = typing.Callable[[str, object, object], None]


def quota_cpus(host: Mapping[str, Any]) -> int:
    """Return the share of processors, in billionths, that an engine's quota and period stand for."""
    quota, period = host.get("CpuQuota") or 0, host.get("CpuPeriod") or 100_000
    return int(quota * 10**9 / period)


#: What every engine grants when nothing is said, and what some grant beside it.
COMMON_CAPABILITIES = frozenset(
    {
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
DEFAULT_CAPABILITIES = COMMON_CAPABILITIES | {"AUDIT_WRITE", "MKNOD", "NET_RAW"}


def _capabilities(names: object) -> set[str]:
    return {str(name).upper().removeprefix("CAP_") for name in (names if isinstance(names, list) else ())}


def granted_capabilities(raw: Mapping[str, Any]) -> set[str]:
    """Return what the container in ``raw`` was given beyond nothing, or beyond the engine's own set."""
    host = _mapping(raw.get("HostConfig"))
    added, dropped = _capabilities(host.get("CapAdd")), _capabilities(host.get("CapDrop"))
    # Podman tells what is gone of its own set, one by one.
    return added | (COMMON_CAPABILITIES - dropped) if dropped and "ALL" not in dropped else added


def _compare_rights(spec: ContainerSpec, host: Mapping[str, Any], expect: Expect) -> None:
    added, dropped = _capabilities(host.get("CapAdd")), _capabilities(host.get("CapDrop"))
    wanted = set(spec.cap_add)
    if "ALL" in spec.cap_drop:
        # Podman tells what is gone of its own set, one by one; what of ours is in that set counts as added.
        gone = "ALL" in dropped or COMMON_CAPABILITIES - wanted <= dropped
        kept = DEFAULT_CAPABILITIES - dropped if "ALL" not in dropped else set()
        expect("dropped capabilities", ["ALL"], ["ALL"] if gone else sorted(dropped))
        expect("capabilities", sorted(wanted), sorted(added | (wanted & kept)))
    else:
        expect("capabilities", sorted(wanted), sorted(added))
        expect("dropped capabilities", [], sorted(set(spec.cap_drop) - dropped))
    if spec.no_new_privileges:
        options = {str(option) for option in host.get("SecurityOpt") or ()}
        expect("security options", "no-new-privileges", next(iter(options & _NO_NEW_PRIVILEGES), "").split(":")[0])


_NO_NEW_PRIVILEGES = frozenset({"no-new-privileges", "no-new-privileges:true"})


def _compare_ports(spec: ContainerSpec, host: Mapping[str, Any], expect: Expect) -> None:
    if spec.network in ("host", "none"):
        return
    wanted = sorted(
        (
            f"{port.container_port}/{port.protocol}",
            "" if port.host_ip in ("", "0.0.0.0") else port.host_ip,
            port.host_port,
        )
        for port in spec.ports
    )
    got = sorted(
        (
            key,
            "" if binding.get("HostIp") in ("", "0.0.0.0", None) else binding["HostIp"],
            # Engines that choose the port at once name it here already.
            int(binding.get("HostPort") or 0) if any(entry[0] == key and entry[2] for entry in wanted) else 0,
        )
        for key, bindings in _mapping(host.get("PortBindings")).items()
        for binding in bindings or ()
    )
    expect("published ports", wanted, got)


def _compare_mounts(spec: ContainerSpec, host: Mapping[str, Any], expect: Expect) -> None:
    got = {
        (
            str(mount.get("Type")),
            str(mount.get("Source") or ""),
            str(mount.get("Target")).rstrip("/"),
            bool(mount.get("ReadOnly")),
        )
        for mount in host.get("Mounts") or ()
        if mount.get("Type") != "tmpfs"
    }
    for bind in host.get("Binds") or ():
        source, _colon, rest = str(bind).partition(":")
        target, _colon, options = rest.partition(":")
        kind = "bind" if source.startswith("/") else "volume"
        got.add((kind, source, target.rstrip("/"), "ro" in options.split(",")))
    wanted = {("volume", volume.volume, volume.target.rstrip("/"), volume.read_only) for volume in spec.volumes}
    expect("volumes", sorted(wanted), sorted(got))
    tmpfs = {str(path).rstrip("/") for path in _mapping(host.get("Tmpfs"))}
    tmpfs |= {
        str(mount.get("Target")).rstrip("/") for mount in host.get("Mounts") or () if mount.get("Type") == "tmpfs"
    }
    asked = {mount.target.rstrip("/") for mount in spec.tmpfs}
    if spec.read_only_root:
        tmpfs -= PODMANS_TMPFS - asked
    expect("tmpfs", sorted(asked), sorted(tmpfs))


#: What Podman keeps writable in a container whose root is read-only.
PODMANS_TMPFS = frozenset({"/run", "/tmp", "/var/tmp"})  # noqa: S108  paths inside a container
