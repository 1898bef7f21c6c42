"""What events mark: bounded, whatever an engine says."""

from __future__ import annotations

import pytest

from console.inventory.watcher import MOST_MARKED, Marks
from tests.console.inventory.conftest import event_of


def test_a_storm_of_events_takes_no_memory() -> None:
    marks = Marks(everything=False)
    for number in range(20_000):
        marks.take_event(event_of("container", "kill", f"{number:064x}", signal="9"))
    assert len(marks.containers) <= MOST_MARKED
    assert len(marks.ended_by_request) <= MOST_MARKED
    assert marks.everything


def test_the_same_container_is_marked_once() -> None:
    marks = Marks(everything=False)
    for _number in range(1000):
        marks.take_event(event_of("container", "start", "a" * 64))
    assert marks.containers == {"a" * 64}
    assert not marks.everything


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("container", "exec_start: sh"),
        ("container", "exec_die"),
        ("container", "top"),
        ("image", "push"),
        ("volume", "mount"),
    ],
)
def test_what_changes_nothing_we_show_is_not_asked_about(kind: str, action: str) -> None:
    marks = Marks(everything=False)
    marks.take_event(event_of(kind, action, "a" * 64))
    assert not marks


def test_a_network_marks_the_container_it_was_connected_to() -> None:
    marks = Marks(everything=False)
    marks.take_event(event_of("network", "connect", "n" * 64, container="c" * 64))
    assert marks.containers == {"c" * 64}
