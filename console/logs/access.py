"""Fetching and authorising in one call."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from console.accounts.models import User
from console.lib.problems import Missing
from console.logs.models import KeptLog, KeptLogQuerySet
from console.rbac.access import check_somewhere


def access_kept_logs(user: User) -> KeptLogQuerySet:
    """Return the kept logs that ``user`` may read. Raises ``Refused`` when there can be none."""
    check_somewhere(user, "log.view")
    logs: KeptLogQuerySet = KeptLog.objects.all()
    return logs.visible_to(user)


def access_kept_log(user: User, log_id: UUID) -> KeptLog:
    """Return a kept log for ``user`` to read. Raises ``Missing``: who may know of one may read it."""
    logs: KeptLogQuerySet = KeptLog.objects.all()
    log: KeptLog | None = logs.visible_to(user).filter(pk=log_id).first()
    if log is None:
        raise Missing(_("This log does not exist. It was not kept, or its time is over."))
    return log


def still_readable(user: User, log_ids: list[UUID]) -> bool:
    """Whether ``user`` may go on reading all of them."""
    logs: KeptLogQuerySet = KeptLog.objects.all()
    return logs.visible_to(user).filter(pk__in=log_ids).count() == len(log_ids)
