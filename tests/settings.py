"""The console's settings, in an environment of the suite's own.

A module of settings, since pytest-django reads those before any conftest is loaded.
"""

from __future__ import annotations

import os
import sys
import tempfile

# The suite is dozens of Python processes: where nothing may be kept, each would compile the tests and the console anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: Each pytest process has keys, databases and sockets of its own.
SUITE_DIR = tempfile.TemporaryDirectory(prefix="pilothouse-test-")
os.environ["PILOTHOUSE_DATA_DIR"] = SUITE_DIR.name
os.environ["PILOTHOUSE_PUBLIC_URL"] = "http://testserver"
os.environ.setdefault("PILOTHOUSE_REDIS_URL", "redis://127.0.0.1:1")
os.environ.pop("DOCKER_HOST", None)

from console.settings import *  # noqa: E402, F403

STATIC_ROOT.mkdir()  # noqa: F405  WhiteNoise warns about a missing one
