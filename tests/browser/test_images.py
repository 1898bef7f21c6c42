"""Pulling an image through a slow line: layers in bytes, half way back, and once more to the end."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests import engines
from tests.browser.conftest import Console

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def registry() -> Iterator[engines.Registry]:
    """A registry on loopback that holds an image of three layers."""
    with engines.short_directory() as directory, engines.private_registry(directory) as registry:
        noise = random.Random(7)
        layers = [engines.tar_of({f"cargo-{number}": noise.randbytes(3 * MEGABYTE)}) for number in range(3)]
        registry.push("cargo", tag="1.0", layers=layers)
        yield registry


def test_a_pull_shows_bytes_of_each_layer_and_can_be_cancelled_half_way(
    registry: engines.Registry, console: Console, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    with engines.throttled(registry, bytes_per_second=MEGABYTE) as slow:
        page.goto("/images/")
        page.get_by_role("link", name="Pull", exact=True).click()
        page.wait_for_url("**/images/pull/")
        page.get_by_label("Image", exact=True).fill(f"{slow.name}/cargo:1.0")
        page.get_by_role("button", name="Pull").click()
        page.wait_for_url("**/operations/**")
        layers = page.locator(".layers li")
        expect(layers).to_have_count(3)
        expect(layers.first).to_contain_text(re.compile(r"\d.*/ ?3"))
        expect(page.get_by_role("main")).to_contain_text("0 of 3 layers")

        page.get_by_role("navigation", name="Main").first.get_by_role("link", name="Overview").click()
        page.wait_for_url("**/")
        page.get_by_role("button", name=re.compile("operation.* going on")).click()
        page.locator("#operations-list").get_by_role("link", name=re.compile("cargo")).first.click()
        page.wait_for_url("**/operations/**")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".operation-head .state")).to_have_text("Cancelled")
    assert not console.engine.call("GET", '/images/json?filters={"reference":["*/cargo"]}')

    page.goto("/images/pull/")
    page.get_by_label("Image", exact=True).fill(f"{registry.name}/cargo:1.0")
    page.get_by_role("button", name="Pull").click()
    page.wait_for_url("**/operations/**")
    expect(page.locator(".operation-head .state")).to_have_text("Succeeded")
    page.goto("/images/")
    page.get_by_role("link", name=f"{registry.name}/cargo:1.0").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cargo")
    expect(page.get_by_role("main")).to_contain_text("made-by")
    console.engine.call("DELETE", f"/images/{registry.name}/cargo:1.0")


def test_a_pull_goes_on_when_the_browser_is_closed(
    registry: engines.Registry, console: Console, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    with engines.throttled(registry, bytes_per_second=3 * MEGABYTE) as slow:
        page.goto("/images/pull/")
        page.get_by_label("Image", exact=True).fill(f"{slow.name}/cargo:1.0")
        page.get_by_role("button", name="Pull").click()
        page.wait_for_url("**/operations/**")
        place = page.url
        expect(page.locator(".layers li")).to_have_count(3)
        page.close()

        page = signed_in()
        page.goto(place)
        expect(page.locator(".operation-head .state")).to_have_text("Succeeded")
    expect(page.get_by_role("main")).to_contain_text("3 of 3 layers")
    console.engine.call("DELETE", f"/images/{slow.name}/cargo:1.0")


def test_an_image_that_no_registry_has_ends_in_a_reason_with_a_next_step(
    registry: engines.Registry, signed_in: Callable[..., Page]
) -> None:
    page = signed_in()
    page.goto("/images/pull/")
    page.get_by_label("Image", exact=True).fill(f"{registry.name}/nowhere:9")
    page.get_by_role("button", name="Pull").click()

    expect(page.locator(".operation-head .state")).to_have_text("Failed")
    expect(page.locator(".operation .callout")).to_contain_text(re.compile("nowhere|not found|does not"))
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
