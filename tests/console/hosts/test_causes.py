"""From an error to a cause with a next step; never with what an address answered."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from console.gateway import (
    AccessDenied,
    BackendError,
    EngineFailure,
    Invalid,
    ProtocolError,
    Terminated,
    TimedOut,
    Unreachable,
    Unsupported,
)
from console.hosts.causes import cause_of, detail_of, explain
from console.hosts.models import HostState


def because(error: BackendError, below: BaseException) -> BackendError:
    error.__cause__ = below
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (because(Unreachable("x"), OSError(errno.ECONNREFUSED, "refused")), "refused"),
        (because(Unreachable("x"), OSError(errno.ENOENT, "no file")), "no_socket"),
        (because(Unreachable("x"), OSError(errno.EACCES, "denied")), "no_permission"),
        (because(Unreachable("x"), OSError(errno.EHOSTUNREACH, "no route")), "no_route"),
        (because(Unreachable("x"), TimeoutError()), "no_route"),
        (because(Unreachable("x"), socket.gaierror(-2, "unknown")), "name_unknown"),
        (because(Unreachable("x"), ssl.SSLCertVerificationError("self-signed")), "tls_untrusted"),
        (because(Terminated("x"), alert("TLSV13_ALERT_CERTIFICATE_REQUIRED")), "tls_rejected"),
        (because(Terminated("x"), OSError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca")), "tls_rejected"),
        (because(Unreachable("x"), alert("WRONG_VERSION_NUMBER")), "tls_failed"),
        (Unreachable("x", reason="tls"), "tls_failed"),
        (Unreachable("x"), "unreachable"),
        (TimedOut("x"), "timed_out"),
        (Terminated("x"), "terminated"),
        (AccessDenied("x"), "access_denied"),
        (ProtocolError("x"), "protocol"),
        (Unsupported("x"), "unsupported"),
        (EngineFailure("x"), "engine_failure"),
        (Unreachable("the engine speaks TLS and this endpoint has no certificates", reason="tls"), "tls_needed"),
        (Invalid("what?"), "protocol"),
    ],
)
def test_every_error_has_a_cause_with_a_next_step(error: BackendError, cause: str) -> None:
    assert cause_of(error) == cause
    found = explain(cause)
    assert found.sentence
    assert found.next_step
    assert found.state in HostState.values


def test_an_unknown_code_is_told_as_no_connection() -> None:
    assert explain("from-a-newer-version") == explain("unreachable")


@pytest.mark.parametrize("kind", [ProtocolError, AccessDenied, Invalid, EngineFailure, Terminated])
def test_what_an_address_answered_is_not_repeated(kind: type[BackendError]) -> None:
    assert detail_of(kind("root:x:0:0")) == ""


def test_our_own_words_about_the_connection_are_one_line() -> None:
    assert detail_of(Unreachable("no\nroute")) == "no\\nroute"
