"""Images, volumes and networks: the same way, without events of their own for pages that do not show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from console.gateway import Image, Network, Volume
from console.hosts.models import Host
from console.inventory.models import ObservedContainer, ObservedImage, ObservedNetwork, ObservedVolume
from console.inventory.services import apply_container, apply_images, apply_listing, forget_container
from tests.console.inventory.conftest import container, full_id


def image(number: int, *tags: str) -> Image:
    return Image(
        image_id=f"sha256:{number:064x}",
        tags=tags,
        digests=(),
        size_bytes=1000,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        labels={"b": "2", "a": "1"},
    )


def volume(name: str) -> Volume:
    return Volume(name=name, driver="local", mountpoint="/v", created_at=None, options={"type": "none"})


def network(name: str) -> Network:
    return Network(network_id=full_id(name), name=name, driver="bridge", scope="local", internal=False)


def test_everything_a_host_holds_is_written(host: Host, told: list[str]) -> None:
    apply_listing(
        host,
        containers=[container("web")],
        images=[image(1, "team/app:1", "team/app:latest"), image(2)],
        volumes=[volume("data")],
        networks=[network("blue")],
        asked_at=timezone.now(),
    )
    assert ObservedContainer.objects.get().name == "web"
    assert [(row.name, row.tags) for row in ObservedImage.objects.order_by("image_id")] == [
        ("team/app:1", ["team/app:1", "team/app:latest"]),
        ("", []),
    ]
    assert "team/app:latest" in ObservedImage.objects.get(name="team/app:1").search_text
    assert ObservedVolume.objects.get().options == {"type": "none"}
    assert ObservedNetwork.objects.get().name == "blue"
    assert "images" in told


def test_the_same_images_again_change_nothing(host: Host, told: list[str]) -> None:
    apply_images(host, images=[image(1, "a:1")], asked_at=timezone.now())
    told.clear()
    assert not apply_images(host, images=[image(1, "a:1")], asked_at=timezone.now())
    assert told == []


def test_a_tag_that_moves_changes_both_images(host: Host) -> None:
    apply_images(host, images=[image(1, "a:1"), image(2)], asked_at=timezone.now())
    assert apply_images(host, images=[image(1), image(2, "a:1")], asked_at=timezone.now())
    assert [row.name for row in ObservedImage.objects.order_by("image_id")] == ["", "a:1"]


def test_an_image_that_is_gone_goes_but_not_by_an_older_answer(host: Host) -> None:
    now = timezone.now()
    apply_images(host, images=[image(1, "a:1")], asked_at=now)
    assert not apply_images(host, images=[], asked_at=now - timedelta(seconds=1))
    assert apply_images(host, images=[], asked_at=now + timedelta(seconds=1))
    assert not ObservedImage.objects.exists()


def test_an_image_id_that_is_none_is_left_out(host: Host) -> None:
    odd = Image(image_id="latest", tags=(), digests=(), size_bytes=1, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert not apply_images(host, images=[odd], asked_at=timezone.now())


def test_one_container_can_be_written_and_forgotten(host: Host) -> None:
    apply_container(host, container("a"), asked_at=timezone.now())
    apply_container(host, container("b"), asked_at=timezone.now())
    forget_container(host, full_id("a"), asked_at=timezone.now())
    assert ObservedContainer.objects.get().name == "b"
