"""Fills the inventory for measurements, through the same function that watch writes with."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from console.accounts.models import Team
    from console.gateway import Container
    from console.hosts.models import Host

_IMAGES: Final = [f"registry.example/team-{team}/app-{app}:1.{app}" for team in range(8) for app in range(25)]
_HOSTS: Final = 10
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def plausible_containers(count: int, *, seed: int = 1) -> list[Container]:
    """Return ``count`` containers as an engine might list them; the same ones for the same ``seed``."""
    from console.gateway import Container, ContainerState, Health, Mount, Port

    chance = random.Random(seed)
    found = []
    for number in range(count):
        state = chance.choices(
            [ContainerState.RUNNING, ContainerState.EXITED, ContainerState.PAUSED, ContainerState.RESTARTING],
            weights=[80, 15, 3, 2],
        )[0]
        exit_code = chance.choice([0, 0, 0, 1, 137]) if state is ContainerState.EXITED else None
        project = f"project-{number // 10}"
        found.append(
            Container(
                container_id=hashlib.sha256(f"{seed}/{number}".encode()).hexdigest(),
                name=f"{project}-service-{number % 10}",
                image=chance.choice(_IMAGES),
                image_id=f"sha256:{hashlib.sha256(str(number % 200).encode()).hexdigest()}",
                command="/usr/local/bin/serve --listen 0.0.0.0:8080",
                state=state,
                status=f"Exited ({exit_code}) 3 hours ago" if exit_code is not None else "Up 3 hours",
                created_at=_START + timedelta(minutes=number),
                health=chance.choice([Health.NONE, Health.HEALTHY]) if state is ContainerState.RUNNING else Health.NONE,
                exit_code=exit_code,
                ports=(Port(container_port=8080, host_port=20_000 + number % 40_000, host_ip="0.0.0.0"),),
                mounts=(Mount(kind="volume", source=f"{project}-data", target="/data"),),
                networks=(f"{project}_default",),
                labels={
                    "com.docker.compose.project": project,
                    "com.docker.compose.service": f"service-{number % 10}",
                    "team": f"team-{number % 8}",
                },
            )
        )
    return found


def fill_inventory(host: Host, count: int, *, seed: int = 1) -> None:
    """Make the inventory hold exactly ``count`` containers for ``host``. Takes about 1.5 s for 10,000 on SQLite."""
    from django.utils import timezone

    from console.inventory.services import apply_containers

    apply_containers(host, containers=plausible_containers(count, seed=seed), asked_at=timezone.now())


def fill_teams(*, teams: int, people: int, containers: int, password: str) -> None:
    """Make the inventory hold ``containers`` on ten hosts, with an equal share of them and of ``people`` for each team.

    ``team-0-person-0`` and so on; the first of each team is a member who signs in with ``password``. May be called
    again for more.
    """
    from console.accounts.models import Team
    from console.hosts.models import Host
    from console.inventory.models import ObservedContainer
    from console.rbac.models import HostGrant, OwnedKind, Ownership

    everybody = []
    for number in range(teams):
        team = Team.objects.filter(name=f"team-{number}").first() or Team.objects.create(name=f"team-{number}")
        _fill_team(team, people // teams, password=password if number == 0 else None)
        everybody.append(team)
    for number in range(_HOSTS):
        host, _is_new = Host.objects.get_or_create(name=f"host-{number}", url=f"unix:///nowhere/{number}.sock")
        fill_inventory(host, containers // _HOSTS, seed=number)
        grants = [HostGrant(team=team, host=host, containers=None) for team in everybody]
        HostGrant.objects.bulk_create(grants, ignore_conflicts=True)
    Ownership.objects.all().delete()
    rows = ObservedContainer.objects.filter(host__name__startswith="host-").order_by("container_id")
    Ownership.objects.bulk_create(
        [
            Ownership(host_id=host_id, kind=OwnedKind.CONTAINER, object_id=container_id, team=everybody[number % teams])
            for number, (host_id, container_id) in enumerate(rows.values_list("host_id", "container_id"))
        ],
        batch_size=1000,
    )


def _fill_team(team: Team, count: int, *, password: str | None) -> None:
    from console.accounts.models import Membership, TeamRole, User

    for number in range(team.people.count(), count):
        person = User.objects.create_user(f"{team.name}-person-{number}", password if number == 0 else None)
        Membership.objects.create(team=team, person=person, role=TeamRole.MEMBER)
