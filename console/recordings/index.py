"""What makes a search in the text of recordings quick, in each database's own way. Parts of words are found too.

Both look things up by every three characters in a row: FTS5's trigrams on SQLite, pg_trgm on PostgreSQL.
"""

from __future__ import annotations

from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from console.recordings.models import RecordingText

_SHORTEST = 3

_INSTALL: dict[str, tuple[str, ...]] = {
    "sqlite": (
        # The text itself stays in its row; without positions the index is a quarter as large.
        "CREATE VIRTUAL TABLE IF NOT EXISTS recordings_text_index USING fts5(text, content='recordings_recordingtext', "
        "content_rowid='id', tokenize='trigram', detail=none)",
        "CREATE TRIGGER IF NOT EXISTS recordings_text_added AFTER INSERT ON recordings_recordingtext BEGIN "
        "INSERT INTO recordings_text_index(rowid, text) VALUES (new.id, new.text); END",
        "CREATE TRIGGER IF NOT EXISTS recordings_text_gone AFTER DELETE ON recordings_recordingtext BEGIN INSERT INTO "
        "recordings_text_index(recordings_text_index, rowid, text) VALUES ('delete', old.id, old.text); END",
    ),
    "postgresql": (
        "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        "CREATE INDEX IF NOT EXISTS recordings_text_index ON recordings_recordingtext "
        "USING gin (UPPER(text) gin_trgm_ops)",
    ),
}
_REMOVE: dict[str, tuple[str, ...]] = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS recordings_text_added",
        "DROP TRIGGER IF EXISTS recordings_text_gone",
        "DROP TABLE IF EXISTS recordings_text_index",
    ),
    "postgresql": ("DROP INDEX IF EXISTS recordings_text_index",),
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Build the index. Where PostgreSQL has no pg_trgm, or we may not add it, searches read every row instead."""
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            for statement in _INSTALL[connection.vendor]:
                cursor.execute(statement)
    except DatabaseError:
        if connection.vendor != "postgresql":
            raise


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the index away again, for going back a migration."""
    with connection.cursor() as cursor:
        for statement in _REMOVE[connection.vendor]:
            cursor.execute(statement)


def matching(texts: QuerySet[RecordingText], words: str) -> QuerySet[RecordingText]:
    """Return those of ``texts`` that hold ``words`` as they stand, in any case."""
    if connection.vendor == "sqlite" and len(words) >= _SHORTEST:
        # What is a wildcard here finds too much; the condition below looks again.
        found = RawSQL("SELECT rowid FROM recordings_text_index WHERE text LIKE %s", (f"%{words}%",))
        texts = texts.filter(pk__in=found)
    return texts.filter(text__icontains=words)
