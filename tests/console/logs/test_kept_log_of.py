"""From a container, there or gone, to its last lines."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.inventory.models import ObservedContainer
from console.logs.models import KeptLog, KeptState
from console.operations.models import Operation
from tests.console.containers.conftest import url_of
from tests.console.logs.conftest import MakeContainer, MakeLog, give, line

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def container(alice: User, red: Team, make_container: MakeContainer) -> ObservedContainer:
    made = make_container()
    give(made, red, actor=alice)
    return made


def of(container: ObservedContainer) -> str:
    return f"/logs/of/{container.host_id}/{container.container_id}/"


def keep(container: ObservedContainer, team: Team, **fields: object) -> KeptLog:
    values: dict[str, object] = {
        "host_id": container.host_id,
        "host_name": "harbour",
        "container_id": container.container_id,
        "container_name": container.name,
        "image": container.image,
        "lineage": f"name {container.name}",
        "team": team,
        "created_at": container.created_at,
        "days": 7,
    }
    return KeptLog.objects.create(**values | fields)


def test_the_activity_of_a_container_leads_to_the_last_lines_of_those_before_it(
    bob: User, client_of: ClientOf, red: Team, container: ObservedContainer, make_log: MakeLog
) -> None:
    before = make_log(red, [line(1, "one")])
    log = keep(container, red)
    client = client_of(bob)

    assert f'hx-get="{of(container)}"' in client.get(url_of(container, "activity/")).content.decode()
    part = client.get(of(container), headers=FRAGMENT).content.decode()

    assert f"/logs/{before.pk}/" in part
    assert f"/logs/{log.pk}/" in part
    assert "Exited (137)" in part


def test_without_a_kept_log_there_is_nothing_to_show(
    bob: User, client_of: ClientOf, container: ObservedContainer
) -> None:
    answer = client_of(bob).get(of(container), headers=FRAGMENT)

    assert answer.status_code == 200
    assert "<table" not in answer.content.decode()


def test_a_container_that_is_gone_leads_to_its_last_lines(
    bob: User, charlie: User, client_of: ClientOf, red: Team, blue: Team, make_log: MakeLog
) -> None:
    log = make_log(red, [line(1, "one")])
    assert not Operation.objects.exists()
    address = f"/containers/{log.host_id}/{log.container_id}/"

    page = client_of(bob).get(address).content.decode()

    assert "This container no longer exists" in page
    assert "web-1" in page
    assert f'href="/logs/{log.pk}/"' in page
    assert client_of(charlie).get(address).status_code == 404
    assert AuditEvent.objects.filter(outcome="denied").count() == 0


def test_one_that_is_out_of_time_is_remembered_no_more(
    bob: User, client_of: ClientOf, red: Team, make_log: MakeLog
) -> None:
    log = make_log(red, [line(1, "one")])
    KeptLog.objects.all().delete()

    assert client_of(bob).get(f"/containers/{log.host_id}/{log.container_id}/").status_code == 404


def test_a_stranger_is_told_nothing(
    charlie: User, client_of: ClientOf, red: Team, blue: Team, container: ObservedContainer
) -> None:
    keep(container, red, state=KeptState.KEEPING)

    real = client_of(charlie).get(of(container))
    never = client_of(charlie).get(of(container).replace(container.container_id, "0" * 64))

    assert real.status_code == never.status_code == 404
