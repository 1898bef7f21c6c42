"""A container's log over its socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from console.accounts.models import Role, User
from console.audit.models import AuditEvent
from console.gateway import Terminated, Unreachable
from console.inventory.models import ObservedContainer
from console.lib.websocket import in_database
from runtime.testing import FakeEngine
from tests.console.terminals.conftest import Connect, Viewer, untouched

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], str]
Run = Callable[..., Any]
TEN_LINES = "echo 1; echo 2; echo 3 >&2; echo 4; echo 5; echo 6; echo 7; echo 8; echo 9; echo 10; sleep 1000"


def asking(container: ObservedContainer, **parameters: Any) -> dict[str, Any]:
    return {"type": "open", "host": str(container.host_id), "container": container.container_id, **parameters}


async def lines_until(viewer: Viewer, last: bytes) -> list[tuple[int, bytes]]:
    """Collect lines with their channels until ``last`` has come."""
    partial = {1: b"", 2: b""}
    lines: list[tuple[int, bytes]] = []
    while not any(line.endswith(last) for _channel, line in lines):
        for channel, data in await viewer.blocks():
            *whole, partial[channel] = (partial[channel] + data).split(b"\n")
            lines += [(channel, line) for line in whole]
        viewer.acknowledge()
    return lines


async def test_the_last_lines_come_with_their_channel(
    alice: User, signed_in: SignIn, connect: Connect, run: Run
) -> None:
    container = await run("sh", "-c", TEN_LINES)
    key = await in_database(lambda: signed_in(alice))
    viewer = await connect("/ws/logs/", key, first=asking(container, tail=8, follow=True))
    assert (await viewer.control("opened"))["window"] == 256 * 1024
    lines = await lines_until(viewer, b"10")
    assert lines[0] == (2, b"3")
    assert [line for _channel, line in lines] == [b"3", b"4", b"5", b"6", b"7", b"8", b"9", b"10"]


async def test_only_what_was_asked_for_comes(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> None:
    container = await run("sh", "-c", TEN_LINES)
    key = await in_database(lambda: signed_in(alice))
    viewer = await connect("/ws/logs/", key, first=asking(container, stdout=False))
    assert await lines_until(viewer, b"3") == [(2, b"3")]
    assert await viewer.control("end")
    assert (await viewer.ending())[0] == 1000


async def test_timestamps_come_when_asked_for(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> None:
    container = await run("sh", "-c", TEN_LINES)
    key = await in_database(lambda: signed_in(alice))
    viewer = await connect("/ws/logs/", key, first=asking(container, tail=1, timestamps=True))
    ((_channel, line),) = await lines_until(viewer, b"10")
    assert line.startswith(b"20")
    assert line.endswith(b" 10")


async def test_it_follows_until_the_container_ends(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("cat")
    key = await in_database(lambda: signed_in(alice))
    viewer = await connect("/ws/logs/", key, first=asking(container, follow=True))
    await viewer.control("opened")
    process = engine.processes(container.container_id)[0]
    await process.feed(b"news\n")
    assert await lines_until(viewer, b"news") == [(1, b"news")]
    await engine.kill_container(container.container_id)
    assert await viewer.control("end")


async def test_a_viewer_that_reads_nothing_stops_the_replay(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("yes", "0123456789")
    key = await in_database(lambda: signed_in(alice))
    viewer = await connect("/ws/logs/", key, first=asking(container, follow=True))
    await viewer.control("opened")
    size = await viewer.waiting()
    assert size <= 256 * 1024 + 64 * 1024
    await engine.kill_container(container.container_id)


async def test_a_viewer_that_stalls_beside_a_quick_one_is_told_what_it_lost(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("cat")
    key = await in_database(lambda: signed_in(alice))
    stalled, quick = [await connect("/ws/logs/", key, first=asking(container, follow=True)) for _ in range(2)]
    process = engine.processes(container.container_id)[0]
    for viewer in (stalled, quick):
        await viewer.control("opened")
    await process.feed(b"first\n")
    await lines_until(quick, b"first")
    await lines_until(stalled, b"first")
    for number in range(40):
        await process.feed(b"%d\n" % number + (b"x" * 999 + b"\n") * 100)
        await lines_until(quick, b"x" * 999)
    await process.feed(b"last\n")
    await lines_until(quick, b"last")
    while (message := await stalled.next()).get("bytes"):
        stalled.acknowledge()
    skipped = json.loads(message["text"])
    assert skipped["type"] == "skipped"
    assert skipped["lost"] > 1_000_000
    assert (await lines_until(stalled, b"last"))[-1] == (1, b"last")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "follow"},
        {"host": "harbour"},
        {"container": "web-1"},
        {"container": "../../info"},
        {"tail": -1},
        {"tail": "all of it"},
        {"since": -5},
        {"since": "yesterday"},
        {"until": 1e20},
        {"Tail": 5},
        {"path": "/etc/passwd"},
    ],
)
async def test_wrong_parameters_are_refused(
    change: dict[str, Any], alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    with untouched(engine):
        viewer = await connect("/ws/logs/", key, first={**asking(container), **change})
        code, error = await viewer.ending()
    assert code == 4400
    assert error is not None
    assert error["message"]


async def test_a_container_nobody_knows_is_not_found(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    container.container_id = "b" * 64
    key = await in_database(lambda: signed_in(alice))
    with untouched(engine):
        viewer = await connect("/ws/logs/", key, first=asking(container))
        assert (await viewer.ending())[0] == 4404


@pytest.mark.parametrize("path", ["/ws/logs/", "/ws/stats/"])
async def test_a_stranger_is_refused(
    path: str, charlie: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(charlie))
    with untouched(engine):
        viewer = await connect(path, key, first=asking(container))
        assert (await viewer.ending())[0] in (4403, 4404)


async def test_who_may_see_and_not_read_is_refused_and_recorded(
    alice: User,
    signed_in: SignIn,
    connect: Connect,
    run: Run,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("console.rbac.access.allowed", lambda _user, action, **_of: action != "container.logs")
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    with untouched(engine):
        viewer = await connect("/ws/logs/", key, first=asking(container))
        assert (await viewer.ending())[0] == 4403
    event = await in_database(lambda: AuditEvent.objects.get(outcome="denied"))
    assert (event.action, event.actor_name, event.address) == ("container.logs", "alice", "192.0.2.7")


async def test_it_takes_no_input(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    viewer = await connect("/ws/logs/", key, first=asking(container, follow=True))
    await viewer.control("opened")
    viewer.send_bytes(b"rm -rf /\n")
    assert (await viewer.ending())[0] == 4400


@pytest.mark.parametrize("method", ["inspect_container", "logs"])
async def test_an_engine_in_trouble_is_told_in_words(
    method: str, alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    trouble = Terminated("cut") if method == "logs" else Unreachable("no connection")
    engine.fail_next(method, trouble)
    viewer = await connect("/ws/logs/", key, first=asking(container))
    code, error = await viewer.ending()
    assert code == 1011
    assert error is not None
    assert error["next_step"]


async def test_bob_reads_once_he_is_an_admin(bob: User, signed_in: SignIn, connect: Connect, run: Run) -> None:
    await in_database(lambda: User.objects.filter(pk=bob.pk).update(role=Role.ADMIN))
    container = await run("sh", "-c", TEN_LINES)
    viewer = await connect("/ws/logs/", await in_database(lambda: signed_in(bob)), first=asking(container, tail=1))
    assert await lines_until(viewer, b"10") == [(1, b"10")]


@pytest.mark.parametrize("field", ["stdout", "stderr", "timestamps", "follow", "tail", "since"])
@pytest.mark.parametrize("value", [[], {}, [True], {"a": 1}])
async def test_a_value_that_is_none_is_refused(
    field: str, value: Any, alice: User, signed_in: SignIn, connect: Connect, run: Run
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    viewer = await connect("/ws/logs/", key, first=asking(container, **{field: value}))
    assert (await viewer.ending())[0] == 4400
