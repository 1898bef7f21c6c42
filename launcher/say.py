"""Every line the launcher prints, so that a newcomer reads one voice."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Trouble(Exception):
    """Something the person at the keyboard has to know or do; its text is a whole sentence with a next step."""


class _Voice:
    """Whether we speak to people or to a collector of logs."""

    json = False


def use_json() -> None:
    """From now on print one JSON object a line, as the processes do."""
    _Voice.json = True


def _event(level: str, text: str) -> None:
    print(json.dumps({"process": "launcher", "level": level, "event": text}, ensure_ascii=False), flush=True)


def line(text: str = "") -> None:
    """Print one line at once, also into a pipe."""
    if not _Voice.json:
        print(text, flush=True)
    elif text:
        _event("info", text)


def warning(text: str) -> None:
    """Print what did not work but does not stop us."""
    if _Voice.json:
        _event("warning", text)
    else:
        print(f"Note: {text}", flush=True)


def error(text: str) -> None:
    """Print why we stop."""
    if _Voice.json:
        _event("error", text)
        return
    print(f"pilothouse: {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print "text … done in 8 s" around a step, or "failed" where it raises."""
    if not _Voice.json:
        print(f"{text} … ", end="", flush=True)
    started = time.monotonic()
    outcome = "failed"
    try:
        yield
        seconds = time.monotonic() - started
        outcome = f"done in {seconds:.0f} s" if seconds >= 1 else "done"
    finally:
        line(f"{text} … {outcome}" if _Voice.json else outcome)
