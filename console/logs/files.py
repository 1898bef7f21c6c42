"""Where the lines are: files of the hub's, below the data directory."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings

from console.gateway import LogFiles, LogStore


def store() -> LogStore:
    """Return every kept log there is."""
    return LogStore(settings.LOGS_DIR)


def files_of(*, host_id: UUID, container_id: str) -> LogFiles:
    """Return the lines of one log."""
    return store().files(str(host_id), container_id)
