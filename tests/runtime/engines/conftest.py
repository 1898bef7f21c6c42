"""What only real engines can show: these tests stop, kill and cut them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runtime import ContainerEngine, ContainerSpec, connect
from tests.engines import PrivateEngine
from tests.runtime.conftest import IMAGE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them on the worker that has the engines."""
    for item in items:
        if "tests/runtime/engines" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("engines"))


@pytest_asyncio.fixture
async def docker(dockerd: PrivateEngine) -> AsyncIterator[ContainerEngine]:
    """Docker over its unix socket; its containers are gone afterwards."""
    engine = connect(dockerd.endpoint)
    yield engine
    for container in await engine.list_containers():
        await engine.remove_container(container.container_id, force=True, volumes=True)
    await engine.close()


@pytest_asyncio.fixture
async def box(docker: ContainerEngine) -> str:
    """A running container that does nothing."""
    container_id = await docker.create_container(ContainerSpec(name="box", image=IMAGE, command=("sleep", "1000")))
    await docker.start_container(container_id)
    return container_id
