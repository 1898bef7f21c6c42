"""A private PostgreSQL for the test suite: on a socket, in a temporary folder, gone at the end."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher import say, system
from launcher.processes import die_with_parent

_START_TIMEOUT = 30.0


def find_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL server on this machine, where Debian keeps them off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def cluster() -> Iterator[str]:
    """Run a server and yield the URL of an empty database on it.

    Raises :class:`say.Trouble` when there is none to run or it does not start.
    """
    binaries = find_binaries()
    if binaries is None:
        raise say.Trouble("No PostgreSQL server was found. On Debian or Ubuntu, as root: apt-get install postgresql")
    # The server refuses to run as root.
    user = "postgres" if system.is_root() else None
    with tempfile.TemporaryDirectory(prefix="pilothouse-pg-") as name:
        folder = Path(name)
        data = folder / "data"
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(folder, account.pw_uid, account.pw_gid)
        options = ["--auth=trust", "--username=pilothouse", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]
        made = subprocess.run(
            [binaries / "initdb", "--pgdata", data, *options],
            cwd=folder,
            capture_output=True,
            text=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=False,
        )
        if made.returncode != 0:
            raise say.Trouble(f"PostgreSQL's initdb failed: {made.stderr.strip()[-600:]}")
        # What a crash would lose is worth nothing here.
        quick = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        log = folder / "log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", *quick],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                group=user,
                extra_groups=[] if user else None,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        try:
            _wait_until_ready(server, binaries=binaries, folder=folder, log=log)
            yield f"postgresql://pilothouse@/postgres?host={folder}"
        finally:
            # "Fast": it closes its connections instead of waiting for them.
            server.send_signal(signal.SIGINT)
            server.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], *, binaries: Path, folder: Path, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    ask = [str(binaries / "pg_isready"), "--quiet", "--host", str(folder)]
    while subprocess.run(ask, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise say.Trouble(f"PostgreSQL does not start: {log.read_text(errors='replace').strip()[-600:]}")
        time.sleep(0.05)
