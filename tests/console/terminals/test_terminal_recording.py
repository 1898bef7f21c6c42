"""A team's policy says whether its terminals are recorded; one that must be does not open without."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from console.accounts.models import Team, User
from console.inventory.models import ObservedContainer
from console.lib.websocket import in_database
from console.policies.models import PolicyVersion
from console.policies.rules import Recorded, Rules, to_json
from console.rbac.models import OwnedKind, Ownership
from console.recordings.models import Recording, RecordingState
from console.recordings.services import look_after_recordings
from runtime.hub.server import Hub
from runtime.testing import FakeEngine
from tests.console.terminals.conftest import Connect, Viewer, ended_session, opening, ticket_for

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], str]
Run = Callable[..., Any]
ECHO = ["sh", "-c", "stty raw; printf ready; cat"]


def _give(container: ObservedContainer, *, recording: Recorded) -> None:
    """Give the container to a team with such a policy."""
    team = Team.objects.create(name="red")
    PolicyVersion.objects.create(team=team, number=1, content=to_json(Rules(recording=recording)), author_name="alice")
    Ownership.objects.create(team=team, host=container.host, kind=OwnedKind.CONTAINER, object_id=container.container_id)


@pytest.fixture
async def opened(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> Callable[..., Any]:
    async def open_one(*, recording: Recorded) -> Viewer:
        container = await run("sleep", "1000")
        await in_database(lambda: _give(container, recording=recording))
        key = await in_database(lambda: signed_in(alice))
        ticket = await ticket_for(container, actor=alice, session_key=key, command=ECHO)
        return await connect("/ws/terminal/", key, first=opening(ticket))

    return open_one


def _files() -> list[Path]:
    return list((settings.DATA_DIR / "recordings").rglob("*.cast"))


async def test_it_is_recorded_where_the_policy_says_so(opened: Callable[..., Any]) -> None:
    viewer = await opened(recording=Recorded.ON)
    assert (await viewer.control("opened"))["recorded"] is True
    await viewer.read_until(b"ready", acknowledge=False)
    viewer.send_bytes(b"hello")
    await viewer.read_until(b"hello", acknowledge=False)
    viewer.send({"type": "close"})
    session = await ended_session()
    await in_database(look_after_recordings)
    recording = await in_database(lambda: Recording.objects.get())
    assert (recording.session_id, recording.state) == (session.pk, RecordingState.COMPLETE)
    lines = [json.loads(line) for line in recording.file.read_text().splitlines()[1:]]
    assert "".join(line[2] for line in lines if line[1] == "o") == "readyhello"


async def test_it_is_not_recorded_where_the_policy_does_not_say_so(opened: Callable[..., Any]) -> None:
    before = _files()
    viewer = await opened(recording=Recorded.OFF)
    assert (await viewer.control("opened"))["recorded"] is False
    assert _files() == before
    assert not await in_database(Recording.objects.exists)


async def test_nothing_runs_when_a_recording_is_required_and_cannot_begin(
    opened: Callable[..., Any], engine: FakeEngine, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.hub.terminals.Path", lambda _path: Path("/nowhere/one.cast"))
    viewer = await opened(recording=Recorded.REQUIRED)
    code, error = await viewer.ending()
    assert code == 1011
    assert error is not None
    assert error["code"] == "unrecorded"
    assert "folder" in error["next_step"]
    assert "open_exec" not in engine.calls
    assert "could not be recorded" in (await ended_session()).end_reason
