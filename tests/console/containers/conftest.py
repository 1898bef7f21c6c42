"""Containers in the fake engine, seen by the inventory, and a worker at hand that the views need not wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from console import gateway
from console.containers import action_views
from console.gateway import ContainerEngine, ContainerSpec
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.inventory.services import observe_container
from console.operations.models import Operation
from runtime.testing import FakeEngine

MakeContainer = Callable[..., ObservedContainer]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, run_operations: Callable[[], None]) -> None:
    """A worker that does at once what a view waits for."""

    def run_and_read(operation: Operation, *, timeout: float) -> Operation:
        run_operations()
        operation.refresh_from_db()
        return operation

    monkeypatch.setattr(action_views, "wait_for", run_and_read)


@pytest.fixture
def ask(host: Host) -> Callable[..., Any]:
    """Call a method of the fake engine where it lives: on the gateway's loop."""

    def call(method: str, *arguments: Any, **options: Any) -> Any:
        async def work(engine: ContainerEngine) -> Any:
            return await getattr(engine, method)(*arguments, **options)

        return gateway.call(host.endpoint, work)

    return call


@pytest.fixture
def make_container(host: Host, engine: FakeEngine, ask: Callable[..., Any]) -> Iterator[MakeContainer]:
    """Make a container behind the console's back, as an engine's own client would; the inventory has seen it."""

    def make(name: str = "web-1", *, start: bool = True, **fields: Any) -> ObservedContainer:
        spec = ContainerSpec(name=name, image="starter:latest", **{"command": ("sleep", "1000"), **fields})
        container_id = ask("create_container", spec)
        if start:
            ask("start_container", container_id)
        observe_container(host, container_id)
        engine.calls.clear()
        seen: ObservedContainer = ObservedContainer.objects.select_related("host").get(container_id=container_id)
        return seen

    yield make
    ask("shut_down")


@pytest.fixture
def container(make_container: MakeContainer) -> ObservedContainer:
    """A running container."""
    return make_container()


@pytest.fixture
def stopped(make_container: MakeContainer) -> ObservedContainer:
    """A container that was never started."""
    return make_container("stopped-1", start=False)


def url_of(container: ObservedContainer, part: str = "") -> str:
    """Return the address of a container's page, or of a part of it."""
    return f"/containers/{container.host_id}/{container.container_id}/{part}"


HEADER = {"HX-Request": "true", "HX-Target": "container-header"}
CHANGES = frozenset(
    {
        "create_container",
        "start_container",
        "stop_container",
        "restart_container",
        "kill_container",
        "pause_container",
        "unpause_container",
        "rename_container",
        "remove_container",
        "pull_image",
    }
)


def changes(engine: FakeEngine) -> list[str]:
    """Return what the engine was asked to change."""
    return [call for call in engine.calls if call in CHANGES]
