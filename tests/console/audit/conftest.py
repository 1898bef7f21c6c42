"""Ways to put acts on record, and to tamper with them as somebody with the database in hand could."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import connection

from console.accounts.models import User
from console.audit.anchors import anchor_file
from console.audit.models import AuditEvent
from console.audit.services import record


@pytest.fixture(autouse=True)
def _no_anchors_from_before() -> Iterator[None]:
    anchor_file().unlink(missing_ok=True)
    yield
    anchor_file().unlink(missing_ok=True)


@pytest.fixture
def ten_rows(alice: User) -> list[AuditEvent]:
    """Ten acts of alice's."""
    return [
        record(actor=alice, action="container.start", outcome="succeeded", object_id=f"{number:064x}")
        for number in range(10)
    ]


@pytest.fixture
def tamper(db: None) -> Callable[..., None]:
    """Run SQL as a superuser of the database would; the test database has no triggers."""
    assert settings.DATABASES["default"]["NAME"]

    def run(statement: str, *values: str | int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    return run
