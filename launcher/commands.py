"""What each command of `./pilothouse` does, in a few lines."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from launcher import check, prepare, redis, say, suite, up
from launcher.paths import ROOT, DataDir, from_user, python
from launcher.processes import call

_HELP = """\
Pilothouse: a web console for machines that run containers.

  ./pilothouse up       prepare this machine, start the console, print its address; Ctrl+C stops it
  ./pilothouse test     run the checks and the whole test suite, on SQLite and PostgreSQL
                        (with arguments: only what they say, as in: test tests/runtime -k frames;
                        --postgres: on PostgreSQL)
  ./pilothouse check    format, lint, types, import contracts, migrations, translations
  ./pilothouse bench    measure speed and memory against the budgets (bench list: one of them)
  ./pilothouse manage   run one of Django's commands, as in: manage shell
  ./pilothouse help     this text

Options of up:
  --host ADDRESS        where to listen; 127.0.0.1, this machine only, if not given
  --port NUMBER         8440 if not given
  --data-dir FOLDER     where everything is kept; var in this folder if not given
  --json-logs           print one JSON object a line

Environment: PILOTHOUSE_PUBLIC_URL, DATABASE_URL, PILOTHOUSE_REDIS_URL, DOCKER_HOST, PILOTHOUSE_ENGINE (auto, private,
none), PILOTHOUSE_REQUIRE_SECOND_FACTOR (nobody, admins, everybody), PILOTHOUSE_SIGN_IN_FILE,
PILOTHOUSE_UPLOAD_LIMIT (MiB), PILOTHOUSE_VENV and PILOTHOUSE_PYTHON; the README explains them.
"""


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit code; raises :class:`say.Trouble` with what a person should know."""
    commands: dict[str, Callable[[Sequence[str]], int]] = {
        "up": _up,
        "test": suite.test,
        "check": _check,
        "bench": suite.bench,
        "manage": _manage,
        "help": _help,
    }
    name = arguments[0] if arguments else "help"
    if name in ("-h", "--help"):
        name = "help"
    if name not in commands:
        say.error(f"there is no command {name!r}. The commands are: {', '.join(commands)}.")
        return 2
    return commands[name](arguments[1:])


def _help(_arguments: Sequence[str]) -> int:
    say.line(_HELP.rstrip())
    return 0


def _port(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; write a number from 1 to 65535, as in --port 8440")


def _up(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./pilothouse up", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS")
    parser.add_argument("--port", default=8440, type=_port, metavar="NUMBER")
    parser.add_argument("--data-dir", metavar="FOLDER")
    parser.add_argument("--json-logs", action="store_true")
    given = parser.parse_args(arguments)
    data_dir = from_user(given.data_dir) if given.data_dir else _default_data_dir()
    return up.up(up.Options(host=given.host, port=given.port, data_dir=data_dir, json_logs=given.json_logs))


def _default_data_dir() -> Path:
    configured = os.environ.get("PILOTHOUSE_DATA_DIR")
    return from_user(configured) if configured else ROOT / "var"


def _check(arguments: Sequence[str]) -> int:
    if arguments:
        say.error(f"check takes no arguments; {arguments[0]!r} means nothing to it.")
        return 2
    prepare.clone(dev=True)
    return 0 if check.check() else 1


def _manage(arguments: Sequence[str]) -> int:
    prepare.clone(dev=False)
    data_dir = DataDir.open(_default_data_dir())
    url = os.environ.get("PILOTHOUSE_PUBLIC_URL") or str(up.running(data_dir).get("url", "http://127.0.0.1:8440"))
    redis_url = os.environ.get("PILOTHOUSE_REDIS_URL") or redis.url(data_dir)
    env = up.environment(data_dir, url=url, redis_url=redis_url)
    os.umask(0o077)
    return call([python(), "manage.py", *arguments], env=env, cwd=ROOT)
