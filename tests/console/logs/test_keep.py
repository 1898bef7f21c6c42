"""Which logs are kept: what the policies of the teams say, from the first line to the last, and no other's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.models import Team, User
from console.containers.services import remove_container
from console.gateway import HubAway, Unreachable
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.inventory.services import forget_container
from console.logs import receivers, services
from console.logs.files import files_of
from console.logs.models import NUMBER_LABEL, PROJECT_LABEL, SERVICE_LABEL, KeptLog, KeptState
from console.rbac.models import Ownership
from runtime.hub.keeper import Keeper
from runtime.testing import FakeEngine
from tests.console.logs.conftest import MakeContainer, give, keep_for, keep_until, see

pytestmark = pytest.mark.django_db


def texts(log: KeptLog) -> list[str]:
    lines = files_of(host_id=log.host_id, container_id=log.container_id).read()
    return [found.data.decode() for _position, found in lines]


def test_what_a_team_runs_is_kept_from_its_first_line(
    alice: User, red: Team, hub: Keeper, make_container: MakeContainer
) -> None:
    container = make_container(command=("sh", "-c", "echo one; echo two >&2; sleep 1000"))
    give(container, red, actor=alice)

    keep_until(lambda: KeptLog.objects.filter(bytes=8).exists())

    log = KeptLog.objects.get()
    assert texts(log) == ["one", "two"]
    assert (log.container_id, log.container_name, log.team_id) == (container.container_id, "web-1", red.pk)
    assert (log.state, log.problem, log.days, log.keep_until) == (KeptState.KEEPING, "", 7, None)
    assert log.first_at is not None
    assert log.last_at is not None
    assert log.last_at >= log.first_at
    assert log.lineage == "name web-1"


def test_without_a_policy_that_says_so_nothing_is_kept(
    alice: User, red: Team, hub: Keeper, make_container: MakeContainer
) -> None:
    other = Team.objects.create(name="green")
    give(make_container("web-1"), other, actor=alice)
    make_container("web-2")
    off = make_container("web-3")
    give(off, red, actor=alice)
    keep_for(red, days=0, actor=alice)

    assert services.keep_logs() == 0
    assert not KeptLog.objects.exists()
    assert hub._logs == {}


def test_the_policy_says_how_much_of_each_container(
    alice: User, red: Team, hub: Keeper, make_container: MakeContainer
) -> None:
    keep_for(red, days=3, actor=alice, size_bytes=5_000_000)
    give(make_container(), red, actor=alice)

    services.keep_logs()

    assert KeptLog.objects.get().days == 3
    (kept,) = hub._logs.values()
    assert kept._wish.limit_bytes == 5_000_000


def test_one_that_crashed_and_was_removed_leaves_its_log_and_how_it_ended(
    alice: User, red: Team, hub: Keeper, host: Host, make_container: MakeContainer, ask: Callable[..., Any]
) -> None:
    container = make_container(command=("sh", "-c", "echo last words; exit 3"))
    give(container, red, actor=alice)
    keep_until(lambda: KeptLog.objects.filter(exit_code=3, ended_at__isnull=False).exists())

    ask("remove_container", container.container_id)
    see(host, container.container_id)
    Ownership.objects.all().delete()
    keep_until(lambda: KeptLog.objects.filter(state=KeptState.GONE).exists())

    log = KeptLog.objects.get()
    assert texts(log) == ["last words"]
    assert (log.exit_code, log.team_id) == (3, red.pk)
    assert log.closed_at is not None
    assert log.keep_until == log.closed_at + timedelta(days=7)
    assert services.keep_logs() == 0
    assert hub._logs == {}


def test_the_console_takes_the_last_lines_over_before_it_removes(
    alice: User,
    red: Team,
    hub: Keeper,
    make_container: MakeContainer,
    run_operations: Callable[[], None],
    engine: FakeEngine,
) -> None:
    container = make_container(command=("sh", "-c", "echo last words; exit 0"))
    give(container, red, actor=alice)
    services.keep_logs()

    remove_container(actor=alice, container=container, force=False, volumes=False)
    run_operations()

    assert "remove_container" in engine.calls
    assert texts(KeptLog.objects.get()) == ["last words"]


def test_a_container_that_is_gone_before_the_hub_has_asked_is_gone(
    alice: User, red: Team, hub: Keeper, host: Host, make_container: MakeContainer, ask: Callable[..., Any]
) -> None:
    container = make_container()
    give(container, red, actor=alice)
    ask("remove_container", container.container_id, force=True)

    keep_until(lambda: KeptLog.objects.filter(state=KeptState.GONE).exists())

    # The inventory still shows it: that brings nothing back.
    services.keep_logs()
    assert KeptLog.objects.get().state == KeptState.GONE


def test_a_hub_that_is_away_is_said_and_costs_nothing(
    alice: User, red: Team, make_container: MakeContainer, monkeypatch: pytest.MonkeyPatch, host: Host
) -> None:
    def away(_order: object) -> dict[str, Any]:
        raise HubAway("no hub answers")

    monkeypatch.setattr(services, "ask_hub", away)
    container = make_container()
    give(container, red, actor=alice)

    services.keep_logs()
    assert KeptLog.objects.get().problem == "hub_away"

    # Gone meanwhile: nobody could say so, but after a while nobody need.
    forget_container(host, container.container_id, asked_at=timezone.now())
    services.keep_logs()
    assert KeptLog.objects.get().state == KeptState.KEEPING
    KeptLog.objects.update(lost_at=timezone.now() - services.LOST_AFTER - timedelta(seconds=1))
    services.keep_logs()
    assert KeptLog.objects.get().state == KeptState.GONE


def test_what_keeps_the_hub_from_keeping_is_said(
    alice: User, red: Team, hub: Keeper, make_container: MakeContainer, engine: FakeEngine
) -> None:
    give(make_container(), red, actor=alice)
    for _number in range(1000):
        engine.fail_next("inspect_container", Unreachable("no such socket"))

    keep_until(lambda: KeptLog.objects.filter(problem="unreachable").exists())


def test_a_policy_that_is_switched_off_ends_the_keeping_and_takes_nothing_away(
    alice: User, red: Team, hub: Keeper, make_container: MakeContainer
) -> None:
    give(make_container(command=("sh", "-c", "echo one; sleep 1000")), red, actor=alice)
    keep_until(lambda: KeptLog.objects.filter(bytes__gt=0).exists())

    keep_for(red, days=0, actor=alice)
    services.keep_logs()

    log = KeptLog.objects.get()
    assert log.state == KeptState.RELEASED
    assert log.keep_until is not None
    assert texts(log) == ["one"]

    keep_for(red, days=5, actor=alice)
    services.keep_logs()
    log.refresh_from_db()
    assert (log.state, log.days) == (KeptState.KEEPING, 5)
    assert log.keep_until is log.closed_at is None


def test_a_container_that_is_given_to_another_team_takes_its_log_along(
    alice: User, red: Team, blue: Team, hub: Keeper, make_container: MakeContainer
) -> None:
    container = make_container()
    give(container, red, actor=alice)
    services.keep_logs()

    give(container, blue, actor=alice)
    services.keep_logs()

    log = KeptLog.objects.get()
    assert (log.team_id, log.team_name) == (blue.pk, "blue")


def test_a_host_that_is_removed_leaves_its_logs(
    alice: User, red: Team, hub: Keeper, host: Host, make_container: MakeContainer
) -> None:
    give(make_container(command=("sh", "-c", "echo one; sleep 1000")), red, actor=alice)
    keep_until(lambda: KeptLog.objects.filter(bytes__gt=0).exists())
    ObservedContainer.objects.all().delete()
    Host.objects.filter(pk=host.pk).delete()

    services.keep_logs()

    log = KeptLog.objects.get()
    assert (log.state, log.host_name) == (KeptState.GONE, "harbour")
    assert texts(log) == ["one"]


def test_the_lives_of_a_composed_service_are_known_by_it(
    alice: User, red: Team, hub: Keeper, make_container: MakeContainer
) -> None:
    labels = ((PROJECT_LABEL, "shop"), (SERVICE_LABEL, "web"), (NUMBER_LABEL, "2"))
    give(make_container("shop-web-2", labels=labels), red, actor=alice)

    services.keep_logs()

    log = KeptLog.objects.get()
    assert (log.project, log.service, log.lineage) == ("shop", "web", "stack shop/web/2")


def test_a_list_that_changes_nothing_writes_nothing(
    alice: User, red: Team, hub: Keeper, make_container: MakeContainer, django_assert_max_num_queries: Any
) -> None:
    for number in range(3):
        give(make_container(f"web-{number}", command=("sh", "-c", "exit 0")), red, actor=alice)
    keep_until(lambda: KeptLog.objects.filter(exit_code=0, ended_at__isnull=False).count() == 3)

    with django_assert_max_num_queries(5) as queries:
        services.keep_logs()
    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)


def test_what_happens_to_a_container_has_the_list_sent_at_once(
    monkeypatch: pytest.MonkeyPatch, make_container: MakeContainer
) -> None:
    nudged: list[str] = []
    monkeypatch.setattr(receivers, "nudge", lambda task, *, after: nudged.append(task))
    monkeypatch.setattr(receivers, "_nudged_at", -1000.0)

    make_container()
    make_container("web-2")

    assert nudged == ["logs.keep"]
