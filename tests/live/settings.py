"""The settings of a worker that the suite starts: the console's own, on the database of the pytest process."""

from __future__ import annotations

import os

from console.settings import *  # noqa: F403
from console.settings import DATABASES

DATABASES["default"]["NAME"] = os.environ["PILOTHOUSE_TEST_DATABASE"]
