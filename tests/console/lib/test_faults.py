"""Named fault points: a process dies at one once, and only where the suite says so."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from console.lib import faults


def _die(text: str) -> None:
    settings.FAULTS = text
    faults.reach("other.point")
    faults.reach("some.point")


def _run(text: str) -> int | None:
    process = multiprocessing.get_context("fork").Process(target=_die, args=(text,))
    process.start()
    process.join(20)
    return process.exitcode


def test_the_first_process_dies_there_and_the_next_goes_on(tmp_path: Path) -> None:
    text = f"some.point=kill@{tmp_path}/marker,unused.point=kill@{tmp_path}/unused"
    assert _run(text) == -signal.SIGKILL
    assert (tmp_path / "marker").exists()
    assert _run(text) == 0
    assert not (tmp_path / "unused").exists()


def test_without_the_setting_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FAULTS", "")
    faults.reach("some.point")


@pytest.mark.parametrize("text", ["some.point", "some.point=sleep@/x", "=kill@/x", "some.point=kill@relative"])
def test_a_malformed_setting_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(settings, "FAULTS", text)
    with pytest.raises(ImproperlyConfigured):
        faults.reach("some.point")
