"""The list of kept logs, and one of them with the other lives of its name, in the shape the pages need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, QuerySet
from django.http import QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.models import Team, User
from console.containers.states import exit_words
from console.logs.models import KeptLog, KeptLogQuerySet, KeptState
from console.policies.queries import log_terms

PAGE = 50
#: Lives of one name that are read as one.
MOST_LIVES = 200
_LONGEST_SEARCH = 200
_MOST_CHOICES = 50
#: What stands for a team in the address of a list of what nobody owns any more.
NOBODY = "nobody"

STATES: dict[str, str | Promise] = {
    "living": gettext_lazy("The container is there"),
    "gone": gettext_lazy("The container is gone"),
}
PROBLEMS: dict[str, str | Promise] = {
    "no_room": gettext_lazy("The disk of this console is full."),
    "storage": gettext_lazy("The log cannot be written; the console's own log says why."),
    "too_many": gettext_lazy("More logs are to be kept than one console keeps."),
    "hub_away": gettext_lazy("The stream hub, which keeps logs, does not answer."),
    "hub_refused": gettext_lazy("The stream hub refused to keep it; restart the console."),
}


def problem_words(code: str) -> str:
    """Return why nothing is kept at the moment, in words."""
    if not code:
        return ""
    return str(PROBLEMS.get(code) or _("The host's engine cannot be asked (%(code)s).") % {"code": code})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilters:
    """What the address of the list says. Anything else in it is ignored."""

    search: str = ""
    host: str = ""
    team: str = ""
    state: str = ""
    page: int = 1

    @classmethod
    def of(cls, query: QueryDict) -> LogFilters:
        """Read the address; what makes no sense falls back to the plain list."""
        page, state, team = (query.get(name, "") for name in ("page", "state", "team"))
        return cls(
            search=query.get("q", "").strip().replace("\0", "")[:_LONGEST_SEARCH],
            host=_uuid(query.get("host", "")),
            team=team if team == NOBODY else _uuid(team),
            state=state if state in STATES else "",
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 and int(page) > 0 else 1,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything narrows the list."""
        return bool(self.search or self.host or self.team or self.state)

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """What a search must not forget."""
        pairs = [("host", self.host), ("team", self.team), ("state", self.state)]
        return [(name, value) for name, value in pairs if value]

    def query(self, **changes: Any) -> str:
        """Return the query string with ``changes``; a changed filter begins at the first page."""
        wanted = replace(self, **({"page": 1} | changes))
        pairs = [("q", wanted.search), *wanted.hidden, ("page", str(wanted.page) if wanted.page > 1 else "")]
        return "?" + urlencode([(name, value) for name, value in pairs if value])

    def apply(self, logs: KeptLogQuerySet, *, leave_out: str = "") -> KeptLogQuerySet:
        """Narrow ``logs``, but not by ``leave_out``."""
        for word in self.search.lower().split():
            logs = logs.filter(search_text__contains=word)
        if self.host and leave_out != "host":
            logs = logs.filter(host_id=self.host)
        if self.team and leave_out != "team":
            logs = logs.filter(team=None) if self.team == NOBODY else logs.filter(team=UUID(self.team))
        if self.state and leave_out != "state":
            living = logs.filter(state=KeptState.KEEPING)
            logs = living if self.state == "living" else logs.exclude(state=KeptState.KEEPING)
        return logs


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """A kept log, as lists show it."""

    log: KeptLog
    url: str
    #: A badge's colour and words: whether it is there, or how it ended.
    badge: str
    label: str
    why: str
    problem: str


def log_row(log: KeptLog) -> LogRow:
    """Return a kept log in the shape of a row."""
    badge, label = _ending(log)
    return LogRow(
        log=log,
        url=reverse("kept-log", args=[log.pk]),
        badge=badge,
        label=label,
        why=exit_words(log.exit_code, oom_killed=log.oom_killed),
        problem=problem_words(log.problem) if log.is_living else "",
    )


def _ending(log: KeptLog) -> tuple[str, str]:
    if log.exit_code is not None:
        failed = log.exit_code not in (0, 130, 143)
        label = _("Out of memory") if log.oom_killed else _("Exited (%(code)s)") % {"code": log.exit_code}
        return "failed" if failed or log.oom_killed else "exited", label
    if log.is_living:
        return "running", _("Not ended")
    return ("exited", _("Removed")) if log.state == KeptState.GONE else ("unknown", _("Not kept any more"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """One page of the list."""

    rows: list[LogRow]
    total: int
    first: int
    last: int
    page: int
    previous: str
    next: str


def log_page(found: KeptLogQuerySet, filters: LogFilters) -> LogPage:
    """Return one page of what may be read, what wrote last first."""
    found = filters.apply(found)
    total = found.count()
    pages = max(1, -(-total // PAGE))
    page = min(filters.page, pages)
    start = (page - 1) * PAGE
    logs = list(found.order_by("-last_at", "-since", "pk")[start : start + PAGE])
    return LogPage(
        rows=[log_row(log) for log in logs],
        total=total,
        first=start + 1 if logs else 0,
        last=start + len(logs),
        page=page,
        previous=filters.query(page=page - 1) if page > 1 else "",
        next=filters.query(page=page + 1) if page < pages else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A value to narrow the list by."""

    label: str
    count: int
    query: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """A way to narrow the list."""

    name: str
    title: str
    choices: list[Choice]


def facets(found: KeptLogQuerySet, filters: LogFilters) -> list[Facet]:
    """Return what narrows the list, with counts of what may be read."""
    states = filters.apply(found, leave_out="state")
    living = states.filter(state=KeptState.KEEPING).count()
    counts = {"living": living, "gone": states.count() - living}
    made = [
        Facet(
            name="state",
            title=_("Container"),
            choices=[
                Choice(
                    label=str(label),
                    count=counts[name],
                    query=filters.query(state="" if name == filters.state else name),
                    is_chosen=name == filters.state,
                )
                for name, label in STATES.items()
            ],
        )
    ]
    for name, title, column in (("team", _("Team"), "team_name"), ("host", _("Host"), "host_name")):
        chosen = getattr(filters, name)
        key = "team" if name == "team" else "host_id"
        rows = filters.apply(found, leave_out=name).order_by().values_list(key).annotate(number=Count("pk"))
        names = dict(found.order_by().values_list(key, column).distinct())
        choices = []
        for value, number in sorted(rows, key=lambda row: -row[1])[:_MOST_CHOICES]:
            text = str(value) if value is not None else NOBODY
            choices.append(
                Choice(
                    label=names.get(value) or _("nobody"),
                    count=number,
                    query=filters.query(**{name: "" if text == chosen else text}),
                    is_chosen=text == chosen,
                )
            )
        if len(choices) > 1 or chosen:
            made.append(Facet(name=name, title=title, choices=choices))
    return made


def any_team_keeps(teams: QuerySet[Team]) -> bool:
    """Whether a policy of one of the teams keeps logs."""
    keeping = [team_id for team_id, terms in log_terms().items() if terms.days]
    return teams.filter(pk__in=keeping).exists()


# One log


def lives_of(user: User, log: KeptLog) -> list[KeptLog]:
    """Return what is read as one with ``log``: what had its name, on its host, in its team; oldest first."""
    logs: KeptLogQuerySet = KeptLog.objects.all()
    same = logs.visible_to(user).filter(host_id=log.host_id, team=log.team_id, lineage=log.lineage)
    newest = list(same.order_by("-created_at", "pk")[:MOST_LIVES])
    if log not in newest:
        newest.append(log)
    return sorted(newest, key=lambda life: (life.created_at, life.pk))


def border_words(before: KeptLog, after: KeptLog) -> str:
    """Return what stands in a file between two lives of a name."""
    ended = before.end_at
    words = [
        _("container %(id)s ended %(moment)s") % {"id": before.short_id, "moment": f"{ended:%Y-%m-%d %H:%M:%S} UTC"}
        if ended is not None
        else _("container %(id)s") % {"id": before.short_id}
    ]
    if before.exit_code is not None:
        words.append(_("exit code %(code)s") % {"code": before.exit_code})
    words.append(_("replaced by %(id)s (%(image)s)") % {"id": after.short_id, "image": after.image})
    return ", ".join(words)


def log_of(user: User, *, host_id: UUID, container_id: str) -> KeptLog | None:
    """Return the kept log of a container, if there is one that ``user`` may read."""
    logs: KeptLogQuerySet = KeptLog.objects.all()
    found: KeptLog | None = logs.visible_to(user).filter(host_id=host_id, container_id=container_id).first()
    return found


def as_json(log: KeptLog) -> dict[str, Any]:
    """Return a kept log for programs."""

    def text(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment is not None else None

    return {
        "id": str(log.pk),
        "host": {"id": str(log.host_id), "name": log.host_name},
        "container_id": log.container_id,
        "name": log.container_name,
        "image": log.image,
        "project": log.project,
        "service": log.service,
        "team": {"id": str(log.team_id), "name": log.team_name} if log.team_id is not None else None,
        "state": log.state,
        "problem": log.problem,
        "created_at": text(log.created_at),
        "started_at": text(log.started_at),
        "ended_at": text(log.ended_at),
        "exit_code": log.exit_code,
        "oom_killed": log.oom_killed,
        "bytes": log.bytes,
        "first_at": text(log.first_at),
        "last_at": text(log.last_at),
        "is_cut": log.is_cut,
        "closed_at": text(log.closed_at),
        "keep_until": text(log.keep_until),
    }
