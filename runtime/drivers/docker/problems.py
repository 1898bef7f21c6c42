"""An engine's refusal (status and sentence) as one of our errors, with the cause where we recognise it."""

from __future__ import annotations

import json
import re
from typing import Final

from runtime.errors import (
    AccessDenied,
    BackendError,
    Conflict,
    EngineFailure,
    Invalid,
    NotFound,
    ProtocolError,
    Unreachable,
    Unsupported,
)

_SENTENCE_LIMIT: Final = 4096

#: Cause by what the engine's sentence contains, most specific first. Docker's and Podman's wordings.
_REASONS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (reason, re.compile(pattern, re.IGNORECASE))
    for reason, pattern in (
        (
            "disk_not_limited",
            r"--storage-opt is (?:supported only|not supported)|does not support, or has not enabled quotas",
        ),
        ("no_space", r"no space left on device|disk quota exceeded"),
        ("read_only", r"marked read-only|read-only file system"),
        ("is_folder", r"cannot overwrite (?:directory|non-directory)|copying would (?:overwrite|replace) .*director"),
        ("not_folder", r"extraction point is not a directory|not a directory"),
        (
            "path_missing",
            r"could not find the file|could not be found on container|lstat .*: no such file or directory"
            r"|(?:file|path) .* does not exist in container",
        ),
        ("port_taken", r"port is already allocated|address already in use|failed to bind host port"),
        (
            "name_taken",
            r"name .* (?:is )?already in use|name .* in use by|network name .* already used"
            r"|network with name .* already exists|volume named .* already exists",
        ),
        (
            "predefined",
            r"on predefined .* network|is a pre-defined network|conflicts with a valid network mode"
            r"|default network .* cannot be removed",
        ),
        ("running", r"(?:remove|delete) a running container|container .* as it is running|stop the container before"),
        ("already_paused", r"is already paused|container state improper.*paused.*pause"),
        ("not_paused", r"is not paused"),
        ("paused", r"is paused|container .* paused"),
        ("restarting", r"is restarting"),
        (
            "not_running",
            r"is not running|can only (?:kill|pause|attach|resize|create exec)|not in running state|no running",
        ),
        ("removing", r"removal of container .* is already in progress"),
        (
            "in_use",
            r"volume is in use|volume .* is being used|image is (?:being )?used by|image .* in use"
            r"|in use by a? ?container|must be forced|must force|is using its referenced image"
            r"|has dependent child images|has active endpoints|has associated containers",
        ),
        ("rate_limited", r"toomanyrequests|rate limit"),
        (
            "image_missing",
            r"no such image|manifest unknown|manifest for .* not found|repository .* not found|name unknown"
            r"|repository does not exist|pull access denied|image not known|failed to find image|reading manifest",
        ),
        ("registry_denied", r"unauthorized|authentication required|access to the resource is denied|requested access"),
        (
            "registry_unreachable",
            r"no such host|connection refused|i/o timeout|TLS handshake timeout|network is unreachable"
            r"|server gave HTTP response to HTTPS client|request canceled while waiting|pinging container registry",
        ),
        (
            "command_missing",
            r"executable file .*not found|no such file or directory.*exec|exec:? .*no such file or directory",
        ),
        ("command_denied", r"exec:? .*permission denied|OCI permission denied"),
        ("user_missing", r"unable to find user|no matching entries in passwd"),
        ("volume_missing", r"no such volume"),
        ("network_missing", r"network (?:.* )?not found|no such network|unable to find network"),
        ("no_command", r"no command specified|no command or entrypoint"),
        ("init_missing", r"container-init binary not found"),
        ("exec_missing", r"no such exec"),
        ("container_missing", r"no such container|no container with name or id"),
    )
)

# What "in use" and the like are called when Podman answers 500 where Docker answers 409, or 403 about networks.
_CONFLICTS: Final = frozenset(
    {
        "name_taken",
        "predefined",
        "already_paused",
        "not_paused",
        "paused",
        "restarting",
        "not_running",
        "running",
        "removing",
        "in_use",
        "read_only",
        "is_folder",
        "not_folder",
    }
)


def recognise(message: str) -> str:
    """Return the machine-readable cause of an engine's sentence, ``""`` when unknown."""
    for reason, pattern in _REASONS:
        if pattern.search(message):
            return reason
    return ""


def sentence(body: bytes) -> str:
    """Return what an error answer says: the ``message`` of its JSON, else its text, cut to a bearable length."""
    text = body[: 4 * _SENTENCE_LIMIT].decode(errors="replace").strip()
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return text[:_SENTENCE_LIMIT]
    if isinstance(decoded, dict):
        for key in ("message", "cause", "error"):
            found = decoded.get(key)
            if isinstance(found, str) and found:
                return found[:_SENTENCE_LIMIT]
    return text[:_SENTENCE_LIMIT]


def problem(status: int, body: bytes) -> BackendError:
    """Return the error that an answer with this status and body stands for."""
    message = sentence(body) or f"the engine answered with status {status} and no explanation"
    reason = recognise(message)
    if status == 400:
        if "HTTP request to an HTTPS server" in message:
            return Unreachable("the engine speaks TLS and this endpoint has no certificates", reason="tls")
        if re.search(r"client version .* is too (?:new|old)", message):
            return Unsupported(message, reason="api_version")
        return Invalid(message, reason=reason)
    if status in (401, 403):
        return Conflict(message, reason=reason) if reason in _CONFLICTS else AccessDenied(message, reason=reason)
    if status == 404:
        if message == "page not found" or message.startswith("404 page not found"):
            return Unsupported(message)
        return NotFound(message, reason=reason)
    if status in (405, 501):
        return Unsupported(message, reason=reason)
    if status == 409:
        return Conflict(message, reason=reason)
    if status == 422:
        return Invalid(message, reason=reason)
    if status >= 500:
        if reason == "no_command":
            return Invalid(message, reason=reason)
        if reason in ("network_missing", "path_missing"):
            return NotFound(message, reason=reason)
        return Conflict(message, reason=reason) if reason in _CONFLICTS else EngineFailure(message, reason=reason)
    return ProtocolError(f"the engine answered with status {status}, which has no meaning here")


def pull_problem(message: str) -> BackendError:
    """Return the error for the sentence with which a pull ended although its status was 200."""
    reason = recognise(message)
    if reason == "image_missing":
        return NotFound(message, reason=reason)
    if reason == "registry_denied":
        return AccessDenied(message, reason=reason)
    return EngineFailure(message, reason=reason)
