"""Kept logs without a hub process: the list is carried out by a keeper on the gateway's loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from console import gateway
from console.accounts.models import Membership, Team, TeamRole, User
from console.containers.services import assign_container
from console.gateway import LogLine, LogStore
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.inventory.services import observe_container
from console.logs import services
from console.logs.models import KeptLog, KeptState
from console.policies.rules import Rules
from console.policies.services import save_policy
from runtime.hub import keeper
from runtime.hub.keeper import Keeper
from runtime.hub.messages import LogOrder
from runtime.kept_logs import LogWriter
from runtime.streams import Channel
from runtime.testing import FakeEngine
from tests.console.containers.conftest import MakeContainer as MakeContainer
from tests.console.containers.conftest import ask as ask
from tests.console.containers.conftest import make_container as make_container

MakeLog = Callable[..., KeptLog]


@pytest.fixture(autouse=True)
def logs_dir(settings: Any, tmp_path: Path) -> Path:
    """Where logs are kept in this test."""
    settings.LOGS_DIR = tmp_path / "logs"
    return tmp_path / "logs"


@pytest.fixture
def red(alice: User, bob: User, host: Host) -> Team:
    """The team that bob is in, whose logs are kept for a week."""
    team = Team.objects.create(name="red")
    Membership.objects.create(person=bob, team=team, role=TeamRole.VIEWER)
    keep_for(team, days=7, actor=alice)
    return team


@pytest.fixture
def blue(alice: User, charlie: User, host: Host) -> Team:
    """The team of charlie, the stranger, whose logs are kept too."""
    team = Team.objects.create(name="blue")
    Membership.objects.create(person=charlie, team=team, role=TeamRole.OWNER)
    keep_for(team, days=7, actor=alice)
    return team


def keep_for(team: Team, *, days: int, actor: User, size_bytes: int = 100 * 1024 * 1024) -> None:
    """Give the team a policy that keeps logs so long."""
    newest = team.policy_versions.order_by("-number").first()
    save_policy(
        actor=actor,
        team=team,
        rules=Rules(images=("*",), log_days=days, log_kept_bytes=size_bytes),
        note="",
        based_on=newest.number if newest is not None else 0,
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine, logs_dir: Path) -> Iterator[Keeper]:
    """What keeps logs, without a process of its own: orders reach it as they would by the socket."""
    for name in ("GATHER", "SHORTEST_PAUSE", "LONGEST_PAUSE", "LONGEST_REST"):
        monkeypatch.setattr(keeper, name, 0.01)

    async def make() -> Keeper:
        return Keeper(LogStore(logs_dir), lambda _endpoint: engine)

    async def handle(order: LogOrder) -> dict[str, Any]:
        return await made.handle(order)

    made = gateway.submit(make).result()

    class Client:
        async def ask(self, order: LogOrder) -> dict[str, Any]:
            return await made.handle(order)

    monkeypatch.setattr(services, "ask_hub", lambda order: gateway.submit(lambda: handle(order)).result())
    monkeypatch.setattr("console.containers.handlers.hub_client", Client)
    yield made
    gateway.submit(made.close).result()


def keep_until(condition: Callable[[], Any]) -> None:
    """Send the list as the scheduler does, until what it says is so."""
    limit = time.monotonic() + 10
    while True:
        services.keep_logs()
        if condition():
            return
        assert time.monotonic() < limit, "it never became so"
        time.sleep(0.01)


def give(container: ObservedContainer, team: Team | None, *, actor: User) -> None:
    """Have the container owned by the team."""
    assign_container(actor=actor, container=container, team=team)


def see(host: Host, container_id: str) -> None:
    """Have the inventory look at the container."""
    observe_container(host, container_id)


def line(seconds: float, text: str, *, channel: Channel = Channel.STDOUT) -> LogLine:
    return LogLine(int((START + timedelta(seconds=seconds)).timestamp() * 10**6) * 1000, channel, text.encode())


START = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture
def make_log(host: Host, logs_dir: Path) -> MakeLog:
    """Make a kept log of a container that is gone, with its lines."""

    def make(
        team: Team | None,
        lines: list[LogLine],
        *,
        name: str = "web-1",
        digit: str = "a",
        started: float = 0,
        ended: float = 60,
        **fields: Any,
    ) -> KeptLog:
        container_id = digit * 64
        writer = LogWriter(logs_dir / str(host.pk) / container_id, reserve=0)
        writer.write(lines)
        writer.seal()
        writer.close()
        closed_at = START + timedelta(seconds=ended)
        values: dict[str, Any] = {
            "host_id": host.pk,
            "host_name": host.name,
            "container_id": container_id,
            "container_name": name,
            "image": "starter:latest",
            "lineage": f"name {name}",
            "team": team,
            "team_name": team.name if team is not None else "",
            "state": KeptState.GONE,
            "created_at": START + timedelta(seconds=started),
            "ended_at": closed_at,
            "exit_code": 137,
            "bytes": writer.size,
            "first_at": START + timedelta(seconds=started),
            "last_at": closed_at,
            "closed_at": closed_at,
            "days": 7,
            "keep_until": timezone.now() + timedelta(days=7),
            "search_text": f"{name} starter:latest {container_id}".lower(),
        }
        return KeptLog.objects.create(**values | fields)

    return make
