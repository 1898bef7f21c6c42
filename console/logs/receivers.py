"""What happens to containers, as far as their logs are concerned."""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import UUID

from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from console.accounts.models import User
from console.containers.signals import Remembered, gone_asked
from console.inventory.signals import containers_changed
from console.logs.queries import log_of
from console.logs.tasks import KEEP
from console.operations.dispatch import nudge

#: Seconds in which changes gather for one list: a storm of events is no storm of lists.
GATHER: Final = 0.3

_nudged_at = -GATHER


@receiver(containers_changed)
def keep_soon(**_kwargs: Any) -> None:
    """Have the list of kept logs sent: a container that lives for two seconds writes in them, too."""
    global _nudged_at
    now = time.monotonic()
    # The list that was asked for less than so long ago has not been made yet.
    if now - _nudged_at >= GATHER:
        _nudged_at = now
        nudge(KEEP, after=GATHER)


@receiver(gone_asked)
def remember_log(*, user: User, host_id: UUID, container_id: str, **_kwargs: Any) -> Remembered | None:
    """Lead from a container that is gone to the log that is left of it."""
    log = log_of(user, host_id=host_id, container_id=container_id)
    if log is None:
        return None
    return Remembered(name=log.container_name, url=log.get_absolute_url(), label=_("Its last lines"), icon="file-text")
