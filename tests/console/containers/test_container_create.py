"""Creating a container from the form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.containers import handlers
from console.containers.services import create_container
from console.containers.specs import OPERATION_LABEL, SIGNATURE_LABEL, to_arguments
from console.gateway import (
    Conflict,
    ContainerSpec,
    Healthcheck,
    PublishedPort,
    RestartPolicy,
    TimedOut,
    TmpfsMount,
    Unreachable,
    VolumeMount,
)
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedNetwork
from console.lib.crypto import signature
from console.operations.context import OperationContext
from console.operations.errors import Halted
from console.operations.models import Operation
from console.operations.services import retry_operation
from runtime.testing import FakeEngine
from tests.console.containers.conftest import changes

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
Form = dict[str, Any]
URL = "/containers/create/"


@pytest.fixture
def form(host: Host) -> Form:
    """The least that a form says."""
    return {
        "host": str(host.pk),
        "name": "web-1",
        "image": "starter:latest",
        "pull": "missing",
        "command": "sleep 1000",
        "restart_policy": "no",
        "health": "image",
        "init": "on",
        "submit": "start",
    }


@pytest.fixture
def send(alice: User, client_of: ClientOf, form: Form, run_operations: Callable[[], None]) -> Callable[..., Operation]:
    """Send the form, let a worker do it, and return the operation."""

    def send_(**fields: Any) -> Operation:
        answer = client_of(alice).post(URL, {**form, **fields})
        assert answer.status_code == 302, answer.content.decode()[:3000]
        run_operations()
        return Operation.objects.latest("created_at")

    return send_


def spec_of(engine: FakeEngine) -> ContainerSpec:
    """Return the one spec that reached the engine."""
    (spec,) = engine.specs
    return spec


def test_the_form_opens_with_three_empty_rows_of_each_list(alice: User, client_of: ClientOf, host: Host) -> None:
    page = client_of(alice).get(URL).content.decode()

    for field in ("env_name", "port_container", "volume_name", "tmpfs_target", "label_name"):
        assert page.count(f'name="{field}"') == 3


def test_create_and_start_ends_with_a_running_container(send: Callable[..., Operation], engine: FakeEngine) -> None:
    operation = send()

    assert (operation.state, operation.error) == ("succeeded", "")
    assert operation.progress["phases"] == ["create", "compare", "start", "healthy"]
    container = ObservedContainer.objects.get()
    assert (container.name, container.state) == ("web-1", "running")
    assert operation.result["container_id"] == operation.object_id == container.container_id


def test_it_leads_to_the_operation(alice: User, client_of: ClientOf, form: Form) -> None:
    answer = client_of(alice).post(URL, form)

    assert answer.headers["Location"] == f"/operations/{Operation.objects.get().pk}/"


def test_create_alone_does_not_start(send: Callable[..., Operation], engine: FakeEngine) -> None:
    assert send(submit="create").state == "succeeded"
    assert changes(engine) == ["create_container"]
    assert ObservedContainer.objects.get().state == "created"


def test_every_field_reaches_the_engine_as_it_was_meant(send: Callable[..., Operation], engine: FakeEngine) -> None:
    operation = send(
        submit="create",
        command="sh -c 'echo \"a b\"'",
        entrypoint='""',
        env_name=["LOG", "EMPTY", ""],
        env_value=["info=1", "", ""],
        env_kept=["", "", ""],
        environment_block="export B=2\n# no\n\nQUOTED='x y'\n",
        port_host=["8080", "", "9000-9001"],
        port_container=["80", "53", "90-91"],
        port_protocol=["tcp", "udp", "tcp"],
        port_host_ip=["", "", "127.0.0.1"],
        volume_name=["data"],
        volume_target=["/data"],
        volume_mode=["ro"],
        tmpfs_target=["/run/x"],
        tmpfs_size=["16 MB"],
        restart_policy="on-failure",
        restart_max_retries="4",
        memory="0.5 GB",
        cpus="1,5",
        pids_limit="100",
        health="command",
        health_test="true",
        health_interval="1m30s",
        health_timeout="5",
        health_retries="2",
        health_start_period="10s",
        label_name=["team", ""],
        label_value=["red", ""],
        user="1000:1000",
        working_directory="/srv",
        hostname="web",
        stop_timeout="20",
        tty="on",
        open_stdin="on",
        read_only_root="on",
    )

    assert operation.state == "succeeded", operation.error
    spec = spec_of(engine)
    assert spec.labels[0] == ("team", "red")
    assert dict(spec.labels)[OPERATION_LABEL] == str(operation.pk)
    assert dict(spec.labels)[SIGNATURE_LABEL] == signature("container", str(operation.pk))
    assert spec == ContainerSpec(
        name="web-1",
        image="starter:latest",
        command=("sh", "-c", 'echo "a b"'),
        entrypoint=(),
        environment=(("LOG", "info=1"), ("EMPTY", ""), ("B", "2"), ("QUOTED", "x y")),
        labels=spec.labels,
        hostname="web",
        user="1000:1000",
        working_directory="/srv",
        tty=True,
        open_stdin=True,
        init=True,
        read_only_root=True,
        ports=(
            PublishedPort(container_port=80, host_port=8080),
            PublishedPort(container_port=53, protocol="udp"),
            PublishedPort(container_port=90, host_port=9000, host_ip="127.0.0.1"),
            PublishedPort(container_port=91, host_port=9001, host_ip="127.0.0.1"),
        ),
        volumes=(VolumeMount(volume="data", target="/data", read_only=True),),
        tmpfs=(TmpfsMount(target="/run/x", size_bytes=16 * 1024 * 1024),),
        restart_policy=RestartPolicy.ON_FAILURE,
        restart_max_retries=4,
        memory_bytes=512 * 1024 * 1024,
        nano_cpus=1_500_000_000,
        pids_limit=100,
        healthcheck=Healthcheck(test="true", interval=90, timeout=5, retries=2, start_period=10),
        stop_timeout=20,
    )


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", "x", "two or more letters"),
        ("name", "we b", "two or more letters"),
        ("name", "-web", "two or more letters"),
        ("host", "", "Choose the host"),
        ("host", "00000000-0000-0000-0000-000000000000", "Choose the host"),
        ("image", "", "Which image?"),
        ("image", "Not An Image", "no image reference"),
        ("image", "-oProxyCommand=x", "no image reference"),
        ("pull", "sometimes", "Choose one of the possibilities"),
        ("command", "echo 'open", "quotation mark"),
        ("entrypoint", "sh \\", "backslash"),
        ("environment_block", "no equals sign", "Line 1 is not KEY=VALUE"),
        ("hostname", "a_b", "letters, digits"),
        ("user", "$(id)", "user name or number"),
        ("working_directory", "srv", "begins with"),
        ("working_directory", "/a/../b", "cannot hold"),
        ("restart_policy", "sometimes", "Choose one of the possibilities"),
        ("memory", "5", "Which unit?"),
        ("memory", "5 MB", "6 MB or more"),
        ("memory", "lots", "no size"),
        ("memory", "999999999999999 TB", "more than any machine"),
        ("cpus", "0", "0.01"),
        ("cpus", "nan", "0.01"),
        ("cpus", "1e9", "0.01"),
        ("pids_limit", "-1", "no whole number"),
        ("stop_timeout", "soon", "no duration"),
        ("network", "container:abc", "Choose one of the host"),
        ("health", "sometimes", "Choose one of the possibilities"),
        ("evil", "1", "no field “evil”"),
        ("HostConfig", '{"Privileged":true}', "no field “HostConfig”"),
    ],
)
def test_bad_input_is_told_at_its_field_and_nothing_happens(
    alice: User, client_of: ClientOf, form: Form, engine: FakeEngine, field: str, value: str, sentence: str
) -> None:
    answer = client_of(alice).post(URL, {**form, field: value, "label_name": "keep", "label_value": "what I typed"})

    assert answer.status_code == 422
    page = answer.content.decode()
    assert sentence in page
    assert "One thing needs your attention" in page
    assert "what I typed" in page
    assert engine.calls == []
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"env_name": ["A", "A"], "env_value": ["1", "2"]}, "here twice"),
        ({"env_name": ["A B"], "env_value": ["1"]}, "without spaces"),
        ({"env_name": [""], "env_value": ["1"]}, "without spaces"),
        ({"label_name": ["pilothouse.owner"], "label_value": ["me"]}, "the console&#x27;s own"),
        ({"label_name": ["PilotHouse.owner"], "label_value": ["me"]}, "the console&#x27;s own"),
        ({"port_container": ["0"]}, "from 1 to 65535"),
        ({"port_container": ["70000"]}, "from 1 to 65535"),
        ({"port_container": ["90-80"]}, "ends before it begins"),
        ({"port_container": ["1-65535"]}, "at most"),
        ({"port_container": ["80"], "port_host": ["8000-8001"]}, "same number of ports"),
        ({"port_container": [""], "port_host": ["80"]}, "Which port of the container?"),
        ({"port_container": ["80"], "port_protocol": ["icmp"]}, "tcp, udp or sctp"),
        ({"port_container": ["80"], "port_host_ip": ["localhost"]}, "no IP address"),
        ({"port_container": ["80", "81"], "port_host": ["8080", "8080"]}, "8080 is here twice"),
        ({"port_container": ["80"], "network": "host"}, "nothing can be published"),
        ({"volume_name": ["/etc"], "volume_target": ["/h"]}, "a path of the host is not possible"),
        ({"volume_name": ["../etc"], "volume_target": ["/h"]}, "a path of the host is not possible"),
        ({"volume_name": ["data"], "volume_target": ["data"]}, "begins with"),
        ({"volume_name": ["data"], "volume_target": ["/"]}, "whole file system"),
        ({"volume_name": ["data"], "volume_target": ["/a:/b"]}, "cannot hold"),
        ({"volume_name": ["a1", "b1"], "volume_target": ["/d", "/d/"]}, "mounted at /d already"),
        ({"volume_name": ["a1"], "volume_target": ["/d"], "volume_mode": ["exec"]}, "Choose one of"),
        ({"tmpfs_target": ["/t"], "tmpfs_size": ["1 KB"]}, "4 KB or more"),
        ({"tmpfs_target": ["/t"], "tmpfs_size": ["big"]}, "no size"),
        ({"health": "command", "health_test": ""}, "Which command tells"),
        ({"health": "command", "health_test": "true", "health_interval": "0"}, "from 1 to 86400"),
        ({"health": "command", "health_test": "true", "health_retries": "0"}, "from 1 to 1000"),
        ({"restart_policy": "on-failure", "restart_max_retries": "5000"}, "from 0 (no limit) to 1000"),
    ],
)
def test_bad_rows_are_told_in_their_row(
    alice: User, client_of: ClientOf, form: Form, engine: FakeEngine, fields: Form, sentence: str
) -> None:
    answer = client_of(alice).post(URL, {**form, **fields})

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert engine.calls == []


def test_a_name_is_suggested_that_is_free(send: Callable[..., Operation], engine: FakeEngine) -> None:
    send(name="")
    send(name="")

    assert [spec.name for spec in engine.specs] == ["starter", "starter-2"]


def test_the_name_of_one_that_is_still_on_its_way_is_not_suggested_again(
    alice: User, client_of: ClientOf, form: Form, run_operations: Callable[[], None], engine: FakeEngine
) -> None:
    client = client_of(alice)
    for _time in range(2):
        client.post(URL, {**form, "name": ""})
    run_operations()

    assert [spec.name for spec in engine.specs] == ["starter", "starter-2"]
    assert set(Operation.objects.values_list("state", flat=True)) == {"succeeded"}


def test_a_taken_name_is_told_at_once(
    alice: User, client_of: ClientOf, form: Form, make_container: Callable[..., ObservedContainer], engine: FakeEngine
) -> None:
    make_container("web-1")

    answer = client_of(alice).post(URL, form)

    assert answer.status_code == 422
    assert "has this name already" in answer.content.decode()
    assert engine.calls == []


def test_a_name_taken_meanwhile_fails_and_touches_nothing(
    send: Callable[..., Operation], make_container: Callable[..., ObservedContainer], ask: Callable[..., Any]
) -> None:
    other = make_container("web-1")
    other.delete()

    operation = send()

    assert (operation.state, operation.error_code) == ("failed", "name_taken")
    assert operation.next_step
    assert ask("inspect_container", "web-1").container.container_id == other.container_id


def test_a_container_that_only_claims_to_be_ours_is_not_adopted(
    alice: User, host: Host, make_container: Callable[..., ObservedContainer], run_operations: Callable[[], None]
) -> None:
    spec = ContainerSpec(name="web-1", image="starter:latest", command=("sleep", "1000"))
    operation = create_container(actor=alice, host=host, spec=spec, pull="never", start=True)
    make_container("web-1", labels=((OPERATION_LABEL, str(operation.pk)), (SIGNATURE_LABEL, "0" * 64)))

    run_operations()

    operation.refresh_from_db()
    assert (operation.state, operation.error_code) == ("failed", "name_taken")


def test_what_the_same_operation_made_before_is_adopted(
    alice: User,
    host: Host,
    make_container: Callable[..., ObservedContainer],
    run_operations: Callable[[], None],
    engine: FakeEngine,
) -> None:
    spec = ContainerSpec(name="web-1", image="starter:latest", command=("sleep", "1000"))
    operation = create_container(actor=alice, host=host, spec=spec, pull="never", start=True)
    signed = ((OPERATION_LABEL, str(operation.pk)), (SIGNATURE_LABEL, signature("container", str(operation.pk))))
    made = make_container("web-1", start=False, labels=signed)

    run_operations()

    operation.refresh_from_db()
    assert (operation.state, operation.object_id) == ("succeeded", made.container_id)
    assert changes(engine) == ["start_container"]


def test_what_an_earlier_run_started_and_somebody_stopped_is_not_started_again(
    alice: User,
    host: Host,
    make_container: Callable[..., ObservedContainer],
    ask: Callable[..., Any],
    run_operations: Callable[[], None],
    engine: FakeEngine,
) -> None:
    spec = ContainerSpec(name="web-1", image="starter:latest", command=("sleep", "1000"))
    operation = create_container(actor=alice, host=host, spec=spec, pull="never", start=True)
    signed = ((OPERATION_LABEL, str(operation.pk)), (SIGNATURE_LABEL, signature("container", str(operation.pk))))
    made = make_container("web-1", labels=signed)
    ask("stop_container", made.container_id)
    engine.calls.clear()

    run_operations()

    operation.refresh_from_db()
    assert operation.is_ended
    assert changes(engine) == []


async def test_one_removed_while_it_is_waited_for_ends_the_create_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    spec = ContainerSpec(name="web-1", image="starter:latest", command=("sleep", "1000"))
    context = OperationContext(
        operation_id=uuid4(),
        arguments={"spec": to_arguments(spec), "pull": "never", "start": True},
        object_id="",
        object_name="web-1",
        attempt=1,
        engine=engine,
    )
    start = engine.start_container

    async def start_and_remove(container_id: str) -> None:
        await start(container_id)
        await engine.remove_container(container_id, force=True)

    monkeypatch.setattr(engine, "start_container", start_and_remove)
    with pytest.raises(Halted, match="removed"):
        await handlers.create(context)
    assert "container.remove" in context.undone_by


def test_a_retry_goes_on_with_the_container_that_was_kept(
    alice: User,
    send: Callable[..., Operation],
    make_container: Callable[..., ObservedContainer],
    ask: Callable[..., Any],
    run_operations: Callable[[], None],
) -> None:
    other = make_container("other", ports=(PublishedPort(container_port=80, host_port=8080),))
    failed = send(port_host=["8080"], port_container=["80"])
    assert failed.error_code == "port_taken"
    ask("stop_container", other.container_id)

    retried = retry_operation(actor=alice, operation=failed)
    run_operations()

    retried.refresh_from_db()
    assert (retried.state, retried.object_id) == ("succeeded", failed.object_id), retried.error
    assert ObservedContainer.objects.get(name="web-1").state == "running"


def test_every_further_retry_goes_on_with_it_too(
    alice: User,
    send: Callable[..., Operation],
    make_container: Callable[..., ObservedContainer],
    ask: Callable[..., Any],
    run_operations: Callable[[], None],
) -> None:
    other = make_container("other", ports=(PublishedPort(container_port=80, host_port=8080),))
    first = send(port_host=["8080"], port_container=["80"])
    latest = first
    for _time in range(2):
        latest = retry_operation(actor=alice, operation=latest)
        run_operations()
        latest.refresh_from_db()
        assert (latest.error_code, latest.object_id) == ("port_taken", first.object_id)
    ask("stop_container", other.container_id)

    latest = retry_operation(actor=alice, operation=latest)
    run_operations()

    latest.refresh_from_db()
    assert (latest.state, latest.object_id) == ("succeeded", first.object_id), latest.error


@pytest.mark.parametrize("step", ["create_container", "start_container"])
async def test_what_a_cancelled_create_made_is_removed(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    engine = FakeEngine()
    context = OperationContext(
        operation_id=uuid4(),
        arguments={
            "spec": to_arguments(ContainerSpec(name="web-1", image="starter:latest", command=("sleep", "1000"))),
            "pull": "never",
            "start": True,
        },
        object_id="",
        object_name="web-1",
        attempt=1,
        engine=engine,
    )
    reached = asyncio.Event()
    original = getattr(engine, step)

    async def never_answer(*arguments: Any, **options: Any) -> Any:
        if step == "create_container":
            # The engine has done it; only its answer never comes.
            await original(*arguments, **options)
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(engine, step, never_answer)
    task = asyncio.ensure_future(handlers.create(context))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not engine._containers


async def test_one_cancelled_after_its_start_keeps_the_container_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_SETTLE", 60)
    engine = FakeEngine()
    spec = ContainerSpec(name="web-1", image="starter:latest", command=("sleep", "1000"))
    context = OperationContext(
        operation_id=uuid4(),
        arguments={"spec": to_arguments(spec), "pull": "never", "start": True},
        object_id="",
        object_name="web-1",
        attempt=1,
        engine=engine,
    )
    settling = asyncio.Event()

    def settle(_detail: object) -> int:
        settling.set()
        return 0

    monkeypatch.setattr(handlers, "_health_bound", settle)
    task = asyncio.ensure_future(handlers.create(context))
    await settling.wait()
    task.cancel()
    with pytest.raises(Halted) as halted:
        await task

    assert "kept" in halted.value.message
    assert halted.value.next_step
    assert (await engine.inspect_container("web-1")).container.state == "running"
    await engine.shut_down()


async def test_a_cancelled_retry_leaves_what_an_earlier_operation_made() -> None:
    engine = FakeEngine()
    earlier = uuid4()
    signed = ((OPERATION_LABEL, str(earlier)), (SIGNATURE_LABEL, signature("container", str(earlier))))
    spec = ContainerSpec(name="web-1", image="starter:latest", command=("sleep", "1000"))
    kept = await engine.create_container(replace(spec, labels=signed))
    context = OperationContext(
        operation_id=uuid4(),
        arguments={},
        object_id="",
        object_name="web-1",
        attempt=1,
        engine=engine,
        repeats=[earlier],
    )

    await handlers._undo(context, spec, kept)

    assert list(engine._containers) == [kept]


def test_a_reply_that_was_lost_does_not_make_a_second_one(
    send: Callable[..., Operation], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = engine.create_container

    async def create_and_conflict(spec: ContainerSpec) -> str:
        await create(spec)
        raise Conflict("The container name is already in use", reason="name_taken")

    monkeypatch.setattr(engine, "create_container", create_and_conflict)

    assert send().state == "succeeded"
    assert ObservedContainer.objects.get().state == "running"


def test_an_image_that_is_missing_is_pulled_layer_by_layer(send: Callable[..., Operation], engine: FakeEngine) -> None:
    operation = send(image="demo:latest")

    assert operation.state == "succeeded", operation.error
    assert operation.progress["phases"][0] == "pull"
    assert changes(engine)[:2] == ["pull_image", "create_container"]


def test_an_image_that_is_there_is_pulled_only_when_asked(send: Callable[..., Operation], engine: FakeEngine) -> None:
    engine.registry["starter:latest"] = (1000,)
    send()
    assert "pull_image" not in engine.calls
    send(name="web-2", pull="always")
    assert "pull_image" in engine.calls


@pytest.mark.parametrize(("pull", "code"), [("never", "image_missing"), ("missing", "image_missing")])
def test_an_unknown_image_fails_with_a_next_step(
    send: Callable[..., Operation], engine: FakeEngine, pull: str, code: str
) -> None:
    operation = send(image="nosuch:1", pull=pull)

    assert (operation.state, operation.error_code) == ("failed", code)
    assert operation.next_step
    assert "create_container" not in engine.calls


def test_a_program_that_fails_is_told_with_its_last_lines(send: Callable[..., Operation]) -> None:
    operation = send(command="sh -c 'echo loading; echo no config >&2; exit 3'")

    assert (operation.state, operation.error_code) == ("failed", "exited")
    assert "exit code 3" in operation.error
    assert "no config" in operation.error
    assert "no config" in operation.output
    assert ObservedContainer.objects.get().exit_code == 3


def test_a_program_that_ends_well_at_once_is_a_success(send: Callable[..., Operation]) -> None:
    operation = send(command="echo done")

    assert operation.state == "succeeded", operation.error
    assert "done" in operation.output


def test_a_taken_port_keeps_the_container_and_says_so(
    send: Callable[..., Operation], make_container: Callable[..., ObservedContainer]
) -> None:
    make_container("other", ports=(PublishedPort(container_port=80, host_port=8080),))

    operation = send(port_host=["8080"], port_container=["80"])

    assert (operation.state, operation.error_code) == ("failed", "port_taken")
    assert "kept" in operation.next_step
    assert ObservedContainer.objects.get(name="web-1").state == "created"


def test_it_waits_until_the_health_check_succeeds(send: Callable[..., Operation]) -> None:
    operation = send(health="command", health_test="true", health_interval="1", health_timeout="1", health_retries="1")

    assert operation.state == "succeeded", operation.error
    assert ObservedContainer.objects.get().health == "healthy"


def test_a_failing_health_check_fails_the_operation(send: Callable[..., Operation]) -> None:
    operation = send(health="command", health_test="false", health_interval="1", health_timeout="1", health_retries="1")

    assert (operation.state, operation.error_code) == ("failed", "unhealthy")
    assert operation.next_step


def test_what_differs_from_the_wish_is_removed_before_it_runs(
    send: Callable[..., Operation], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = engine.create_container

    async def create_privileged(spec: ContainerSpec) -> str:
        container_id = await create(spec)
        engine._containers[container_id].body["HostConfig"]["Privileged"] = True
        return container_id

    monkeypatch.setattr(engine, "create_container", create_privileged)

    operation = send()

    assert (operation.state, operation.error_code) == ("failed", "mismatch")
    assert "Privileged" in operation.error
    assert "start_container" not in engine.calls
    assert not engine._containers


def test_a_host_that_does_not_answer_is_told(send: Callable[..., Operation], engine: FakeEngine) -> None:
    engine.fail_next("inspect_container", TimedOut("no answer within 10 s"))

    operation = send()

    assert (operation.state, operation.error_code) == ("failed", "timed_out")
    assert "harbour" in operation.error


def test_the_worker_checks_again_what_is_in_the_row(
    alice: User, host: Host, run_operations: Callable[[], None], engine: FakeEngine
) -> None:
    spec = ContainerSpec(name="web-1", image="starter:latest")
    operation = create_container(actor=alice, host=host, spec=spec, pull="never", start=True)
    for arguments in (
        {**operation.arguments, "spec": {**operation.arguments["spec"], "privileged": True}},
        {**operation.arguments, "spec": {**operation.arguments["spec"], "tty": "yes"}},
        {**operation.arguments, "spec": {**operation.arguments["spec"], "volumes": [{"volume": "/", "target": "/h"}]}},
        {**operation.arguments, "spec": {**operation.arguments["spec"], "labels": [["pilothouse.x", "1"]]}},
        {},
    ):
        operation.arguments = arguments
        operation.state = "queued"
        operation.save()
        run_operations()
        operation.refresh_from_db()
        assert (operation.state, operation.error_code) == ("failed", "invalid"), operation.error
    assert changes(engine) == []


def test_the_record_holds_no_values(alice: User, client_of: ClientOf, form: Form) -> None:
    client_of(alice).post(URL, {**form, "env_name": "DB_PASSWORD", "env_value": "canary-7f3"})

    assert "canary-7f3" not in repr(list(AuditEvent.objects.values()))
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT arguments FROM operations_operation")
        assert "canary-7f3" not in repr(cursor.fetchall())


def test_duplicating_fills_the_form_and_keeps_secrets_out_of_the_page(
    alice: User,
    client_of: ClientOf,
    make_container: Callable[..., ObservedContainer],
    run_operations: Callable[[], None],
    form: Form,
    engine: FakeEngine,
) -> None:
    container = make_container(
        "shop",
        environment=(("DB_PASSWORD", "canary-7f3"), ("LOG", "debug")),
        memory_bytes=64 * 1024 * 1024,
        labels=(("team", "red"), ("api_token", "canary-9a1")),
    )
    source = f"{container.host_id}/{container.container_id}"
    client = client_of(alice)

    page = client.get(f"{URL}?from={source}").content.decode()

    assert "canary" not in page
    assert 'value="debug"' in page
    assert 'value="red"' in page
    assert 'value="64 MB"' in page
    assert 'value="shop-2"' in page
    client.post(
        URL,
        {
            **form,
            "source": source,
            "env_name": ["DB_PASSWORD", "LOG"],
            "env_value": ["", "debug"],
            "env_kept": ["1", ""],
            "label_name": ["api_token", "team"],
            "label_value": ["", "red"],
            "label_kept": ["1", ""],
        },
    )
    run_operations()
    assert engine.specs[-1].environment == (("DB_PASSWORD", "canary-7f3"), ("LOG", "debug"))
    labels = {name: value for name, value in engine.specs[-1].labels if not name.startswith("pilothouse.")}
    assert labels == {"api_token": "canary-9a1", "team": "red"}


@pytest.mark.parametrize(
    ("field", "section"), [("env", "Environment"), ("label", "Labels")], ids=["a variable", "a label"]
)
def test_a_value_that_cannot_be_taken_over_is_asked_for(
    alice: User,
    client_of: ClientOf,
    container: ObservedContainer,
    form: Form,
    engine: FakeEngine,
    field: str,
    section: str,
) -> None:
    source = f"{container.host_id}/{container.container_id}"
    kept = {f"{field}_name": "API_TOKEN", f"{field}_value": "", f"{field}_kept": "1"}
    gone = client_of(alice).post(URL, {**form, "source": source, **kept})
    engine.fail_next("inspect_container", Unreachable("no such socket"))
    dead = client_of(alice).post(URL, {**form, "source": source, **kept})

    assert f"{section}</a>: There is no value to take over any more; type it." in gone.content.decode()
    assert f"{section}</a>: The values to take over could not be read" in dead.content.decode()
    assert changes(engine) == []


def _asked(form: Form) -> Form:
    return {
        **form,
        "image": "gone:latest",
        "pull": "never",
        "memory": "64 MB",
        "env_name": ["DB_PASSWORD", "LOG"],
        "env_value": ["canary-7f3", "debug"],
        "port_host": ["8080"],
        "port_container": ["80"],
    }


def test_what_failed_is_corrected_in_a_form_that_holds_what_was_typed(
    alice: User,
    client_of: ClientOf,
    form: Form,
    send: Callable[..., Operation],
    run_operations: Callable[[], None],
    engine: FakeEngine,
) -> None:
    failed = send(**_asked(form))
    client = client_of(alice)
    for part in ("", "panel/"):
        assert f"{URL}?again={failed.pk}" in client.get(f"/operations/{failed.pk}/{part}").content.decode()

    page = client.get(f"{URL}?again={failed.pk}").content.decode()

    assert "canary-7f3" not in page
    for value in ("web-1", "gone:latest", "sleep 1000", "64 MB", "8080", "debug", f"operation:{failed.pk}"):
        assert f'value="{value}"' in page
    assert '<option value="never" selected>' in page
    corrected = {**_asked(form), "image": "starter:latest", "source": f"operation:{failed.pk}"}
    client.post(URL, {**corrected, "env_value": ["", "info"], "env_kept": ["1", ""]})
    run_operations()
    assert Operation.objects.latest("created_at").state == "succeeded"
    assert engine.specs[-1].environment == (("DB_PASSWORD", "canary-7f3"), ("LOG", "info"))


def test_where_a_container_was_kept_another_name_is_suggested(
    alice: User, client_of: ClientOf, send: Callable[..., Operation], make_container: Callable[..., ObservedContainer]
) -> None:
    make_container("other", ports=(PublishedPort(container_port=80, host_port=8080),))
    failed = send(port_host=["8080"], port_container=["80"])

    page = client_of(alice).get(f"{URL}?again={failed.pk}").content.decode()

    assert 'value="web-1-2"' in page
    assert "A container named web-1 is there" in page


def test_only_an_end_that_is_no_success_is_corrected(
    alice: User, client_of: ClientOf, form: Form, send: Callable[..., Operation]
) -> None:
    client = client_of(alice)
    done = send()
    client.post(URL, {**form, "name": "web-2"})
    queued = Operation.objects.get(object_name="web-2")
    cancelled = Operation.objects.create(
        kind="container.create", host=done.host, state="cancelled", ended_at=timezone.now()
    )

    shown = [client.get(f"/operations/{each.pk}/").content.decode() for each in (done, queued, cancelled)]
    assert ["?again=" in page for page in shown] == [False, False, True]


def test_what_cannot_be_read_any_more_fills_in_host_and_name(alice: User, client_of: ClientOf, host: Host) -> None:
    operation = Operation.objects.create(kind="container.create", host=host, object_name="web-1", state="failed")
    client = client_of(alice)

    pages = [client.get(f"{URL}?again={operation.pk}").content.decode()]
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE operations_operation SET arguments = 'of another key'")
    pages.append(client.get(f"{URL}?again={operation.pk}").content.decode())
    for page in pages:
        assert "only host and name are filled in" in page
        assert 'value="web-1"' in page
        assert f'<option value="{host.pk}" selected>' in page


def test_only_a_create_that_one_may_see_is_corrected(
    alice: User, charlie: User, client_of: ClientOf, form: Form, host: Host, send: Callable[..., Operation]
) -> None:
    failed = send(**_asked(form))
    other = Operation.objects.create(kind="container.start", host=host, state="failed")

    assert client_of(charlie).get(f"{URL}?again={failed.pk}").status_code == 403
    for text in (str(other.pk), str(uuid4()), "x", "../etc"):
        assert client_of(alice).get(URL, {"again": text}).status_code == 404
        data = {**_asked(form), "source": f"operation:{text}", "env_value": ["", ""], "env_kept": ["1", ""]}
        assert client_of(alice).post(URL, data).status_code == 404


def test_a_link_only_fills_in(alice: User, client_of: ClientOf, host: Host, engine: FakeEngine) -> None:
    page = client_of(alice).get(f"{URL}?image=starter:latest&command=rm&submit=start").content.decode()

    assert 'value="starter:latest"' in page
    assert 'value="rm"' not in page
    assert engine.calls == []
    assert not Operation.objects.exists()


def test_the_networks_of_the_chosen_host_are_offered(alice: User, client_of: ClientOf, host: Host) -> None:
    ObservedNetwork.objects.create(
        host=host, network_id="1" * 64, name="backend", driver="bridge", observed_at=timezone.now()
    )

    page = client_of(alice).get(f"{URL}choices/?host={host.pk}").content.decode()

    assert "backend (bridge)" in page


def test_without_hosts_the_page_says_how_to_add_one(alice: User, client_of: ClientOf) -> None:
    page = client_of(alice).get(URL).content.decode()

    assert "No host yet" in page
    assert "/hosts/add/" in page


def test_a_stranger_is_refused(charlie: User, client_of: ClientOf, form: Form, engine: FakeEngine) -> None:
    client = client_of(charlie)

    assert client.get(URL).status_code == 403
    assert client.post(URL, form).status_code == 403
    assert client.post(f"{URL}preview/", form).status_code == 403
    assert client.get(f"{URL}choices/").status_code == 403
    assert engine.calls == []
    assert not Operation.objects.exists()


def test_other_methods_are_refused(alice: User, client_of: ClientOf) -> None:
    client = client_of(alice)

    assert client.put(URL).status_code == 405
    assert client.get(f"{URL}preview/").status_code == 405
