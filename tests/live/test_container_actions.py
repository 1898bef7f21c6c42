"""Every change to a container on a real engine, from the form to the inventory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console import gateway
from console.accounts.models import User
from console.containers import action_views
from console.containers.forms import ROWS, SCALARS
from console.containers.specs import from_arguments
from console.gateway import ContainerEngine
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer
from console.operations.models import Operation
from runtime.drivers.docker.serialise import container_body
from runtime.testing import EngineTap
from tests.engines import busybox_image_tar, private_dockerd, short_directory

pytestmark = [pytest.mark.live, pytest.mark.django_db, pytest.mark.xdist_group("container-actions")]
IMAGE = "live-box:latest"
CREATE = "/containers/create/"


@pytest.fixture(scope="module")
def tap() -> Iterator[EngineTap]:
    """A real engine, and the tap in front of it that records what reaches it."""
    with short_directory() as directory, private_dockerd(directory) as engine:

        async def load(opened: ContainerEngine) -> None:
            async def tar() -> object:
                yield busybox_image_tar()

            await opened.import_image(tar(), reference=IMAGE)  # type: ignore[arg-type]

        gateway.call(engine.endpoint, load)
        with EngineTap(engine.socket, listen=directory / "tap.sock") as found:
            yield found
            gateway.submit(lambda: gateway.close_engine(found.endpoint)).result()
        gateway.submit(lambda: gateway.close_engine(engine.endpoint)).result()


@pytest.fixture
def harbour(tap: EngineTap, db: None) -> Iterator[Host]:
    host = Host.objects.create(name="harbour", url=tap.endpoint.url, state=HostState.REACHABLE)
    tap.clear()
    yield host
    tap.clear()

    async def clear(engine: ContainerEngine) -> None:
        for container in await engine.list_containers():
            await engine.remove_container(container.container_id, force=True, volumes=True)
        for volume in await engine.list_volumes():
            await engine.remove_volume(volume.name)

    gateway.call(host.endpoint, clear)


@pytest.fixture
def browser(
    alice: User,
    client_of: Callable[[User], Client],
    run_operations: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Client:
    """Alice's browser, with a worker that does at once what a view waits for."""

    def run_and_read(operation: Operation, *, timeout: float) -> Operation:
        run_operations()
        operation.refresh_from_db()
        return operation

    monkeypatch.setattr(action_views, "wait_for", run_and_read)
    return client_of(alice)


@pytest.fixture
def create(browser: Client, harbour: Host, run_operations: Callable[[], None]) -> Callable[..., Operation]:
    """Send the create form and let it be done."""

    def create_(**fields: Any) -> Operation:
        form = {
            "host": str(harbour.pk),
            "name": "web-1",
            "image": IMAGE,
            "pull": "never",
            "command": "sleep 1000",
            "restart_policy": "no",
            "health": "image",
            "init": "on",
            "submit": "start",
        }
        answer = browser.post(CREATE, {**form, **fields})
        assert answer.status_code == 302, answer.content.decode()[:2000]
        run_operations()
        return Operation.objects.latest("created_at")

    return create_


def test_the_life_of_a_container(browser: Client, create: Callable[..., Operation], harbour: Host) -> None:
    operation = create()
    assert operation.state == "succeeded", operation.error
    container = ObservedContainer.objects.get()
    base = f"/containers/{harbour.pk}/{container.container_id}/"

    for verb, form, state in (
        ("pause", {}, "paused"),
        ("unpause", {}, "running"),
        ("kill", {"signal": "SIGHUP"}, None),
        ("stop", {}, "exited"),
        ("start", {}, "running"),
        ("restart", {}, "running"),
        ("rename", {"name": "shop"}, "running"),
        ("kill", {"signal": "SIGKILL"}, "exited"),
    ):
        browser.post(f"{base}{verb}/", form)
        operation = Operation.objects.latest("created_at")
        assert operation.state == "succeeded", (verb, operation.error)
        container.refresh_from_db()
        assert state is None or container.state == state, verb
    assert container.name == "shop"
    browser.post(f"{base}remove/")
    assert not ObservedContainer.objects.exists()
    assert gateway.call(harbour.endpoint, lambda engine: engine.list_containers()) == []


def test_every_field_of_the_form_holds_against_a_real_engine(create: Callable[..., Operation], harbour: Host) -> None:
    operation = create(
        entrypoint="sh -c",
        command="'sleep 1000'",
        env_name="LOG",
        env_value="a=b c",
        env_kept="",
        port_host="",
        port_container="80",
        port_protocol="tcp",
        port_host_ip="127.0.0.1",
        volume_name="data",
        volume_target="/data",
        volume_mode="ro",
        tmpfs_target="/run/x",
        tmpfs_size="16 MB",
        restart_policy="on-failure",
        restart_max_retries="4",
        memory="64 MB",
        cpus="0.5",
        pids_limit="50",
        health="command",
        health_test="true",
        health_interval="1",
        health_timeout="1",
        health_retries="1",
        health_start_period="0",
        label_name="team",
        label_value="red",
        user="1000:1000",
        working_directory="/tmp",
        hostname="web",
        stop_timeout="1",
        tty="on",
        open_stdin="on",
        read_only_root="on",
    )

    assert operation.state == "succeeded", operation.error + operation.output
    container = ObservedContainer.objects.get()
    assert (container.state, container.health) == ("running", "healthy")
    detail = gateway.call(harbour.endpoint, lambda engine: engine.inspect_container(container.container_id))
    assert (detail.user, detail.hostname, detail.working_directory) == ("1000:1000", "web", "/tmp")
    assert (detail.memory_bytes, detail.nano_cpus, detail.pids_limit) == (64 * 2**20, 500_000_000, 50)


def test_a_duplicate_asks_for_the_same(
    browser: Client, create: Callable[..., Operation], harbour: Host, tap: EngineTap
) -> None:
    create(
        env_name="DB_PASSWORD",
        env_value="hunter2",
        env_kept="",
        memory="64 MB",
        volume_name="data",
        volume_target="/data",
        volume_mode="rw",
        command="sh -c 'sleep 1000'",
    )
    container = ObservedContainer.objects.get()
    source = f"{harbour.pk}/{container.container_id}"
    page = browser.get(f"{CREATE}?from={source}").content.decode()
    assert "hunter2" not in page

    create(
        name="web-2",
        source=source,
        env_name="DB_PASSWORD",
        env_value="",
        env_kept="1",
        memory="64 MB",
        volume_name="data",
        volume_target="/data",
        volume_mode="rw",
        command="sh -c 'sleep 1000'",
    )

    first, second = [request.json() for request in tap.changes if request.path.endswith("/containers/create")]
    for body in (first, second):
        body.pop("Labels")
    assert first == second


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"command": "nosuchprogram"}, "exited", "nosuchprogram"),
        ({"command": "sh -c 'echo why; exit 3'"}, "exited", "why"),
        ({"user": "nobody-here"}, "user_missing", "nobody-here"),
        ({"image": "nosuch:1"}, "image_missing", "nosuch:1"),
        ({"network": "nosuchnet"}, "network_missing", "nosuchnet"),
    ],
)
def test_trouble_ends_with_a_cause_and_a_next_step(
    create: Callable[..., Operation], fields: dict[str, str], code: str, words: str
) -> None:
    operation = create(**fields)

    assert (operation.state, operation.error_code) == ("failed", code), operation.error
    assert words in operation.error
    assert operation.next_step


def test_a_taken_port(create: Callable[..., Operation], harbour: Host) -> None:
    create(port_host="18099", port_container="80", port_protocol="tcp", port_host_ip="127.0.0.1")

    operation = create(
        name="web-2", port_host="18099", port_container="80", port_protocol="tcp", port_host_ip="127.0.0.1"
    )

    assert (operation.state, operation.error_code) == ("failed", "port_taken"), operation.error


typed = st.text(max_size=12) | st.sampled_from(
    ["/", "/data", "../x", "80", "8080", "host", "64 MB", "1", "sh -c 'x'", '""', "a=b", "\u017f", "on-failure", "tcp"]
)
fields = st.fixed_dictionaries(
    {},
    optional={
        **{name: typed for name in SCALARS if name not in ("host", "image", "name", "pull")},
        **{column: st.lists(typed, max_size=3) for columns in ROWS.values() for column in columns},
        **dict.fromkeys(("tty", "open_stdin", "init", "read_only_root"), st.just("on")),
        "HostConfig": typed,
        "hostconfig[Binds]": typed,
    },
)


@given(fields=fields)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_what_reaches_the_engine_is_the_parsed_spec_or_nothing(
    browser: Client, harbour: Host, tap: EngineTap, run_operations: Callable[[], None], fields: dict[str, Any]
) -> None:
    tap.clear()
    before = Operation.objects.count()
    form = {"restart_policy": "no", "health": "image", **fields}

    browser.post(
        CREATE, {**form, "host": str(harbour.pk), "image": IMAGE, "pull": "never", "name": "", "submit": "create"}
    )
    run_operations()

    bodies = [request for request in tap.changes if request.path.endswith("/containers/create")]
    if Operation.objects.count() == before:
        assert tap.requests == []
        return
    operation = Operation.objects.latest("created_at")
    expected = container_body(from_arguments(operation.arguments["spec"]))
    for request in bodies:
        body = request.json()
        labels = body.pop("Labels")
        assert body == {key: value for key, value in expected.items() if key != "Labels"}
        assert expected["Labels"].items() <= labels.items()
    assert {request.path for request in tap.changes} <= {"/containers/create"} | {f"/containers/{operation.object_id}"}
