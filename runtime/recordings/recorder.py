"""Recording a terminal while it goes on: nothing here makes an event loop wait.

What a terminal shows is put into a queue of bounded size; :mod:`runtime.recordings.writer` makes files of queues.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from runtime.recordings.chain import chain_path
from runtime.recordings.errors import FailureCode, RecordingFailure, code_of
from runtime.recordings.writer import FULL, ITEM, Head, Item, Tape, Threads

SIZE_LIMIT: Final = 1024 * 1024 * 1024
#: Bytes that wait for the writer: of one recorder, and of all together.
QUEUE_LIMIT: Final = 16 * 1024 * 1024
TOTAL_LIMIT: Final = 128 * 1024 * 1024
_MARK: Final = 1000

_threads = Threads()


class Recorder:
    """One recording. Use it on one event loop; no method waits for a disk but :meth:`start`, and that only to begin."""

    def __init__(
        self,
        file: int,
        chain: int,
        *,
        columns: int,
        keeps_input: bool,
        on_failure: Callable[[str], None],
        limit_bytes: int,
        queue_limit: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure
        self._keeps_input = keeps_input
        self._queue_limit = queue_limit
        self._failed = False
        self._is_closing = False
        self._done: asyncio.Future[Head] = self._loop.create_future()
        self._tape = Tape(
            file,
            chain,
            columns=columns,
            keeps_input=keeps_input,
            limit_bytes=limit_bytes,
            on_failure=lambda code: self._call(self._fail, code),
            on_end=lambda head: self._call(self._finish, head),
        )

    @classmethod
    def start(
        cls,
        path: Path,
        *,
        columns: int,
        rows: int,
        title: str = "",
        details: Mapping[str, str] | None = None,
        keeps_input: bool = False,
        on_failure: Callable[[str], None],
        limit_bytes: int = SIZE_LIMIT,
        queue_limit: int = QUEUE_LIMIT,
    ) -> Recorder:
        """Create the recording at ``path``, which must not exist, for this process's user alone.

        ``on_failure`` is called once, on the running loop, with a :class:`FailureCode`, when the recording can no
        longer go on. Raises ``RecordingFailure`` when it cannot begin.
        """
        header = {
            "version": 2,
            "width": columns,
            "height": rows,
            "timestamp": int(time.time()),
            **({"title": title} if title else {}),
            "env": {"TERM": "xterm-256color"},
            **({"pilothouse": dict(details)} if details else {}),
        }
        names = (path, chain_path(path))
        opened: list[int] = []
        try:
            for name in names:
                opened.append(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            recorder = cls(
                opened[0],
                opened[1],
                columns=columns,
                keeps_input=keeps_input,
                on_failure=on_failure,
                limit_bytes=limit_bytes,
                queue_limit=queue_limit,
            )
            recorder._tape.append(json.dumps(header, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        except OSError as error:
            for descriptor, name in zip(opened, names, strict=False):
                os.close(descriptor)
                with suppress(OSError):
                    name.unlink()
            raise RecordingFailure(code_of(error), reason=error.strerror or "") from error
        _threads.add(recorder._tape)
        return recorder

    @property
    def backlog(self) -> int:
        """Bytes that wait for the writer. Who cannot do without the recording slows down before it is too much."""
        return self._tape.backlog

    @property
    def failed(self) -> bool:
        """Whether it no longer records."""
        return self._failed

    def output(self, data: bytes) -> None:
        """The terminal showed ``data``."""
        self._add("o", data, len(data))

    def typed(self, data: bytes) -> None:
        """Somebody typed ``data``: kept as the policy says, and only what the terminal shows of it."""
        if self._keeps_input:
            self._add("i", data, len(data))

    def resized(self, columns: int, rows: int) -> None:
        """The terminal has this size now."""
        self._add("r", (columns, rows), 0)

    def mark(self, text: str = "") -> None:
        """Something worth finding again happened now."""
        self._add("m", text[:_MARK], len(text[:_MARK]))

    def close(self, exit_code: int | None = None) -> Awaitable[Head]:
        """End the recording. What is returned need not be awaited; it may be awaited more than once."""
        if not self._is_closing:
            self._is_closing = True
            self._tape.items.append(Item(time.monotonic(), "x", exit_code))
            _threads.wake()
        return asyncio.shield(self._done)

    def _add(self, kind: str, value: Any, size: int) -> None:
        if self._failed or self._is_closing:
            return
        size += ITEM
        tape = self._tape
        if tape.backlog + size > self._queue_limit or _threads.backlog > TOTAL_LIMIT:
            self._fail(FailureCode.TOO_SLOW)
            return
        tape.put += size
        tape.items.append(Item(time.monotonic(), kind, value, size))
        if tape.backlog > FULL:
            _threads.wake()

    def _fail(self, code: FailureCode) -> None:
        """Stop, and say so once."""
        if self._failed:
            return
        self._failed = True
        self._tape.items.append(Item(time.monotonic(), "f", None))
        _threads.wake()
        self._on_failure(code.value)

    def _finish(self, head: Head) -> None:
        self._done.set_result(head)

    def _call(self, function: Callable[..., None], argument: object) -> None:
        """By a thread: call on the loop. One that is closed needs to know nothing any more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, argument)
