"""Turn .po files into the .mo files that Django reads; run by the environment's Python, so gettext is not needed."""

from __future__ import annotations

import sys
from pathlib import Path

import polib


def main() -> None:
    """Compile the files named on the command line."""
    for name in sys.argv[1:]:
        source = Path(name)
        polib.pofile(str(source)).save_as_mofile(str(source.with_suffix(".mo")))


if __name__ == "__main__":
    main()
