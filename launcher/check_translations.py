"""Whether every text of the pages is translated: extracts them anew from a copy and looks for gaps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import polib

from launcher.paths import ROOT

_SOURCES = ("console", "runtime", "templates", "locale", "static", "manage.py", "pyproject.toml")


def find_gaps(folder: Path) -> list[str]:
    """Return a line for each text below ``folder`` that has no translation, or only a guessed one."""
    gaps = []
    for path in sorted(folder.glob("*/LC_MESSAGES/*.po")):
        language = path.parts[-3]
        for entry in polib.pofile(str(path)):
            if not entry.obsolete and not entry.translated():
                guessed = " (only guessed)" if entry.fuzzy else ""
                gaps.append(f"{language}: {entry.msgid!r}{guessed}, used in {entry.occurrences[0][0]}")
    return gaps


def main() -> int:
    """Print the gaps. Returns 1 when there are any."""
    languages = sorted(path.name for path in (ROOT / "locale").iterdir() if path.is_dir())
    if not languages:
        sys.stdout.write("locale holds no language\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="pilothouse-texts-") as name:
        copy = Path(name)
        for source in _SOURCES:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, copy / source, ignore=shutil.ignore_patterns("vendor", "__pycache__"))
            else:
                shutil.copy(ROOT / source, copy / source)
        env = {**os.environ, "PILOTHOUSE_DATA_DIR": str(copy / "var")}
        for domain in ("django", "djangojs"):
            wanted = [word for language in languages for word in ("--locale", language)]
            subprocess.run(
                [sys.executable, "manage.py", "makemessages", "--domain", domain, "--no-wrap", *wanted],
                cwd=copy,
                env=env,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        gaps = find_gaps(copy / "locale")
    for gap in gaps:
        sys.stdout.write(f"{gap}\n")
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
