"""Letting go of logs that had their time: by the policy, and on record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from console.audit.models import Outcome
from console.audit.services import record
from console.lib.live import notify
from console.logs.files import files_of, store
from console.logs.models import KeptLog, KeptState
from console.policies.queries import LogTerms, log_terms

logger = structlog.get_logger(__name__)

#: Seconds that files without a row, by whatever accident, are left alone.
ORPHANS_AFTER: Final = 3600.0
_MOST_AT_ONCE: Final = 500


@dataclass(slots=True, kw_only=True)
class _Named:
    """A host as audit rows name it: it may be gone."""

    id: UUID
    name: str


def expire_logs() -> int:
    """Bring what is over in line with the policies of now, and remove what had its time; return how many that were."""
    now = timezone.now()
    terms = log_terms()
    expired = 0
    over = KeptLog.objects.exclude(state=KeptState.KEEPING)
    for log in over.filter(team__in=list(terms)).iterator():
        _align(log, terms)
    for log in list(over.filter(keep_until__lte=now).order_by("keep_until")[:_MOST_AT_ONCE]):
        expired += _expire(log)
    _remove_orphans()
    return expired


def _align(log: KeptLog, terms: Mapping[UUID, LogTerms]) -> None:
    """Take over how long and how much the policy says now.

    One that keeps nothing any more takes nothing away: what was kept stays for as long as it was meant to.
    """
    found = terms.get(log.team_id) if log.team_id is not None else None
    if found is None or not found.days:
        return
    if log.bytes > found.size_bytes and files_of(host_id=log.host_id, container_id=log.container_id).cut(
        found.size_bytes
    ):
        sizes = files_of(host_id=log.host_id, container_id=log.container_id).sizes()
        KeptLog.objects.filter(pk=log.pk).exclude(state=KeptState.KEEPING).update(bytes=sizes.bytes, is_cut=True)
    if log.closed_at is not None and log.days != found.days:
        until = log.closed_at + timedelta(days=found.days)
        KeptLog.objects.filter(pk=log.pk).exclude(state=KeptState.KEEPING).update(days=found.days, keep_until=until)


def _expire(log: KeptLog) -> bool:
    """Remove a log whose time is over, unless it is kept again; whether it was."""
    with transaction.atomic():
        gone, _by_kind = KeptLog.objects.filter(pk=log.pk, keep_until=log.keep_until).delete()
        if not gone:
            return False
        record(
            actor=None,
            component="keeper",
            action="log.expire",
            outcome=Outcome.SUCCEEDED,
            host=_Named(id=log.host_id, name=log.host_name),
            object_id=log.container_id,
            object_name=log.container_name,
            details={
                "team": log.team_name,
                "bytes": log.bytes,
                "days": log.days,
                "since": log.closed_at.isoformat() if log.closed_at is not None else "",
            },
        )
        transaction.on_commit(lambda: _remove(str(log.host_id), log.container_id))
        notify("kept-logs")
    return True


def _remove(host_id: str, container_id: str) -> None:
    try:
        store().remove(host_id, container_id)
    except OSError as error:
        # They have no row any more, so the next look finds them.
        logger.warning("kept_log_not_removed", container_id=container_id, error=str(error))


def _remove_orphans() -> None:
    """Remove files that no row knows: of a database that was brought back, or of a removal that was cut short."""
    found = list(store().logs())
    if not found:
        return
    known = set(KeptLog.objects.values_list("host_id", "container_id"))
    for host_id, container_id in found:
        if (UUID(host_id), container_id) in known:
            continue
        directory = store().directory(host_id, container_id)
        try:
            age = time.time() - directory.stat().st_mtime
        except FileNotFoundError:
            continue
        if age > ORPHANS_AFTER:
            logger.warning("kept_log_without_row", host_id=host_id, container_id=container_id)
            _remove(host_id, container_id)
