"""Getting a clone ready: Python packages, front-end files, translations, database, static files.

Each step says what it does, does nothing when its inputs have not changed, and may be broken off at any moment: its
stamp is written last.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from launcher import say, stamps, system
from launcher.paths import ROOT, DataDir, python, venv
from launcher.processes import run

_REQUIREMENTS = ROOT / "requirements"
_VENDOR = ROOT / "static" / "vendor"
_OLDEST_NODE = 20


@contextmanager
def alone() -> Iterator[None]:
    """Let one launcher at a time prepare this clone."""
    folder = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say.line("Another ./pilothouse prepares this folder; waiting for it.")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def clone(*, dev: bool) -> None:
    """Prepare what does not depend on a data directory."""
    with alone():
        _python_packages("dev" if dev else "base")
        _front_end()
        _translations()


def _works(interpreter: Path) -> bool:
    try:
        return subprocess.run([str(interpreter), "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        system.install([f"{version}-venv"], why="Python's virtual environments")
    with say.step(f"Making a virtual environment in {venv()}"):
        run([sys.executable, "-m", "venv", "--clear", venv()])


def _python_packages(name: str) -> None:
    if not _works(python()):
        _make_venv()
    lists = {entry: _REQUIREMENTS / f"{entry}.txt" for entry in ("base", "dev")}
    fingerprint = stamps.digest(files=[lists[name]])
    if stamps.is_fresh(venv() / f"pilothouse-{name}.stamp", fingerprint):
        return
    with say.step("Preparing Python packages"):
        _pip_install(lists[name])
    (venv() / f"pilothouse-{name}.stamp").write_text(fingerprint)
    if name == "dev":
        # The list for development holds everything of the other one, in the same versions.
        (venv() / "pilothouse-base.stamp").write_text(stamps.digest(files=[lists["base"]]))


def directory(sign_in_file: str) -> None:
    """Install what asks a directory (LDAP), where the file that says how people sign in sets one up.

    Raises :class:`say.Trouble` when the file cannot be read.
    """
    if not sign_in_file:
        return
    try:
        is_set_up = "ldap" in tomllib.loads(Path(sign_in_file).read_text())
    except (OSError, ValueError) as cause:
        raise say.Trouble(f"PILOTHOUSE_SIGN_IN_FILE names {sign_in_file}, which cannot be read: {cause}.") from cause
    if is_set_up:
        with alone():
            directory_library()


def directory_library() -> None:
    """Install python-ldap, which is built here: no ready one is published for Linux."""
    requirements = _REQUIREMENTS / "ldap.txt"
    fingerprint = stamps.digest(files=[requirements])
    stamp = venv() / "pilothouse-ldap.stamp"
    if stamps.is_fresh(stamp, fingerprint):
        return
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    needed = {
        Path("/usr/include/ldap.h"): "libldap-dev",
        Path("/usr/include/sasl/sasl.h"): "libsasl2-dev",
        Path(sysconfig.get_path("include"), "Python.h"): f"{version}-dev",
    }
    missing = [package for file, package in needed.items() if not file.exists()]
    if not system.has("gcc"):
        missing += ["gcc", "libc6-dev"]
    if missing:
        system.install(missing, why="signing in by a directory")
    with say.step("Preparing what asks a directory"):
        _pip_install(requirements)
    stamp.write_text(fingerprint)


def _pip_install(requirements: Path) -> None:
    options = ["--require-hashes", "--disable-pip-version-check", "--no-input", "--quiet"]
    run([python(), "-m", "pip", "install", *options, "-r", requirements])


def _front_end() -> None:
    inputs = [ROOT / name for name in ("package.json", "package-lock.json", ".npmrc")]
    fingerprint = stamps.digest(files=inputs)
    stamp = _VENDOR / ".stamp"
    if stamps.is_fresh(stamp, fingerprint):
        return
    path = _path_with_node()
    with say.step("Preparing front-end files"):
        run(["npm", "ci", "--no-audit", "--no-fund"], env={**os.environ, "PATH": path}, cwd=ROOT)
        copy_assets(json.loads((ROOT / "package.json").read_text())["pilothouse"]["assets"], into=_VENDOR)
    stamp.write_text(fingerprint)


def _path_with_node() -> str:
    """Return a PATH on which npm and a recent Node are found, installing them into the environment if need be."""
    path = os.environ.get("PATH", os.defpath)
    if system.has("npm") and (node := shutil.which("node")):
        version = re.match(r"v(\d+)\.", run([node, "--version"]))
        if version is not None and int(version[1]) >= _OLDEST_NODE:
            return path
    own = f"{venv() / 'bin'}{os.pathsep}{path}"
    if not (venv() / "bin" / "npm").exists():
        with say.step("Preparing Node.js, which fetches the front-end files"):
            _pip_install(_REQUIREMENTS / "node.txt")
    return own


def copy_assets(assets: Mapping[str, str], *, into: Path) -> None:
    """Copy the files that pages use: a map from a path in node_modules to a path in static/vendor.

    Raises :class:`say.Trouble` when a package does not hold what the map names.
    """
    shutil.rmtree(into, ignore_errors=True)
    for source, target in assets.items():
        origin, goal = ROOT / "node_modules" / source, into / target
        if not origin.exists():
            raise say.Trouble(f"package.json names {source}, which the installed packages do not hold.")
        goal.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, goal)
        else:
            shutil.copyfile(origin, goal)


def _translations() -> None:
    sources = sorted((ROOT / "locale").glob("*/LC_MESSAGES/*.po"))
    stale = [
        source
        for source in sources
        if not (made := source.with_suffix(".mo")).exists() or made.stat().st_mtime < source.stat().st_mtime
    ]
    if stale:
        with say.step("Preparing translations"):
            run([python(), "-m", "launcher.compile_translations", *stale], cwd=ROOT)


def database(data_dir: DataDir, *, env: Mapping[str, str]) -> None:
    """Bring the database to the shape that the code expects."""
    migrations = ROOT.glob("console/*/migrations/*.py")
    url = env.get("DATABASE_URL", "")
    fingerprint = stamps.digest(url, files=[_REQUIREMENTS / "base.txt"], listings=migrations)
    stamp = data_dir.path / "database.stamp"
    # A server's database can be replaced behind our back, a file only by removing ours.
    if not url and (data_dir.path / "pilothouse.sqlite3").exists() and stamps.is_fresh(stamp, fingerprint):
        return
    with say.step("Preparing the database"):
        run([python(), "manage.py", "migrate", "--no-input"], env=env, cwd=ROOT)
    stamp.write_text(fingerprint)


def static_files(data_dir: DataDir, *, env: Mapping[str, str]) -> None:
    """Collect, name by content and compress what browsers fetch."""
    found = [path for path in (ROOT / "static").rglob("*") if path.is_file()]
    fingerprint = stamps.digest(files=[_REQUIREMENTS / "base.txt"], listings=found)
    stamp = data_dir.path / "static.stamp"
    if (data_dir.path / "static").is_dir() and stamps.is_fresh(stamp, fingerprint):
        return
    with say.step("Preparing static files"):
        run([python(), "manage.py", "collectstatic", "--no-input", "--clear"], env=env, cwd=ROOT)
    stamp.write_text(fingerprint)
