"""The database itself refuses to change or remove rows of the record."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

_SENTENCE = "The audit record only grows."

_INSTALL: dict[str, tuple[str, ...]] = {
    "sqlite": (
        f"CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit_auditevent "
        f"BEGIN SELECT RAISE(ABORT, '{_SENTENCE}'); END",
        f"CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit_auditevent "
        f"BEGIN SELECT RAISE(ABORT, '{_SENTENCE}'); END",
    ),
    "postgresql": (
        f"CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_SENTENCE}'; END $$",
        "CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit_auditevent "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    ),
}
_REMOVE: dict[str, tuple[str, ...]] = {
    "sqlite": ("DROP TRIGGER IF EXISTS audit_no_update", "DROP TRIGGER IF EXISTS audit_no_delete"),
    "postgresql": ("DROP TRIGGER IF EXISTS audit_no_change ON audit_auditevent",),
}


def _run(connection: BaseDatabaseWrapper, statements: dict[str, tuple[str, ...]]) -> None:
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)


def install(connection: BaseDatabaseWrapper) -> None:
    """Refuse updates and deletions from now on; doing so twice changes nothing."""
    _run(connection, _INSTALL)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Allow them again: for going back a migration, and for tests that empty their database."""
    _run(connection, _REMOVE)
