"""Run a browser on an island: a network namespace in which only the console's address exists.

Chromium aborts the requests it has in flight (ERR_NETWORK_CHANGED) whenever an address appears on its machine, and the
engine makes one for every container that starts. On the island nothing ever changes. What listens there is served by a
process that stayed on the mainland, so not even a file stands between the two.

    python island.py PORT PROGRAM ARGUMENT…
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Final

CLONE_NEWNET: Final = 0x40000000
PR_SET_PDEATHSIG: Final = 1
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 1

#: Two pages of the browser's own, behind the address bar that nobody sees. It loads them for every window, which takes
#: longer than a page of ours.
_UNSEEN: Final = "WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup"
_FEATURES_OFF: Final = "--disable-features="

_libc = ctypes.CDLL(None, use_errno=True)


def wrapper(directory: Path, *, port: int, program: str) -> Path:
    """Write a file that can be given wherever the path of ``program`` is wanted, and return it."""
    path = directory / "browser"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} {port} {program} "$@"\n')
    path.chmod(0o755)
    return path


def _check(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _open_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


async def _serve(listener: socket.socket, *, port: int) -> None:
    """Carry every connection of the island to the mainland's ``port``."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        with contextlib.suppress(OSError):
            sink.write_eof()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        writer.close()
        far_writer.close()

    server = await asyncio.start_server(carry, sock=listener)
    await server.serve_forever()


def main() -> None:
    """Become the program, on the island."""
    port = int(sys.argv[1])
    with Path("/proc/self/ns/net").open("rb") as mainland:
        _check(_libc.unshare(CLONE_NEWNET))
        _open_loopback()
        listener = socket.create_server(("127.0.0.1", port), backlog=128)
        parent = os.getpid()
        if os.fork() == 0:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            # A socket belongs to the namespace that it was made in: this process goes home, the listener stays.
            _check(_libc.setns(mainland.fileno(), CLONE_NEWNET))
            # Playwright's pipes to the browser: it must see them end when the browser does.
            for number in (3, 4):
                with contextlib.suppress(OSError):
                    os.close(number)
            asyncio.run(_serve(listener, port=port))
            os._exit(0)
    listener.close()
    # The last list of features counts: ours must be part of Playwright's.
    words = [f"{word},{_UNSEEN}" if word.startswith(_FEATURES_OFF) else word for word in sys.argv[2:]]
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
