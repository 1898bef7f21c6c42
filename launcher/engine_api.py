"""The three calls that the launcher makes to an engine before the console is there."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connect(url: str, *, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return _UnixConnection(parts.path, timeout=timeout)
    return http.client.HTTPConnection(parts.hostname or "", parts.port or 2375, timeout=timeout)


def driver_at(url: str, *, timeout: float = 2.0) -> str | None:
    """Return ``docker`` or ``podman``: what answers at ``url``; None when nothing does within ``timeout`` seconds."""
    connection = _connect(url, timeout=timeout)
    try:
        connection.request("GET", "/version")
        answer = connection.getresponse()
        version: Any = json.loads(answer.read(1_000_000)) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    if not isinstance(version, dict) or "ApiVersion" not in version:
        return None
    names = [str(part.get("Name", "")) for part in version.get("Components") or [] if isinstance(part, dict)]
    return "podman" if any("podman" in name.lower() for name in names) else "docker"


def has_image(url: str, reference: str) -> bool:
    """Whether the engine holds an image."""
    connection = _connect(url, timeout=10)
    try:
        connection.request("GET", f"/images/{reference}/json")
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200
    finally:
        connection.close()


def import_image(url: str, *, path: str, body: bytes) -> None:
    """Make an image of a tar archive. Raises ``OSError`` when the engine refuses."""
    connection = _connect(url, timeout=60)
    try:
        connection.request("POST", path, body=body, headers={"Content-Type": "application/x-tar"})
        answer = connection.getresponse()
        text = answer.read(100_000).decode(errors="replace")
    finally:
        connection.close()
    if answer.status != 200 or '"error"' in text:
        raise OSError(f"the engine answered {answer.status}: {text.strip()[:300]}")
