"""Flow control towards one viewer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import Window


def test_it_closes_at_its_limit_and_opens_by_acknowledgement() -> None:
    window = Window(limit=100)
    window.send(60)
    assert window.room == 40
    window.send(60)
    assert window.room == 0
    window.acknowledge(70)
    assert (window.in_flight, window.room) == (50, 50)


def test_what_was_never_sent_cannot_be_acknowledged() -> None:
    window = Window()
    window.send(10)
    with pytest.raises(ValueError, match="acknowledged 11 of 10"):
        window.acknowledge(11)
    window.acknowledge(5)
    with pytest.raises(ValueError, match="acknowledged 4"):
        window.acknowledge(4)


@given(st.lists(st.integers(0, 1000), max_size=50))
def test_who_keeps_to_the_room_never_has_more_in_flight_than_the_limit(sizes: list[int]) -> None:
    window = Window(limit=256)
    for size in sizes:
        window.send(min(size, window.room))
        assert window.in_flight <= 256
        if not window.room:
            window.acknowledge(window.sent)
