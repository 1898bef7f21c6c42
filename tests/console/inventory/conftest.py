"""Containers as an engine's list shows them, and a look at what pages are told."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from console.gateway import Container, ContainerState, Event

CREATED_AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def full_id(name: str) -> str:
    """The full id of the container called ``name``."""
    return hashlib.sha256(name.encode()).hexdigest()


def container(key: str, **values: Any) -> Container:
    """A running container, called ``key`` unless said otherwise."""
    given: dict[str, Any] = {
        "container_id": full_id(key),
        "name": key,
        "image": "starter:latest",
        "image_id": "sha256:" + "1" * 64,
        "command": "sleep 1000",
        "state": ContainerState.RUNNING,
        "status": "Up 2 minutes",
        "created_at": CREATED_AT,
    }
    return Container(**{**given, **values})


def event_of(kind: str, action: str, object_id: str, **attributes: str) -> Event:
    """What an engine announces."""
    return Event(kind=kind, action=action, object_id=object_id, attributes=attributes, occurred_at=timezone.now())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every topic that pages are told of, in order."""
    topics: list[str] = []

    def notify(*names: str) -> None:
        topics.extend(names)

    monkeypatch.setattr("console.lib.live.notify", notify)
    return topics
