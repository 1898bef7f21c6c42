"""The record, as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from console.accounts.models import User
from console.accounts.signals import ACCOUNT_ACTIONS
from console.audit.models import AuditEvent, Outcome
from console.rbac.policy import ACTIONS

PAGE_LENGTH = 50
#: Suggestions for the person's field; any other name can be typed.
PEOPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What somebody looks for; an empty field looks for nothing."""

    action: str = ""
    person: str = ""
    outcome: str = ""
    text: str = ""
    #: Only rows before this one, for the next page.
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Some rows, newest first, and where the next page begins."""

    events: list[AuditEvent]
    next_before: int | None
    actions: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)


def _matching(events: QuerySet[AuditEvent], wanted: AuditFilter) -> QuerySet[AuditEvent]:
    if wanted.action:
        events = events.filter(action=wanted.action)
    if wanted.person:
        events = events.filter(actor_name=wanted.person)
    if wanted.outcome in Outcome.values:
        events = events.filter(outcome=wanted.outcome)
    if wanted.text:
        events = events.filter(
            Q(object_name__icontains=wanted.text)
            | Q(object_id__istartswith=wanted.text)
            | Q(host_name__icontains=wanted.text)
        )
    if wanted.before is not None:
        events = events.filter(sequence__lt=wanted.before)
    return events


def audit_page(events: QuerySet[AuditEvent], wanted: AuditFilter) -> AuditPage:
    """Return the rows of ``events`` that match; pages follow each other by sequence, so none moves meanwhile."""
    found = list(_matching(events, wanted).order_by("-sequence")[: PAGE_LENGTH + 1])
    return AuditPage(
        events=found[:PAGE_LENGTH],
        next_before=found[PAGE_LENGTH - 1].sequence if len(found) > PAGE_LENGTH else None,
        # What there can be, instead of what there is: that would read the whole record each time.
        actions=sorted(ACTIONS | ACCOUNT_ACTIONS),
        people=list(User.objects.order_by("username").values_list("username", flat=True)[:PEOPLE]),
    )
