"""Writing what an engine lists: only what differs, never an older answer over a newer one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.gateway import ContainerState, Health, Port
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedLabel, Rank
from console.inventory.services import apply_containers, rank_of
from tests.console.inventory.conftest import container, full_id


def row(name: str) -> ObservedContainer:
    return ObservedContainer.objects.get(container_id=full_id(name))


def test_a_new_container_gets_a_row_that_search_and_facets_can_find(host: Host, told: list[str]) -> None:
    web = container("Web", labels={"team": "Blue"}, ports=(Port(container_port=80, host_port=8080, host_ip="0.0.0.0"),))
    changes = apply_containers(host, containers=[web], asked_at=timezone.now())
    assert changes.added == [full_id("Web")]
    written = row("Web")
    assert (written.name, written.state, written.rank) == ("Web", "running", Rank.RUNNING)
    assert all(
        part in written.search_text for part in ("web", "starter:latest", full_id("Web"), "8080:80", "team=blue")
    )
    assert written.ports == [{"container_port": 80, "protocol": "tcp", "host_ip": "0.0.0.0", "host_port": 8080}]
    assert ObservedLabel.objects.get().container == written
    assert told == ["containers", f"host:{host.id}", f"container:{host.id}:{full_id('Web')}"]


def test_the_same_answer_again_writes_nothing_and_tells_nobody(host: Host, told: list[str]) -> None:
    listing = [container("a", labels={"x": "1"}), container("b")]
    first = timezone.now()
    apply_containers(host, containers=listing, asked_at=first)
    told.clear()
    changes = apply_containers(host, containers=listing, asked_at=first + timedelta(seconds=30))
    assert not changes
    assert told == []
    assert row("a").observed_at == first


def test_only_the_row_that_changed_is_written(host: Host, told: list[str]) -> None:
    first = timezone.now()
    apply_containers(host, containers=[container("a"), container("b")], asked_at=first)
    told.clear()
    later = first + timedelta(seconds=1)
    changes = apply_containers(
        host, containers=[container("a", state=ContainerState.PAUSED), container("b")], asked_at=later
    )
    assert changes.changed == [full_id("a")]
    assert (row("a").state, row("a").observed_at) == ("paused", later)
    assert row("b").observed_at == first
    assert f"container:{host.id}:{full_id('b')}" not in told


def test_a_row_keeps_its_key_when_it_changes(host: Host) -> None:
    apply_containers(host, containers=[container("a")], asked_at=timezone.now())
    before = row("a").pk
    apply_containers(host, containers=[container("a", name="renamed")], asked_at=timezone.now())
    assert (row("a").pk, row("a").name) == (before, "renamed")


def test_changed_labels_replace_the_old_ones(host: Host) -> None:
    apply_containers(host, containers=[container("a", labels={"old": "1", "kept": "1"})], asked_at=timezone.now())
    apply_containers(host, containers=[container("a", labels={"new": "2", "kept": "1"})], asked_at=timezone.now())
    assert sorted(map(str, ObservedLabel.objects.all())) == ["kept=1", "new=2"]


def test_what_is_not_listed_any_more_is_gone_with_its_labels(host: Host) -> None:
    apply_containers(host, containers=[container("a", labels={"x": "1"}), container("b")], asked_at=timezone.now())
    changes = apply_containers(host, containers=[container("b")], asked_at=timezone.now())
    assert changes.removed == [full_id("a")]
    assert [written.name for written in ObservedContainer.objects.all()] == ["b"]
    assert not ObservedLabel.objects.exists()


def test_an_older_answer_overwrites_and_removes_nothing_newer(host: Host) -> None:
    now = timezone.now()
    apply_containers(host, containers=[container("a", state=ContainerState.PAUSED)], asked_at=now)
    earlier = now - timedelta(seconds=1)
    assert not apply_containers(host, containers=[container("a")], asked_at=earlier)
    assert not apply_containers(host, containers=[], asked_at=earlier)
    assert row("a").state == "paused"


def test_an_answer_about_one_container_leaves_the_others_alone(host: Host) -> None:
    apply_containers(host, containers=[container("a"), container("b")], asked_at=timezone.now())
    changes = apply_containers(host, containers=[], asked_at=timezone.now(), asked_for=[full_id("a")])
    assert changes.removed == [full_id("a")]
    assert ObservedContainer.objects.get().name == "b"


def test_a_clock_that_goes_on_is_written_but_tells_nobody(host: Host, told: list[str]) -> None:
    apply_containers(host, containers=[container("a"), container("b")], asked_at=timezone.now())
    told.clear()
    listing = [container(name, status="Up 3 minutes") for name in "ab"]
    assert not apply_containers(host, containers=listing, asked_at=timezone.now())
    assert row("a").status == row("b").status == "Up 3 minutes"
    assert told == []


def test_hostile_strings_are_cut_and_cleaned(host: Host) -> None:
    bad = container(
        "a",
        name="n\0" + "x" * 300,
        image="\ud800" + "i" * 400,
        labels={"k\0" * 200: "v\ud800"},
        command="c" * 10_000,
        exit_code=2**40,
    )
    apply_containers(host, containers=[bad], asked_at=timezone.now())
    written = row("a")
    assert len(written.name) == 255
    assert "\0" not in written.name + written.search_text
    assert written.image.startswith("?")
    assert len(ObservedLabel.objects.get().key) == 255
    assert not apply_containers(host, containers=[bad], asked_at=timezone.now()), "cleaned values count as unchanged"


def test_an_id_that_is_not_full_is_not_believed(host: Host) -> None:
    short = container("a", container_id="abc123")
    assert not apply_containers(host, containers=[short], asked_at=timezone.now())


def test_nothing_is_written_for_a_host_that_was_removed_meanwhile(host: Host) -> None:
    gone = Host.objects.get(id=host.id)
    host.delete()
    assert not apply_containers(gone, containers=[container("a")], asked_at=timezone.now())
    assert not ObservedContainer.objects.exists()


def test_a_thousand_containers_take_few_queries(host: Host, django_assert_max_num_queries: Any) -> None:
    listing = [container(f"c{number}", labels={"n": str(number)}) for number in range(1000)]
    with django_assert_max_num_queries(40):
        apply_containers(host, containers=listing, asked_at=timezone.now())
    with django_assert_max_num_queries(4):
        apply_containers(host, containers=listing, asked_at=timezone.now())
    assert ObservedContainer.objects.count() == 1000


@pytest.mark.parametrize(
    ("state", "health", "exit_code", "end_requested", "rank"),
    [
        ("running", "none", None, False, Rank.RUNNING),
        ("running", "unhealthy", None, False, Rank.PROBLEM),
        ("running", "starting", None, False, Rank.RUNNING),
        ("restarting", "none", None, False, Rank.PROBLEM),
        ("dead", "none", None, False, Rank.PROBLEM),
        ("exited", "none", 0, False, Rank.ENDED),
        ("exited", "none", 1, False, Rank.PROBLEM),
        ("exited", "none", 137, False, Rank.PROBLEM),
        ("exited", "none", 137, True, Rank.ENDED),
        ("exited", "none", 143, False, Rank.ENDED),
        ("paused", "none", None, False, Rank.PAUSED),
        ("created", "none", None, False, Rank.CREATED),
        ("removing", "none", None, False, Rank.REMOVING),
    ],
)
def test_what_needs_somebody_comes_first(
    state: str, health: str, exit_code: int | None, end_requested: bool, rank: Rank
) -> None:
    assert rank_of(state=state, health=health, exit_code=exit_code, end_requested=end_requested) == rank


def test_what_somebody_killed_is_no_problem_until_it_runs_again_and_fails_by_itself(host: Host) -> None:
    killed = container("a", state=ContainerState.EXITED, status="Exited (137)", exit_code=137, health=Health.NONE)
    apply_containers(host, containers=[killed], asked_at=timezone.now(), ended_by_request=[full_id("a")])
    assert row("a").rank == Rank.ENDED
    apply_containers(host, containers=[killed], asked_at=timezone.now())
    assert row("a").rank == Rank.ENDED, "a later list does not forget it"
    apply_containers(host, containers=[container("a")], asked_at=timezone.now())
    apply_containers(host, containers=[killed], asked_at=timezone.now())
    assert row("a").rank == Rank.PROBLEM
