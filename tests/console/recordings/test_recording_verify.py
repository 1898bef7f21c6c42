"""A recording is what was written, or one is told where it is not."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.recordings.models import Recording
from tests.console.recordings.conftest import write

pytestmark = pytest.mark.django_db

ClientOf = Callable[..., Client]
Recorded = Callable[..., Recording]


def verify(client: Client, recording: Recording) -> str:
    answer = client.post(f"/recordings/{recording.pk}/verify/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_untouched_it_is_whole(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    assert "to the last byte" in verify(client_of(alice), recorded(alice))
    assert AuditEvent.objects.get(action="recording.verify").outcome == "succeeded"


def test_one_changed_byte_is_found(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording = recorded(alice)
    changed = bytearray(recording.file.read_bytes())
    changed[-20] ^= 1
    recording.file.write_bytes(changed)
    assert "were changed" in verify(client_of(alice), recording)
    assert AuditEvent.objects.get(action="recording.verify").outcome == "failed"


def test_written_anew_with_a_chain_that_fits_it_is_found(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording = recorded(alice)
    recording.file.unlink()
    recording.file.with_name(recording.file.name + ".chain").unlink()
    write(recording.file, "$ nothing to see\r\n")
    assert "was written anew" in verify(client_of(alice), recording)


def test_with_the_row_changed_too_the_record_still_knows(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording, other = recorded(alice), recorded(alice, "$ ls\r\n")
    Recording.objects.filter(pk=recording.pk).update(path=other.path, chain_head=other.chain_head)
    assert "names another last hash" in verify(client_of(alice), recording)


def test_gone_it_is_not_whole(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording = recorded(alice)
    recording.file.with_name(recording.file.name + ".chain").unlink()
    assert "is gone" in verify(client_of(alice), recording)


def test_still_recorded_what_there_is_of_it_is_whole(
    alice: User, client_of: ClientOf, plan: Callable[..., Recording]
) -> None:
    recording = plan(alice)
    write(recording.file, "$ id\r\n", is_closed=False)
    assert "still being recorded" in verify(client_of(alice), recording)


def test_the_stranger_is_refused(bob: User, charlie: User, red: Team, client_of: ClientOf, recorded: Recorded) -> None:
    assert client_of(charlie).post(f"/recordings/{recorded(bob).pk}/verify/").status_code == 404


def test_reading_its_address_checks_nothing(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    assert client_of(alice).get(f"/recordings/{recorded(alice).pk}/verify/").status_code == 405


def test_the_command_checks_them_all(alice: User, recorded: Recorded) -> None:
    recording, other = recorded(alice), recorded(alice)
    said = io.StringIO()
    call_command("recordings", "verify", stdout=said)
    assert "whole: 2" in said.getvalue()
    recording.file.write_bytes(recording.file.read_bytes()[:-5])
    said = io.StringIO()
    with pytest.raises(CommandError, match="Of 2 recordings, 1"):
        call_command("recordings", "verify", stderr=said)
    assert f"{recording.pk}: cut" in said.getvalue()
    call_command("recordings", "verify", str(other.pk), stdout=said)
