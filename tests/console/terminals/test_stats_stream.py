"""A container's use of CPU, memory, network and disk over its socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from console.accounts.models import User
from console.gateway import Unreachable
from console.lib.websocket import in_database
from runtime.testing import FakeEngine
from tests.console.terminals.conftest import Connect, untouched

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], str]
Run = Callable[..., Any]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(stats_interval=0.02)


async def test_samples_come_until_the_container_ends(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    first = {"type": "open", "host": str(container.host_id), "container": container.container_id}
    viewer = await connect("/ws/stats/", await in_database(lambda: signed_in(alice)), first=first)
    one, two = await viewer.control("sample"), await viewer.control("sample")
    assert two["at"] > one["at"]
    assert two["cpu_cores"] == 0.25
    assert two["memory_limit_bytes"] == 4 * 1024**3
    assert two["network_received_bytes"] > one["network_received_bytes"]
    await engine.kill_container(container.container_id)
    assert await viewer.control("end")
    assert (await viewer.ending())[0] == 1000


async def test_a_host_that_is_away_is_told_in_words(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    engine.fail_next("stats", Unreachable("no connection"))
    first = {"type": "open", "host": str(container.host_id), "container": container.container_id}
    viewer = await connect("/ws/stats/", await in_database(lambda: signed_in(alice)), first=first)
    code, error = await viewer.ending()
    assert code == 1011
    assert error is not None
    assert "harbour" in error["message"]


@pytest.mark.parametrize(
    "first", [{"type": "open"}, {"type": "watch"}, {"type": "open", "host": "x", "container": "y"}]
)
async def test_wrong_parameters_are_refused(
    first: dict[str, Any], alice: User, signed_in: SignIn, connect: Connect, engine: FakeEngine
) -> None:
    with untouched(engine):
        viewer = await connect("/ws/stats/", await in_database(lambda: signed_in(alice)), first=first)
        assert (await viewer.ending())[0] == 4400


async def test_it_takes_no_frames(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> None:
    container = await run("sleep", "1000")
    first = {"type": "open", "host": str(container.host_id), "container": container.container_id}
    viewer = await connect("/ws/stats/", await in_database(lambda: signed_in(alice)), first=first)
    await viewer.control("sample")
    viewer.send({"type": "ack", "bytes": 0})
    assert (await viewer.ending())[0] == 4400
