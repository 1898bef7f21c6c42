"""Giving an image another name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import User
from console.inventory.models import ObservedImage
from console.operations.models import Operation
from runtime.testing import FakeEngine
from tests.console.images.conftest import changes, url_of

SignIn = Callable[..., Client]


@pytest.mark.usefixtures("worker")
def test_the_image_has_both_names(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    answer = client_of(alice).post(url_of(image, "tag/"), {"reference": "registry.example.com/team/app:2"})
    assert answer.headers["Location"] == url_of(image)
    image.refresh_from_db()
    assert sorted(image.tags) == ["registry.example.com/team/app:2", "starter:latest"]


@pytest.mark.usefixtures("worker")
def test_without_a_tag_it_is_the_latest(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    client_of(alice).post(url_of(image, "tag/"), {"reference": "team/app"})
    image.refresh_from_db()
    assert "team/app:latest" in image.tags


@pytest.mark.parametrize("reference", ["", "UPPER", "with space", "app@sha256:" + "a" * 64, "-x", "a" * 64])
def test_bad_names_are_refused(
    image: ObservedImage, alice: User, client_of: SignIn, engine: FakeEngine, reference: str
) -> None:
    answer = client_of(alice).post(url_of(image, "tag/"), {"reference": reference}, HTTP_HX_REQUEST="true")
    assert answer.status_code == 422
    assert not Operation.objects.exists()
    assert changes(engine) == []


def test_the_form_is_a_page_and_a_dialog(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    client = client_of(alice)
    assert b"<html" in client.get(url_of(image, "tag/")).content
    assert b"<html" not in client.get(url_of(image, "tag/"), HTTP_HX_REQUEST="true").content


def test_a_stranger_is_refused(image: ObservedImage, charlie: User, client_of: SignIn, engine: FakeEngine) -> None:
    assert client_of(charlie).post(url_of(image, "tag/"), {"reference": "mine:1"}).status_code == 404
    assert not Operation.objects.exists()
    assert engine.calls == []


def test_only_get_and_post_are_known(image: ObservedImage, alice: User, client_of: SignIn) -> None:
    assert client_of(alice).delete(url_of(image, "tag/")).status_code == 405
