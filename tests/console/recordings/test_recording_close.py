"""A recording is planned when a terminal opens and closed when it has ended, whoever died meanwhile."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.hosts.models import Host
from console.policies.rules import Recorded
from console.recordings import services
from console.recordings.models import Recording, RecordingState
from console.recordings.services import finish_all_but, finish_recording, look_after_recordings, plan_recording
from tests.console.recordings.conftest import TERMS, Terminal, write

pytestmark = pytest.mark.django_db


def test_where_the_policy_wants_none_there_is_none(bob: User, host: Host) -> None:
    assert plan_recording(Terminal(bob, host), replace(TERMS, recording=Recorded.OFF)) is None
    assert not Recording.objects.exists()


def test_the_hub_is_told_what_the_policy_says(bob: User, host: Host, red: Team) -> None:
    terms = replace(TERMS, recording=Recorded.REQUIRED, record_input=True)
    plan = plan_recording(Terminal(bob, host), terms)
    recording = Recording.objects.get()
    assert plan is not None
    assert (plan.required, plan.keeps_input, plan.path) == (True, True, str(recording.file))
    assert plan.details["team"] == "red"
    assert recording.team == red
    assert (recording.person, recording.person_name, recording.host_name) == (bob, "bob", "harbour")


def test_its_folders_are_ours_alone(bob: User, plan: Callable[..., Recording]) -> None:
    folder = plan(bob).file.parent
    for _level in ("month", "year", "recordings"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        folder = folder.parent


def test_asked_twice_there_is_one(bob: User, host: Host) -> None:
    first = plan_recording(Terminal(bob, host), TERMS)
    assert plan_recording(Terminal(bob, host), TERMS) == first


def test_one_that_goes_on_stays_open(bob: User, plan: Callable[..., Recording]) -> None:
    recording = plan(bob)
    write(recording.file, "$ id\r\n", is_closed=False)
    assert look_after_recordings() == 0
    recording.refresh_from_db()
    assert recording.state == RecordingState.RECORDING


def test_closed_by_the_hub_its_head_is_in_the_record(bob: User, recorded: Callable[..., Recording]) -> None:
    recording = recorded(bob)
    assert recording.state == RecordingState.COMPLETE
    assert recording.size_bytes == recording.file.stat().st_size
    assert recording.ended_at is not None
    assert recording.keep_until == recording.ended_at + timedelta(days=30)
    event = AuditEvent.objects.get(action="recording.close")
    assert event.details["head"] == recording.chain_head != ""
    assert (event.object_id, event.outcome, event.actor_name) == (str(recording.pk), "succeeded", "system:recordings")


def test_without_a_hub_it_is_closed_as_incomplete(
    bob: User, plan: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = plan(bob)
    write(recording.file, "$ id\r\n", is_closed=False)
    finish_recording(recording.session_id)
    assert look_after_recordings() == 0  # what wrote it may be about to say the last word
    monkeypatch.setattr(services, "WRITER_PATIENCE", timedelta(0))
    assert look_after_recordings() == 1
    recording.refresh_from_db()
    assert recording.state == RecordingState.INCOMPLETE
    assert recording.is_indexed
    assert AuditEvent.objects.get(action="recording.close").outcome == "failed"


def test_one_that_never_began_has_failed(
    bob: User, plan: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = plan(bob)
    finish_recording(recording.session_id)
    monkeypatch.setattr(services, "WRITER_PATIENCE", timedelta(0))
    look_after_recordings()
    recording.refresh_from_db()
    assert recording.state == RecordingState.FAILED
    assert look_after_recordings() == 0


def test_what_no_terminal_is_open_for_has_ended(bob: User, plan: Callable[..., Recording]) -> None:
    old, open_still, just_planned = plan(bob), plan(bob), plan(bob)
    Recording.objects.exclude(pk=just_planned.pk).update(started_at=timezone.now() - timedelta(hours=1))
    finish_all_but([open_still.session_id])
    ended = Recording.objects.exclude(ended_at=None)
    assert list(ended) == [old]


def test_while_one_worker_looks_after_it_no_other_does(bob: User, plan: Callable[..., Recording]) -> None:
    recording = plan(bob)
    write(recording.file, "$ id\r\n")
    Recording.objects.update(claimed_until=timezone.now() + timedelta(minutes=1))
    assert look_after_recordings() == 0
    Recording.objects.update(claimed_until=timezone.now() - timedelta(minutes=1))
    assert look_after_recordings() == 1
