"""Removing an image, or one of its names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.hosts.models import Host
from console.inventory.models import ObservedImage
from console.inventory.services import observe_images
from console.operations.models import Operation, OperationState
from runtime.testing import FakeEngine
from tests.console.images.conftest import AskEngine, changes, url_of

SignIn = Callable[..., Client]


@pytest.fixture
def tagged(image: ObservedImage, host: Host, ask: AskEngine, engine: FakeEngine) -> ObservedImage:
    """The image with a second name."""
    ask("tag_image", image.image_id, repository="team/app", tag="2")
    observe_images(host)
    image.refresh_from_db()
    engine.calls.clear()
    return image


@pytest.mark.usefixtures("worker")
def test_it_goes_with_all_its_names(tagged: ObservedImage, alice: User, client_of: SignIn) -> None:
    answer = client_of(alice).post(url_of(tagged, "remove/"))
    assert answer.headers["Location"] == "/images/"
    assert not ObservedImage.objects.exists()
    assert Operation.objects.get().state == OperationState.SUCCEEDED


@pytest.mark.usefixtures("worker")
def test_one_name_goes_and_the_image_stays(tagged: ObservedImage, alice: User, client_of: SignIn) -> None:
    answer = client_of(alice).post(url_of(tagged, "remove/"), {"reference": "team/app:2"})
    assert answer.headers["Location"] == url_of(tagged)
    tagged.refresh_from_db()
    assert tagged.tags == ["starter:latest"]


@pytest.mark.usefixtures("worker")
def test_one_that_a_container_uses_keeps_all_its_names(
    tagged: ObservedImage, used: ObservedImage, alice: User, client_of: SignIn, engine: FakeEngine
) -> None:
    answer = client_of(alice).post(url_of(used, "remove/"), HTTP_HX_REQUEST="true")
    operation = Operation.objects.get()
    assert (operation.state, operation.error_code) == (OperationState.FAILED, "in_use")
    assert "web-1" in operation.error
    assert operation.next_step == "Remove the containers first."
    assert "web-1" in answer.headers["HX-Trigger"]
    assert changes(engine) == []
    used.refresh_from_db()
    assert len(used.tags) == 2


@pytest.mark.usefixtures("worker")
def test_one_that_is_gone_already_is_no_error(
    image: ObservedImage, alice: User, client_of: SignIn, ask: AskEngine
) -> None:
    ask("remove_image", "starter:latest")
    client_of(alice).post(url_of(image, "remove/"))
    assert Operation.objects.get().state == OperationState.SUCCEEDED
    assert not ObservedImage.objects.exists()


def test_a_name_that_is_not_its_own_is_refused(
    image: ObservedImage, alice: User, client_of: SignIn, engine: FakeEngine
) -> None:
    assert client_of(alice).post(url_of(image, "remove/"), {"reference": "other:1"}).status_code == 400
    assert not Operation.objects.exists()
    assert changes(engine) == []


def test_a_name_that_moved_to_another_image_meanwhile_is_left_alone(
    tagged: ObservedImage, alice: User, client_of: SignIn, ask: AskEngine, run_operations: Callable[[], None]
) -> None:
    client_of(alice).post(url_of(tagged, "remove/"), {"reference": "team/app:2"})
    ask("remove_image", "team/app:2")
    run_operations()
    operation = Operation.objects.get()
    assert operation.state == OperationState.SUCCEEDED
    assert "not called team/app:2 any more" in operation.output


def test_a_stranger_is_refused(image: ObservedImage, charlie: User, client_of: SignIn, engine: FakeEngine) -> None:
    assert client_of(charlie).post(url_of(image, "remove/")).status_code == 404
    assert not Operation.objects.exists()
    assert engine.calls == []


def test_only_a_post_removes(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    assert client_of(alice).get(url_of(image, "remove/")).status_code == 405


def test_without_the_forms_mark_nothing_happens(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    assert client_of(alice, enforce_csrf_checks=True).post(url_of(image, "remove/")).status_code == 403
    assert not Operation.objects.exists()
