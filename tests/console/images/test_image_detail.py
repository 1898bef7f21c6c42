"""One image."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from console.accounts.models import User
from console.gateway import Unreachable
from console.inventory.models import ObservedImage
from runtime.testing import FakeEngine
from tests.console.images.conftest import url_of

SignIn = Callable[..., Client]


def test_the_page_asks_no_engine(used: ObservedImage, alice: User, client_of: SignIn, engine: FakeEngine) -> None:
    text = client_of(alice).get(url_of(used)).content.decode()
    for words in ("starter:latest", used.image_id, "web-1", "harbour", "Containers use it"):
        assert words in text
    assert engine.calls == []


def test_the_engine_tells_the_configuration(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    text = client_of(alice).get(url_of(image, "configuration/")).content.decode()
    for words in ("linux/", "Entrypoint", "Layers", "RootFS"):
        assert words in text


def test_a_dead_engine_leaves_a_reason_and_a_next_step(
    image: ObservedImage, alice: User, client_of: SignIn, engine: FakeEngine
) -> None:
    engine.fail_next("inspect_image", Unreachable("connection refused"))
    answer = client_of(alice).get(url_of(image, "configuration/"))
    assert answer.status_code == 200
    assert "harbour cannot be reached." in answer.content.decode()
    assert "Check that its engine runs" in answer.content.decode()


def test_what_does_not_exist_and_what_is_not_yours_look_the_same(
    image: ObservedImage, alice: User, charlie: User, client_of: SignIn
) -> None:
    missing = url_of(image).replace(image.image_id.removeprefix("sha256:"), "e" * 64)
    assert client_of(alice).get(missing).status_code == 404
    assert client_of(charlie).get(url_of(image)).status_code == 404
    assert client_of(charlie).get(url_of(image, "configuration/")).status_code == 404


def test_a_short_id_finds_nothing(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    digits = image.image_id.removeprefix("sha256:")
    assert client_of(alice).get(url_of(image).replace(digits, digits[:12])).status_code == 404


def test_nothing_changes_by_a_post(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    assert client_of(alice).post(url_of(image)).status_code == 405
