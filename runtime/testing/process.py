"""The processes of a fake container: a few well-known programs and a shell that knows just enough to test with."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from runtime import files
from runtime.streams import Channel
from runtime.testing.files import FakeFiles, Node, owner

Emit = Callable[[Channel, bytes], Awaitable[None]]

SIGNALS: Final = {"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGKILL": 9, "SIGUSR1": 10, "SIGUSR2": 12, "SIGTERM": 15}
PROGRAMS: Final = frozenset(
    {
        "bash",
        "cat",
        "echo",
        "env",
        "exit",
        "false",
        "head",
        "hostname",
        "id",
        "printenv",
        "printf",
        "pwd",
        "sh",
        "sleep",
    }
    | {"stty", "true", "wc", "yes"}
)
_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_READ: Final = 64 * 1024


class _Exit(Exception):
    """The shell was told to end."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class FakeProcess:
    """A process: arguments in, bytes both ways, an exit code. ``emit`` takes its output, and may make it wait."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        *,
        environment: Mapping[str, str],
        emit: Emit,
        tty: bool = False,
        user: str = "",
        working_directory: str = "",
        hostname: str = "",
        size: tuple[int, int] = (80, 24),
        tree: FakeFiles | None = None,
    ) -> None:
        self.arguments = arguments
        self.tree = tree if tree is not None else FakeFiles()
        self.environment = dict(environment)
        self.user = user or "0"
        self.working_directory = working_directory or "/"
        self.hostname = hostname
        self.size = size
        self.exit_code: int | None = None
        self.ended = asyncio.Event()
        self._emit = emit
        self._tty = tty
        self._cooked = tty
        self._line = bytearray()
        self._input = bytearray()
        self._input_ended = False
        self._input_arrived = asyncio.Event()
        self._input_taken = asyncio.Event()
        self._resumed = asyncio.Event()
        self._resumed.set()
        #: The scripts of ``runtime.files``, told apart by their text.
        self._scripts = {
            files.READ_SCRIPT: self._read_path,
            files.WRITE_SCRIPT: self._write_path,
            files.PLACE_SCRIPT: self._tell_place,
        }
        self._task = asyncio.create_task(self._live())

    # From outside

    async def feed(self, data: bytes) -> None:
        """Type ``data``: through the line discipline when the process has a terminal in its ordinary mode."""
        if not self._cooked:
            # A pipe is bounded: who writes faster than the process reads waits.
            while len(self._input) > _READ and not self.ended.is_set():
                self._input_taken.clear()
                await self._input_taken.wait()
            self._give(data)
            return
        for byte in data:
            await self._type(byte)

    def feed_eof(self) -> None:
        """End the input."""
        self._input_ended = True
        self._input_arrived.set()

    def signal(self, number: int) -> None:
        """End the process as an unhandled signal does."""
        if not self.ended.is_set():
            self._finish(128 + number)
            self._task.cancel()

    def pause(self) -> None:
        """Freeze: nothing is read or printed until :meth:`resume`."""
        self._resumed.clear()

    def resume(self) -> None:
        """Go on."""
        self._resumed.set()

    # Inside

    async def _type(self, byte: int) -> None:
        if byte == 0x03:
            await self._emit(Channel.STDOUT, b"^C")
            self.signal(SIGNALS["SIGINT"])
        elif byte == 0x04:
            if self._line:
                self._give(bytes(self._line))
                self._line.clear()
            else:
                self.feed_eof()
        elif byte in b"\r\n":
            await self._emit(Channel.STDOUT, b"\r\n")
            self._give(bytes(self._line) + b"\n")
            self._line.clear()
        elif byte == 0x7F:
            if self._line:
                self._line.pop()
                await self._emit(Channel.STDOUT, b"\b \b")
        else:
            self._line.append(byte)
            await self._emit(Channel.STDOUT, bytes([byte]))

    def _give(self, data: bytes) -> None:
        self._input += data
        self._input_arrived.set()

    async def _read(self) -> bytes:
        while not self._input and not self._input_ended:
            self._input_arrived.clear()
            await self._input_arrived.wait()
        await self._resumed.wait()
        data = bytes(self._input[:_READ])
        del self._input[: len(data)]
        self._input_taken.set()
        return data

    async def _read_line(self) -> bytes:
        while b"\n" not in self._input and not self._input_ended:
            self._input_arrived.clear()
            await self._input_arrived.wait()
        end = self._input.find(b"\n") + 1 or len(self._input)
        line = bytes(self._input[:end])
        del self._input[:end]
        self._input_taken.set()
        return line

    async def _print(self, data: bytes, *, channel: Channel = Channel.STDOUT) -> None:
        await self._resumed.wait()
        if self._tty:
            channel = Channel.STDOUT
            if self._cooked:
                data = data.replace(b"\n", b"\r\n")
        if data:
            await self._emit(channel, data)

    def _finish(self, code: int) -> None:
        if self.exit_code is None:
            self.exit_code = code
            self.ended.set()
            self._input_taken.set()

    async def _live(self) -> None:
        try:
            code = await self._run(list(self.arguments))
        except _Exit as ending:
            code = ending.code
        self._finish(code)

    async def _run(self, words: list[str]) -> int:
        program = words[0].rpartition("/")[2] if words else ""
        rest = words[1:]
        channel = Channel.STDOUT
        if rest and rest[-1] == ">&2":
            channel = Channel.STDERR
            rest = rest[:-1]
        match program:
            case "sh" | "bash":
                return await self._shell(rest)
            case "true":
                return 0
            case "false":
                return 1
            case "exit":
                raise _Exit(int(rest[0]) if rest else 0)
            case "echo":
                await self._print(" ".join(rest).encode() + b"\n", channel=channel)
            case "printf":
                await self._print(rest[0].replace("\\n", "\n").encode() if rest else b"", channel=channel)
            case "sleep":
                await asyncio.sleep(float(rest[0]) if rest and rest[0] != "infinity" else 1e9)
            case "cat":
                while data := await self._read():
                    await self._print(data)
            case "wc":
                total = 0
                while data := await self._read():
                    total += len(data)
                await self._print(f"{total}\n".encode())
            case "yes":
                line = (" ".join(rest) or "y").encode() + b"\n"
                while True:
                    await self._print(line * (16 * 1024 // len(line)))
                    await asyncio.sleep(0)
            case "stty":
                return await self._stty(rest)
            case "pwd":
                await self._print(self.working_directory.encode() + b"\n")
            case "hostname":
                await self._print(self.hostname.encode() + b"\n")
            case "id":
                await self._print(self.user.encode() + b"\n")
            case "env" | "printenv":
                return await self._print_environment(rest)
            case _:
                await self._print(f"sh: {program}: not found\n".encode(), channel=Channel.STDERR)
                return 127
        return 0

    async def _stty(self, words: list[str]) -> int:
        if words == ["size"]:
            await self._print("{1} {0}\n".format(*self.size).encode())
        elif "raw" in words:
            self._cooked = False
        elif "sane" in words:
            self._cooked = self._tty
        return 0

    async def _print_environment(self, words: list[str]) -> int:
        if words:
            if words[0] not in self.environment:
                return 1
            await self._print(self.environment[words[0]].encode() + b"\n")
            return 0
        for name, value in self.environment.items():
            await self._print(f"{name}={value}\n".encode())
        return 0

    async def _shell(self, words: list[str]) -> int:
        if words[:1] == ["-c"] and words[1:2] and words[1] in self._scripts:
            return await self._scripts[words[1]](words[3:])
        if words[:1] == ["-c"]:
            return await self._script(words[1] if len(words) > 1 else "")
        code = 0
        while True:
            if self._tty:
                await self._print(b"$ ")
            line = await self._read_line()
            if not line:
                return code
            code = await self._script(line.decode(errors="replace").strip())

    async def _script(self, script: str) -> int:
        code = 0
        for statement in script.replace("\n", ";").split(";"):
            for position, command in enumerate(statement.split("&&")):
                if position and code:
                    break
                words = [
                    _VARIABLE.sub(lambda found: self.environment.get(found[1], ""), word)
                    for word in shlex.split(command)
                ]
                while words and words[0] in ("exec", "trap"):
                    words = words[1:] if words[0] == "exec" else []
                if words:
                    code = await self._run(words)
        return code

    async def _say(self, text: str, *, error: str = "") -> int:
        if error:
            await self._print(f"{error}\n".encode(), channel=Channel.STDERR)
        if text:
            await self._print(f"{text}\n".encode())
        return 1

    async def _read_path(self, words: list[str]) -> int:
        path, what = words
        line, error, node = self.tree.about(path)
        if node is not None and line == "whole" and what == "about":
            line = f"folder 0 {node.mode:o} {int(node.changed_at)}"
        await self._say(line, error=error)
        if node is None or line == "whole":
            return 1
        if what == "about" or node.kind == "other":
            return 0
        if node.kind == "folder":
            async for part in self.tree.tar(self.tree.resolve(path)):
                await self._print(part)
            return 0
        for start in range(0, len(node.data), _READ):
            await self._print(node.data[start : start + _READ])
        return 0

    async def _write_path(self, words: list[str]) -> int:
        folder, name, size, overwrite, _part = words
        word, error, target = self.tree.room_for(folder, name, overwrite=bool(overwrite))
        await self._say(word, error=error)
        if word != "ready":
            return 1
        data = bytearray()
        while part := await self._read():
            data += part
            if len(data) > self.tree.free_bytes:
                return await self._say("", error="cat: write error: No space left on device")
        if len(data) != int(size):
            return await self._say("short")
        word, error, target = self.tree.room_for(folder, name, overwrite=bool(overwrite))
        if word != "ready":
            return await self._say(word, error=error)
        self.tree.nodes[target] = Node(data=bytes(data), **owner(self.user))
        await self._say("done")
        return 0

    async def _tell_place(self, _words: list[str]) -> int:
        await self._print(f"{self.tree.place}\n".encode())
        return 0
