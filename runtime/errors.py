"""What can go wrong between us and an engine, drawn as a tree.

    BackendError               anything below; never raised itself
    ├── Unreachable            no connection: refused, no such socket, no route, TLS handshake failed
    ├── TimedOut               a connection, but no answer within the limit
    ├── AccessDenied           the engine (or its proxy) refused us: 401, 403
    ├── NotFound               the object does not exist: 404
    ├── Conflict               the object's state forbids it: 409 (name taken, not running, in use)
    ├── Invalid                the engine rejects the request as malformed: 400, 422
    ├── Unsupported            this engine or API version cannot do it: 501, an unknown endpoint
    ├── EngineFailure          the engine tried and failed: 500 (port taken, no space, OCI runtime error)
    ├── ProtocolError          the answer is not what the API promises
    └── Terminated             a stream ended before its end

Each class has a stable ``code`` (used in audit rows, operations and JSON answers). ``message`` is the engine's own
sentence and is hostile text; ``reason`` is a finer machine-readable cause where we recognise one.
"""

from __future__ import annotations

from typing import ClassVar


class BackendError(Exception):
    """Base of every error this package raises on behalf of an engine or hypervisor."""

    code: ClassVar[str] = "backend"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        #: e.g. "name_taken", "port_taken", "no_space", "image_missing", "not_running", "in_use"; "" when unknown.
        self.reason = reason


class Unreachable(BackendError):
    """No connection could be made to the engine."""

    code = "unreachable"


class TimedOut(BackendError):
    """The engine accepted the connection and did not answer in time."""

    code = "timed_out"


class AccessDenied(BackendError):
    """The engine refused our credentials or our right to the object."""

    code = "access_denied"


class NotFound(BackendError):
    """The engine does not know the object."""

    code = "not_found"


class Conflict(BackendError):
    """The object's present state forbids the request."""

    code = "conflict"


class Invalid(BackendError):
    """The engine rejected the request as malformed."""

    code = "invalid"


class Unsupported(BackendError):
    """This engine, or its API version, cannot do what was asked."""

    code = "unsupported"


class EngineFailure(BackendError):
    """The engine tried and failed; its message says why."""

    code = "engine_failure"


class ProtocolError(BackendError):
    """The answer does not follow the Engine API."""

    code = "protocol"


class Terminated(BackendError):
    """A stream ended before its end: the engine went away or cut it."""

    code = "terminated"
