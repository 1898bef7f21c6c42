"""A recording is watched: its page, its file and the search within it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import Team, TokenScope, User
from console.recordings.models import Recording, RecordingState
from tests.console.tokens import issue, program

pytestmark = pytest.mark.django_db

ClientOf = Callable[[User], Client]
Recorded = Callable[..., Recording]


def test_its_page_says_whose_it_is(alice: User, bob: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording = recorded(bob)
    text = client_of(alice).get(f"/recordings/{recording.pk}/?t=3.5").content.decode()
    assert "bob in web" in text
    assert 'data-start="3.5"' in text
    assert f'data-url="/recordings/{recording.pk}/content/"' in text
    assert recording.chain_head in text


def test_everybody_watches_their_own(bob: User, client_of: ClientOf, recorded: Recorded) -> None:
    assert client_of(bob).get(f"/recordings/{recorded(bob).pk}/").status_code == 200


@pytest.mark.parametrize("path", ["", "content/", "search/?q=id"])
def test_the_stranger_is_told_that_there_is_none(
    path: str, bob: User, charlie: User, red: Team, client_of: ClientOf, recorded: Recorded
) -> None:
    client = client_of(charlie)
    there, not_there = (client.get(f"/recordings/{pk}/{path}") for pk in (recorded(bob).pk, uuid.uuid4()))
    assert (there.status_code, not_there.status_code) == (404, 404)


def test_a_token_watches_nothing(alice: User, recorded: Recorded) -> None:
    recording = recorded(alice)
    client = program(issue(alice, scope=TokenScope.ALL).text)
    assert client.get("/recordings/").status_code == 403
    for path in ("", "content/", "search/"):
        assert client.get(f"/recordings/{recording.pk}/{path}").status_code == 404


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=5-2", "bytes=-0"])
def test_a_part_that_is_not_there_does_not_come(
    asked: str, alice: User, client_of: ClientOf, recorded: Recorded
) -> None:
    recording = recorded(alice)
    answer = client_of(alice).get(f"/recordings/{recording.pk}/content/", headers={"Range": asked})
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{recording.file.stat().st_size}"


@pytest.mark.parametrize("asked", ["bytes=a-b", "lines=1-2", "bytes=0-1,3-4", "bytes=-"])
def test_a_part_that_makes_no_sense_is_the_whole(
    asked: str, alice: User, client_of: ClientOf, recorded: Recorded
) -> None:
    recording = recorded(alice)
    answer = client_of(alice).get(f"/recordings/{recording.pk}/content/", headers={"Range": asked})
    assert answer.status_code == 200


def test_within_it_words_are_found_in_order(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording = recorded(alice, "one id\r\ntwo\r\nthree ID\r\n")
    text = client_of(alice).get(f"/recordings/{recording.pk}/search/?q=id").content.decode()
    assert text.index("one <mark>id</mark>") < text.index("three <mark>ID</mark>")
    assert "2 places" in text


def test_what_has_expired_is_not_there_and_says_so(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recording = recorded(alice)
    Recording.objects.filter(pk=recording.pk).update(state=RecordingState.EXPIRED, keep_until=timezone.now())
    client = client_of(alice)
    assert "kept long enough" in client.get(f"/recordings/{recording.pk}/").content.decode()
    assert client.get(f"/recordings/{recording.pk}/content/").status_code == 404
    assert client.post(f"/recordings/{recording.pk}/download/").status_code == 404
    assert client.post(f"/recordings/{recording.pk}/verify/").status_code == 404


@pytest.mark.parametrize("path", ["", "content/", "search/"])
def test_nothing_is_sent_to_it(path: str, alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    assert client_of(alice).post(f"/recordings/{recorded(alice).pk}/{path}").status_code == 405
