"""One watch writes at a time: the lease in the database."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import Q, QuerySet
from django.utils import timezone

from console.inventory.models import WatchLease


def hold(*, owner: str, seconds: float) -> bool:
    """Take or renew the lease for ``seconds``; ``False`` while another live watch has it."""
    now = timezone.now()
    WatchLease.objects.get_or_create(id=1)
    free = Q(owner=owner) | Q(owner="") | Q(held_until__lt=now)
    rows = WatchLease.objects.filter(id=1)
    if _take(rows.filter(free), owner=owner, now=now, seconds=seconds):
        return True
    holder = rows.values_list("owner", flat=True).first() or ""
    # After a crash its lease would keep us waiting; on the same machine we can see that it is gone.
    return _is_gone(holder) and _take(rows.filter(owner=holder), owner=owner, now=now, seconds=seconds)


def release(*, owner: str) -> None:
    """Give the lease back, if it is ours."""
    WatchLease.objects.filter(id=1, owner=owner).update(owner="", held_until=None)


def _take(rows: QuerySet[WatchLease], *, owner: str, now: datetime, seconds: float) -> bool:
    return rows.update(owner=owner, held_until=now + timedelta(seconds=seconds)) == 1


def _is_gone(owner: str) -> bool:
    machine, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    if machine != socket.gethostname() or not pid.isdigit():
        return False
    return not Path(f"/proc/{pid}").exists()
