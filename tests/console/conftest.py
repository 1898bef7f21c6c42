"""What the console's tests share beside the cast, and which of them PostgreSQL has nothing to say about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

#: These ask the same of every database, mostly nothing: what they look at are pages as text, forms, sockets, and what
#: reaches an engine. The suite runs them on SQLite; `./pilothouse test --postgres tests/…` runs them anyway.
_ANY_DATABASE: Final = (
    "lib",
    "accounts/test_directory.py",
    "containers/test_container_detail.py",
    "containers/test_container_preview.py",
    "containers/test_foreign_bodies.py",
    "containers/test_hostile_strings.py",
    "containers/test_left_out.py",
    "containers/test_masking.py",
    "containers/test_programs.py",
    "containers/test_specs.py",
    "containers/test_token_scope.py",
    "containers/test_twins.py",
    "hosts/test_addresses.py",
    "hosts/test_causes.py",
    "hosts/test_certificates.py",
    "terminals/test_handshake.py",
    "terminals/test_logs_search.py",
    "terminals/test_logs_stream.py",
    "terminals/test_protocol.py",
    "terminals/test_stats_stream.py",
    "terminals/test_terminal_stream.py",
    "test_socket_access.py",
)
#: Every route times everybody: what the answer is does not depend on the database, that there is one is seen by one in
#: ten, and the queries behind are those of the other files.
_MATRIX: Final = "test_access_matrix.py"
_ONE_IN: Final = 10


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark what need not be asked of a second database."""
    here = Path(__file__).parent
    seen: Counter[str] = Counter()
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        place = item.path.relative_to(here)
        if place == Path(_MATRIX):
            name = item.nodeid.partition("[")[0]
            seen[name] += 1
            marked = seen[name] % _ONE_IN != 1
        else:
            marked = any(place.is_relative_to(name) for name in _ANY_DATABASE)
        if marked:
            item.add_marker(pytest.mark.any_database)


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts in the fake engine runs or has ended at once."""
    monkeypatch.setattr("console.containers.handlers._SETTLE", 0.05)
    monkeypatch.setattr("console.containers.handlers._POLL", 0.02)
