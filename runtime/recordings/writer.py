"""The half of a recorder that writes: queues become files, on two threads that serve all recorders of the process.

One thread turns what waits into events and writes it, the other has the disk keep it, which can take its time. A
flush writes whole lines and then one line of the chain, so that a process that is killed leaves a file that can be read
to its last line.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from runtime.recordings.chain import END, START, chain_line
from runtime.recordings.errors import FailureCode, code_of
from runtime.recordings.typed import TypedLine, TypedLines

#: Seconds and bytes within which output becomes one event.
_COALESCE: Final = 0.02
_EVENT: Final = 64 * 1024
#: Seconds between two looks of the writer, and after which what waits is written and then kept by the disk.
_TICK: Final = 0.25
_FLUSH: Final = 0.75
_SYNC: Final = 0.5
#: So much is written at once, without waiting.
FULL: Final = 256 * 1024
#: What an item of the queue takes beside its bytes, or a flood of single ones would take far more than it seems to.
ITEM: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What there is to say of a recording that has ended."""

    size_bytes: int
    seconds: float
    #: The last hash of the chain, in hexadecimal.
    head: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Item:
    """Something to record: ``o``, ``i``, ``r``, ``m`` as in the file, ``x`` to close it, ``f`` to give it up."""

    at: float
    kind: str
    value: Any
    size: int = 0


class Tape:
    """The files of one recording. The loop's side appends to ``items`` and counts ``put``; the rest is the threads'."""

    def __init__(
        self,
        file: int,
        chain: int,
        *,
        columns: int,
        keeps_input: bool,
        limit_bytes: int,
        on_failure: Callable[[FailureCode], None],
        on_end: Callable[[Head], None],
    ) -> None:
        self._file, self._chain = file, chain
        self._limit = limit_bytes
        #: Called by one of the threads.
        self._on_failure, self._on_end = on_failure, on_end
        self._started = time.monotonic()
        self.items: deque[Item] = deque()
        self.put = 0
        self.taken = 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._typed = TypedLines(columns) if keeps_input else None
        self._size = 0
        self._digest = START
        self._seconds = 0.0
        #: Whether nothing more is written, and whether it was closed in peace.
        self.is_over = False
        self.is_complete = False
        self._unsynced_since: float | None = None
        self._sync_failure: OSError | None = None

    @property
    def backlog(self) -> int:
        """Bytes that wait."""
        return self.put - self.taken

    # The writer's

    def is_due(self, now: float) -> bool:
        """Whether what waits is to be written now."""
        items = self.items
        if not items:
            return False
        return now - items[0].at >= _FLUSH or self.backlog > FULL or items[-1].kind in "xf"

    def wants_sync(self, now: float) -> bool:
        """Whether the disk is to keep what was written; asked once for each time."""
        if self.is_over or self._unsynced_since is None or now - self._unsynced_since < _SYNC:
            return False
        self._unsynced_since = None
        return True

    def write(self) -> None:
        """Write what waits: as many whole stretches as there are."""
        try:
            if self._sync_failure is not None:
                raise self._sync_failure
            buffer = bytearray()
            for event in self._events():
                line = event.encode("utf-8", "replace")
                if self._size + len(buffer) + len(line) > self._limit:
                    self.append(buffer)
                    self._stop(FailureCode.TOO_LARGE)
                    return
                buffer += line
                if len(buffer) >= FULL:
                    self.append(buffer)
                    buffer.clear()
                # The loop's thread would otherwise wait for its turn as long as Python lets one thread run.
                time.sleep(0)
            if buffer or self.is_complete:
                self.append(buffer, is_last=self.is_complete)
        except OSError as error:
            self._stop(code_of(error))
        except (ValueError, LookupError, TypeError, ArithmeticError):
            # One recording's trouble is never that of the others, which this thread writes too.
            self._stop(FailureCode.BROKEN)

    def append(self, data: bytes | bytearray, *, is_last: bool = False) -> None:
        """Write one stretch and its line of the chain, or neither. Raises ``OSError``."""
        end = self._size + len(data)
        found = hashlib.sha256(self._digest)
        found.update(data)
        if is_last:
            found.update(END)
        try:
            _write_all(self._file, data)
            _write_all(self._chain, chain_line(end, found.digest(), is_last=is_last))
        except OSError:
            # Half a line is worth nothing; a full disk lets a file shrink.
            with suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size = end
        self._digest = found.digest()
        if self._unsynced_since is None:
            self._unsynced_since = time.monotonic()

    def _stop(self, code: FailureCode) -> None:
        self.is_over, self.is_complete = True, False
        self._on_failure(code)

    def _events(self) -> Iterator[str]:
        """Return the lines of the file for what waits."""
        parts: list[bytes] = []
        size = 0
        began = 0.0
        while self.items:
            item = self.items.popleft()
            self.taken += item.size
            if parts and (item.kind != "o" or item.at - began > _COALESCE or size + len(item.value) > _EVENT):
                yield from self._output(b"".join(parts), at=began)
                parts, size = [], 0
            if item.kind == "o":
                began = began if parts else item.at
                parts.append(item.value)
                size += len(item.value)
            elif item.kind in "xf":
                yield from self._last_events(item)
                return
            else:
                yield from self._other(item)
        if parts:
            yield from self._output(b"".join(parts), at=began)

    def _other(self, item: Item) -> Iterator[str]:
        if item.kind == "r":
            columns, rows = item.value
            if self._typed is not None:
                self._typed.resized(columns)
            yield self._event("r", f"{columns}x{rows}", at=item.at)
        elif item.kind == "m":
            yield self._event("m", item.value, at=item.at)
        elif self._typed is not None:
            yield from self._kept(self._typed.typed(item.value, at=item.at), at=item.at)

    def _last_events(self, item: Item) -> Iterator[str]:
        if item.kind == "x":
            rest = self._decode(b"", True)  # noqa: FBT003  the codec's own signature
            if rest:
                yield self._event("o", rest, at=item.at)
            if item.value is not None:
                yield self._event("x", str(item.value), at=item.at)
            self._seconds = max(self._seconds, item.at - self._started)
        self.is_over, self.is_complete = True, item.kind == "x"

    def _event(self, kind: str, text: str, *, at: float) -> str:
        # Never before the one before it.
        self._seconds = max(self._seconds, at - self._started)
        return f'[{self._seconds:.3f}, "{kind}", {json.dumps(text, ensure_ascii=False)}]\n'

    def _output(self, data: bytes, *, at: float) -> Iterator[str]:
        text = self._decode(data)
        if not text:
            return
        yield self._event("o", text, at=at)
        if self._typed is not None:
            yield from self._kept(self._typed.output(text, at=at), at=at)

    def _kept(self, lines: list[TypedLine], *, at: float) -> Iterator[str]:
        for line in lines:
            yield self._event("i", line.keys, at=at)
            if line.text:
                yield self._event("m", line.text, at=at)

    # The syncer's

    def sync(self) -> None:
        """Have the disk keep what was written."""
        try:
            os.fdatasync(self._file)
            os.fdatasync(self._chain)
        except OSError as error:
            self._sync_failure = error

    def end(self) -> None:
        """Have the disk keep all of it, close the files, and tell how it ended."""
        self.sync()
        os.close(self._file)
        os.close(self._chain)
        if self.is_complete and self._sync_failure is not None:
            self._stop(code_of(self._sync_failure))
        head = Head(size_bytes=self._size, seconds=self._seconds, head=self._digest.hex(), complete=self.is_complete)
        self._on_end(head)


def _write_all(descriptor: int, data: bytes | bytearray) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class Threads:
    """The thread that writes and the thread that syncs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tapes: set[Tape] = set()
        self._wakes = threading.Event()
        self._syncs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._run = False
        #: Bytes that wait of all tapes, as of the writer's last look.
        self.backlog = 0

    def add(self, tape: Tape) -> None:
        """Look after ``tape`` until it is over."""
        with self._lock:
            self._tapes.add(tape)
            if not self._run:
                self._run = True
                threading.Thread(target=self._write, name="recording-writer", daemon=True).start()
                threading.Thread(target=self._sync, name="recording-sync", daemon=True).start()
        self._wakes.set()

    def wake(self) -> None:
        """There is something to write at once."""
        self._wakes.set()

    def _write(self) -> None:
        while True:
            self._wakes.wait(_TICK if self._tapes else None)
            self._wakes.clear()
            with self._lock:
                tapes = list(self._tapes)
            self.backlog = sum(tape.backlog for tape in tapes)
            now = time.monotonic()
            for tape in tapes:
                if tape.is_due(now):
                    tape.write()
                if tape.is_over:
                    with self._lock:
                        self._tapes.discard(tape)
                    # What came after its end is nobody's.
                    tape.items.clear()
                    self._syncs.put(tape.end)
                elif tape.wants_sync(now):
                    self._syncs.put(tape.sync)

    def _sync(self) -> None:
        while True:
            self._syncs.get()()
