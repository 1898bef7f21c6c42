"""A team's older container is started only if the policy of now would let it be made; an admin may start it anyway."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.containers.services import (
    assign_container,
    create_container,
    restart_container,
    start_container,
    unpause_container,
)
from console.gateway import ContainerSpec, VolumeMount
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.lib.amounts import MIB
from console.operations.models import Operation
from console.operations.services import retry_operation
from console.rbac.models import HostGrant
from runtime.testing import FakeEngine
from tests.console.containers.conftest import HEADER, MakeContainer, changes, url_of
from tests.console.policies.teams import SetPolicy, bob_in_red, red, set_policy

__all__ = ["bob_in_red", "red", "set_policy"]

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}
LIMITS = {"memory_bytes": 512 * MIB, "nano_cpus": 10**9, "pids_limit": 512}
Make = Callable[..., ObservedContainer]
Run = Callable[[], None]


@pytest.fixture
def browser(bob_in_red: User, client_of: Callable[..., Client]) -> Client:
    """Bob's browser."""
    return client_of(bob_in_red)


@pytest.fixture
def make(
    bob_in_red: User, host: Host, red: Team, run_operations: Run, engine: FakeEngine, ask: Callable[..., Any]
) -> Make:
    """Let bob make a container for the team under the policy of before, and run it."""

    def make_(**fields: Any) -> ObservedContainer:
        spec = ContainerSpec(name="web", image="starter:latest", command=("sleep", "1000"))
        spec = dataclasses.replace(spec, **fields)
        create_container(actor=bob_in_red, host=host, spec=spec, pull="never", start=True, team=red)
        run_operations()
        operation = Operation.objects.latest("created_at")
        assert operation.state == "succeeded", operation.error
        engine.calls.clear()
        return ObservedContainer.objects.select_related("host").get(container_id=operation.object_id)

    return make_


@pytest.mark.parametrize(
    ("rules", "made", "code", "words"),
    [
        ({"images": ["nginx"]}, {}, "policy.image", "The image starter:latest is not allowed for the team Red."),
        ({"commands": False}, {}, "policy.command", "runs images as they are"),
        ({"root": False}, {}, "policy.user", "may run as root"),
        ({"capabilities": ("CHOWN",)}, {}, "policy.cap_add", "The capability DAC_OVERRIDE is not allowed"),
        ({"memory_bytes": 256 * MIB}, {}, "policy.memory", "has at most: 256 MB"),
        ({"nano_cpus": 5 * 10**8}, {}, "policy.cpus", "has at most: 0.5"),
        ({"pids": 100}, {}, "policy.pids_limit", "has at most: 100"),
        (
            {"volumes": False},
            {"volumes": (VolumeMount(volume="data", target="/data"),)},
            "policy.volumes",
            "Volumes are not allowed",
        ),
    ],
)
def test_what_the_policy_denies_now_is_not_started_and_the_refusal_names_field_and_rule(
    browser: Client,
    make: Make,
    set_policy: SetPolicy,
    engine: FakeEngine,
    rules: dict[str, Any],
    made: dict[str, Any],
    code: str,
    words: str,
) -> None:
    container = make(**made)
    set_policy(**rules)
    answer = browser.post(url_of(container, "start/"), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert "The policy of the team Red does not allow red-web any more" in answer.json()["message"]
    assert words in answer.json()["message"]
    assert answer.json()["next_step"].startswith("Ask an admin to start it or to allow it")
    assert changes(engine) == []
    assert not Operation.objects.exclude(kind="container.create").exists()
    row = AuditEvent.objects.get(outcome="denied")
    assert (row.action, row.actor_name, row.object_name) == ("container.start", "bob", "red-web")


def test_a_paused_one_is_not_resumed(
    browser: Client, make: Make, set_policy: SetPolicy, ask: Callable[..., Any]
) -> None:
    container = make()
    ask("pause_container", container.container_id)
    set_policy(images=["nginx"])
    assert browser.post(url_of(container, "unpause/"), headers=JSON).json()["code"] == "policy.image"


def test_of_many_none_is_started(browser: Client, make: Make, set_policy: SetPolicy, engine: FakeEngine) -> None:
    good, bad = make(name="good"), make(name="bad", memory_bytes=512 * MIB)
    set_policy(memory_bytes=511 * MIB)
    ids = [f"{container.host_id}/{container.container_id}" for container in (good, bad)]
    answer = browser.post("/containers/bulk/restart/", {"ids": ids}, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.memory")
    assert changes(engine) == []


def test_what_the_policy_still_allows_is_started_as_ever(
    browser: Client, make: Make, set_policy: SetPolicy, engine: FakeEngine, worker: None
) -> None:
    container = make(volumes=(VolumeMount(volume="data", target="/data"),))
    set_policy(
        networks=False,
        capabilities=("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE"),
    )
    for verb in ("stop", "start", "restart"):
        assert browser.post(url_of(container, f"{verb}/"), headers=HEADER).status_code == 200
    assert changes(engine) == ["stop_container", "start_container", "restart_container"]


def test_stopping_is_never_refused(
    browser: Client, make: Make, set_policy: SetPolicy, engine: FakeEngine, worker: None
) -> None:
    container = make()
    set_policy(images=[])
    for verb in ("pause", "stop"):
        browser.post(url_of(container, f"{verb}/"), headers=HEADER)
    assert "stop_container" in changes(engine)


def test_an_admin_starts_it_anyway(
    alice: User, client_of: Callable[..., Client], make: Make, set_policy: SetPolicy, engine: FakeEngine, worker: None
) -> None:
    container = make()
    set_policy(images=["nginx"])
    assert client_of(alice).post(url_of(container, "restart/"), headers=HEADER).status_code == 200
    assert changes(engine) == ["restart_container"]


@pytest.mark.parametrize("service", [start_container, restart_container, unpause_container])
def test_the_worker_decides_by_the_policy_of_then(
    bob_in_red: User,
    make: Make,
    set_policy: SetPolicy,
    engine: FakeEngine,
    run_operations: Run,
    service: Callable[..., Operation],
) -> None:
    container = make()
    operation = service(actor=bob_in_red, container=container)
    set_policy(memory_bytes=256 * MIB, images=["nginx"])
    run_operations()
    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == ("failed", "policy.image")
    assert "does not allow red-web any more" in operation.error
    assert "has at most: 256 MB" in operation.output
    assert operation.next_step.startswith("Ask an admin to start it")
    assert changes(engine) == []
    assert AuditEvent.objects.filter(action=operation.kind, outcome="denied", actor_name="bob").count() == 1
    # Asked for again it meets the same.
    again = retry_operation(actor=bob_in_red, operation=operation)
    run_operations()
    again.refresh_from_db()
    assert again.error_code == "policy.image"


def test_where_the_engine_does_not_tell_the_worker_decides(
    browser: Client, make: Make, set_policy: SetPolicy, engine: FakeEngine, worker: None
) -> None:
    container = make()
    set_policy(images=["nginx"])
    Host.objects.update(state="unreachable")
    browser.post(url_of(container, "start/"), headers=HEADER)
    operation = Operation.objects.get(kind="container.start")
    assert (operation.state, operation.error_code) == ("failed", "policy.image")
    assert changes(engine) == []


def test_a_host_that_was_taken_from_the_team_starts_nothing_of_it(browser: Client, make: Make, red: Team) -> None:
    container = make()
    HostGrant.objects.all().delete()
    answer = browser.post(url_of(container, "restart/"), headers=JSON)
    assert answer.json()["code"] == "policy.host"


def test_a_volume_that_is_not_the_teams_any_more_is_seen_for_what_it_is(
    browser: Client, alice: User, make_container: MakeContainer, red: Team, set_policy: SetPolicy
) -> None:
    foreign = (VolumeMount(volume="ledger", target="/data"),)
    container = make_container("red-odd", volumes=foreign, **LIMITS)
    assign_container(actor=alice, container=container, team=red)
    set_policy(pids=1000)
    answer = browser.post(url_of(container, "restart/"), headers=JSON)
    assert (answer.json()["code"], "ledger" in answer.json()["message"]) == ("policy.volumes", True)


def test_what_an_admin_gave_since_the_policy_was_changed_is_the_admins_word(
    browser: Client,
    alice: User,
    make_container: MakeContainer,
    red: Team,
    set_policy: SetPolicy,
    worker: None,
    engine: FakeEngine,
) -> None:
    container = make_container("legacy", start=False, network="host")
    assign_container(actor=alice, container=container, team=red)
    assert browser.post(url_of(container, "start/"), headers=HEADER).status_code == 200
    assert changes(engine) == ["start_container"]

    set_policy(pids=511)
    answer = browser.post(url_of(container, "restart/"), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.network")


def test_what_is_nobodys_has_no_policy(
    alice: User, client_of: Callable[..., Client], container: ObservedContainer, engine: FakeEngine, worker: None
) -> None:
    client_of(alice).post(url_of(container, "restart/"), headers=HEADER)
    assert "inspect_image" not in engine.calls
    assert changes(engine) == ["restart_container"]
