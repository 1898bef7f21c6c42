"""A recording is taken away by a form of ours alone; what comes then is in test_recording_content."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.recordings.models import Recording

pytestmark = pytest.mark.django_db

ClientOf = Callable[..., Client]
Recorded = Callable[..., Recording]


def test_the_stranger_gets_nothing(
    bob: User, charlie: User, red: Team, client_of: ClientOf, recorded: Recorded
) -> None:
    answer = client_of(charlie).post(f"/recordings/{recorded(bob).pk}/download/")
    assert answer.status_code == 404
    assert not AuditEvent.objects.filter(action="recording.download").exists()


def test_it_is_asked_for_by_our_own_pages_alone(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording = recorded(alice)
    assert client_of(alice).get(f"/recordings/{recording.pk}/download/").status_code == 405
    careful = client_of(alice, enforce_csrf_checks=True)
    assert careful.post(f"/recordings/{recording.pk}/download/").status_code == 403


def test_no_static_address_leads_to_it(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording = recorded(alice)
    for path in (f"/static/{recording.path}", f"/recordings/{recording.path}", f"/media/{recording.path}"):
        assert client_of(alice).get(path).status_code == 404
