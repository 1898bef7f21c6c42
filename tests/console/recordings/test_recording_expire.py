"""When its time is over a recording is gone, and its row says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.recordings.models import Recording, RecordingState, RecordingText
from console.recordings.services import expire_recordings

pytestmark = pytest.mark.django_db


def test_before_its_time_it_stays(bob: User, recorded: Callable[..., Recording]) -> None:
    recording = recorded(bob)
    assert expire_recordings() == 0
    assert recording.file.exists()


def test_after_its_time_file_and_text_are_gone(bob: User, recorded: Callable[..., Recording]) -> None:
    recording, other = recorded(bob), recorded(bob)
    Recording.objects.filter(pk=recording.pk).update(keep_until=timezone.now() - timedelta(seconds=1))
    assert expire_recordings() == 1
    assert not recording.file.exists()
    assert not Path(f"{recording.file}.chain").exists()
    assert set(RecordingText.objects.values_list("recording_id", flat=True)) == {other.pk}
    recording.refresh_from_db()
    assert recording.state == RecordingState.EXPIRED
    event = AuditEvent.objects.get(action="recording.expire")
    assert event.details == {"days": 30, "head": recording.chain_head, "of": "bob"}
    assert expire_recordings() == 0


def test_without_its_team_it_is_kept_as_long(bob: User, red: Team, recorded: Callable[..., Recording]) -> None:
    recording = recorded(bob)
    assert recording.team == red
    red.ownerships.all().delete()
    red.delete()
    Team.objects.create(name="red")
    recording.refresh_from_db()
    assert recording.team is None
    assert recording.team_name == "red"
    assert expire_recordings() == 0
    assert recording.file.exists()
