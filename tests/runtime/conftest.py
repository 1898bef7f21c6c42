"""Real engines for the engine room's tests: one of each kind per pytest process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime import Endpoint
from tests.engines import (
    PrivateEngine,
    Registry,
    busybox_image_tar,
    private_dockerd,
    private_podman,
    private_registry,
    short_directory,
    tar_of,
    throttled,
)

IMAGE = "contract:latest"


@pytest.fixture(scope="session")
def dockerd() -> Iterator[PrivateEngine]:
    """A Docker daemon on a unix socket and on TCP with mutual TLS."""
    with short_directory() as directory, private_dockerd(directory, tls=True) as engine:
        engine.import_image(busybox_image_tar(), reference=IMAGE)
        yield engine


@pytest.fixture(scope="session")
def podman(registry: Registry, slow_registry: Registry) -> Iterator[PrivateEngine]:
    """Podman's service."""
    with (
        short_directory() as directory,
        private_podman(directory, insecure_registries=(registry.name, slow_registry.name)) as engine,
    ):
        engine.import_image(busybox_image_tar(), reference=IMAGE)
        yield engine


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """A registry with an image of three layers."""
    with short_directory() as directory, private_registry(directory) as found:
        layers = [busybox_image_tar(), tar_of({"data/one": b"1" * 300_000}), tar_of({"data/two": b"2" * 200_000})]
        found.push("team/app", tag="1", layers=layers)
        yield found


@pytest.fixture(scope="session")
def slow_registry(registry: Registry) -> Iterator[Registry]:
    """The same registry behind a slow line, with an image that takes its time."""
    # Bytes that do not compress, or the line would not be the slow part.
    noise = b"".join(hash_block(number) for number in range(64_000))
    registry.push("team/big", tag="1", layers=[busybox_image_tar(), tar_of({"data/noise": noise})])
    with throttled(registry, bytes_per_second=1_000_000) as found:
        yield found


def hash_block(number: int) -> bytes:
    """Return 64 bytes that look random and are the same every time."""
    return hashlib.sha512(str(number).encode()).digest()


def impatient(endpoint: Endpoint, *, read: float) -> Endpoint:
    """The same endpoint with a short limit for answers."""
    return replace(endpoint, timeouts=replace(endpoint.timeouts, connect=1.0, read=read))


@pytest.fixture
def socket_directory() -> Iterator[Path]:
    """A directory for sockets."""
    with short_directory() as directory:
        yield directory
