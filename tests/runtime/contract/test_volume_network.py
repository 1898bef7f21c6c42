"""Volumes and networks as forms need them."""

import pytest

from runtime import Conflict, ContainerEngine, NotFound, VolumeMount
from tests.runtime.contract.conftest import Run


async def test_a_volume_in_use_stays_then_goes(engine: ContainerEngine, run: Run) -> None:
    container_id = await run(volumes=(VolumeMount(volume="kept", target="/kept"),))
    [volume] = await engine.list_volumes()
    assert (volume.name, volume.driver) == ("kept", "local")
    assert volume.created_at is not None
    assert not volume.options
    with pytest.raises(Conflict) as caught:
        await engine.remove_volume("kept")
    assert caught.value.reason == "in_use"
    await engine.remove_container(container_id, force=True)
    await engine.remove_volume("kept")
    assert await engine.list_volumes() == []


async def test_an_unknown_volume_is_not_found(engine: ContainerEngine) -> None:
    with pytest.raises(NotFound):
        await engine.remove_volume("nothing")


async def test_there_is_a_bridge(engine: ContainerEngine) -> None:
    networks = await engine.list_networks()
    assert "bridge" in {network.driver for network in networks}
    assert all(network.network_id and network.name for network in networks)


async def test_an_unknown_network_says_so(engine: ContainerEngine, run: Run) -> None:
    with pytest.raises(NotFound) as caught:
        await run(network="nowhere")
    assert caught.value.reason == "network_missing"
