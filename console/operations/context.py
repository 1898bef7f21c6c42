"""What a handler holds while it runs: its arguments, an open engine, and where to say how far it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from django.db import DatabaseError

from console.gateway import ContainerEngine
from console.lib import faults
from console.lib.text import one_line

OUTPUT_LIMIT = 256 * 1024
#: Layers shown; an image has at most 127.
_MOST_LAYERS = 200


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def plain(text: str) -> str:
    """Return ``text`` as any database takes it: without NUL and without half characters."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _plain_value(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(str(key)): _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value


class DatabaseCall:
    """What a handler wants of the database, for the worker's thread to do."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.answer: Future[Any] = Future()

    def run(self) -> None:
        """Do it and give the handler its answer, or its error. Raises ``DatabaseError``, and can be run again then."""
        if self.answer.cancelled():
            return
        try:
            result = self._work()
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001  # the handler's own, raised again where it waits
            self.fail(error)
        else:
            self._settle(lambda: self.answer.set_result(result))

    def fail(self, error: BaseException) -> None:
        """Raise ``error`` where the handler waits."""
        self._settle(lambda: self.answer.set_exception(error))

    def _settle(self, tell: Callable[[], None]) -> None:
        # A handler that was cancelled meanwhile waits for nothing.
        with suppress(InvalidStateError):
            tell()


class OperationContext:
    """One run of one operation.

    Handlers call it on the gateway's loop; the worker's thread beside them takes what changed by :meth:`changes`. It
    never touches the database, so reporting costs a handler nothing; what a handler itself wants of the database goes
    through :meth:`in_database`.
    """

    def __init__(
        self,
        *,
        operation_id: UUID,
        host_id: UUID | None = None,
        team_id: UUID | None = None,
        arguments: dict[str, Any],
        object_id: str,
        object_name: str,
        attempt: int,
        engine: ContainerEngine,
        output: str = "",
        repeats: Collection[UUID] = (),
        calls: SimpleQueue[DatabaseCall | None] | None = None,
    ) -> None:
        self.operation_id = operation_id
        self.host_id = host_id
        #: Whose object it is about, or makes, as of when it was asked for.
        self.team_id = team_id
        #: The failed operations that this one asks for again: the one before it, the one before that, and so on.
        self.repeats = frozenset(repeats)
        self.arguments = arguments
        self.object_id = object_id
        self.object_name = object_name
        self.attempt = attempt
        self.engine = engine
        #: Set before the handler is cancelled because another worker goes on with the operation: leave everything.
        self.abandoned = False
        #: What others may do to the object meanwhile and it would explain any other end; see :meth:`watch`.
        self.undone_by: frozenset[str] = frozenset()
        self._calls = calls if calls is not None else SimpleQueue()
        self._lock = threading.Lock()
        self._changes: dict[str, Any] = {}
        self._progress: dict[str, Any] = {}
        self._phases: list[str] = []
        self._result: dict[str, Any] = {}
        self._lines: list[str] = output.splitlines(keepends=True)
        self._output_size = sum(len(line.encode()) for line in self._lines)

    def phase(self, phase: str, message: str = "") -> None:
        """Begin the step called ``phase`` ("pull", "create", …); ``message`` says it to people."""
        with self._lock:
            self._changes |= {"phase": one_line(phase, limit=30), "message": one_line(message, limit=500)}
            if phase not in self._phases:
                self._phases.append(phase)
            # Bytes of one step mean nothing in the next.
            self._progress = {"phases": list(self._phases)}
            self._changes["progress"] = self._progress

    def say(self, message: str) -> None:
        """Change the sentence for people within the present step."""
        with self._lock:
            self._changes["message"] = one_line(message, limit=500)

    def progress(
        self, *, current: int = 0, total: int = 0, unit: str = "", layers: list[dict[str, Any]] | None = None
    ) -> None:
        """Say how far the present step is. ``layers`` are ``{"id", "phase", "current", "total"}``."""
        with self._lock:
            self._progress = {"phases": list(self._phases), "current": current, "total": total, "unit": unit}
            if layers is not None:
                self._progress["layers"] = _plain_value(layers[:_MOST_LAYERS])
            self._changes["progress"] = self._progress

    def output(self, text: str) -> None:
        """Keep a line of the engine's own words; the oldest go when there are more than 256 KiB."""
        line = plain(text).rstrip("\n")[-OUTPUT_LIMIT // 4 :] + "\n"
        with self._lock:
            self._lines.append(line)
            self._output_size += len(line.encode())
            cut = 0
            while self._output_size > OUTPUT_LIMIT:
                self._output_size -= len(self._lines[cut].encode())
                cut += 1
            del self._lines[:cut]
            self._changes["output"] = None

    def result(self, **values: Any) -> None:
        """Keep values for the page that waits for the end."""
        with self._lock:
            self._result |= _plain_value(values)
            self._changes["result"] = dict(self._result)

    def identify(self, *, object_id: str, object_name: str = "") -> None:
        """Say which engine object this is about, once a create knows it."""
        with self._lock:
            self.object_id = object_id
            self._changes["object_id"] = one_line(object_id, limit=300)
            if object_name:
                self.object_name = object_name
                self._changes["object_name"] = one_line(object_name, limit=300)

    def watch(self, *, undone_by: Collection[str]) -> None:
        """From here on only look at the object, until :meth:`saw`: others may act on it meanwhile.

        If an operation of a kind in ``undone_by`` does and what was looked for never comes, this one ends as cancelled
        by that, however its handler ends.
        """
        with self._lock:
            self.undone_by = frozenset(undone_by)
            self._changes["watches"] = True

    def saw(self, message: str) -> None:
        """Say to people that what :meth:`watch` looked for has come."""
        with self._lock:
            self.undone_by = frozenset()
            self._changes |= {"watches": False, "message": one_line(message, limit=500)}

    async def in_database(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Return what ``function`` answers, which reads or writes the database: the worker's thread calls it.

        While the database is away it is called again, for as long as the lease holds: it must bear that.
        """
        call = DatabaseCall(lambda: function(*args, **kwargs))
        self._calls.put(call)
        result: Result = await asyncio.wrap_future(call.answer)
        return result

    def fault(self, name: str) -> None:
        """Say that the named fault point is reached; see ``console.lib.faults``."""
        faults.reach(name)

    def changes(self) -> dict[str, Any]:
        """Return the row's fields that changed since the last call, for the worker's thread."""
        with self._lock:
            changes, self._changes = self._changes, {}
            if "output" in changes:
                changes["output"] = "".join(self._lines)
        return changes

    def put_back(self, changes: dict[str, Any]) -> None:
        """Take back changes that could not be written, unless newer ones came meanwhile."""
        with self._lock:
            self._changes = changes | self._changes
