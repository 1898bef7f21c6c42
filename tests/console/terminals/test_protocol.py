"""The frames of a terminal: what is not exactly one of them is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from console.terminals import protocol

TICKET = "x" * 43
SCRIPTS = Path(__file__).resolve().parents[3] / "static" / "js"
TAB = "tab-0001"


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            {"type": "open", "ticket": TICKET, "viewer": TAB, "columns": 80, "rows": 24},
            protocol.Open(ticket=TICKET, viewer=TAB, columns=80, rows=24),
        ),
        (
            {"type": "open", "ticket": TICKET, "viewer": TAB, "columns": 80, "rows": 24, "from": 7, "typed": 3},
            protocol.Open(ticket=TICKET, viewer=TAB, columns=80, rows=24, from_offset=7, typed=3),
        ),
        ({"type": "resize", "columns": 1, "rows": 1000}, protocol.Resize(columns=1, rows=1000)),
        ({"type": "ack", "offset": 65536}, protocol.Ack(offset=65536)),
        ({"type": "ping", "at": 12}, protocol.Ping(at=12)),
        ({"type": "end"}, protocol.End()),
        ({"type": "close"}, protocol.Close()),
        ({"type": "leave"}, protocol.Quit()),
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
        {"type": "ack", "offset": -1},
        {"type": "ack", "offset": 2**60},
        {"type": "ack"},
        {"type": "ping", "at": "now"},
        {"type": "end", "why": "x"},
        {"type": "open", "ticket": "", "viewer": TAB, "columns": 80, "rows": 24},
        {"type": "open", "ticket": ["x" * 43], "viewer": TAB, "columns": 80, "rows": 24},
        {"type": "open", "ticket": "x" * 5000, "viewer": TAB, "columns": 80, "rows": 24},
        {"type": "open", "ticket": TICKET, "columns": 80, "rows": 24},
        {"type": "open", "ticket": TICKET, "viewer": "short", "columns": 80, "rows": 24},
        {"type": "open", "ticket": TICKET, "viewer": TAB, "columns": 0, "rows": 24},
        {"type": "open", "ticket": TICKET, "viewer": TAB, "columns": 80, "rows": 24, "from": -1},
        {"type": "open", "ticket": TICKET, "viewer": TAB, "columns": 80, "rows": 24, "typed": None},
        {"type": "open", "ticket": TICKET, "viewer": TAB, "columns": 80, "rows": 24, "command": "sh"},
    ],
)
def test_anything_else_is_refused(frame: dict[str, Any]) -> None:
    with pytest.raises(protocol.BadFrame):
        protocol.parse(frame)


def test_the_browser_has_the_same_frames() -> None:
    script = "".join(path.read_text() for path in SCRIPTS.glob("terminal*.js"))
    kinds = (*get_args(protocol.BrowserFrame), *get_args(protocol.ServerFrame))
    for kind in kinds:
        found = re.search(rf'@typedef {{{{type: "{kind.type}"([^}}]*)}}}}', script)
        assert found, f"static/js has no typedef of {kind.type}"
        assert set(re.findall(r"(\w+)\??:", found[1])) == protocol.keys_of(kind)


def test_a_serialised_frame_carries_its_type() -> None:
    assert protocol.serialise(protocol.Taken(bytes=3)) == {"type": "taken", "bytes": 3}
