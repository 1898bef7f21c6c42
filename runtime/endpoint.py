"""Where an engine answers, and with which credentials. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit


class Driver(StrEnum):
    """The kinds of daemon we can talk to. Podman speaks the Docker Engine API with differences the driver knows."""

    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCredentials:
    """PEM texts for mutual TLS. The key never appears in ``repr``."""

    ca_pem: str
    certificate_pem: str
    key_pem: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits in seconds. ``read`` bounds the silence between two reads of an ordinary answer, never a stream's."""

    connect: float = 3.0
    read: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Driver, address and credentials of one daemon.

    ``url`` is ``unix:///absolute/path`` or ``tcp://host:port`` (with ``tls`` unless the port is deliberately open).
    """

    driver: Driver
    url: str
    tls: TlsCredentials | None = None
    timeouts: Timeouts = Timeouts()

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            if not parts.path.startswith("/") or parts.netloc:
                raise ValueError(f"a unix endpoint needs an absolute path, as in unix:///run/docker.sock: {self.url!r}")
        elif parts.scheme == "tcp":
            if not parts.hostname or parts.port is None:
                raise ValueError(f"a tcp endpoint needs a host and a port, as in tcp://10.0.0.5:2376: {self.url!r}")
            if parts.hostname.startswith("-") or parts.username or parts.path not in ("", "/") or parts.query:
                raise ValueError(f"a tcp endpoint is a host and a port, nothing else: {self.url!r}")
        else:
            raise ValueError(f"the scheme of an endpoint is unix or tcp: {self.url!r}")

    @property
    def socket_path(self) -> str | None:
        """The path of a unix endpoint, else ``None``."""
        parts = urlsplit(self.url)
        return parts.path if parts.scheme == "unix" else None

    @property
    def address(self) -> tuple[str, int] | None:
        """Host name and port of a tcp endpoint, else ``None``."""
        parts = urlsplit(self.url)
        if parts.scheme != "tcp" or parts.hostname is None or parts.port is None:
            return None
        return parts.hostname, parts.port
