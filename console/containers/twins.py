"""The twins of a spec: the same for the shell, and the same for Docker's compose. Everything here is pure.

Neither holds a value that looks secret: variables are left to the environment of whoever runs it, labels are masked.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from console.containers.masking import MASK, looks_secret
from console.gateway import ContainerSpec, RestartPolicy
from console.lib.amounts import MIB, cpus_text

# For the shell


def docker_run(spec: ContainerSpec, *, start: bool = True) -> str:
    """Return the command line that would do the same. Values that look secret are left to the shell's environment."""
    parts = [["docker", "run", "--detach"] if start else ["docker", "create"]]
    if spec.name:
        parts.append(["--name", spec.name])
    parts += [["--hostname", spec.hostname]] if spec.hostname else []
    parts += [["--user", spec.user]] if spec.user else []
    parts += [["--workdir", spec.working_directory]] if spec.working_directory else []
    for name, value in spec.environment:
        parts.append(["--env", name if looks_secret(name, value) else f"{name}={value}"])
    for port in spec.ports:
        host_ip = f"[{port.host_ip}]" if ":" in port.host_ip else port.host_ip
        left = f"{host_ip}:{port.host_port or ''}:" if host_ip else f"{port.host_port}:" if port.host_port else ""
        protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
        parts.append(["--publish", f"{left}{port.container_port}{protocol}"])
    for volume in spec.volumes:
        parts.append(["--volume", f"{volume.volume}:{volume.target}{':ro' if volume.read_only else ''}"])
    for mount in spec.tmpfs:
        parts.append(["--tmpfs", f"{mount.target}:size={mount.size_bytes}" if mount.size_bytes else mount.target])
    parts += [["--network", spec.network]] if spec.network else []
    parts += [["--restart", _restart(spec)]] if _restart(spec) else []
    if spec.memory_bytes:
        parts.append(["--memory", _short_size(spec.memory_bytes)])
        parts.append(["--memory-swap", _short_size(spec.memory_bytes)])
    parts += [["--cpus", cpus_text(spec.nano_cpus)]] if spec.nano_cpus else []
    parts += [["--pids-limit", str(spec.pids_limit)]] if spec.pids_limit else []
    parts += [["--storage-opt", f"size={_short_size(spec.disk_bytes)}"]] if spec.disk_bytes else []
    parts += [["--cap-drop", name] for name in spec.cap_drop]
    parts += [["--cap-add", name] for name in spec.cap_add]
    parts += [["--security-opt", "no-new-privileges"]] if spec.no_new_privileges else []
    if spec.log_bytes:
        parts.append(["--log-driver", "json-file", "--log-opt", f"max-size={_short_size(spec.log_bytes)}"])
        parts.append(["--log-opt", f"max-file={spec.log_files}"])
    parts += _health_flags(spec)
    for name, value in spec.labels:
        parts.append(["--label", f"{name}={MASK if looks_secret(name, value) else value}"])
    flags = {
        "--tty": spec.tty,
        "--interactive": spec.open_stdin,
        "--init": spec.init,
        "--read-only": spec.read_only_root,
    }
    parts += [[flag] for flag, wanted in flags.items() if wanted]
    parts += [["--stop-timeout", str(spec.stop_timeout)]] if spec.stop_timeout is not None else []
    last = [spec.image]
    if spec.entrypoint is not None:
        # The flag takes one word; the rest of the vector comes before the command.
        parts.append(["--entrypoint", spec.entrypoint[0] if spec.entrypoint else ""])
        last += spec.entrypoint[1:]
    last += spec.command or ()
    parts.append(last)
    return " \\\n  ".join(shlex.join(part) for part in parts)


def _health_flags(spec: ContainerSpec) -> list[list[str]]:
    check = spec.healthcheck
    if check is None:
        return []
    if not check.test:
        return [["--no-healthcheck"]]
    return [
        ["--health-cmd", check.test],
        ["--health-interval", f"{check.interval}s"],
        ["--health-timeout", f"{check.timeout}s"],
        ["--health-retries", str(check.retries)],
        ["--health-start-period", f"{check.start_period}s"],
    ]


def _restart(spec: ContainerSpec) -> str:
    if spec.restart_policy is RestartPolicy.NO:
        return ""
    return f"{spec.restart_policy.value}:{spec.restart_max_retries}".removesuffix(":0")


def _short_size(size_bytes: int) -> str:
    for unit, factor in (("g", 1024 * MIB), ("m", MIB), ("k", 1024)):
        if size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)


# For compose


def compose(spec: ContainerSpec) -> str:
    """Return the compose file that would do the same with the volumes and networks that exist: it makes none."""
    service: dict[str, Any] = {"image": spec.image, "container_name": spec.name}
    for name, words in (("entrypoint", spec.entrypoint), ("command", spec.command)):
        if words is not None:
            service[name] = list(words)
    # Compose makes a network of its own where the engine has a default.
    own_network = spec.network if spec.network not in ("", "host", "none") else ""
    service |= _said(
        user=spec.user,
        working_dir=spec.working_directory,
        tty=spec.tty,
        stdin_open=spec.open_stdin,
        init=spec.init,
        read_only=spec.read_only_root,
        environment={name: None if looks_secret(name, value) else value for name, value in spec.environment},
        network_mode="" if own_network else spec.network or "bridge",
        hostname=spec.hostname,
        ports=[
            _said(
                target=port.container_port,
                published=str(port.host_port or ""),
                host_ip=port.host_ip,
                protocol=port.protocol,
            )
            for port in spec.ports
        ],
        volumes=[
            *(_said(type="volume", source=v.volume, target=v.target, read_only=v.read_only) for v in spec.volumes),
            *(_said(type="tmpfs", target=t.target, tmpfs=_said(size=t.size_bytes)) for t in spec.tmpfs),
        ],
        mem_limit=_short_size(spec.memory_bytes) if spec.memory_bytes else "",
        memswap_limit=_short_size(spec.memory_bytes) if spec.memory_bytes else "",
        cpus=cpus_text(spec.nano_cpus) if spec.nano_cpus else "",
        pids_limit=spec.pids_limit,
        storage_opt={"size": _short_size(spec.disk_bytes)} if spec.disk_bytes else {},
        cap_drop=list(spec.cap_drop),
        cap_add=list(spec.cap_add),
        security_opt=["no-new-privileges:true"] if spec.no_new_privileges else [],
        logging=_logging(spec),
        restart=_restart(spec),
        stop_grace_period="" if spec.stop_timeout is None else f"{spec.stop_timeout}s",
        healthcheck=_healthcheck(spec),
        labels={name: MASK if looks_secret(name, value) else value for name, value in spec.labels},
    )
    file = _said(
        services={spec.name: service},
        volumes={volume.volume: {"external": True} for volume in spec.volumes},
        # Every service joins the one of this name by itself, and a network's own name may be no key of compose.
        networks={"default": {"name": own_network, "external": True}} if own_network else {},
    )
    return "\n".join(_lines(file)) + "\n"


def _said(**values: object) -> dict[str, object]:
    """Return what is neither empty, nor off, nor none."""
    return {name: value for name, value in values.items() if value}


def _logging(spec: ContainerSpec) -> dict[str, object]:
    if not spec.log_bytes:
        return {}
    options = {"max-size": str(spec.log_bytes), "max-file": str(spec.log_files)}
    return {"driver": "json-file", "options": options}


def _healthcheck(spec: ContainerSpec) -> dict[str, object]:
    check = spec.healthcheck
    if check is None:
        return {}
    if not check.test:
        return {"disable": True}
    return {
        "test": ["CMD-SHELL", check.test],
        "interval": f"{check.interval}s",
        "timeout": f"{check.timeout}s",
        "retries": check.retries,
        "start_period": f"{check.start_period}s",
    }


# As YAML: each text is quoted, since a bare `on` or `1e3` would be no text, and `$` doubled, since compose expands it.

_BARE_KEY = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)\Z)[a-z_][a-z0-9_.-]*\Z", re.IGNORECASE)


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            name = key if _BARE_KEY.match(key) else _quoted(key)
            if isinstance(item, Mapping | list) and item:
                yield f"{name}:"
                yield from (f"  {line}" for line in _lines(item))
            else:
                yield f"{name}: {_scalar(item)}"
    elif isinstance(value, list) and value:
        for item in value:
            first, *others = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
    else:
        yield _scalar(value)


def _scalar(value: object) -> str:
    return _quoted(value.replace("$", "$$")) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return "\\n" if code == 10 else f"\\x{code:02x}" if code < 0x100 else f"\\U{code:08x}"
