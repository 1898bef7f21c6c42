"""The frames of a terminal: what is not exactly one of them is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from console.terminals import protocol

TICKET = "x" * 43
SCRIPT = Path(__file__).resolve().parents[3] / "static" / "js" / "terminal.js"


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            {"type": "open", "ticket": TICKET, "columns": 80, "rows": 24},
            protocol.Open(ticket=TICKET, columns=80, rows=24),
        ),
        ({"type": "resize", "columns": 1, "rows": 1000}, protocol.Resize(columns=1, rows=1000)),
        ({"type": "ack", "bytes": 65536}, protocol.Ack(bytes=65536)),
        ({"type": "ping", "at": 12}, protocol.Ping(at=12)),
        ({"type": "end"}, protocol.End()),
    ],
)
def test_each_frame_of_the_browser_is_understood(frame: dict[str, Any], expected: protocol.BrowserFrame) -> None:
    assert protocol.parse(frame) == expected


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "opened"},
        {"type": "shell"},
        {"type": ""},
        {"type": "resize", "columns": 0, "rows": 24},
        {"type": "resize", "columns": 80, "rows": 10_001},
        {"type": "resize", "columns": -1, "rows": 24},
        {"type": "resize", "columns": 80.0, "rows": 24},
        {"type": "resize", "columns": "80", "rows": 24},
        {"type": "resize", "columns": True, "rows": 24},
        {"type": "resize", "columns": None, "rows": 24},
        {"type": "resize", "columns": 80},
        {"type": "resize", "columns": 80, "rows": 24, "signal": "KILL"},
        {"type": "ack", "bytes": -1},
        {"type": "ack", "bytes": 2**60},
        {"type": "ack"},
        {"type": "ping", "at": "now"},
        {"type": "end", "why": "x"},
        {"type": "open", "ticket": "", "columns": 80, "rows": 24},
        {"type": "open", "ticket": ["x" * 43], "columns": 80, "rows": 24},
        {"type": "open", "ticket": "x" * 5000, "columns": 80, "rows": 24},
        {"type": "open", "ticket": TICKET, "columns": 0, "rows": 24},
        {"type": "open", "ticket": TICKET, "columns": 80, "rows": 24, "command": "sh"},
    ],
)
def test_anything_else_is_refused(frame: dict[str, Any]) -> None:
    with pytest.raises(protocol.BadFrame):
        protocol.parse(frame)


def test_the_browser_has_the_same_frames() -> None:
    script = SCRIPT.read_text()
    for kind in (
        *(protocol.Open, protocol.Resize, protocol.Ack, protocol.Ping, protocol.End),
        *(protocol.Opened, protocol.Exit, protocol.Pong, protocol.Taken),
    ):
        found = re.search(rf'@typedef {{{{type: "{kind.type}"([^}}]*)}}}}', script)
        assert found, f"static/js/terminal.js has no typedef of {kind.type}"
        assert set(re.findall(r"(\w+)\??:", found[1])) == protocol.keys_of(kind)


def test_a_serialised_frame_carries_its_type() -> None:
    assert protocol.serialise(protocol.Exit(code=None)) == {"type": "exit", "code": None}
