"""What a team makes on real engines: hardened, on its own network, with its own volumes; refusals reach no engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from console import gateway
from console.accounts.models import Membership, Team, TeamRole, User
from console.containers.services import create_container
from console.gateway import (
    ContainerEngine,
    ContainerSpec,
    Healthcheck,
    PublishedPort,
    RestartPolicy,
    TmpfsMount,
    VolumeMount,
)
from console.hosts.models import DriverChoice, Host, HostState
from console.inventory.models import ObservedContainer
from console.lib.amounts import MIB
from console.operations.models import Operation
from console.policies.models import Reservation
from console.rbac.models import HostGrant, Ownership
from runtime import ExecSpec
from runtime.drivers.docker.fields import FIELDS, Fixed, Spec
from runtime.testing import EngineTap
from tests.console.policies.teams import policy
from tests.engines import UnixConnection, busybox_image_tar, private_dockerd, private_podman, short_directory
from tests.runtime.unit.engine_api import ENDPOINTS, leaves

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.xdist_group("team-containers")]
IMAGE = "live-box:latest"
#: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE: what the ordinary policy leaves.
ORDINARY = sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 10))


@pytest.fixture(scope="module", params=["docker", "podman"])
def tap(request: pytest.FixtureRequest) -> Iterator[EngineTap]:
    """A real engine, and the tap in front of it that records what reaches it."""
    private = private_dockerd if request.param == "docker" else private_podman
    with short_directory() as directory, private(directory) as engine:
        engine.import_image(busybox_image_tar(), reference=IMAGE)
        with EngineTap(engine.socket, listen=directory / "tap.sock") as found:
            yield found
            gateway.submit(lambda: gateway.close_engine(found.endpoint)).result()


@pytest.fixture
def harbour(tap: EngineTap, request: pytest.FixtureRequest, db: None) -> Iterator[Host]:
    kind = request.node.callspec.params["tap"]
    host = Host.objects.create(
        name="harbour", url=tap.endpoint.url, driver=DriverChoice(kind), state=HostState.REACHABLE
    )
    tap.clear()
    yield host

    async def clear(engine: ContainerEngine) -> None:
        for container in await engine.list_containers():
            await engine.remove_container(container.container_id, force=True, volumes=True)
        for volume in await engine.list_volumes():
            await engine.remove_volume(volume.name)
        for network in await engine.list_networks():
            if network.name.endswith("-net"):
                await engine.remove_network(network.network_id)

    gateway.call(host.endpoint, clear)
    tap.clear()


@pytest.fixture
def red(harbour: Host, bob: User) -> Team:
    """The team red, which bob is in."""
    return _team("Red", harbour, bob, ports=(18000, 18009))


def _team(name: str, host: Host, person: User, *, ports: tuple[int, int]) -> Team:
    team = Team.objects.create(name=name)
    HostGrant.objects.create(team=team, host=host, containers=3, first_port=ports[0], last_port=ports[1])
    Membership.objects.create(team=team, person=person, role=TeamRole.MEMBER)
    policy(team, images=["*live-box:*"])
    return team


@pytest.fixture
def create(
    harbour: Host, red: Team, bob: User, client_of: Callable[[User], Client], run_operations: Callable[[], None]
) -> Callable[..., Operation]:
    """Let bob send the create form for the team, and the worker do it."""

    def create_(*, person: User = bob, team: Team = red, **fields: Any) -> Operation:
        answer = client_of(person).post("/containers/create/", _form(harbour, team, **fields))
        assert answer.status_code == 302, answer.content.decode()
        run_operations()
        operation = Operation.objects.latest("created_at")
        assert operation.state == "succeeded", f"{operation.error}\n{operation.output}"
        return operation

    return create_


def _form(host: Host, team: Team, **fields: Any) -> dict[str, Any]:
    return {
        "team": str(team.pk),
        "host": str(host.pk),
        "name": "web",
        "image": IMAGE,
        "pull": "never",
        "command": "sleep 1000",
        "restart_policy": "no",
        "health": "image",
        "init": "on",
        "submit": "start",
        **fields,
    }


def test_what_runs_in_a_teams_container_has_the_rights_of_the_policy(
    create: Callable[..., Operation], harbour: Host, red: Team
) -> None:
    operation = create(port_container="80", port_protocol="tcp", volume_name="data", volume_target="/data")

    async def look(engine: ContainerEngine) -> tuple[str, Any]:
        status = ExecSpec(command=("cat", "/proc/1/status"), tty=False)
        ran = await engine.run_exec(operation.object_id, status)
        return ran.stdout.decode(), (await engine.inspect_container(operation.object_id)).raw

    text, raw = gateway.call(harbour.endpoint, look)
    status = dict(line.split(":", 1) for line in text.splitlines())
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == ORDINARY
    assert status["NoNewPrivs"].strip() == "1"
    assert set(raw["NetworkSettings"]["Networks"]) == {"red-net"}
    assert raw["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"] == "18000"
    assert {(owned.kind, owned.object_id) for owned in Ownership.objects.filter(team=red)} >= {
        ("container", operation.object_id),
        ("volume", "red-data"),
    }
    container = ObservedContainer.objects.get()
    assert (container.name, container.networks) == ("red-web", ["red-net"])


def test_every_field_that_is_sent_and_that_the_engine_knows_is_classified(
    harbour: Host, red: Team, bob: User, tap: EngineTap, run_operations: Callable[[], None]
) -> None:
    spec = ContainerSpec(
        name="full",
        image=IMAGE,
        command=("sleep 1000",),
        entrypoint=("sh", "-c"),
        environment=(("LOG", "a=b"),),
        hostname="web",
        user="1000:1000",
        working_directory="/tmp",
        tty=True,
        open_stdin=True,
        read_only_root=True,
        ports=(PublishedPort(container_port=80),),
        volumes=(VolumeMount(volume="data", target="/data", read_only=True),),
        tmpfs=(TmpfsMount(target="/run/x"),),
        restart_policy=RestartPolicy.ON_FAILURE,
        memory_bytes=64 * MIB,
        nano_cpus=500_000_000,
        pids_limit=50,
        healthcheck=Healthcheck(test="true", interval=5),
        stop_timeout=1,
        cap_add=("CHOWN",),
    )
    operation = create_container(actor=bob, host=harbour, spec=spec, pull="never", start=False, team=red)
    run_operations()
    operation.refresh_from_db()
    assert operation.state == "succeeded", f"{operation.error}\n{operation.output}"

    bodies = {
        name: request.json()
        for request in tap.changes
        for name, path in ENDPOINTS.items()
        if request.path.endswith(path)
    }
    assert set(bodies) == {"container create", "network create", "volume create"}
    for name, body in bodies.items():
        for path, _value in leaves(body, FIELDS[name]):
            assert isinstance(FIELDS[name].get(path), (Spec, Fixed)), f"{name}: {path}"

    raw = gateway.call(harbour.endpoint, lambda engine: engine.inspect_container(operation.object_id)).raw
    known = {path.split(".")[1] for path in FIELDS["container create"] if path.startswith("HostConfig.")}
    assert set(raw["HostConfig"]) - known == set(), "the engine has fields that nobody classified"


def test_the_second_one_joins_the_same_network_and_volume(create: Callable[..., Operation], red: Team) -> None:
    for name in ("one", "two"):
        create(name=name, volume_name="data", volume_target="/data", volume_mode="rw")
    kinds = Ownership.objects.filter(team=red).values_list("kind", flat=True)
    assert sorted(kinds) == ["container", "container", "network", "volume"]


def test_an_older_one_is_started_only_within_the_policy_of_now(
    create: Callable[..., Operation],
    harbour: Host,
    red: Team,
    bob: User,
    client_of: Callable[[User], Client],
    run_operations: Callable[[], None],
    tap: EngineTap,
) -> None:
    operation = create(
        port_container="80",
        port_protocol="tcp",
        volume_name="data",
        volume_target="/data",
        volume_mode="rw",
        read_only_root="on",
        user="1000",
    )
    browser, url = client_of(bob), f"/containers/{harbour.pk}/{operation.object_id}/restart/"
    policy(team=red, images=["*live-box:*"], networks=False, root=False)
    answer = browser.post(url, headers={"Accept": "application/json"})
    assert answer.status_code == 202, answer.content.decode()
    run_operations()
    again = Operation.objects.latest("created_at")
    assert (again.kind, again.state) == ("container.restart", "succeeded"), again.error

    policy(team=red, images=["*live-box:*"], capabilities=("CHOWN", "KILL"))
    tap.clear()
    refused = browser.post(url, headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (403, "policy.cap_add")
    assert tap.changes == []


def test_two_teams_share_neither_names_nor_networks(
    create: Callable[..., Operation], harbour: Host, charlie: User
) -> None:
    blue = _team("Blue", harbour, charlie, ports=(18010, 18019))
    create(name="web", volume_name="data", volume_target="/data")
    create(person=charlie, team=blue, name="web", volume_name="data", volume_target="/data")
    assert set(ObservedContainer.objects.values_list("name", flat=True)) == {"red-web", "blue-web"}
    assert set(Ownership.objects.filter(kind="volume").values_list("object_id", flat=True)) == {
        "red-data",
        "blue-data",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"volume_name": "/", "volume_target": "/host"},
        {"volume_name": "/var/run/docker.sock", "volume_target": "/s"},
        {"network": "host"},
        {"network": "bridge"},
        {"network": "container:abc"},
        {"cap_add": "SYS_ADMIN"},
        {"image": "docker.io/library/other:latest"},
        {"port_host": "22", "port_container": "80", "port_protocol": "tcp"},
        {"restart_policy": "always"},
        {"memory": "64 GB"},
        {"Privileged": "true"},
        {"HostConfig": '{"Binds":["/:/h"]}'},
    ],
)
def test_what_is_refused_never_reaches_the_engine(
    fields: dict[str, str],
    harbour: Host,
    red: Team,
    bob: User,
    client_of: Callable[[User], Client],
    run_operations: Callable[[], None],
    tap: EngineTap,
) -> None:
    answer = client_of(bob).post("/containers/create/", _form(harbour, red, **fields))
    assert answer.status_code in (403, 422)
    run_operations()
    assert tap.requests == []
    assert not Operation.objects.exists()
    assert not Reservation.objects.exists()


def test_a_volume_that_reaches_into_the_host_is_refused_though_it_has_the_teams_name(
    harbour: Host,
    red: Team,
    bob: User,
    client_of: Callable[[User], Client],
    run_operations: Callable[[], None],
    tap: EngineTap,
) -> None:
    options = {"type": "none", "o": "bind", "device": "/etc"}
    body = {"Name": "red-data", "Driver": "local", "DriverOpts": options, "Labels": {"pilothouse.team": str(red.pk)}}
    connection = UnixConnection(Path(tap.endpoint.url.removeprefix("unix://")))
    connection.request("POST", "/volumes/create", json.dumps(body), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 201
    connection.close()
    tap.clear()
    Ownership.objects.create(host=harbour, kind="volume", object_id="red-data", team=red)
    answer = client_of(bob).post(
        "/containers/create/", _form(harbour, red, volume_name="data", volume_target="/data", volume_mode="rw")
    )
    assert answer.status_code == 302
    run_operations()
    operation = Operation.objects.get()
    assert (operation.state, operation.error_code) == ("failed", "policy.volumes")
    assert [request for request in tap.requests if "/containers/create" in request.path] == []
    assert not Reservation.objects.exists()
