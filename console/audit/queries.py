"""The record, as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db.models import Q, QuerySet

from console.accounts.models import User
from console.accounts.signals import ACCOUNT_ACTIONS
from console.audit.models import AuditCheck, AuditEvent
from console.rbac.policy import ACTIONS

PAGE_LENGTH = 50
#: Words of a search that are looked for; the rest is ignored.
MOST_WORDS = 10
#: Suggestions for the person's field; any other name can be typed.
PEOPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What somebody looks for; an empty field looks for nothing."""

    since: datetime | None = None
    until: datetime | None = None
    action: str = ""
    person: str = ""
    outcome: str = ""
    host: str = ""
    object: str = ""
    address: str = ""
    text: str = ""

    @property
    def chosen(self) -> dict[str, str]:
        """What is looked for, by the names of the filter's fields: for addresses, forms and the record itself."""
        words = {
            "since": _moment(self.since),
            "until": _moment(self.until),
            "action": self.action,
            "person": self.person,
            "outcome": self.outcome,
            "host": self.host,
            "object": self.object,
            "address": self.address,
            "q": self.text,
        }
        return {name: value for name, value in words.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Some rows, newest first, and where the next page begins."""

    events: list[AuditEvent]
    next_before: int | None
    actions: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)


def _moment(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else ""


def matching(events: QuerySet[AuditEvent], wanted: AuditFilter) -> QuerySet[AuditEvent]:
    """Return those of ``events`` that are looked for."""
    if wanted.since:
        events = events.filter(occurred_at__gte=wanted.since)
    if wanted.until:
        events = events.filter(occurred_at__lte=wanted.until)
    exact = {
        "action": wanted.action,
        "actor_name": wanted.person,
        "outcome": wanted.outcome,
        "host_name": wanted.host,
        "address": wanted.address,
    }
    events = events.filter(**{name: value for name, value in exact.items() if value})
    if wanted.object:
        events = events.filter(Q(object_name=wanted.object) | Q(object_id__startswith=wanted.object))
    for word in wanted.text.lower().split()[:MOST_WORDS]:
        events = events.filter(searchable__text__contains=word)
    return events


def audit_page(events: QuerySet[AuditEvent], wanted: AuditFilter, *, before: int | None = None) -> AuditPage:
    """Return the rows of ``events`` that match, from before row ``before``: pages follow by number, so none moves."""
    found = matching(events, wanted)
    if before is not None:
        found = found.filter(sequence__lt=before)
    rows = list(found.order_by("-sequence")[: PAGE_LENGTH + 1])
    return AuditPage(
        events=rows[:PAGE_LENGTH],
        next_before=rows[PAGE_LENGTH - 1].sequence if len(rows) > PAGE_LENGTH else None,
        # What there can be, instead of what there is: that would read the whole record each time.
        actions=sorted(ACTIONS | ACCOUNT_ACTIONS),
        people=list(User.objects.order_by("username").values_list("username", flat=True)[:PEOPLE]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """How far the record can be trusted: the last check that ended, and one that is awaited."""

    last: AuditCheck | None
    awaited: AuditCheck | None


def check_state() -> CheckState:
    """Return what the page says of checks."""
    return CheckState(
        last=AuditCheck.objects.exclude(ended_at=None).order_by("-ended_at").first(),
        awaited=AuditCheck.objects.filter(ended_at=None).first(),
    )
