"""`python -m runtime.hub --socket PATH --data-dir PATH`: run the hub until a signal."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from runtime.hub.server import Hub


async def _serve(path: Path, *, data_dir: Path) -> None:
    hub = Hub(data_dir=data_dir)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await hub.listen(path)
    # What was loaded stays for good: the collector need not look at it again.
    gc.freeze()
    await stop.wait()
    await hub.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m runtime.hub", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="where the console speaks to it")
    parser.add_argument("--data-dir", type=Path, required=True, help="where kept logs lie")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    os.umask(0o077)
    options.socket.parent.mkdir(parents=True, exist_ok=True)
    uvloop.run(_serve(options.socket, data_dir=options.data_dir))


if __name__ == "__main__":
    main()
