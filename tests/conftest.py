"""What every test shares: a data directory of its own, the cast, and a host with an engine behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.settings import SUITE_DIR

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django.plugin import DjangoDbBlocker

    from console.accounts.models import User
    from console.hosts.models import Host
    from runtime.testing import FakeEngine


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data directory of this pytest process."""
    return Path(SUITE_DIR.name)


@pytest.fixture(autouse=True)
def _quick_parts(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords hash quickly, signals stay in the process, pages need no collected static files, views no worker."""
    monkeypatch.setattr("console.operations.services.PATIENCE", 0.0)
    # Or connections of the sockets' threads would outlive the test database.
    monkeypatch.setattr("console.lib.websocket.KEEP_CONNECTION", 0.0)
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # type: ignore[attr-defined]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}  # type: ignore[attr-defined]
    settings.STORAGES = {  # type: ignore[attr-defined]
        **settings.STORAGES,  # type: ignore[attr-defined]
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database, without the triggers that keep audit rows: tests that commit must be able to empty it.

    What Django writes after migrations, types and rights that nobody here reads, is not written again after each of
    those tests: it would take longer than most of them.
    """
    from django.db import connection

    from console.audit import triggers

    with django_db_blocker.unblock():
        triggers.remove(connection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.core.management.commands.flush.emit_post_migrate_signal", lambda *_, **_options: None)
        yield


@pytest.fixture
def alice(db: None) -> User:
    """The admin: may do everything."""
    from console.accounts.models import Role, User

    return User.objects.create_user("alice", "correct horse battery", role=Role.ADMIN)


@pytest.fixture
def bob(db: None) -> User:
    """A colleague without rights of his own."""
    from console.accounts.models import User

    return User.objects.create_user("bob", "correct horse battery")


@pytest.fixture
def charlie(db: None) -> User:
    """The stranger."""
    from console.accounts.models import User

    return User.objects.create_user("charlie", "correct horse battery")


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A browser in which somebody is signed in, with CSRF checks as in production."""
    from django.test import Client

    def sign_in(user: User, *, enforce_csrf_checks: bool = False) -> Client:
        client = Client(enforce_csrf_checks=enforce_csrf_checks)
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def engine() -> FakeEngine:
    """The fake engine behind `host`."""
    from runtime.testing import FakeEngine

    return FakeEngine()


@pytest.fixture
def host(db: None, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A registered, reachable host whose engine is the fake one."""
    from django.utils import timezone

    from console import gateway
    from console.hosts.models import Host, HostState

    monkeypatch.setattr(gateway, "open_engine", lambda _endpoint: engine)
    return Host.objects.create(
        name="harbour", url="unix:///nowhere/harbour.sock", state=HostState.REACHABLE, seen_at=timezone.now()
    )


@pytest.fixture
def run_operations() -> Callable[[], None]:
    """Run every queued operation to its end, in this thread, as a worker would."""
    from console.operations.models import Operation, OperationState
    from console.operations.worker import run

    def run_all() -> None:
        while True:
            operation = Operation.objects.filter(state=OperationState.QUEUED).order_by("created_at").first()
            if operation is None:
                return
            run(operation.id)

    return run_all


@pytest.fixture(scope="session", autouse=True)
def _remove_data_dir() -> Iterator[None]:
    yield
    SUITE_DIR.cleanup()
