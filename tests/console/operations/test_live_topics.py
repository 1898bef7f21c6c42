"""Every topic that a page listens to is one that somebody can be told of."""

from __future__ import annotations

import re

from console.lib.live import notify
from console.operations.consumers import ACTIONS
from launcher.paths import ROOT

#: Given by views: of one container, of one person.
GIVEN = "{{ topic }}"


def _listened_to() -> set[str]:
    topics: set[str] = set()
    for path in (ROOT / "templates").rglob("*.html"):
        for text in re.findall(r'data-live="([^"]*)"', path.read_text()):
            topics.update(
                word.partition(":")[0] for word in re.sub(r"\{\{.*?\}\}", "x", text.replace(GIVEN, "")).split()
            )
    return topics


def _told() -> set[str]:
    sources = "".join(path.read_text() for path in (ROOT / "console").rglob("*.py"))
    found = re.findall(rf'{notify.__name__}\(f?"([a-z-]+)', sources)
    return set(found)


def test_what_pages_listen_to_is_told_on() -> None:
    assert {"containers", "kept-logs", "terminals"} <= _listened_to() <= ACTIONS.keys()


def test_what_is_said_can_be_told_on() -> None:
    assert "kept-logs" in _told()
    assert _told() <= ACTIONS.keys()
