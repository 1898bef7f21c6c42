"""Operations with handlers made for a test, and workers beside it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from console.accounts.models import Role, User
from console.hosts.models import Host
from console.operations import registry, worker
from console.operations.models import Operation
from console.operations.registry import Handler
from console.operations.services import enqueue
from runtime.testing import FakeEngine

KIND = "container.start"
Handle = Callable[..., None]
Ask = Callable[..., Operation]


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """Put a handler of the test's own behind ``container.start``, and other traits of the kind as wished."""

    def replace(handler: Handler, **traits: Any) -> None:
        kind = registry.find(KIND)
        assert kind is not None
        monkeypatch.setitem(registry._kinds, KIND, dataclasses.replace(kind, handler=handler, **traits))

    return replace


@pytest.fixture
def ask(alice: User, host: Host) -> Ask:
    """Let alice ask for a change."""

    def ask_for(kind: str = KIND, *, object_id: str = "", object_name: str = "web-1", **fields: Any) -> Operation:
        return enqueue(
            actor=fields.pop("actor", alice),
            kind=kind,
            host=fields.pop("host", host),
            object_id=object_id,
            object_name=object_name,
            **fields,
        )

    return ask_for


@pytest.fixture
def operation(ask: Ask) -> Operation:
    """A queued operation."""
    return ask()


@pytest.fixture
def committed(transactional_db: None, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Like ``ask``, in a database that other threads see too."""
    from console import gateway

    monkeypatch.setattr(gateway, "open_engine", lambda _endpoint: engine)
    alice = User.objects.create_user("alice", "correct horse battery", role=Role.ADMIN)
    host = Host.objects.create(name="harbour", url="unix:///nowhere/harbour.sock")

    def ask_for(kind: str = KIND, **fields: Any) -> Operation:
        return enqueue(actor=alice, kind=kind, host=host, object_name="web-1", **fields)

    return ask_for


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Operation], threading.Thread]]:
    """Run an operation in a thread of its own, as the worker does, looking at its row more often than in earnest."""
    monkeypatch.setattr(worker, "TICK", 0.02)
    threads: list[threading.Thread] = []

    def run(operation: Operation) -> threading.Thread:
        def work() -> None:
            try:
                worker.run(operation.pk)
            finally:
                connection.close()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        threads.append(thread)
        return thread

    yield run
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a worker's thread did not end"
