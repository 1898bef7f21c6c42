"""One process of the console in a container of its own: `python -m launcher.container web`."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from launcher import engine_api, prepare, say, system, up
from launcher.paths import ROOT, DataDir, python
from launcher.processes import call

_PORT = 8440


def main(arguments: list[str]) -> int:
    """Run what the first argument names. Returns the exit code; raises :class:`say.Trouble` with what is missing."""
    name = arguments[0] if arguments else "web"
    commands: dict[str, Callable[[], int]] = {
        "build": _build,
        "setup": _setup,
        "health": _health,
        "manage": lambda: call([python(), "manage.py", *arguments[1:]], env=_environment(), cwd=ROOT),
        **{name: partial(_become, name) for name in ("web", "hub", "worker", "scheduler", "watch")},
    }
    if name not in commands:
        say.error(f"there is no process {name!r}. Choose one of: {', '.join(commands)}.")
        return 2
    return commands[name]()


def _become(name: str) -> NoReturn:
    """Turn into one of the console's processes, with the command line that `up` gives it."""
    options = up.Options(host="0.0.0.0", port=_PORT, data_dir=_data_dir().path, json_logs=False)
    programs = up.applications(options, data_dir=_data_dir(), env=_environment())
    words = [str(word) for program in programs if program.name == name for word in program.command]
    os.umask(0o077)
    system.raise_file_limit()
    os.execvpe(words[0], words, _environment())  # noqa: S606 - becoming that program is what this process is for


def _data_dir() -> DataDir:
    return DataDir.open(Path(os.environ["PILOTHOUSE_DATA_DIR"]))


def _environment() -> dict[str, str]:
    """The environment of a process. Raises :class:`say.Trouble` without what containers cannot start for themselves."""
    missing = [name for name in ("PILOTHOUSE_PUBLIC_URL", "PILOTHOUSE_REDIS_URL") if not os.environ.get(name)]
    if missing:
        raise say.Trouble(f"{' and '.join(missing)} must be set; docker-compose.dev.yml shows how.")
    return up.environment(
        _data_dir(), url=os.environ["PILOTHOUSE_PUBLIC_URL"], redis_url=os.environ["PILOTHOUSE_REDIS_URL"]
    )


def _build() -> int:
    """While the image is built: everything that does not depend on a data directory."""
    prepare.clone(dev=False)
    return 0


def _setup() -> int:
    """Before the others start: the database, the static files, the engine, the link for the first admin."""
    env, data_dir = _environment(), _data_dir()
    os.umask(0o077)
    prepare.database(data_dir, env=env)
    prepare.static_files(data_dir, env=env)
    if url := os.environ.get("DOCKER_HOST"):
        driver = engine_api.driver_at(url) or "docker"
        register: list[str | Path] = [python(), "manage.py", "register_local_host", "--url", url, "--driver", driver]
        if code := call(register, env=env, cwd=ROOT):
            return code
    return call([python(), "manage.py", "bootstrap_link"], env=env, cwd=ROOT)


def _health() -> int:
    """Whether the web process of this container says that all is well."""
    connection = http.client.HTTPConnection("127.0.0.1", _PORT, timeout=5)
    connection.request("GET", "/healthz")
    return 0 if connection.getresponse().status == 200 else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except say.Trouble as trouble:
        say.error(str(trouble))
        sys.exit(1)
