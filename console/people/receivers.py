"""What providers tell of people's groups, brought in line here."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from console.accounts.models import Source, User
from console.accounts.signals import groups_told
from console.lib.origin import Origin
from console.people.group_services import align


@receiver(groups_told)
def align_with_groups(*, person: User, source: Source, groups: frozenset[str], origin: Origin, **_kwargs: Any) -> None:
    """Bring the person's teams and role in line, in the transaction of the sign-in."""
    align(person, source=source, groups=groups, origin=origin)
