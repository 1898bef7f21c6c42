"""Names and addresses of hosts, as people enter them. Pure; does no I/O beyond following links of local paths."""

from __future__ import annotations

import os
import re
from ipaddress import AddressValueError, IPv6Address
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

#: ASCII only: letters that look like others would let one host pose as another.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]| (?! )){0,58}[A-Za-z0-9]|[A-Za-z0-9]")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
#: What the kernel takes as the path of a unix socket.
_PATH_BYTES = 107


def clean_name(name: str) -> str:
    """Return ``name``, fit for a list, a log and a command line. Raises ``ValidationError``."""
    if not _NAME.fullmatch(name):
        raise ValidationError(
            _(
                "A host's name has 1 to 60 letters (A to Z), digits, dots, dashes, underscores or single spaces, and "
                "begins and ends with a letter or a digit. Example: build-01."
            ),
            code="name",
        )
    return name


def clean_address(text: str) -> str:
    """Return an engine's address in its one spelling. Raises ``ValidationError``."""
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValidationError(
            _("An address has only plain ASCII characters and no spaces. Example: tcp://10.0.0.5:2376."), code="address"
        )
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if scheme == "unix" and separator:
        return _clean_path(rest)
    if scheme == "tcp" and separator:
        return _clean_host_and_port(rest)
    if text.startswith("/"):
        raise ValidationError(_("To name a socket on this machine, write unix:// before its path."), code="address")
    if scheme in ("http", "https") and separator:
        raise ValidationError(_("Write tcp:// instead of http:// or https://, then host and port."), code="address")
    if scheme == "ssh" and separator:
        raise ValidationError(
            _("Hosts by SSH are not supported yet. Use the engine's TCP port with TLS, or a local socket."),
            code="address",
        )
    raise ValidationError(
        _("An address begins with unix:// (a socket on this machine) or tcp:// (another machine)."), code="address"
    )


def _clean_path(path: str) -> str:
    if not path.startswith("/") or "?" in path or "#" in path or "%" in path:
        raise ValidationError(
            _("After unix:// comes an absolute path. Example: unix:///var/run/docker.sock (three slashes)."),
            code="address",
        )
    path = os.path.normpath("/" + path.lstrip("/"))
    if len(path) > _PATH_BYTES:
        raise ValidationError(
            _("The path of a socket can have %(limit)s characters at the most."),
            code="address",
            params={"limit": _PATH_BYTES},
        )
    return f"unix://{path}"


def _clean_host_and_port(rest: str) -> str:
    try:
        parts = urlsplit(f"tcp://{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValidationError(
            _("An address is a host and a port, nothing else. Example: tcp://10.0.0.5:2376."), code="address"
        )
    if not _is_host(host):
        raise ValidationError(
            _("The host in this address is no name and no IP address. Example: tcp://engine.example.com:2376."),
            code="address",
        )
    if not port:
        raise ValidationError(
            _("The address needs a port from 1 to 65535. Engines with TLS usually listen on 2376."), code="address"
        )
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            IPv6Address(host)
        except AddressValueError:
            return False
        return "%" not in host
    return _HOST_NAME.fullmatch(host) is not None


def same_place(url: str) -> str:
    """Return what two addresses of one place have in common: the socket's path with links followed, or the address."""
    return f"unix://{os.path.realpath(url.removeprefix('unix://'))}" if url.startswith("unix://") else url
