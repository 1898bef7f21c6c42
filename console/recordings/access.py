"""Fetching and authorising in one call."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.lib.problems import Missing
from console.rbac.access import check_somewhere
from console.recordings.models import Recording, RecordingQuerySet


def access_recordings(user: User) -> RecordingQuerySet:
    """Return the recordings that ``user`` may watch. Raises ``Refused`` for a token, which watches none."""
    check_somewhere(user, "recording.view")
    recordings: RecordingQuerySet = Recording.objects.visible_to(user)
    return recordings


def access_recording(user: User, recording_id: UUID) -> Recording:
    """Return the recording for ``user`` to watch, check or take away.

    Raises ``Missing`` when he may not know of it or it is not there.
    """
    recording: Recording | None = Recording.objects.visible_to(user).filter(pk=recording_id).first()
    if recording is None:
        raise Missing(_("This recording does not exist."))
    return recording
