"""Starting a container."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.gateway import TimedOut
from console.inventory.models import ObservedContainer
from console.operations.models import Operation
from runtime.testing import FakeEngine
from tests.console.containers.conftest import HEADER, changes, url_of

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def test_it_runs_and_the_head_of_the_page_shows_it(
    alice: User, client_of: ClientOf, stopped: ObservedContainer, engine: FakeEngine, worker: None
) -> None:
    answer = client_of(alice).post(url_of(stopped, "start/"), headers=HEADER)

    assert answer.status_code == 200
    assert 'data-state="running"' in answer.content.decode()
    assert "stopped-1 runs." in answer.headers["HX-Trigger"]
    assert changes(engine) == ["start_container"]
    stopped.refresh_from_db()
    assert stopped.state == "running"


def test_without_scripts_it_leads_back_to_the_page(
    alice: User, client_of: ClientOf, stopped: ObservedContainer, worker: None
) -> None:
    answer = client_of(alice).post(url_of(stopped, "start/"), follow=True)

    assert answer.redirect_chain == [(url_of(stopped), 302)]
    assert "stopped-1 runs." in answer.content.decode()


def test_one_operation_and_the_record_tell_who_did_it(
    alice: User, client_of: ClientOf, stopped: ObservedContainer, worker: None
) -> None:
    client_of(alice).post(url_of(stopped, "start/"))

    operation = Operation.objects.get()
    assert (operation.kind, operation.state, operation.object_name) == ("container.start", "succeeded", "stopped-1")
    events = AuditEvent.objects.filter(action="container.start").order_by("sequence")
    assert [(event.actor_name, event.outcome) for event in events] == [("alice", "accepted"), ("alice", "succeeded")]


@pytest.mark.parametrize("action", ["start", "kill", "pause", "unpause"])
def test_of_an_engine_that_hangs_nothing_is_asked_for_that_could_take_long(
    alice: User, client_of: ClientOf, container: ObservedContainer, engine: FakeEngine, worker: None, action: str
) -> None:
    engine.fail_next("ping", TimedOut("no answer within 10 s"))

    client_of(alice).post(url_of(container, f"{action}/"), {"signal": "SIGKILL"})

    operation = Operation.objects.get()
    assert (operation.state, operation.error_code) == ("failed", "timed_out")
    assert changes(engine) == []


def test_one_that_runs_already_stays_as_it_is(
    alice: User, client_of: ClientOf, container: ObservedContainer, worker: None
) -> None:
    client_of(alice).post(url_of(container, "start/"))

    assert Operation.objects.get().state == "succeeded"


def test_a_missing_program_is_told_with_cause_and_next_step(
    alice: User, client_of: ClientOf, make_container: Callable[..., ObservedContainer], worker: None
) -> None:
    broken = make_container("broken-1", start=False, command=("nosuchprogram",))

    answer = client_of(alice).post(url_of(broken, "start/"), headers=HEADER)

    operation = Operation.objects.get()
    assert (operation.state, operation.error_code) == ("failed", "command_missing")
    assert operation.next_step
    assert "nosuchprogram" in answer.headers["HX-Trigger"]


def test_a_row_of_the_list_comes_back_as_it_is_now(
    alice: User, client_of: ClientOf, stopped: ObservedContainer, worker: None
) -> None:
    target = f"row-{stopped.host_id.hex[:12]}-{stopped.short_id}"

    answer = client_of(alice).post(url_of(stopped, "start/"), HTTP_HX_REQUEST="true", HTTP_HX_TARGET=target)

    assert answer.content.decode().count(f'id="{target}"') == 1
    assert "stop/" in answer.content.decode()


def test_a_stranger_finds_nothing_there(
    charlie: User, client_of: ClientOf, stopped: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(charlie).post(url_of(stopped, "start/")).status_code == 404
    assert engine.calls == []
    assert not Operation.objects.exists()


def test_a_container_that_never_was_is_not_found(alice: User, client_of: ClientOf, stopped: ObservedContainer) -> None:
    url = url_of(stopped, "start/").replace(stopped.container_id, "0" * 64)
    assert client_of(alice).post(url).status_code == 404


def test_names_and_short_ids_lead_nowhere(alice: User, client_of: ClientOf, stopped: ObservedContainer) -> None:
    for word in (stopped.name, stopped.short_id, f"/{stopped.name}", stopped.container_id.upper()):
        url = f"/containers/{stopped.host_id}/{word}/start/"
        assert client_of(alice).post(url).status_code == 404


def test_a_link_cannot_do_it(alice: User, client_of: ClientOf, stopped: ObservedContainer, engine: FakeEngine) -> None:
    assert client_of(alice).get(url_of(stopped, "start/")).status_code == 405
    assert engine.calls == []


def test_a_form_of_another_site_is_refused(
    alice: User, client_of: Callable[..., Client], stopped: ObservedContainer, engine: FakeEngine
) -> None:
    assert client_of(alice, enforce_csrf_checks=True).post(url_of(stopped, "start/")).status_code == 403
    assert engine.calls == []
