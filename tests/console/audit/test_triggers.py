"""The database refuses, even when our code is not asked."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction

from console.accounts.models import User
from console.audit import triggers
from console.audit.models import AuditEvent, AuditText
from console.audit.services import record

pytestmark = pytest.mark.django_db


@pytest.fixture
def _as_in_production(db: None) -> Iterator[None]:
    triggers.install(connection)
    yield
    triggers.remove(connection)


@pytest.mark.usefixtures("_as_in_production")
@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_auditevent SET action = 'x' WHERE sequence = 4", "DELETE FROM audit_auditevent WHERE sequence = 4"],
)
def test_rows_stay_as_they_are(ten_rows: list[AuditEvent], tamper: Callable[..., None], statement: str) -> None:
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic():
        tamper(statement)
    assert AuditEvent.objects.filter(sequence=4, action="container.start").exists()


def test_the_first_migration_installs_them() -> None:
    source = Path(triggers.__file__).parent / "migrations" / "0001_initial.py"
    assert "migrations.RunPython(install_triggers, remove_triggers)" in source.read_text()


def test_rows_from_before_there_was_a_search_are_found_by_it(ten_rows: list[AuditEvent], alice: User) -> None:
    hostile = {"why": ["고래", None, {"deep": True}], "A": "B%_\\"}
    record(actor=alice, action="a.b", outcome="failed", operation_id=uuid.uuid4(), details=hostile)
    written = dict(AuditText.objects.values_list("event_id", "text"))
    AuditText.objects.all().delete()
    migration = importlib.import_module("console.audit.migrations.0002_search_and_checks")
    migration.make_searchable(apps, None)
    assert dict(AuditText.objects.values_list("event_id", "text")) == written
