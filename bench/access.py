"""What it costs to show somebody only what is theirs, and to decide what a team may make."""

from __future__ import annotations

import json
import secrets
import time
from typing import Final

from bench.console import Console, console
from bench.list import in_turns, timed_page, wait_for_rows
from bench.table import Figure, percentile, show

TEAMS: Final = 100
PEOPLE: Final = 1_000
CONTAINERS: Final = 10_000
#: How many of each there are at first.
FEW_TEAMS: Final = 10
FEW_CONTAINERS: Final = 100
MEMBER: Final = "team-0-person-0"
_DECISIONS: Final = 500
_ROUNDS: Final = 20


def main() -> int:
    """Measure and print; 1 when over budget."""
    password = secrets.token_urlsafe(16)
    with console() as running:
        admin = running.sign_in_first_admin()
        _fill(
            running, teams=FEW_TEAMS, people=PEOPLE // TEAMS * FEW_TEAMS, containers=FEW_CONTAINERS, password=password
        )
        queries_of_few = _inside(running, "count_queries")[0]
        _fill(running, teams=TEAMS, people=PEOPLE, containers=CONTAINERS, password=password)
        queries = _inside(running, "count_queries")[0]
        member = running.sign_in(MEMBER, password=password)
        wait_for_rows(admin, CONTAINERS)
        wait_for_rows(member, CONTAINERS // TEAMS)
        # In turns: what else the machine does hits both alike.
        all_rows, own_rows = in_turns(
            lambda: timed_page(admin, total=CONTAINERS), lambda: timed_page(member, total=CONTAINERS // TEAMS)
        )
        decisions = _inside(running, "time_decisions")
    return show(
        f"bench access: {TEAMS} teams, {PEOPLE} people, {CONTAINERS} containers; medians, {_DECISIONS} decisions",
        [
            Figure(
                name=f"a member's list of {CONTAINERS // TEAMS}",
                value=percentile(own_rows, 0.5),
                unit="ms",
                reference=percentile(all_rows, 0.5),
                reference_name=f"an admin's list of {CONTAINERS}",
                budget=1.3,
                is_ratio=True,
            ),
            Figure(
                name="a member's list",
                value=queries,
                unit="queries",
                reference=queries_of_few,
                reference_name=f"with {FEW_TEAMS} teams and {FEW_CONTAINERS} containers",
                budget=1,
                is_ratio=True,
            ),
            Figure(name="a decision", value=percentile(decisions, 0.5), unit="us of CPU", budget=200),
            Figure(name="a decision, p99", value=percentile(decisions, 0.99), unit="us of CPU", budget=200),
        ],
    )


def _fill(running: Console, *, teams: int, people: int, containers: int, password: str) -> None:
    shares = f"teams={teams}, people={people}, containers={containers}, password={password!r}"
    running.manage("shell", "-c", f"from bench.seed import fill_teams; fill_teams({shares})")


def _inside(running: Console, function: str) -> list[float]:
    """Return what a function of this module finds where the console's own code and database are."""
    code = f"import json, bench.access; print(json.dumps(bench.access.{function}()))"
    found: list[float] = json.loads(running.manage("shell", "-c", code).splitlines()[-1])
    return found


def count_queries() -> list[float]:
    """Return how often the database is asked for a member's list, once everything is warm."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from console.accounts.models import User

    client = Client(headers={"host": settings.ALLOWED_HOSTS[0]})
    client.force_login(User.objects.get(username=MEMBER), backend=settings.AUTHENTICATION_BACKENDS[0])
    client.get("/containers/")
    with CaptureQueriesContext(connection) as asked:
        answer = client.get("/containers/")
    if answer.status_code != 200 or b"data-row" not in answer.content:
        raise RuntimeError(f"the member's page is no list: {answer.status_code}")
    return [len(asked)]


def time_decisions() -> list[float]:
    """Return what each decision of the calmest round took of the processor, in microseconds.

    What else runs makes it slower even so, and is not its fault.
    """
    from uuid import UUID

    from console.gateway import ContainerSpec, PublishedPort, VolumeMount
    from console.policies.rules import Bounds, Rules, complete, decide, harden

    rules = Rules(images=tuple(f"registry.example.com/team/app-{number}:1.*" for number in range(20)))
    bounds = Bounds(
        team_id=UUID(int=1),
        team="Team",
        prefix="team",
        rules=rules,
        has_host=True,
        ports=(8000, 8100),
        address="10.0.0.5",
        volumes=frozenset(f"team-data-{number}" for number in range(10)),
    )
    spec = ContainerSpec(
        name="web",
        image="registry.example.com/team/app-19:1.4",
        ports=tuple(PublishedPort(container_port=80 + number, host_port=8000 + number) for number in range(20)),
        volumes=tuple(VolumeMount(volume=f"data-{number}", target=f"/data/{number}") for number in range(20)),
        environment=tuple((f"NAME_{number}", f"value-{number}") for number in range(50)),
    )

    def decided() -> float:
        begun = time.thread_time()
        completed = complete(spec, bounds)
        denials = decide(completed, bounds)
        harden(completed, rules)
        taken = time.thread_time() - begun
        if denials:
            raise RuntimeError(f"the spec is not allowed: {denials}")
        return taken * 1_000_000

    rounds = [[decided() for _decision in range(_DECISIONS)] for _round in range(_ROUNDS)]
    return min(rounds, key=lambda taken: percentile(taken, 0.99))
