"""A team's people make containers within its policy and its quota; what goes beyond never reaches the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import Membership, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.containers.network_services import assign_network
from console.containers.services import create_container
from console.containers.volume_services import assign_volume
from console.gateway import ContainerSpec, NetworkSpec, VolumeSpec
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedNetwork, ObservedVolume
from console.inventory.services import observe_networks, observe_volumes
from console.lib.amounts import MIB
from console.operations.models import Operation
from console.operations.services import retry_operation
from console.operations.sweep import sweep
from console.policies.models import Reservation, ReservedPort
from console.policies.refusals import Denied
from console.rbac.models import HostGrant, Ownership
from runtime.testing import FakeEngine
from tests.console.containers.conftest import changes
from tests.console.policies.teams import SetPolicy, bob_in_red, policy, red, set_policy

__all__ = ["bob_in_red", "red", "set_policy"]

pytestmark = pytest.mark.django_db
SPEC = ContainerSpec(name="web", image="starter:latest", command=("sleep", "1000"))
Create = Callable[..., Operation]
Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def _shut_down(ask: Ask) -> Iterator[None]:
    yield
    ask("shut_down")


@pytest.fixture
def create(bob_in_red: User, host: Host, red: Team, run_operations: Callable[[], None]) -> Create:
    """Let bob make a container for the team, and the worker do it."""

    def make(*, run: bool = True, actor: User = bob_in_red, team: Team = red, **fields: Any) -> Operation:
        spec = dataclasses.replace(SPEC, **fields)
        operation = create_container(actor=actor, host=host, spec=spec, pull="missing", start=True, team=team)
        if run:
            run_operations()
            operation.refresh_from_db()
        return operation

    return make


def form(host: Host, team: Team | None, **fields: Any) -> dict[str, Any]:
    return {
        "team": str(team.pk) if team is not None else "",
        "host": str(host.pk),
        "image": "starter:latest",
        "command": "sleep 1000",
        "pull": "missing",
        "restart_policy": "no",
        "health": "image",
        "health_interval": "30",
        "health_timeout": "30",
        "health_retries": "3",
        "health_start_period": "0",
        "init": "on",
        **fields,
    }


@pytest.fixture
def browser(bob_in_red: User, client_of: Callable[..., Client]) -> Client:
    """Bob's browser."""
    return client_of(bob_in_red)


def test_a_member_makes_a_container_that_is_the_teams(
    browser: Client, host: Host, red: Team, run_operations: Callable[[], None], engine: FakeEngine, ask: Ask
) -> None:
    answer = browser.post("/containers/create/", form(host, None))
    assert answer.status_code == 422, "a member makes nothing that is nobody's"

    assert browser.post("/containers/create/", form(host, red, port_container="80")).status_code == 302
    run_operations()

    operation = Operation.objects.get()
    assert operation.state == "succeeded", operation.error
    assert operation.team == red
    container = ObservedContainer.objects.get()
    assert container.name == "red-starter"
    assert Ownership.objects.get(kind="container").object_id == container.container_id
    detail = ask("inspect_container", container.container_id).raw
    host_config = detail["HostConfig"]
    assert host_config["CapDrop"] == ["ALL"]
    assert "SYS_ADMIN" not in host_config["CapAdd"]
    assert host_config["SecurityOpt"] == ["no-new-privileges"]
    assert host_config["Memory"] == host_config["MemorySwap"] == 512 * MIB
    assert host_config["PidsLimit"] == 512
    assert host_config["LogConfig"]["Config"] == {"max-size": str(10 * MIB), "max-file": "3"}
    assert host_config["NetworkMode"] == "red-net"
    assert host_config["PortBindings"] == {"80/tcp": [{"HostIp": "", "HostPort": "8000"}]}
    assert detail["Config"]["Labels"]["pilothouse.team"] == str(red.pk)
    assert browser.get(f"/containers/{host.pk}/{container.container_id}/").status_code == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"image": "evil/miner:latest"}, "policy.image"),
        ({"volume_name": "/var/run/docker.sock", "volume_target": "/s", "volume_mode": "rw"}, "policy.volumes"),
        ({"network": "host"}, "policy.network"),
        ({"cap_add": "SYS_ADMIN"}, "policy.cap_add"),
        ({"port_host": "9000", "port_container": "80", "port_protocol": "tcp"}, "policy.ports"),
        ({"memory": "2 GB"}, "policy.memory"),
        ({"restart_policy": "always"}, "policy.restart_policy"),
    ],
)
def test_a_refusal_names_field_and_rule_and_nothing_reaches_the_engine(
    browser: Client, host: Host, red: Team, engine: FakeEngine, fields: dict[str, str], code: str
) -> None:
    engine.calls.clear()
    data = form(host, red, **fields)
    answer = browser.post("/containers/create/", data)
    assert answer.status_code == 403
    assert "Red" in answer.content.decode()

    refused = browser.post("/containers/create/", data, headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (403, code)

    assert engine.calls == []
    assert not Operation.objects.exists()
    assert not Reservation.objects.exists()
    assert list(AuditEvent.objects.values_list("action", "outcome")) == [("container.create", "denied")] * 2


def test_a_field_that_the_form_does_not_know_is_named(browser: Client, host: Host, red: Team) -> None:
    answer = browser.post("/containers/create/", form(host, red, Binds="/:/h"))
    assert answer.status_code == 422
    assert "Binds" in answer.content.decode()
    assert not Operation.objects.exists()


def test_another_team_and_a_team_as_viewer_cannot_be_chosen(
    browser: Client, host: Host, bob_in_red: User, engine: FakeEngine
) -> None:
    blue = Team.objects.create(name="Blue")
    green = Team.objects.create(name="Green")
    for team in (blue, green):
        HostGrant.objects.create(team=team, host=host)
    Membership.objects.create(team=green, person=bob_in_red, role=TeamRole.VIEWER)
    for team in (blue, green):
        answer = browser.post("/containers/create/", form(host, team))
        assert answer.status_code == 422
        assert "Choose for whom it is." in answer.content.decode()
    assert changes(engine) == []


def test_the_worker_decides_by_the_policy_of_then(create: Create, set_policy: SetPolicy, engine: FakeEngine) -> None:
    operation = create(run=False)
    set_policy(images=["nginx"])
    ended = _run(operation)
    assert (ended.state, ended.error_code) == ("failed", "policy.image")
    assert "starter:latest is not allowed for the team Red" in ended.error
    assert changes(engine) == []
    assert AuditEvent.objects.filter(action="container.create", outcome="denied").count() == 1
    assert not Reservation.objects.exists(), "its share is free again"


def test_a_host_that_was_taken_away_meanwhile_is_refused(create: Create, red: Team, engine: FakeEngine) -> None:
    operation = create(run=False)
    red.grants.all().delete()
    ended = _run(operation)
    assert (ended.state, ended.error_code) == ("failed", "policy.host")
    assert changes(engine) == []


def test_somebody_who_left_the_team_meanwhile_makes_nothing(create: Create, red: Team, engine: FakeEngine) -> None:
    operation = create(run=False)
    red.memberships.all().delete()
    ended = _run(operation)
    assert ended.state == "failed"
    assert changes(engine) == []


def test_arguments_that_grew_in_the_database_are_refused(create: Create, engine: FakeEngine) -> None:
    operation = create(run=False)
    for change in ({"memory_bytes": 256 * MIB * 4}, {"name": "blue-web"}):
        spec = {**operation.arguments["spec"], **change}
        Operation.objects.filter(pk=operation.pk).update(
            arguments={**operation.arguments, "spec": spec}, state="queued", ended_at=None
        )
        assert _run(operation).error_code.startswith("policy.")
    assert changes(engine) == []


def _run(operation: Operation) -> Operation:
    from console.operations import worker

    worker.run(operation.pk)
    return Operation.objects.get(pk=operation.pk)


# What it needs


def test_a_volume_is_made_for_the_team_and_used_again(create: Create, ask: Ask, red: Team) -> None:
    from console.gateway import VolumeMount

    for name in ("one", "two"):
        operation = create(name=name, volumes=(VolumeMount(volume="data", target="/data"),))
        assert operation.state == "succeeded", operation.error
    assert ask("inspect_volume", "red-data").labels["pilothouse.team"] == str(red.pk)
    assert [owned.object_id for owned in Ownership.objects.filter(kind="volume")] == ["red-data"]
    assert Ownership.objects.filter(kind="network").count() == 1


def test_a_volume_of_that_name_that_is_not_the_teams_is_refused(create: Create, ask: Ask, engine: FakeEngine) -> None:
    from console.gateway import VolumeMount

    ask("create_volume", VolumeSpec(name="red-data", labels=(("pilothouse.team", "forged"),)))
    engine.calls.clear()
    operation = create(volumes=(VolumeMount(volume="data", target="/data"),))
    assert (operation.state, operation.error_code) == ("failed", "policy.volumes")
    assert "create_container" not in engine.calls


@pytest.mark.parametrize("to_another", [False, True])
def test_a_volume_that_an_admin_took_from_the_team_is_not_got_back_by_its_name(
    to_another: bool, create: Create, red: Team, host: Host, alice: User, engine: FakeEngine
) -> None:
    from console.gateway import VolumeMount

    create(name="one", volumes=(VolumeMount(volume="data", target="/data"),))
    blue = Team.objects.create(name="Blue")
    observe_volumes(host)
    volume = ObservedVolume.objects.select_related("host").get(name="red-data")
    assign_volume(actor=alice, volume=volume, team=blue if to_another else None)
    engine.calls.clear()
    operation = create(name="two", volumes=(VolumeMount(volume="data", target="/data"),))
    assert (operation.state, operation.error_code) == ("failed", "policy.volumes")
    assert "create_container" not in engine.calls
    assert not Ownership.objects.filter(kind="volume", team=red).exists()


def test_a_network_that_an_admin_gave_to_another_team_is_that_teams(
    create: Create, red: Team, host: Host, alice: User, engine: FakeEngine
) -> None:
    create(name="one")
    observe_networks(host)
    network = ObservedNetwork.objects.select_related("host").get(name="red-net")
    assign_network(actor=alice, network=network, team=Team.objects.create(name="Blue"))
    engine.calls.clear()
    operation = create(name="two")
    assert (operation.state, operation.error_code) == ("failed", "policy.network")
    assert "create_container" not in engine.calls


def test_a_network_in_the_place_of_the_teams_own_is_refused(create: Create, ask: Ask, engine: FakeEngine) -> None:
    ask("create_network", NetworkSpec(name="red-net"))
    engine.calls.clear()
    operation = create()
    assert (operation.state, operation.error_code) == ("failed", "policy.network")
    assert "create_container" not in engine.calls


# Quotas


def test_the_quota_holds_and_is_free_again_when_a_container_goes(
    create: Create, red: Team, run_operations: Callable[[], None], bob_in_red: User
) -> None:
    from console.containers.services import remove_container

    HostGrant.objects.update(containers=2, memory_bytes=768 * MIB)
    first = create(memory_bytes=256 * MIB)
    with pytest.raises(Denied) as refused:
        create(name="big", memory_bytes=512 * MIB + 1)
    assert refused.value.code == "policy.memory"
    create(name="second", memory_bytes=256 * MIB)
    with pytest.raises(Denied) as refused:
        create(name="third", memory_bytes=64 * MIB)
    assert refused.value.code == "quota.containers"
    assert "has 2 here, 2 are taken" in str(refused.value)

    container = ObservedContainer.objects.select_related("host").get(container_id=first.object_id)
    remove_container(actor=bob_in_red, container=container, force=True, volumes=False)
    run_operations()
    assert Reservation.objects.count() == 1
    with pytest.raises(Denied) as refused:
        create(name="third", memory_bytes=512 * MIB + 1)
    assert create(name="third", memory_bytes=512 * MIB).state == "succeeded"


def test_a_port_is_chosen_of_the_range_and_held_while_stopped(create: Create) -> None:
    from console.gateway import PublishedPort

    first = create(name="one", ports=(PublishedPort(container_port=80),))
    second = create(name="two", ports=(PublishedPort(container_port=80), PublishedPort(container_port=81)))
    assert first.arguments["spec"]["ports"][0]["host_port"] == 8000
    assert [port["host_port"] for port in second.arguments["spec"]["ports"]] == [8001, 8002]
    with pytest.raises(Denied, match="Port 8000 is held by another container"):
        create(name="three", ports=(PublishedPort(container_port=80, host_port=8000),))
    assert ReservedPort.objects.count() == 3


def test_a_failed_create_without_a_container_gives_its_share_back(create: Create) -> None:
    operation = create(image="nginx:missing")
    assert operation.state == "failed"
    assert not Reservation.objects.exists()
    assert not Ownership.objects.filter(kind="container").exists()


def test_a_failed_start_keeps_the_container_and_its_share_for_the_retry(
    create: Create, bob_in_red: User, run_operations: Callable[[], None]
) -> None:
    operation = create(command=("no-such-program",))
    assert operation.state == "failed"
    assert operation.object_id
    assert Reservation.objects.get().container_id == operation.object_id
    HostGrant.objects.update(containers=1)
    retried = retry_operation(actor=bob_in_red, operation=operation)
    run_operations()
    retried.refresh_from_db()
    assert retried.object_id == operation.object_id
    assert Reservation.objects.count() == 1


def test_dead_shares_are_swept(create: Create, ask: Ask, host: Host) -> None:
    from datetime import timedelta

    from django.utils import timezone

    kept, gone, never = create(name="kept"), create(name="gone"), create(name="never", run=False)
    Operation.objects.filter(pk=never.pk).update(state="cancelled")
    ask("remove_container", gone.object_id, force=True)
    ObservedContainer.objects.filter(container_id=gone.object_id).delete()
    sweep()
    assert Reservation.objects.count() == 2, "a container that was just made may not be in the inventory yet"

    Reservation.objects.update(held_at=timezone.now() - timedelta(minutes=1))
    Host.objects.update(state="unreachable")
    sweep()
    assert Reservation.objects.count() == 2, "of a host that does not answer nobody knows"

    Host.objects.update(state="reachable")
    sweep()
    assert [row.container_id for row in Reservation.objects.all()] == [kept.object_id]


# The form


def test_the_form_shows_the_gauge_and_what_will_happen(browser: Client, host: Host, red: Team, create: Create) -> None:
    create()
    answer = browser.post("/containers/create/preview/", form(host, red, memory="128 MB")).content.decode()
    assert "1 + 1 of 10" in answer
    assert "red-starter" in answer
    assert "--cap-drop ALL" in answer
    assert "May use all memory" not in answer


def test_the_form_offers_what_the_team_may_use(
    browser: Client, host: Host, red: Team, create: Create, set_policy: SetPolicy
) -> None:
    from console.gateway import VolumeMount
    from console.inventory.services import observe_images

    create(volumes=(VolumeMount(volume="data", target="/data"),))
    observe_images(host)
    page = browser.get("/containers/create/", {"host": str(host.pk), "team": str(red.pk)}).content.decode()
    assert 'value="starter:latest"' in page
    assert 'value="red-data"' in page
    assert "The team&#x27;s own network" in page
    assert 'value="host"' not in page
    assert "The policy of the team Red allows: starter:*, nginx." in page
    assert "The team Red has the ports 8000 to 8009 here; without a host port one of them is chosen." in page

    set_policy(images=["nginx"])
    page = browser.get("/containers/create/choices/", {"host": str(host.pk), "team": str(red.pk)}).content.decode()
    assert "starter:latest" not in page
    assert "The policy of the team Red allows: nginx." in page

    set_policy(images=[], ports=False)
    page = browser.get("/containers/create/choices/", {"host": str(host.pk), "team": str(red.pk)}).content.decode()
    assert "The policy of the team Red allows no image yet" in page
    assert "The team Red may publish no ports on this host." in page


def test_an_admin_may_make_one_for_a_team_within_its_bounds(
    alice: User, client_of: Callable[..., Client], host: Host, red: Team, run_operations: Callable[[], None]
) -> None:
    browser = client_of(alice)
    assert browser.post("/containers/create/", form(host, red, network="host")).status_code == 403
    assert browser.post("/containers/create/", form(host, red)).status_code == 302
    assert browser.post("/containers/create/", form(host, None, name="mine", network="none")).status_code == 302
    run_operations()
    assert [operation.state for operation in Operation.objects.all()] == ["succeeded"] * 2
    assert Ownership.objects.filter(kind="container").count() == 1


def test_duplicating_a_teams_container_leaves_its_ports_open(
    browser: Client, host: Host, red: Team, create: Create
) -> None:
    from console.gateway import PublishedPort

    made = create(ports=(PublishedPort(container_port=80),))
    page = browser.get("/containers/create/", {"from": f"{host.pk}/{made.object_id}"}).content.decode()
    assert 'value="red-web-2"' in page
    assert 'value="8000"' not in page
    assert "CapDrop" not in page
    assert "no-new-privileges" not in page


def test_an_image_that_runs_as_root_is_refused_where_root_is_not_allowed(
    create: Create, engine: FakeEngine, red: Team
) -> None:
    policy(red, root=False)
    operation = create()
    assert (operation.state, operation.error_code) == ("failed", "policy.user")
    assert "create_container" not in engine.calls


def test_a_container_that_is_given_to_a_team_counts_in_its_quota(
    alice: User, client_of: Callable[..., Client], red: Team, make_container: Callable[..., ObservedContainer]
) -> None:
    from console.gateway import PublishedPort

    container = make_container(
        "shop", memory_bytes=64 * MIB, nano_cpus=10**9, ports=(PublishedPort(container_port=80, host_port=8003),)
    )
    browser, url = client_of(alice), f"/containers/{container.host_id}/{container.container_id}/assign/"
    assert browser.post(url, {"team": str(red.pk)}).status_code == 302
    reservation = Reservation.objects.get()
    assert (reservation.container_id, reservation.memory_bytes, reservation.nano_cpus) == (
        container.container_id,
        64 * MIB,
        10**9,
    )
    assert [row.port for row in reservation.ports.all()] == [8003]
    assert browser.post(url, {"team": ""}).status_code == 302
    assert not Reservation.objects.exists()
    assert not ReservedPort.objects.exists()


def test_without_its_host_nothing_is_given(
    alice: User,
    client_of: Callable[..., Client],
    red: Team,
    make_container: Callable[..., ObservedContainer],
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from console.gateway import Unreachable

    container = make_container("shop")

    async def fail(container_id: str) -> None:
        raise Unreachable("no route to host")

    monkeypatch.setattr(engine, "inspect_container", fail)
    url = f"/containers/{container.host_id}/{container.container_id}/assign/"
    answer = client_of(alice).post(url, {"team": str(red.pk)})
    assert "could not be read" in answer.content.decode()
    assert not Ownership.objects.exists()
