"""Recordings as the hub leaves them: red's and nobody's, with what they showed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from console.accounts.models import Membership, Team, TeamRole, User
from console.hosts.models import Host
from console.policies.queries import ShellTerms, terms_of
from console.policies.rules import Recorded
from console.rbac.models import OwnedKind, Ownership
from console.recordings.models import Recording
from console.recordings.services import look_after_recordings, plan_recording
from runtime.recordings import Recorder

CONTAINER = "c" * 64
SESSION = uuid.UUID(int=1)
TERMS = replace(terms_of(None), recording=Recorded.ON, recording_days=30)


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal that is about to open."""

    person: User | None
    host: Host
    container_id: str = CONTAINER
    container_name: str = "web"
    pk: uuid.UUID = SESSION


@pytest.fixture
def red(db: None, host: Host, bob: User) -> Team:
    """A team with a container; bob is a member of it."""
    team = Team.objects.create(name="red")
    Membership.objects.create(team=team, person=bob, role=TeamRole.MEMBER)
    Ownership.objects.create(host=host, kind=OwnedKind.CONTAINER, object_id=CONTAINER, team=team)
    return team


@pytest.fixture
def plan(host: Host) -> Callable[..., Recording]:
    """Plan the recording of a terminal that somebody opens."""

    def planned(person: User | None, terms: ShellTerms = TERMS, **more: str) -> Recording:
        session = uuid.uuid4()
        assert plan_recording(Terminal(person, host, pk=session, **more), terms) is not None
        return Recording.objects.get(session_id=session)

    return planned


def write(path: Path, output: str, *, is_closed: bool = True) -> None:
    """Record ``output``, as the hub does; without the end, as if it were killed then."""

    async def run() -> None:
        recorder = Recorder.start(path, columns=80, rows=24, on_failure=lambda _code: None)
        for part in output.splitlines(keepends=True):
            recorder.output(part.encode())
        await recorder.close(0)

    asyncio.run(run())
    if not is_closed:
        chain = path.with_name(path.name + ".chain")
        first = chain.read_bytes().splitlines(keepends=True)[:1]
        chain.write_bytes(b"".join(first))


@pytest.fixture
def recorded(plan: Callable[..., Recording]) -> Callable[..., Recording]:
    """A terminal of somebody's, recorded, closed and searchable."""

    def made(person: User | None, output: str = "$ id\r\nuid=0(root)\r\n", **more: str) -> Recording:
        recording = plan(person, **more)
        write(recording.file, output)
        look_after_recordings()
        recording.refresh_from_db()
        return recording

    return made
