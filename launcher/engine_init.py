"""Process 1 of the private engine's process namespace: `python -m launcher.engine_init dockerd …`.

When it ends, for whatever reason, the kernel kills everything in the namespace: containerd, its shims, every container.
So no crash of ours can leave a container running that nobody looks after.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

#: Seconds that containers have to obey their stop signal; the whole console has five.
_CONTAINER_GRACE = 1
_THE_ENGINE_ITSELF = ("dockerd", "containerd", "containerd-shim", "runc", "docker-proxy")


def _kill_containers(_number: int, _frame: FrameType | None) -> None:
    """Kill what is inside the containers, so that the daemon sees them end and can close its books."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or entry.name == "1":
            continue
        try:
            if not (entry / "comm").read_text().startswith(_THE_ENGINE_ITSELF):
                os.kill(int(entry.name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended by itself


def main() -> None:
    """Run the daemon, bury orphans, pass on the request to stop."""
    # A session of its own: a signal to our group must reach the daemon once, from us; it counts them.
    daemon = subprocess.Popen(sys.argv[1:], start_new_session=True)
    stopping = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if not stopping:
            stopping = True
            daemon.send_signal(signal.SIGTERM)
            signal.alarm(_CONTAINER_GRACE)

    signal.signal(signal.SIGALRM, _kill_containers)
    signal.signal(signal.SIGTERM, stop)
    while True:
        pid, status = os.wait()
        if pid == daemon.pid:
            sys.exit(0 if stopping else os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
