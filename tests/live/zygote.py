"""Web processes that start at once: `python -m tests.live.zygote`, a port on each line of standard input.

Loading the console takes seconds, a fork of a process that has it loaded does not. Each child is a web process like the
launcher's; its pid is printed when it listens.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time

import uvicorn

from console.asgi import application


async def _serve(listener: socket.socket) -> None:
    config = uvicorn.Config(
        application, ws="websockets-sansio", ws_per_message_deflate=False, log_level="warning", lifespan="off"
    )
    await uvicorn.Server(config).serve([listener])


def _bind(listener: socket.socket, port: int) -> None:
    """Take the port as soon as the one that was killed has let go of it."""
    for _attempt in range(200):
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise OSError(f"port {port} stayed taken")


def main() -> None:
    """Fork a web process for each port."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(listener, int(line))
        listener.listen(100)
        pid = os.fork()
        if pid == 0:
            asyncio.run(_serve(listener))
            os._exit(0)
        listener.close()
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
