"""Images in the fake engine, as the inventory has seen them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from console import gateway
from console.containers import image_views
from console.gateway import ContainerEngine, ContainerSpec
from console.hosts.models import Host
from console.inventory.models import ObservedImage
from console.inventory.services import observe_container, observe_images
from console.operations.models import Operation
from runtime.testing import FakeEngine

AskEngine = Callable[..., Any]


@pytest.fixture
def ask(host: Host) -> AskEngine:
    """Call a method of the fake engine where it lives: on the gateway's loop."""

    def call(method: str, *arguments: Any, **options: Any) -> Any:
        async def work(engine: ContainerEngine) -> Any:
            return await getattr(engine, method)(*arguments, **options)

        return gateway.call(host.endpoint, work)

    return call


@pytest.fixture
def image(host: Host, engine: FakeEngine, ask: AskEngine) -> Iterator[ObservedImage]:
    """The image that the fake engine begins with: starter:latest."""
    observe_images(host)
    engine.calls.clear()
    yield ObservedImage.objects.select_related("host").get()
    ask("shut_down")


@pytest.fixture
def used(image: ObservedImage, host: Host, ask: AskEngine, engine: FakeEngine) -> ObservedImage:
    """The same image, with a container made from it."""
    container_id = ask("create_container", ContainerSpec(name="web-1", image="starter:latest"))
    observe_container(host, container_id)
    engine.calls.clear()
    return image


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, run_operations: Callable[[], None]) -> None:
    """A worker that does at once what a view waits for."""

    def run_and_read(operation: Operation) -> Operation:
        run_operations()
        operation.refresh_from_db()
        return operation

    monkeypatch.setattr(image_views, "wait_for", run_and_read)


def url_of(image: ObservedImage, part: str = "") -> str:
    """Return the address of an image's page, or of a part of it."""
    return f"/images/{image.host_id}/{image.image_id.removeprefix('sha256:')}/{part}"


CHANGES = frozenset({"pull_image", "tag_image", "remove_image", "import_image"})


def changes(engine: FakeEngine) -> list[str]:
    """Return what the engine was asked to change."""
    return [call for call in engine.calls if call in CHANGES]
