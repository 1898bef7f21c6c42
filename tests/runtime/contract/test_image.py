"""Images: list, inspect, import, tag, remove, pull with progress, cancelled pulls."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runtime import BackendError, Conflict, ContainerEngine, EngineFailure, Invalid, LayerPhase, NotFound
from tests.engines import busybox_image_tar
from tests.runtime.conftest import IMAGE
from tests.runtime.contract.conftest import Run


async def tags(engine: ContainerEngine) -> set[str]:
    # Podman says whole names where Docker says short ones.
    return {"/".join(tag.split("/")[-2:]) for image in await engine.list_images() for tag in image.tags}


def has(found: set[str], tag: str) -> bool:
    return any(name == tag or name.endswith(f"/{tag}") for name in found)


async def test_an_image_is_listed_and_inspected(engine: ContainerEngine) -> None:
    [row] = [image for image in await engine.list_images() if any(IMAGE in tag for tag in image.tags)]
    detail = await engine.inspect_image(IMAGE)
    assert detail.image.image_id == row.image_id
    assert row.image_id.startswith("sha256:")
    assert row.size_bytes > 1_000_000
    assert detail.architecture == "amd64"
    assert detail.os == "linux"
    assert detail.layers == 1
    assert (await engine.inspect_image(row.image_id)).image.image_id == row.image_id


async def test_an_unknown_image_is_not_found(engine: ContainerEngine) -> None:
    with pytest.raises(NotFound) as caught:
        await engine.inspect_image("localhost/nothing:1")
    assert caught.value.reason == "image_missing"


async def test_what_is_no_reference_never_reaches_a_path(engine: ContainerEngine) -> None:
    for reference in ("../containers/json", "A/B", "a b", "", "a:b:c", "x?y", "a//b", "/a", "a/../b"):
        with pytest.raises(Invalid):
            await engine.inspect_image(reference)
        with pytest.raises(Invalid):
            await engine.remove_image(reference)
        with pytest.raises(Invalid):
            await anext(engine.pull_image(reference))


async def test_a_tag_is_put_on_and_taken_off(engine: ContainerEngine) -> None:
    await engine.tag_image(IMAGE, repository="localhost/second", tag="v2")
    assert has(await tags(engine), "localhost/second:v2")
    await engine.remove_image("localhost/second:v2")
    assert not has(await tags(engine), "localhost/second:v2")
    assert (await engine.inspect_image(IMAGE)).layers == 1


async def test_a_root_file_system_becomes_an_image(engine: ContainerEngine) -> None:
    async def parts() -> AsyncIterator[bytes]:
        data = busybox_image_tar()
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]

    await engine.import_image(parts(), reference="localhost/imported:1")
    assert has(await tags(engine), "localhost/imported:1")


async def test_what_is_no_tar_is_refused(engine: ContainerEngine) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"this is not a tar" * 100

    with pytest.raises(BackendError):
        await engine.import_image(parts(), reference="localhost/broken:1")
    assert not has(await tags(engine), "localhost/broken:1")


async def test_an_image_in_use_stays(engine: ContainerEngine, run: Run) -> None:
    await run()
    with pytest.raises(Conflict) as caught:
        await engine.remove_image(IMAGE)
    assert caught.value.reason == "in_use"


async def test_a_pull_tells_every_layer(engine: ContainerEngine, pullable: str, member: str) -> None:
    seen: dict[str, list[LayerPhase]] = {}
    sizes: dict[str, int] = {}
    async with asyncio.timeout(60):
        async for step in engine.pull_image(pullable):
            assert step.message
            if step.layer_id and step.phase:
                seen.setdefault(step.layer_id, []).append(step.phase)
                sizes[step.layer_id] = max(sizes.get(step.layer_id, 0), step.total_bytes)
                assert 0 <= step.current_bytes <= max(step.total_bytes, step.current_bytes)
    assert seen
    if member != "podman":
        assert len(seen) == 3
        assert all(phases[-1] in (LayerPhase.DONE, LayerPhase.EXISTS) for phases in seen.values())
    detail = await engine.inspect_image(pullable)
    assert detail.layers == 3


async def test_a_second_pull_has_nothing_to_do(engine: ContainerEngine, pullable: str) -> None:
    async for _ in engine.pull_image(pullable):
        pass
    async for _ in engine.pull_image(pullable):
        pass
    assert (await engine.inspect_image(pullable)).layers == 3


async def test_a_pull_of_what_is_not_there_is_not_found(engine: ContainerEngine, pullable: str) -> None:
    with pytest.raises(NotFound) as caught:
        async for _ in engine.pull_image(pullable.replace("team/app", "team/none")):
            pass
    assert caught.value.reason == "image_missing"


async def test_a_pull_from_nowhere_says_so(engine: ContainerEngine, member: str) -> None:
    with pytest.raises(NotFound if member == "fake" else EngineFailure) as caught:
        async for _ in engine.pull_image("127.0.0.1:1/team/app:1"):
            pass
    assert caught.value.reason in ("registry_unreachable", "image_missing")


async def test_a_pull_given_up_leaves_no_image(engine: ContainerEngine, slow_pullable: str) -> None:
    pull = engine.pull_image(slow_pullable)
    async with asyncio.timeout(30):
        async for _ in pull:
            break
        await pull.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(1)
    with pytest.raises(NotFound):
        await engine.inspect_image(slow_pullable)
