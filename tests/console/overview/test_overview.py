"""The first page: what needs somebody now, each with cause and next step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.accounts.models import User
from console.gateway import Container, ContainerState, Health
from console.hosts.models import Host, HostState
from console.inventory.services import apply_containers
from console.operations.models import Operation, OperationState
from console.overview.queries import overview_page
from runtime.testing import FakeEngine
from tests.console.inventory.conftest import container, full_id

Sign = Callable[..., Client]


def hold(host: Host, *containers: Container) -> None:
    apply_containers(host, containers=containers, asked_at=timezone.now())


def page_of(client: Client, query: str = "") -> str:
    return client.get(f"/{query}").content.decode()


def test_without_a_host_it_says_how_to_begin(alice: User, client_of: Sign) -> None:
    page = page_of(client_of(alice))
    assert "Add your first host" in page
    assert reverse("host-add") in page


def test_when_nothing_is_wrong_it_says_so(alice: User, client_of: Sign, host: Host) -> None:
    hold(host, container("web"), container("done", state=ContainerState.EXITED, exit_code=0))
    page = page_of(client_of(alice))
    assert "Nothing needs you now" in page
    assert "1 container runs as it should." in page


@pytest.mark.parametrize(
    ("values", "cause", "act"),
    [
        ({"state": ContainerState.EXITED, "exit_code": 127}, "Its command does not exist in the image", "start"),
        ({"state": ContainerState.RESTARTING}, "It ends again and again", "stop"),
        ({"health": Health.UNHEALTHY}, "its healthcheck fails", "restart"),
        ({"state": ContainerState.DEAD}, "could not remove it completely", ""),
    ],
)
def test_a_container_in_trouble_comes_with_cause_and_next_step(
    alice: User, client_of: Sign, host: Host, values: dict[str, Any], cause: str, act: str
) -> None:
    hold(host, container("web", **values), container("fine"))
    (problem,) = overview_page(alice).problems
    assert cause in str(problem.cause)
    assert problem.next_step
    assert problem.action_url == (reverse(f"container-{act}", args=[host.id, full_id("web")]) if act else "")
    page = page_of(client_of(alice))
    assert cause in page
    assert problem.link_url in page


def test_an_unreachable_host_is_one_problem_and_not_one_for_each_container(alice: User, host: Host) -> None:
    hold(host, *(container(name, state=ContainerState.EXITED, exit_code=1) for name in "abc"))
    assert len(overview_page(alice).problems) == 3
    Host.objects.update(state=HostState.UNREACHABLE, cause="refused")
    (problem,) = overview_page(alice).problems
    assert problem.title == "harbour"
    assert str(problem.cause) == "Nothing listens at this address."


def test_a_certificate_that_ends_soon_needs_somebody(alice: User, host: Host) -> None:
    Host.objects.update(certificate_expires_at=timezone.now() + timedelta(days=2))
    (problem,) = overview_page(alice).problems
    assert problem.link_url == reverse("host-edit", args=[host.id])


def fail(alice: User, host: Host, *, ago: timedelta = timedelta(minutes=5), **values: Any) -> Operation:
    operation = Operation.objects.create(
        kind="container.start",
        actor=alice,
        host=host,
        object_name="web",
        state=OperationState.FAILED,
        error="port 80 is taken\nby nginx",
        next_step="Choose another port.",
        ended_at=timezone.now() - ago,
        **values,
    )
    Operation.objects.filter(id=operation.id).update(created_at=timezone.now() - ago)
    return operation


def test_a_failed_operation_of_today_needs_somebody(alice: User, host: Host) -> None:
    operation = fail(alice, host)
    (problem,) = overview_page(alice).problems
    assert problem.cause == "port 80 is taken"
    assert problem.next_step == "Choose another port."
    assert problem.url == reverse("operation-detail", args=[operation.id])


def test_a_failure_of_yesterday_or_one_that_was_tried_again_does_not(alice: User, host: Host) -> None:
    fail(alice, host, ago=timedelta(hours=25))
    assert overview_page(alice).problems == []
    first = fail(alice, host)
    Operation.objects.create(
        kind="container.start", host=host, object_name="web", state=OperationState.SUCCEEDED, retry_of=first
    )
    assert overview_page(alice).problems == []


def test_a_later_success_on_the_same_object_settles_it(alice: User, host: Host) -> None:
    fail(alice, host)
    Operation.objects.create(kind="container.start", host=host, object_name="other", state=OperationState.SUCCEEDED)
    assert len(overview_page(alice).problems) == 1
    Operation.objects.create(kind="container.start", host=host, object_name="web", state=OperationState.SUCCEEDED)
    assert overview_page(alice).problems == []


def test_many_problems_are_counted_and_not_all_shown(alice: User, client_of: Sign, host: Host) -> None:
    hold(host, *(container(f"c{n:02}", state=ContainerState.DEAD) for n in range(20)))
    page = overview_page(alice)
    assert (len(page.problems), page.more_problems, page.problem_count) == (12, 8, 20)
    assert "8 more containers need you" in page_of(client_of(alice))


def test_it_counts_what_there_is(alice: User, host: Host) -> None:
    hold(host, container("a"), container("b", state=ContainerState.PAUSED))
    Operation.objects.create(kind="image.pull", host=host, state=OperationState.RUNNING)
    counts = overview_page(alice).counts
    assert (counts.containers, counts.running, counts.hosts, counts.hosts_reachable, counts.operations) == (
        2,
        1,
        1,
        1,
        1,
    )


def test_it_asks_no_engine_and_few_questions(
    alice: User, client_of: Sign, host: Host, engine: FakeEngine, django_assert_max_num_queries: Any
) -> None:
    hold(host, *(container(f"c{n}", state=ContainerState.DEAD) for n in range(30)))
    client = client_of(alice)
    client.get("/")
    with django_assert_max_num_queries(20):
        client.get("/")
    assert engine.calls == []


def test_names_are_text(alice: User, client_of: Sign, host: Host) -> None:
    bad = "<img src=x onerror=alert(1)>"
    hold(host, container("a", name=bad, state=ContainerState.DEAD))
    fail(alice, host)
    Operation.objects.update(error=bad, next_step=bad, object_name=bad)
    assert bad not in page_of(client_of(alice))


def test_htmx_gets_the_part_alone(alice: User, client_of: Sign, host: Host) -> None:
    part = client_of(alice).get("/", headers={"HX-Request": "true", "HX-Target": "overview"}).content.decode()
    assert "<html" not in part
    assert 'id="overview"' in part


def test_the_stranger_sees_nothing_of_it(charlie: User, client_of: Sign, host: Host) -> None:
    hold(host, container("secretive", state=ContainerState.DEAD))
    page = page_of(client_of(charlie))
    assert "secretive" not in page
    assert "harbour" not in page


def test_who_is_not_signed_in_is_sent_to_sign_in(db: None) -> None:
    assert Client().get("/").status_code == 302


def test_it_can_be_about_one_host(alice: User, client_of: Sign, host: Host) -> None:
    other = Host.objects.create(name="anchor", url="unix:///nowhere/anchor.sock", state=HostState.REACHABLE)
    hold(host, container("here", state=ContainerState.DEAD))
    hold(other, container("there", state=ContainerState.DEAD))
    fail(alice, host)
    page = overview_page(alice, host=str(other.id))
    assert [problem.title for problem in page.problems] == ["there"]
    assert ([card.host for card in page.cards], page.counts.containers, page.recent) == ([other], 1, [])
    text = page_of(client_of(alice), f"?host={other.id}")
    assert f'data-live-url="/?host={other.id}"' in text
    assert f'href="/containers/?host={other.id}"' in text
    assert f'href="/activity/?host={other.id}&state=active"' in text


@pytest.mark.parametrize("nonsense", ["", "nonsense", "00000000-0000-0000-0000-000000000000", "\0"])
def test_a_host_that_is_none_narrows_nothing(alice: User, host: Host, nonsense: str) -> None:
    hold(host, container("here", state=ContainerState.DEAD))
    page = overview_page(alice, host=nonsense)
    assert (len(page.problems), page.query) == (1, "")
