"""Files in and out of a container, streamed: by a process of the container, or by the engine itself.

:class:`ExecFiles` runs a shell in the container as the person's shell does: it can read and write what that shell can,
and nothing of it happens outside of the container. :class:`ArchiveFiles` asks the engine, which also reaches containers
that do not run or have no shell; it works as root and from outside, so engines had holes there (CVE-2026-41567, -41568,
-42306: see :func:`is_archive_safe`).

Both speak of the same errors, by ``reason``: ``path_missing``, ``path_denied``, ``path_exists``, ``is_folder``,
``not_folder``, ``not_regular``, ``whole_system``, ``no_space``, ``read_only``, ``file_changed``, ``no_shell`` and
``no_tar``.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from runtime import archives
from runtime.containers import ContainerEngine, ExecSpec, PathKind, PathStat
from runtime.errors import (
    BackendError,
    Conflict,
    EngineFailure,
    Invalid,
    NotFound,
    ProtocolError,
    Terminated,
    TimedOut,
    Unsupported,
)
from runtime.streams import ByteParts, Channel, Terminal

#: Seconds until the container's shell has said what it finds, and between two parts of a file.
ANSWER_LIMIT: Final = 20.0
SILENCE_LIMIT: Final = 60.0
_SETTLE_LIMIT: Final = 2.0
#: Bytes of what a process says about itself that are kept.
_WORDS_LIMIT: Final = 4096
_LONGEST_PATH: Final = 4095
_MOST_LINKS: Final = 8
_FILE_MODE: Final = 0o644
_SAFE_DOCKER: Final = (29, 5, 1)

# For dash, bash and busybox. Where the shell is another's it may say what it likes: what it says is parsed, bounded and
# believed in nothing but how a transfer of its own container went.

#: Prints one line about a path, "KIND SIZE MODE MTIME", and then what is there: a file as it is, a folder as a tar.
READ_SCRIPT: Final = r"""
path=$1
if [ -d "$path" ]; then kind=folder
elif [ -f "$path" ]; then kind=file
elif [ -e "$path" ]; then kind=other
else
  ls -dL "$path" >/dev/null
  echo missing
  exit 1
fi
about=$(stat -L -c '%s %a %Y' "$path" 2>/dev/null) || about="$(wc -c <"$path" 2>/dev/null) 0 0"
if [ "$2" = about ] || [ $kind = other ]; then
  echo "$kind $about"
  exit 0
fi
if [ $kind = file ]; then
  [ -r "$path" ] || { echo denied; exit 1; }
  echo "$kind $about"
  exec cat "$path"
fi
cd "$path" || { echo denied; exit 1; }
here=$(pwd -P)
case $here/ in
  / | // | /proc/* | /sys/* | /dev/*) echo whole; exit 1 ;;
esac
command -v tar >/dev/null || { echo notar; exit 1; }
cd ..
echo "$kind $about"
exec tar -cf - "./${here##*/}"
"""

#: Takes a file on standard input under another name and gives it its own once it is whole: nobody ever reads half of
#: it, and a link of its name is replaced, not followed.
WRITE_SCRIPT: Final = r"""
folder=$1 name=$2 size=$3 overwrite=$4 part=./.$5.part
taken() {
  if [ -d "./$name" ] && [ ! -L "./$name" ]; then echo folder; exit 1; fi
  [ -n "$overwrite" ] && return 0
  if [ -e "./$name" ] || [ -L "./$name" ]; then echo exists; exit 1; fi
}
umask 022
if [ ! -d "$folder" ]; then
  if [ -e "$folder" ]; then echo notfolder; exit 1; fi
  ls -dL "$folder" >/dev/null
  echo missing
  exit 1
fi
cd "$folder" || { echo denied; exit 1; }
taken
trap 'rm -f "$part"' EXIT
trap 'exit 1' HUP INT TERM
: >"$part" || exit 1
echo ready
cat >"$part" || exit 1
[ "$(wc -c <"$part")" -eq "$size" ] || { echo short; exit 1; }
taken
if [ -L "./$name" ]; then rm -f "./$name" || exit 1; fi
mv -f "$part" "./$name" || exit 1
echo done
"""

#: Prints the working directory of the newest process in the foreground of a terminal, which is known by its mark.
PLACE_SCRIPT: Final = r"""
marker=$1 place= best_front= best_start=
carries() {
  while read -r line || [ -n "$line" ]; do
    case $line in *"$marker"*) return 0 ;; esac
  done 2>/dev/null <"$1"
  return 1
}
for directory in /proc/[0-9]*; do
  line=
  { read -r line; } 2>/dev/null <"$directory/stat"
  [ -n "$line" ] || continue
  set -- ${line##*) }
  # Looking into an environment is slow, byte by byte: only into those of what has a terminal.
  [ "$5" = 0 ] && continue
  front=0 start=${20}
  [ "$3" = "$6" ] && front=1
  carries "$directory/environ" || continue
  here=$(cd "$directory/cwd" 2>/dev/null && pwd -P) || continue
  if [ -n "$place" ]; then
    [ $front -lt $best_front ] && continue
    [ $front -eq $best_front ] && [ "$start" -lt "$best_start" ] && continue
  fi
  place=$here best_front=$front best_start=$start
done
printf '%s\n' "$place"
"""

#: What tar says of files that live while it reads them; what it wrote is whole all the same.
_HARMLESS: Final = re.compile(
    r"(?:file changed as we read it|socket ignored|Removing leading .* from member names)\s*$"
)

#: By what the container's programs say on standard error, in the C locale.
_SAYINGS: Final = (
    ("no_space", re.compile(r"No space left on device|Disk quota exceeded|File too large")),
    ("read_only", re.compile(r"Read-only file system")),
    ("path_denied", re.compile(r"Permission denied|Operation not permitted")),
    ("not_folder", re.compile(r"Not a directory|not a directory")),
    ("path_missing", re.compile(r"No such file or directory|nonexistent directory|File name too long")),
)
_WORDS: Final = {
    "missing": "path_missing",
    "denied": "path_denied",
    "exists": "path_exists",
    "folder": "is_folder",
    "notfolder": "not_folder",
    "short": "file_changed",
    "whole": "whole_system",
    "notar": "no_tar",
}
_NOT_RUN: Final = (126, 127)


def is_archive_safe(product: str, version: str) -> bool:
    """Whether the engine's own archive calls have none of the holes known: Docker before 29.5.1 has some."""
    if "podman" in product.lower():
        return True
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return found is not None and tuple(int(part or 0) for part in found.groups()) >= _SAFE_DOCKER


class FileStream:
    """A file or folder on its way out. ``size_bytes`` is ``None`` where nobody can say: a folder, a file of /proc."""

    def __init__(self, stat: PathStat, parts: AsyncGenerator[bytes, None], *, size_bytes: int | None) -> None:
        self.stat = stat
        self.size_bytes = size_bytes
        self._parts = parts
        self._close: list[ByteParts] = []

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what is read. Raises ``Terminated`` when it ends before its end."""
        return self._parts

    async def aclose(self) -> None:
        """Stop, and leave nothing behind. Idempotent."""
        await self._parts.aclose()
        for held in self._close:
            await held.aclose()

    def also_close(self, held: ByteParts) -> None:
        """Close ``held`` too, also when nothing was read."""
        self._close.append(held)


class Files(Protocol):
    """A way to the files of one container."""

    async def stat(self, path: str) -> PathStat:
        """Say what is at a path; links are followed. Raises ``NotFound``, ``Conflict``."""

    async def read(self, path: str) -> FileStream:
        """Open a file as it is, or a folder as a tar. The caller closes it. Raises ``NotFound``, ``Conflict``."""

    async def write(
        self, folder: str, name: str, *, size_bytes: int, data: AsyncIterator[bytes], overwrite: bool
    ) -> None:
        """Put a new file into a folder. Raises ``NotFound``, ``Conflict``, ``EngineFailure``, and what ``data`` raises.

        ``data`` holds exactly ``size_bytes``; what ends before is no file.
        """


def _check_path(path: str) -> str:
    if not path.startswith("/") or "\0" in path or len(path.encode(errors="surrogateescape")) > _LONGEST_PATH:
        raise Invalid(f"not a whole path inside a container: {path[:120]!r}", reason="bad_path")
    return path


def _check_name(name: str) -> str:
    """Raises ``Invalid`` for what is no name of a file in a folder."""
    if name in ("", ".", "..") or "/" in name or "\0" in name or len(name.encode(errors="surrogateescape")) > 255:
        raise Invalid(f"not a file's name: {name[:120]!r}", reason="bad_name")
    return name


def _problem(reason: str, said: str) -> BackendError:
    message = said or reason.replace("_", " ")
    if reason == "path_missing":
        return NotFound(message, reason=reason)
    if reason in ("no_space", ""):
        return EngineFailure(message, reason=reason)
    if reason == "file_changed":
        return Terminated(message, reason=reason)
    if reason in ("no_tar", "no_shell"):
        return Unsupported(message, reason=reason)
    return Conflict(message, reason=reason)


@dataclass(slots=True)
class _Process:
    """A process of the container that talks in lines first, and in bytes afterwards."""

    terminal: Terminal
    rest: bytes = b""
    errors: bytes = b""
    ended: bool = False

    async def part(self) -> bytes:
        """Return the next output, ``b""`` at the end; standard error is kept aside."""
        if self.rest:
            data, self.rest = self.rest, b""
            return data
        while (chunk := await self.terminal.read_chunk()) is not None:
            if chunk.channel is Channel.STDERR:
                self.errors += chunk.data[: _WORDS_LIMIT - len(self.errors)]
            elif chunk.data:
                return chunk.data
        self.ended = True
        return b""

    async def line(self) -> str:
        """Return the next line, ``""`` at the end. Raises ``ProtocolError`` for one without end."""
        text = b""
        while b"\n" not in text and len(text) < _WORDS_LIMIT and (data := await self.part()):
            text += data
        line, newline, self.rest = text.partition(b"\n")
        if not newline and not self.ended:
            raise ProtocolError("the container's shell answers with a line that does not end")
        return line.decode(errors="replace")

    @property
    def said(self) -> str:
        """What the process said on standard error, without who said it."""
        return self.errors.decode(errors="replace").strip()

    async def failure(self, word: str) -> BackendError:
        """Return why it did not do what it was told; ``word`` is the last thing that it printed."""
        await self.settle()
        if self.ended and await self.terminal.exit_code() in _NOT_RUN:
            return _problem("no_shell", self.said or word)
        for reason, pattern in _SAYINGS:
            if pattern.search(self.said):
                return _problem(reason, self.said)
        return _problem(_WORDS.get(word, ""), self.said or word)

    async def settle(self) -> None:
        """Give a process that has said what it was asked for a moment to end by itself."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_LIMIT):
                while not self.ended:
                    await self.part()

    async def end(self) -> None:
        """Leave nothing behind in the container."""
        try:
            if not self.ended:
                await self.terminal.kill()
        except BackendError:
            # It is paused, gone, or its engine is: nothing can be ended there now.
            pass
        finally:
            await self.terminal.close()


class ExecFiles:
    """See :class:`Files`. ``user`` is whom the person's shell runs as; empty is the container's own user."""

    def __init__(self, engine: ContainerEngine, container_id: str, *, user: str = "") -> None:
        self._engine = engine
        self._container_id = container_id
        self._user = user

    async def stat(self, path: str) -> PathStat:
        """Say what is at a path; links are followed."""
        process = await self._run(READ_SCRIPT, _check_path(path), "about")
        try:
            stat = await self._about(process, path)
            await process.settle()
        finally:
            await process.end()
        return stat

    async def read(self, path: str) -> FileStream:
        """Open a file as it is, or a folder as a tar."""
        process = await self._run(READ_SCRIPT, _check_path(path), "read")
        try:
            stat = await self._about(process, path)
            if stat.kind is PathKind.OTHER:
                raise _problem("not_regular", "")
        except BaseException:
            await process.end()
            raise
        known = stat.kind is PathKind.FILE and stat.size_bytes > 0
        stream = FileStream(stat, _read(process, stat, is_sized=known), size_bytes=stat.size_bytes if known else None)
        stream.also_close(_Ending(process))
        return stream

    async def write(
        self, folder: str, name: str, *, size_bytes: int, data: AsyncIterator[bytes], overwrite: bool
    ) -> None:
        """Put a new file into a folder, as a whole or not at all; it is the user's, for all to read (0644)."""
        process = await self._run(
            WRITE_SCRIPT,
            *(
                _check_path(folder),
                _check_name(name),
                str(size_bytes),
                "yes" if overwrite else "",
                secrets.token_hex(8),
            ),
            stdin=True,
        )
        try:
            word = await self._answer(process)
            if word != "ready":
                raise await process.failure(word)
            await self._feed(process, data)
        finally:
            await process.end()

    async def _feed(self, process: _Process, data: AsyncIterator[bytes]) -> None:
        async def send() -> None:
            async for part in data:
                async with asyncio.timeout(SILENCE_LIMIT):
                    await process.terminal.write(part)
            await process.terminal.write_eof()

        # Beside each other: a full disk ends the process while there is still something to send.
        sending = asyncio.create_task(send())
        listening = asyncio.create_task(process.line())
        try:
            await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                failure = sending.exception()
                if failure is not None and not isinstance(failure, BackendError):
                    raise failure  # of ``data``: the process gets no end of input, and throws the part away
                async with asyncio.timeout(SILENCE_LIMIT):
                    await asyncio.wait((listening,))
            word = listening.result()
            if word != "done":
                raise await process.failure(word)
            await process.settle()
        except TimeoutError as error:
            raise TimedOut("the container took nothing for too long") from error
        finally:
            for task in (sending, listening):
                task.cancel()
            await asyncio.gather(sending, listening, return_exceptions=True)

    async def _about(self, process: _Process, path: str) -> PathStat:
        line = await self._answer(process)
        words = line.split()
        if len(words) < 2 or words[0] not in ("file", "folder", "other"):
            raise await process.failure(line)
        size, mode, moment = (*words[1:4], "0", "0", "0")[:3]
        kind = PathKind(words[0])
        digits = all(re.fullmatch(r"[0-9]{1,18}", word) for word in (size, mode, moment))
        if not digits:
            raise ProtocolError("the container's shell answers what makes no sense")
        return PathStat(
            name=posixpath.basename(posixpath.normpath(path)),
            kind=kind,
            size_bytes=int(size) if kind is PathKind.FILE else 0,
            mode=int(mode, 8) & 0o777 if re.fullmatch(r"[0-7]+", mode) else 0,
            modified_at=datetime.fromtimestamp(int(moment), UTC) if 0 < int(moment) < 2**35 else None,
        )

    async def _run(self, script: str, *arguments: str, stdin: bool = False) -> _Process:
        spec = ExecSpec(
            command=("sh", "-c", script, "sh", *arguments),
            tty=False,
            user=self._user,
            # Its words are looked for below, and those are English.
            environment=(("LC_ALL", "C"),),
            attach_stdin=stdin,
        )
        try:
            return _Process(await self._engine.open_exec(self._container_id, spec))
        except (EngineFailure, Invalid) as error:
            if error.reason in ("command_missing", "command_denied"):
                raise Unsupported(error.message, reason="no_shell") from error
            raise

    async def _answer(self, process: _Process) -> str:
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                return await process.line()
        except TimeoutError as error:
            raise TimedOut("the container's shell says nothing") from error


@dataclass(frozen=True, slots=True)
class _Ending:
    """Ends a process whose output nobody began to read."""

    process: _Process

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.process.part():
            yield data

    async def aclose(self) -> None:
        await self.process.end()


async def _read(process: _Process, stat: PathStat, *, is_sized: bool) -> AsyncGenerator[bytes, None]:
    sent = 0
    try:
        while True:
            try:
                async with asyncio.timeout(SILENCE_LIMIT):
                    data = await process.part()
            except TimeoutError as error:
                raise TimedOut("the file says nothing for too long") from error
            if not data:
                break
            if is_sized and sent + len(data) >= stat.size_bytes:
                # One that grows meanwhile is cut where it ended when it was asked for.
                data = data[: stat.size_bytes - sent]
                sent += len(data)
                yield data
                await process.settle()
                return
            sent += len(data)
            yield data
        if is_sized:
            raise Terminated(f"the file ended after {sent} of {stat.size_bytes} bytes", reason="file_changed")
        if await process.terminal.exit_code() and not _is_harmless(process.said):
            raise _problem("path_denied" if "ermission denied" in process.said else "", process.said)
    finally:
        await process.end()


def _is_harmless(said: str) -> bool:
    lines = [line for line in said.splitlines() if line.strip()]
    return bool(lines) and all(_HARMLESS.search(line) for line in lines)


class ArchiveFiles:
    """See :class:`Files`. What is written belongs to ``uid`` and ``gid``, else to the container's own user."""

    def __init__(
        self, engine: ContainerEngine, container_id: str, *, uid: int | None = None, gid: int | None = None
    ) -> None:
        self._engine = engine
        self._container_id = container_id
        self._uid = uid
        self._gid = gid

    async def stat(self, path: str) -> PathStat:
        """Say what is at a path; links are followed, inside the container."""
        stat, _target = await self._follow(path)
        return stat

    async def read(self, path: str) -> FileStream:
        """Open a file as it is, or a folder as a tar."""
        stat, target = await self._follow(path)
        if stat.kind not in (PathKind.FILE, PathKind.FOLDER):
            raise _problem("not_regular", "")
        if f"{target}/".startswith(("//", "/proc/", "/sys/", "/dev/")) and stat.kind is PathKind.FOLDER:
            raise _problem("whole_system", "")
        found, parts = await self._engine.get_archive(self._container_id, target)
        if found.kind is not stat.kind:
            await parts.aclose()
            raise _problem("file_changed", "it was replaced while it was asked for")
        is_file = stat.kind is PathKind.FILE
        content = archives.unpack(aiter(parts)) if is_file else _every(parts)
        stream = FileStream(stat, content, size_bytes=found.size_bytes if is_file else None)
        stream.also_close(parts)
        return stream

    async def write(
        self, folder: str, name: str, *, size_bytes: int, data: AsyncIterator[bytes], overwrite: bool
    ) -> None:
        """Put a new file into a folder. One that is cut short stays there: the engine takes nothing back."""
        target = posixpath.join(_check_path(folder), _check_name(name))
        into, where = await self._follow(folder)
        if into.kind is not PathKind.FOLDER:
            raise _problem("not_folder", "")
        with suppress(NotFound):
            there = await self._engine.stat_archive(self._container_id, target)
            if there.kind is PathKind.FOLDER:
                raise _problem("is_folder", "")
            if not overwrite:
                raise _problem("path_exists", "")
        tar = archives.pack(
            data,
            name=name,
            size_bytes=size_bytes,
            mode=_FILE_MODE,
            uid=self._uid or 0,
            gid=self._gid or 0,
            mtime=int(time.time()),
        )
        async with aclosing(tar):
            await self._engine.put_archive(self._container_id, where, tar, as_user=self._uid is None)

    async def _follow(self, path: str) -> tuple[PathStat, str]:
        """Return what is at a path, under its own name, and where that really is."""
        target = posixpath.normpath(_check_path(path))
        name = posixpath.basename(target)
        for _link in range(_MOST_LINKS):
            stat = await self._engine.stat_archive(self._container_id, target)
            if stat.kind is not PathKind.LINK:
                return replace(stat, name=name), target
            target = posixpath.normpath(posixpath.join(posixpath.dirname(target), stat.link_target))
        raise _problem("path_missing", "too many links")


async def _every(parts: ByteParts) -> AsyncGenerator[bytes, None]:
    async for part in parts:
        yield part


async def find_place(engine: ContainerEngine, container_id: str, *, marker: str, user: str = "") -> str | None:
    """Return where the shell whose processes bear ``marker`` stands; ``None`` when the container does not say.

    Asked as ``user``, who may look into the shell's processes. Raises ``Conflict``, ``NotFound`` as an exec does.
    """
    spec = ExecSpec(command=("sh", "-c", PLACE_SCRIPT, "sh", marker), tty=False, user=user, attach_stdin=False)
    try:
        output = await engine.run_exec(container_id, spec, timeout=5)
    except (EngineFailure, Invalid, TimedOut, Terminated):
        return None  # there is no shell, or it does not answer
    place = output.stdout[: _LONGEST_PATH + 1].decode(errors="replace").removesuffix("\n")
    # What the container says is a proposal to the person, and shown.
    is_whole = place.startswith("/") and place.isprintable() and "\ufffd" not in place
    return place if output.exit_code == 0 and is_whole and len(place) <= _LONGEST_PATH else None
