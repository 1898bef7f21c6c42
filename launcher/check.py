"""`./pilothouse check`: what a machine can say about the code without running it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from launcher import say, system
from launcher.paths import ROOT, python, venv
from launcher.processes import die_with_parent


def check() -> bool:
    """Run every check, print a line for each and the output of those that fail. Returns whether all passed."""
    if not system.has("msgmerge"):
        system.install(["gettext"], why="the check of the translations")
    tools = venv() / "bin"
    django = [str(python()), "manage.py"]
    checks = {
        "Format": [str(tools / "ruff"), "format", "--check", "--quiet", "."],
        "Lint": [str(tools / "ruff"), "check", "--quiet", "."],
        "Templates": [str(tools / "djlint"), "--lint", "--quiet", "templates"],
        "Types": [str(tools / "mypy")],
        "Import contracts": [str(tools / "lint-imports"), "--no-cache"],
        "Migrations": [*django, "makemigrations", "--check", "--dry-run"],
        "Translations": [str(python()), "-m", "launcher.check_translations"],
    }
    passed = True
    with tempfile.TemporaryDirectory(prefix="pilothouse-check-") as data_dir:
        env = {**os.environ, "PILOTHOUSE_DATA_DIR": data_dir, "DJANGO_SETTINGS_MODULE": "console.settings"}
        for name, command in checks.items():
            passed = _one(name, command=command, env=env, cwd=ROOT) and passed
    say.line("All checks passed." if passed else "Some checks failed.")
    return passed


def _one(name: str, *, command: list[str], env: dict[str, str], cwd: Path) -> bool:
    started = time.monotonic()
    done = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, check=False, preexec_fn=die_with_parent
    )
    verdict = "ok" if done.returncode == 0 else "FAILED"
    say.line(f"{name:<17} {verdict:<7} {time.monotonic() - started:5.1f} s")
    if done.returncode != 0:
        say.line((done.stdout + done.stderr).rstrip())
    return done.returncode == 0
