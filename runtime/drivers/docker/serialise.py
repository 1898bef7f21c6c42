"""Our values as Engine API requests. Every body is built here, field by field; nothing of a client's passes through."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, Final
from urllib.parse import quote

from runtime.containers import (
    ContainerSpec,
    ExecSpec,
    Healthcheck,
    NetworkSpec,
    RegistryCredentials,
    RestartPolicy,
    VolumeSpec,
)
from runtime.errors import Invalid

_SECOND: Final = 1_000_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_HOST}/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9+._-]*:[0-9A-Fa-f]{32,128}))?"
)
_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{4,64}")

#: Bytes of a path: the kernel's own limit.
LONGEST_PATH: Final = 4095

#: The engine looks for these keys in a terminal's input and detaches when it sees them all. Its own default starts with
#: Ctrl-P, which people type; this sequence nobody does.
DETACH_KEYS: Final = "ctrl-@,ctrl-_,ctrl-@,ctrl-^,ctrl-@,ctrl-_"
DETACH_QUERY: Final = quote(DETACH_KEYS, safe="")


def segment(name: str) -> str:
    """Return a container, exec, volume or network name as one safe path segment. Raises ``Invalid``."""
    if not _NAME.fullmatch(name):
        raise Invalid(f"not a name or id an engine could know: {name[:80]!r}", reason="bad_name")
    return name


def inner_path(path: str) -> str:
    """Return a path inside a container as the engine is asked for it. Raises ``Invalid`` for what is no whole path."""
    if not path.startswith("/") or "\0" in path or len(path.encode(errors="surrogateescape")) > LONGEST_PATH:
        raise Invalid(f"not a whole path inside a container: {path[:120]!r}", reason="bad_path")
    return path


def image_segment(reference: str) -> str:
    """Return an image's reference or id for use in a path. Raises ``Invalid``."""
    if not _IMAGE_ID.fullmatch(reference) and not _REFERENCE.fullmatch(reference):
        raise Invalid(f"not an image reference: {reference[:120]!r}", reason="bad_reference")
    return quote(reference, safe="/:@")


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag or digest; ``latest`` when neither is named. Raises ``Invalid``."""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise Invalid(
            f"not an image reference: {reference[:120]!r}; expected something like nginx:1.27 or host:5000/team/app:2",
            reason="bad_reference",
        )
    return found["repository"], found["digest"] or found["tag"] or "latest"


def registry_auth(credentials: RegistryCredentials) -> str:
    """Return the value of ``X-Registry-Auth``."""
    text = json.dumps(
        {
            "username": credentials.username,
            "password": credentials.password,
            "serveraddress": credentials.server_address,
        }
    )
    return base64.urlsafe_b64encode(text.encode()).decode()


def container_body(spec: ContainerSpec) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``."""
    host_config: dict[str, Any] = {
        "Init": spec.init,
        "ReadonlyRootfs": spec.read_only_root,
        "RestartPolicy": {
            "Name": spec.restart_policy.value,
            "MaximumRetryCount": (spec.restart_max_retries if spec.restart_policy is RestartPolicy.ON_FAILURE else 0),
        },
    }
    body: dict[str, Any] = {
        "Image": spec.image,
        "Tty": spec.tty,
        "OpenStdin": spec.open_stdin,
        "StdinOnce": False,
        "Env": [f"{name}={value}" for name, value in spec.environment],
        "Labels": dict(spec.labels),
        "HostConfig": host_config,
    }
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    if spec.entrypoint is not None:
        # The API reads [] as "the image's"; one empty string is how it spells "none".
        body["Entrypoint"] = list(spec.entrypoint) or [""]
    if spec.hostname:
        body["Hostname"] = spec.hostname
    if spec.user:
        body["User"] = spec.user
    if spec.working_directory:
        body["WorkingDir"] = spec.working_directory
    if spec.stop_timeout is not None:
        body["StopTimeout"] = spec.stop_timeout
    if spec.healthcheck is not None:
        body["Healthcheck"] = healthcheck_body(spec.healthcheck)
    if spec.ports:
        bindings: dict[str, list[dict[str, str]]] = {}
        for port in spec.ports:
            bindings.setdefault(f"{port.container_port}/{port.protocol}", []).append(
                {"HostIp": port.host_ip, "HostPort": str(port.host_port) if port.host_port else ""}
            )
        body["ExposedPorts"] = {port: {} for port in bindings}
        host_config["PortBindings"] = bindings
    mounts: list[dict[str, Any]] = [
        {"Type": "volume", "Source": mount.volume, "Target": mount.target, "ReadOnly": mount.read_only}
        for mount in spec.volumes
    ]
    for tmpfs in spec.tmpfs:
        memory: dict[str, Any] = {"Type": "tmpfs", "Target": tmpfs.target}
        if tmpfs.size_bytes:
            memory["TmpfsOptions"] = {"SizeBytes": tmpfs.size_bytes}
        mounts.append(memory)
    if mounts:
        host_config["Mounts"] = mounts
    if spec.network:
        host_config["NetworkMode"] = spec.network
    if spec.memory_bytes:
        host_config["Memory"] = spec.memory_bytes
        host_config["MemorySwap"] = spec.memory_bytes
    if spec.nano_cpus:
        host_config["NanoCpus"] = spec.nano_cpus
    if spec.pids_limit:
        host_config["PidsLimit"] = spec.pids_limit
    if spec.disk_bytes:
        host_config["StorageOpt"] = {"size": str(spec.disk_bytes)}
    if spec.cap_add:
        host_config["CapAdd"] = list(spec.cap_add)
    if spec.cap_drop:
        host_config["CapDrop"] = list(spec.cap_drop)
    if spec.no_new_privileges:
        host_config["SecurityOpt"] = ["no-new-privileges"]
    if spec.log_bytes:
        host_config["LogConfig"] = {
            "Type": "json-file",
            "Config": {"max-size": str(spec.log_bytes), "max-file": str(spec.log_files)},
        }
    return body


def healthcheck_body(healthcheck: Healthcheck) -> dict[str, Any]:
    """Return ``Config.Healthcheck``; the API counts in nanoseconds."""
    if not healthcheck.test:
        return {"Test": ["NONE"]}
    return {
        "Test": ["CMD-SHELL", healthcheck.test],
        "Interval": healthcheck.interval * _SECOND,
        "Timeout": healthcheck.timeout * _SECOND,
        "Retries": healthcheck.retries,
        "StartPeriod": healthcheck.start_period * _SECOND,
    }


def volume_body(spec: VolumeSpec) -> dict[str, Any]:
    """Return the body of ``POST /volumes/create``. Raises ``Invalid`` for what is no name.

    An empty name would make an anonymous volume.
    """
    return {"Name": segment(spec.name), "Driver": "local", "Labels": dict(spec.labels)}


def network_body(spec: NetworkSpec) -> dict[str, Any]:
    """Return the body of ``POST /networks/create``. Raises ``Invalid`` for what is no name."""
    return {
        "Name": segment(spec.name),
        "Driver": "bridge",
        "Internal": spec.internal,
        # Before API 1.44 two networks may have one name unless this is asked; later it is always so.
        "CheckDuplicate": True,
        "Labels": dict(spec.labels),
    }


def exec_body(spec: ExecSpec, *, console_size: bool) -> dict[str, Any]:
    """Return the body of ``POST /containers/{id}/exec``. ``console_size``: the API version takes the size (1.42)."""
    body: dict[str, Any] = {
        "AttachStdin": spec.attach_stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": spec.tty,
        "Cmd": list(spec.command),
        "Env": [f"{name}={value}" for name, value in spec.environment],
        "DetachKeys": DETACH_KEYS,
    }
    if spec.user:
        body["User"] = spec.user
    if spec.working_directory:
        body["WorkingDir"] = spec.working_directory
    if spec.tty and console_size:
        body["ConsoleSize"] = [spec.rows, spec.columns]
    return body


def exec_start_body(spec: ExecSpec, *, console_size: bool) -> dict[str, Any]:
    """Return the body of ``POST /exec/{id}/start``."""
    body: dict[str, Any] = {"Detach": False, "Tty": spec.tty}
    if spec.tty and console_size:
        body["ConsoleSize"] = [spec.rows, spec.columns]
    return body
