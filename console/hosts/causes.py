"""Why a host does not answer well: from an error to a code, and from the code to cause and next step for people.

Codes are stored, sentences are not: they are said in the reader's language. What an address answered is never shown,
only what our own system says about the connection: otherwise "test this address" would read other people's services.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.gateway import (
    AccessDenied,
    BackendError,
    EngineFailure,
    ProtocolError,
    Terminated,
    TimedOut,
    Unreachable,
    Unsupported,
)
from console.lib.text import one_line

STATUS_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Explanation:
    """One cause for people, and what to do next. ``state`` is a value of ``HostState``."""

    state: str
    sentence: Promise
    next_step: Promise


_EXPLANATIONS: dict[str, Explanation] = {
    "name_unknown": Explanation(
        "unreachable",
        _("Its name is not known here."),
        _("Check the spelling, or enter the IP address instead of the name."),
    ),
    "refused": Explanation(
        "unreachable",
        _("Nothing listens at this address."),
        _("Start the engine on that machine, and check the port: engines with TLS usually listen on 2376."),
    ),
    "no_socket": Explanation(
        "unreachable",
        _("There is no socket at this path."),
        _("Start the engine, or correct the path. Docker's is /var/run/docker.sock, Podman's /run/podman/podman.sock."),
    ),
    "not_a_socket": Explanation(
        "unreachable",
        _("What is at this path is not a socket."),
        _("Enter the path of the engine's socket, for example /var/run/docker.sock."),
    ),
    "no_permission": Explanation(
        "refusing",
        _("The console's user may not open this socket."),
        _("Add the user that runs Pilothouse to the socket's group (for Docker: docker), then restart Pilothouse."),
    ),
    "no_route": Explanation(
        "unreachable",
        _("No connection could be made within the limit."),
        _("Check that the machine is on, that the address is right and that no firewall is in between."),
    ),
    "unreachable": Explanation(
        "unreachable",
        _("No connection could be made."),
        _("Check that the machine is on and its engine runs, and that the address is right."),
    ),
    "tls_untrusted": Explanation(
        "refusing",
        _("Its certificate is not one that the CA certificate you entered vouches for, or is for another name."),
        _("Enter the CA that signed the engine's certificate, and use a name or address that the certificate lists."),
    ),
    "tls_rejected": Explanation(
        "refusing",
        _("It does not accept our client certificate."),
        _("Have the client certificate signed by the CA that the engine trusts (its tlscacert), and check its dates."),
    ),
    "tls_failed": Explanation(
        "failing",
        _("No TLS connection could be agreed on."),
        _("Check that the engine on this port speaks TLS (dockerd --tlsverify), in version 1.2 or newer."),
    ),
    "tls_needed": Explanation(
        "refusing",
        _("It wants TLS, and we came without."),
        _("Edit the host and enter the CA, the client certificate and its key."),
    ),
    "timed_out": Explanation(
        "failing",
        _("It accepts connections and does not answer."),
        _("Look at the engine's own log on that machine: it may hang, be stopped or be overloaded."),
    ),
    "terminated": Explanation(
        "failing",
        _("It closed the connection before its answer was complete."),
        _("The engine may be restarting; if this stays, look at its log on that machine."),
    ),
    "access_denied": Explanation(
        "refusing",
        _("The engine, or a proxy in front of it, refuses what we ask."),
        _("Allow this console in the engine's authorization plugin or in the proxy, for reading and for changes."),
    ),
    "protocol": Explanation(
        "failing",
        _("What answers there is not a Docker or Podman engine."),
        _("Check the port, and that nothing else listens there."),
    ),
    "unsupported": Explanation(
        "failing",
        _("The engine speaks a version of its API that we do not know."),
        _("Update the engine: Docker 20.10 and Podman 4 or newer are known to work."),
    ),
    "engine_failure": Explanation(
        "failing",
        _("The engine answers with an error of its own."),
        _("Look at the engine's own log on that machine."),
    ),
    "other_engine": Explanation(
        "failing",
        _("Another engine answers at this address than the one we knew. Nothing of it was taken over."),
        _("If you replaced or reinstalled it, edit the host and save it to accept it; else check the address."),
    ),
    "secret_lost": Explanation(
        "failing",
        _("Its stored TLS key cannot be read with the keys of this console."),
        _("Restore keys/encryption from your backup, or edit the host and enter the certificates again."),
    ),
    "bad_address": Explanation(
        "failing",
        _("Its address is not one we can use."),
        _("Edit the host and correct the address."),
    ),
}

_BY_KIND: list[tuple[type[BackendError], str]] = [
    (TimedOut, "timed_out"),
    (AccessDenied, "access_denied"),
    (Unsupported, "unsupported"),
    (EngineFailure, "engine_failure"),
    (Terminated, "terminated"),
    (ProtocolError, "protocol"),
    (Unreachable, "unreachable"),
]

_BY_ERRNO = {
    errno.ECONNREFUSED: "refused",
    errno.ENOENT: "no_socket",
    errno.ENOTSOCK: "not_a_socket",
    errno.EACCES: "no_permission",
    errno.EPERM: "no_permission",
    errno.EHOSTUNREACH: "no_route",
    errno.ENETUNREACH: "no_route",
    errno.ETIMEDOUT: "no_route",
}


def explain(code: str) -> Explanation:
    """Return what ``code`` means; an unknown one is told as "no connection"."""
    return _EXPLANATIONS.get(code) or _EXPLANATIONS["unreachable"]


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        nested = getattr(current, "os_error", None) or getattr(current, "certificate_error", None)
        if isinstance(nested, BaseException) and id(nested) not in seen:
            yield nested
        current = current.__cause__ or current.__context__


def _cause_below(error: BackendError) -> str:
    """Return the code that the operating system's or the TLS library's own error gives, or ``""``."""
    below = list(_chain(error))
    for inner in below:
        # The wire library wraps the alert with which the other side turns us down into an OSError of its own.
        if isinstance(inner, ssl.SSLError) or "[SSL:" in str(inner):
            said = str(inner).upper()
            if isinstance(inner, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in said:
                return "tls_untrusted"
            return "tls_rejected" if "ALERT" in said and "PROTOCOL_VERSION" not in said else "tls_failed"
        if isinstance(inner, socket.gaierror):
            return "name_unknown"
    for inner in below:
        if isinstance(inner, TimeoutError) and isinstance(error, Unreachable):
            return "no_route"
        if isinstance(inner, OSError) and inner.errno in _BY_ERRNO:
            return _BY_ERRNO[inner.errno]
    return ""


def cause_of(error: BackendError) -> str:
    """Return the code of what ``error`` says about the host."""
    if isinstance(error, Unreachable | Terminated) and (below := _cause_below(error)):
        return below
    if isinstance(error, Unreachable) and error.reason == "tls":
        return "tls_needed" if "this endpoint has no certificates" in error.message else "tls_failed"
    for kind, code in _BY_KIND:
        if isinstance(error, kind):
            return code
    return "protocol"


def detail_of(error: BackendError) -> str:
    """Return the connection's own words, for a line of detail; ``""`` where they could hold somebody's answer."""
    if isinstance(error, Unreachable | TimedOut):
        return one_line(error.message, limit=STATUS_LENGTH)
    return ""
