"""Volumes and networks: what is made has nothing that nobody asked for, and what is used stays."""

from datetime import UTC, datetime, timedelta

import pytest

from runtime import Conflict, ContainerEngine, Invalid, NetworkSpec, NotFound, VolumeMount, VolumeSpec
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


async def test_a_volume_is_made_with_its_labels_and_nothing_else(engine: ContainerEngine) -> None:
    made = await engine.create_volume(VolumeSpec(name="data", labels=(("team", "one"), ("empty", ""))))
    assert (made.name, made.driver) == ("data", "local")
    assert dict(made.labels) == {"team": "one", "empty": ""}
    assert not made.options
    assert made.created_at is not None
    assert abs(made.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert await engine.inspect_volume("data") == made
    assert await engine.list_volumes() == [made]


async def test_a_volume_of_that_name_is_given_as_it_is(engine: ContainerEngine) -> None:
    made = await engine.create_volume(VolumeSpec(name="data", labels=(("by", "somebody"),)))
    assert await engine.create_volume(VolumeSpec(name="data", labels=(("by", "us"),))) == made
    assert dict((await engine.inspect_volume("data")).labels) == {"by": "somebody"}


@pytest.mark.parametrize("name", ["", "/etc", "..", "a b"])
async def test_a_bad_name_reaches_no_engine(engine: ContainerEngine, name: str) -> None:
    with pytest.raises(Invalid):
        await engine.create_volume(VolumeSpec(name=name))
    with pytest.raises(Invalid):
        await engine.inspect_volume(name)
    with pytest.raises(Invalid):
        await engine.create_network(NetworkSpec(name=name))
    with pytest.raises(Invalid):
        await engine.inspect_network(name)
    with pytest.raises(Invalid):
        await engine.remove_network(name)


async def test_an_unknown_volume_cannot_be_inspected(engine: ContainerEngine) -> None:
    with pytest.raises(NotFound) as caught:
        await engine.inspect_volume("nothing")
    assert caught.value.reason == "volume_missing"


async def test_there_is_a_bridge(engine: ContainerEngine) -> None:
    networks = await engine.list_networks()
    assert "bridge" in {network.driver for network in networks}
    assert all(network.network_id and network.name for network in networks)


async def test_an_unknown_network_says_so(engine: ContainerEngine, run: Run) -> None:
    with pytest.raises(NotFound) as caught:
        await run(network="nowhere")
    assert caught.value.reason == "network_missing"


@pytest.mark.parametrize("internal", [False, True])
async def test_a_network_is_made_as_asked(engine: ContainerEngine, internal: bool) -> None:
    spec = NetworkSpec(name="team", labels=(("team", "one"), ("empty", "")), internal=internal)
    network_id = await engine.create_network(spec)
    assert len(network_id) == 64
    made = await engine.inspect_network(network_id)
    assert (made.network_id, made.name, made.driver, made.scope) == (network_id, "team", "bridge", "local")
    assert made.internal is internal
    assert dict(made.labels) == {"team": "one", "empty": ""}
    assert not made.options
    assert made.container_ids == ()
    assert made.created_at is not None
    assert abs(made.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert made in await engine.list_networks()
    assert await engine.inspect_network("team") == made


async def test_no_two_networks_have_one_name(engine: ContainerEngine) -> None:
    network_id = await engine.create_network(NetworkSpec(name="team"))
    with pytest.raises(Conflict) as caught:
        await engine.create_network(NetworkSpec(name="team", internal=True))
    assert caught.value.reason == "name_taken"
    assert [found.network_id for found in await engine.list_networks() if found.name == "team"] == [network_id]


async def test_a_network_in_use_says_by_what_and_stays(engine: ContainerEngine, run: Run) -> None:
    network_id = await engine.create_network(NetworkSpec(name="team"))
    container_id = await run(network=network_id)
    assert (await engine.inspect_network(network_id)).container_ids == (container_id,)
    assert (await engine.inspect_container(container_id)).container.networks == ("team",)
    with pytest.raises(Conflict) as caught:
        await engine.remove_network(network_id)
    assert caught.value.reason == "in_use"
    await engine.remove_container(container_id, force=True)
    assert (await engine.inspect_network(network_id)).container_ids == ()
    await engine.remove_network(network_id)
    with pytest.raises(NotFound) as missing:
        await engine.inspect_network(network_id)
    assert missing.value.reason == "network_missing"


async def test_an_unknown_network_cannot_be_removed(engine: ContainerEngine) -> None:
    with pytest.raises(NotFound) as caught:
        await engine.remove_network("0" * 64)
    assert caught.value.reason == "network_missing"


async def test_the_networks_of_the_engine_itself_stay(engine: ContainerEngine) -> None:
    with pytest.raises(Conflict) as caught:
        await engine.create_network(NetworkSpec(name="host"))
    assert caught.value.reason == "predefined"
    [bridge] = [network for network in await engine.list_networks() if network.name == "bridge"]
    with pytest.raises(Conflict) as refused:
        await engine.remove_network(bridge.network_id)
    assert refused.value.reason == "predefined"
    assert bridge.network_id in {network.network_id for network in await engine.list_networks()}
