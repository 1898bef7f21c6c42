"""A worker writes the row of the container it changed, so that the page that waited shows the result."""

from __future__ import annotations

import pytest

from console import gateway
from console.gateway import ContainerEngine, ContainerSpec, EngineFailure
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedImage, Rank
from console.inventory.services import observe_container, observe_images
from runtime.testing import FakeEngine


def create(host: Host, name: str) -> str:
    spec = ContainerSpec(name=name, image="starter:latest", command=("sleep", "1000"))
    return gateway.call(host.endpoint, lambda engine: engine.create_container(spec))


def test_the_row_is_as_the_engine_says(host: Host, told: list[str]) -> None:
    container_id = create(host, "web")
    observe_container(host, container_id)
    assert ObservedContainer.objects.get().state == "created"
    assert f"container:{host.id}:{container_id}" in told


def test_only_the_one_container_is_asked_for(host: Host) -> None:
    web, other = create(host, "web"), create(host, "other")
    observe_container(host, web)
    assert [row.container_id for row in ObservedContainer.objects.all()] == [web]
    observe_container(host, other)
    assert ObservedContainer.objects.count() == 2


def test_a_container_that_is_gone_loses_its_row(host: Host) -> None:
    container_id = create(host, "web")
    observe_container(host, container_id)
    gateway.call(host.endpoint, lambda engine: engine.remove_container(container_id))
    observe_container(host, container_id)
    assert not ObservedContainer.objects.exists()


def test_what_an_operation_stopped_is_no_problem(host: Host) -> None:
    container_id = create(host, "web")

    async def end(engine: ContainerEngine) -> None:
        await engine.start_container(container_id)
        await engine.kill_container(container_id)

    gateway.call(host.endpoint, end)
    observe_container(host, container_id)
    assert ObservedContainer.objects.get().rank == Rank.PROBLEM
    observe_container(host, container_id, end_requested=True)
    assert ObservedContainer.objects.get().rank == Rank.ENDED


def test_an_engine_that_fails_changes_no_row(host: Host, engine: FakeEngine) -> None:
    container_id = create(host, "web")
    observe_container(host, container_id)
    engine.fail_next("list_containers", EngineFailure("no"))
    with pytest.raises(EngineFailure):
        observe_container(host, container_id)
    assert ObservedContainer.objects.exists()


def test_images_can_be_looked_at_too(host: Host) -> None:
    observe_images(host)
    assert ObservedImage.objects.get().name == "starter:latest"
