"""Every line the launcher prints, so that a newcomer reads one voice."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Trouble(Exception):
    """Something the person at the keyboard has to know or do; its text is a whole sentence with a next step."""


def line(text: str = "") -> None:
    """Print one line at once, also into a pipe."""
    print(text, flush=True)


def warning(text: str) -> None:
    """Print what did not work but does not stop us."""
    print(f"Note: {text}", flush=True)


def error(text: str) -> None:
    """Print why we stop."""
    print(f"pilothouse: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print "text … done in 8 s" around a step, or "failed" where it raises."""
    print(f"{text} … ", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    seconds = time.monotonic() - started
    print(f"done in {seconds:.0f} s" if seconds >= 1 else "done", flush=True)
