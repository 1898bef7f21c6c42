"""Named points at which the suite kills a process, to look at what is left.

``PILOTHOUSE_FAULTS="container.create.created=kill@/path/marker,…"``: the first process that reaches the point makes the
marker file and dies by SIGKILL; whoever comes later finds the marker and goes on. Without the variable nothing happens.
"""

from __future__ import annotations

import os
import signal
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@lru_cache(maxsize=8)
def _markers(text: str) -> dict[str, Path]:
    """Return the marker file of each fault point that is set."""
    markers = {}
    for entry in filter(None, text.split(",")):
        name, _, action = entry.partition("=")
        kind, _, path = action.partition("@")
        if not name or kind != "kill" or not path.startswith("/"):
            raise ImproperlyConfigured(f"PILOTHOUSE_FAULTS holds {entry!r}; write name=kill@/path/marker.")
        markers[name] = Path(path)
    return markers


def reach(name: str) -> None:
    """Say that the point called ``name`` is reached; dies there once if ``PILOTHOUSE_FAULTS`` says so."""
    if not settings.FAULTS:
        return
    marker = _markers(settings.FAULTS).get(name)
    if marker is None:
        return
    try:
        # Exclusively: of two processes at the same point only one dies.
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
