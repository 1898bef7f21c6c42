"""A recording's file comes in parts, each with the rights of then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.lib.websocket import in_database
from console.recordings.models import Recording
from tests.console.streamed import browser_of, content

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def recording(bob: User, recorded: Callable[..., Recording]) -> Recording:
    """Bob's, with a container of a hostile name."""
    return recorded(bob, container_name='we"b\r\n')


def whole(recording: Recording) -> bytes:
    return recording.file.read_bytes()


async def test_it_comes_whole_or_in_parts(bob: User, recording: Recording) -> None:
    browser = await browser_of(bob)
    answer = await browser.get(f"/recordings/{recording.pk}/content/")
    file = whole(recording)
    assert answer["Content-Type"] == "application/x-asciicast"
    assert "no-store" in answer["Cache-Control"]
    assert await content(answer) == file
    size = len(file)
    for asked, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, size),
        ("bytes=-5", size - 5, size),
        ("bytes=0-99999999", 0, size),
    ):
        answer = await browser.get(f"/recordings/{recording.pk}/content/", headers={"Range": asked})
        assert answer.status_code == 206
        assert answer["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert answer["Content-Length"] == str(end - start)
        assert await content(answer) == file[start:end]


async def test_it_is_taken_away_as_a_file_that_players_play(alice: User, recording: Recording) -> None:
    browser = await browser_of(alice)
    answer = await browser.post(f"/recordings/{recording.pk}/download/")
    name = f"{recording.started_at:%Y%m%d-%H%M%S}-{recording.pk}.cast"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert await content(answer) == whole(recording)
    event = await in_database(lambda: AuditEvent.objects.get(action="recording.download"))
    assert (event.actor_id, event.object_id, event.details["of"]) == (alice.pk, str(recording.pk), "bob")


async def test_who_loses_the_right_meanwhile_gets_no_more(
    bob: User, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.recordings.views._PART", 10)
    answer: Any = await (await browser_of(bob)).get(f"/recordings/{recording.pk}/content/")
    parts = aiter(answer)
    assert len(await anext(parts)) == 10
    await in_database(lambda: User.objects.filter(pk=bob.pk).update(is_active=False))
    with pytest.raises(StopAsyncIteration):
        await anext(parts)
