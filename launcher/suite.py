"""`./pilothouse test` and `./pilothouse bench`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence

from launcher import check, postgres, prepare, say, starter_image, system
from launcher.paths import ROOT, python
from launcher.processes import call

#: What the suite starts: program -> Debian package.
_PROGRAMS = {
    "dockerd": "docker.io",
    "podman": "podman",
    "docker-registry": "docker-registry",
    "chromium": "chromium",
    "redis-server": "redis-server",
    "slapd": "slapd",
    "msgmerge": "gettext",
    "ip": "iproute2",
    "iptables": "iptables",
    "mkfs.btrfs": "btrfs-progs",
    "vim.tiny": "vim-tiny",
    "htop": "htop",
}
#: Where pytest notes what failed, and how much of that is tried again: more is no accident.
_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
_MOST_TRIED_AGAIN = 12
_BENCH_PROGRAMS = ("dockerd", "ip", "iptables")


def _install(programs: Mapping[str, str], *, why: str, also: Sequence[str] = ()) -> None:
    missing = [package for program, package in programs.items() if not system.has(program)]
    if starter_image.find_busybox() is None:
        missing.append("busybox-static")
    missing.extend(also)
    if missing:
        system.install(missing, why=why)


def test(arguments: Sequence[str]) -> int:
    """Run the whole suite on both databases after the checks; with arguments, only what they say."""
    prepare.clone(dev=True)
    prepare.directory_library()
    _install(_PROGRAMS, why="the test suite", also=[] if postgres.find_binaries() else ["postgresql"])
    pytest = [str(python()), "-m", "pytest"]
    if arguments:
        chosen = [word for word in arguments if word != "--postgres"]
        if len(chosen) == len(arguments):
            return call([*pytest, *chosen], env=os.environ, cwd=ROOT)
        with postgres.cluster() as url:
            return call([*pytest, *chosen], env={**os.environ, "DATABASE_URL": url}, cwd=ROOT)
    results = {"Checks": check.check()}
    # One more than the cores of a small machine: a third of the time tests wait, for engines, browsers and locks.
    spread = ["-n", "3", "--dist", "loadgroup"]
    say.line("\nThe whole suite, on SQLite:")
    results["Suite on SQLite"] = _run(pytest, spread=spread, env=os.environ)
    say.line("\nWhat touches the database, on PostgreSQL:")
    with postgres.cluster() as url:
        env = {**os.environ, "DATABASE_URL": url}
        chosen = ["tests/console", "-m", "not any_database"]
        results["Suite on PostgreSQL"] = _run(pytest, spread=spread, chosen=chosen, env=env)
    say.line("")
    for name, passed in results.items():
        say.line(f"{name:<20} {'passed' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


def _run(pytest: Sequence[str], *, spread: Sequence[str], chosen: Sequence[str] = (), env: Mapping[str, str]) -> bool:
    """Run tests beside each other; what fails there runs once more by itself, and fails the suite if it fails again.

    Real engines, browsers and databases share two cores with the tests: a limit in seconds that holds on a quiet
    machine can be missed in the crowd. What was needed twice stands in the output, by name.
    """
    _FAILED.unlink(missing_ok=True)
    if call([*pytest, *spread, *chosen], env=env, cwd=ROOT) == 0:
        return True
    failed = _failed_tests()
    if not 1 <= len(failed) <= _MOST_TRIED_AGAIN:
        return False
    say.line("\nWhat failed in the crowd, once more and by itself (two failures are one too many):")
    return call([*pytest, "-v", *failed], env=env, cwd=ROOT) == 0


def _failed_tests() -> list[str]:
    """The tests that pytest noted as failed, without the names of the groups in which they ran."""
    try:
        noted = json.loads(_FAILED.read_text())
    except (OSError, ValueError):
        return []
    return sorted(re.sub(r"@[\w-]+$", "", name) for name in noted)


def bench(arguments: Sequence[str]) -> int:
    """Measure, in one run, what the budgets speak of."""
    prepare.clone(dev=True)
    _install({name: _PROGRAMS[name] for name in _BENCH_PROGRAMS}, why="the measurements")
    return call([str(python()), "-m", "bench", *arguments], env=os.environ, cwd=ROOT)
