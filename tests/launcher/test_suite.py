"""The suite's own rule: what fails in the crowd has one more try, by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from launcher import suite

FEW = ["tests/a.py::test_one@browser", "tests/b.py::test_two[x@y]"]


@pytest.mark.parametrize(
    ("codes", "failed", "passes"),
    [
        ([0], [], True),
        ([1, 0], FEW, True),
        ([1, 1], FEW, False),
        ([1], [f"tests/c.py::test_{number}" for number in range(13)], False),
        ([3], [], False),
    ],
)
def test_a_failure_counts_when_it_comes_again(
    codes: list[int], failed: list[str], passes: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noted = tmp_path / "lastfailed"
    noted.write_text('{"tests/old.py::test_of_another_run": true}')
    calls: list[list[str]] = []

    def call(command: Sequence[object], **_options: object) -> int:
        calls.append([str(word) for word in command])
        if failed:
            noted.write_text(json.dumps(dict.fromkeys(failed, True)))
        return codes[len(calls) - 1]

    monkeypatch.setattr(suite, "call", call)
    monkeypatch.setattr(suite, "_FAILED", noted)
    assert suite._run(["pytest"], spread=["-n", "3"], chosen=["tests"], env={}) is passes
    assert calls[0] == ["pytest", "-n", "3", "tests"]
    again = ["pytest", "-v", "tests/a.py::test_one", "tests/b.py::test_two[x@y]"]
    assert calls[1:] == ([again] if len(codes) > 1 else [])
