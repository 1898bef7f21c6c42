"""Recordings of terminals: writing them, proving that they are whole, and reading them again.

Format: https://docs.asciinema.org/manual/asciicast/v2/. This module is the package's only face.
"""

from runtime.recordings.chain import Fault, FaultKind, Verdict, chain_path, is_closed, verify
from runtime.recordings.errors import FailureCode, RecordingFailure
from runtime.recordings.reading import (
    Event,
    Header,
    Line,
    LineReader,
    Place,
    length_of,
    lines_of,
    read_events,
    read_header,
    text_of,
)
from runtime.recordings.recorder import Recorder
from runtime.recordings.writer import Head

__all__ = [
    "Event",
    "FailureCode",
    "Fault",
    "FaultKind",
    "Head",
    "Header",
    "Line",
    "LineReader",
    "Place",
    "Recorder",
    "RecordingFailure",
    "Verdict",
    "chain_path",
    "is_closed",
    "length_of",
    "lines_of",
    "read_events",
    "read_header",
    "text_of",
    "verify",
]
