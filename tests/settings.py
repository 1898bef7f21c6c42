"""The console's settings, in an environment of the suite's own.

A module of settings, since pytest-django reads those before any conftest is loaded.
"""

from __future__ import annotations

import os
import tempfile

#: Each pytest process has keys, databases and sockets of its own.
SUITE_DIR = tempfile.TemporaryDirectory(prefix="pilothouse-test-")
os.environ["PILOTHOUSE_DATA_DIR"] = SUITE_DIR.name
os.environ["PILOTHOUSE_PUBLIC_URL"] = "http://testserver"
os.environ.setdefault("PILOTHOUSE_REDIS_URL", "redis://127.0.0.1:1")
os.environ.pop("DOCKER_HOST", None)

from console.settings import *  # noqa: E402, F403

STATIC_ROOT.mkdir()  # noqa: F405  WhiteNoise warns about a missing one
