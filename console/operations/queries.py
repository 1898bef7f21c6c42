"""What the pages of operations show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Max, QuerySet, When
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from console.accounts.models import User
from console.lib.templatetags.components import human_size, time_words
from console.operations.access import access_operations
from console.operations.models import Operation, OperationQuerySet, OperationState
from console.operations.registry import find
from console.operations.services import PATIENCE
from console.rbac.policy import allowed

PAGE = 50
_INDICATOR_RUNNING, _INDICATOR_RECENT = 20, 8
_NOTIFICATIONS = 20
#: A list shows no arguments and no output; both can be large, and the former must be decrypted.
_NOT_LISTED = ("arguments", "output", "result")

#: What the steps of operations are called.
PHASES: dict[str, str | Promise] = {
    "pull": gettext_lazy("Pull the image"),
    "create": gettext_lazy("Create"),
    "compare": gettext_lazy("Check"),
    "start": gettext_lazy("Start"),
    "healthy": gettext_lazy("Wait until healthy"),
    "stop": gettext_lazy("Stop"),
    "restart": gettext_lazy("Restart"),
    "kill": gettext_lazy("Send the signal"),
    "pause": gettext_lazy("Pause"),
    "unpause": gettext_lazy("Resume"),
    "rename": gettext_lazy("Rename"),
    "remove": gettext_lazy("Remove"),
    "tag": gettext_lazy("Tag"),
}
LAYER_PHASES: dict[str, str | Promise] = {
    "waiting": gettext_lazy("Waiting"),
    "downloading": gettext_lazy("Downloading"),
    "verifying": gettext_lazy("Checking"),
    "extracting": gettext_lazy("Unpacking"),
    "done": gettext_lazy("Done"),
    "exists": gettext_lazy("Here already"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """How the list is narrowed; what makes no sense is ignored, as old links may hold it."""

    state: str = ""
    kind: str = ""
    host: str = ""
    person: str = ""
    page: int = 1

    @classmethod
    def of(cls, parameters: QueryDict) -> Filters:
        """Read them from an address."""
        state = parameters.get("state", "")
        page = parameters.get("page", "")
        return cls(
            state=state if state in OperationState.values or state == "active" else "",
            kind=parameters.get("kind", "").replace("\0", "")[:60],
            host=_uuid(parameters.get("host", "")),
            person=_uuid(parameters.get("person", "")),
            page=int(page) if page.isdecimal() and 0 < len(page) < 7 else 1,
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return bool(self.state or self.kind or self.host or self.person)

    def query(self, **changes: Any) -> str:
        """Return the address's query with ``changes``; changed filters lead to the first page."""
        wanted = replace(self, **{"page": 1, **changes})
        fields = ("state", "kind", "host", "person", "page")
        pairs = [(name, getattr(wanted, name)) for name in fields]
        return "?" + urlencode([(name, value) for name, value in pairs if value and (name, value) != ("page", 1)])

    def apply(self, operations: OperationQuerySet, *, leave_out: str = "") -> OperationQuerySet:
        """Narrow ``operations``, but not by ``leave_out``."""
        if self.state and leave_out != "state":
            operations = operations.active() if self.state == "active" else operations.filter(state=self.state)
        if self.kind and leave_out != "kind":
            operations = operations.filter(kind=self.kind)
        if self.host and leave_out != "host":
            operations = operations.filter(host_id=self.host)
        if self.person and leave_out != "person":
            operations = operations.filter(actor_id=UUID(self.person))
        return operations


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a filter."""

    label: str | Promise
    count: int
    query: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One filter with its values."""

    name: str
    title: str
    choices: list[Choice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One operation, as lists show it."""

    operation: Operation
    title: str
    object_url: str
    detail: str
    seconds: float | None
    duration: str
    #: How long it has gone on, or waited, by now; ``None`` once it has ended.
    elapsed: timedelta | None
    is_mine: bool
    #: Whether it went on for longer than its view waited, so that nobody was told how it ended.
    is_news: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the list."""

    rows: list[Row]
    total: int
    first: int
    last: int
    previous: str
    next: str


def activity_page(user: User, filters: Filters) -> Page:
    """Return one page of operations, the newest first."""
    found = filters.apply(access_operations(user))
    total = found.count()
    pages = max(1, -(-total // PAGE))
    page = min(filters.page, pages)
    start = (page - 1) * PAGE
    shown = found.order_by("-created_at", "-pk").select_related("host", "actor").defer(*_NOT_LISTED)
    rows = row_list(shown[start : start + PAGE], user=user)
    return Page(
        rows=rows,
        total=total,
        first=start + 1 if rows else 0,
        last=start + len(rows),
        previous=filters.query(page=page - 1) if page > 1 else "",
        next=filters.query(page=page + 1) if page < pages else "",
    )


def activity_facets(user: User, filters: Filters) -> list[Facet]:
    """Return what narrows the list, each with the number that it would leave."""
    operations = access_operations(user)
    return [_states(operations, filters), *_others(operations, filters)]


def _states(operations: OperationQuerySet, filters: Filters) -> Facet:
    counts = dict(_counts(filters.apply(operations, leave_out="state"), "state"))
    active = counts.get(OperationState.QUEUED, 0) + counts.get(OperationState.RUNNING, 0)
    found = [("active", _("Going on"), active)]
    found += [(state.value, str(state.label), counts.get(state.value, 0)) for state in OperationState]
    choices = [
        _choice(filters, "state", value, label, count)
        for value, label, count in found
        if count or value in ("active", filters.state)
    ]
    return Facet(name="state", title=_("State"), choices=choices)


def _others(operations: OperationQuerySet, filters: Filters) -> list[Facet]:
    fields = {
        "kind": (_("What"), ("kind",)),
        "host": (_("Host"), ("host_id", "host__name")),
        "person": (_("Who"), ("actor_id", "actor__username")),
    }
    facets = []
    for name, (title, columns) in fields.items():
        choices = [
            _choice(filters, name, str(value), kind_label(value) if name == "kind" else str(label), count)
            for value, label, count in _labelled_counts(filters.apply(operations, leave_out=name), columns)
            if value is not None
        ]
        facets.append(Facet(name=name, title=title, choices=choices))
    return facets


def _choice(filters: Filters, name: str, value: str, label: str, count: int) -> Choice:
    chosen = getattr(filters, name) == value
    return Choice(label=label, count=count, query=filters.query(**{name: "" if chosen else value}), is_chosen=chosen)


def _counts(operations: QuerySet[Operation], column: str) -> list[tuple[str, int]]:
    return list(operations.order_by().values_list(column).annotate(Count("pk")))


def _labelled_counts(operations: QuerySet[Operation], columns: tuple[str, ...]) -> list[tuple[Any, Any, int]]:
    counted = operations.order_by().values(*columns).annotate(number=Count("pk")).order_by("-number", columns[-1])
    return [(row[columns[0]], row[columns[-1]], row["number"]) for row in counted[:30]]


def as_json(operation: Operation) -> dict[str, Any]:
    """Return one operation as programs see it; never what it was asked for with, which may be secret."""
    return {
        "id": operation.pk,
        "url": reverse("operation-detail", args=[operation.pk]),
        "kind": operation.kind,
        "state": operation.state,
        "phase": operation.phase,
        "message": operation.message,
        "percent": operation.percent,
        "actor": operation.actor.username if operation.actor is not None else None,
        "host": {"id": operation.host.pk, "name": operation.host.name} if operation.host is not None else None,
        "object": {"id": operation.object_id, "name": operation.object_name, "url": object_url(operation) or None},
        "error": {"code": operation.error_code, "message": operation.error, "next_step": operation.next_step}
        if operation.error_code
        else None,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "ended_at": operation.ended_at,
    }


def kind_label(kind: str) -> str:
    """Return what a kind of operation does, without an object: "Start a container"."""
    found = find(kind)
    subject = {"container": _("a container"), "image": _("an image")}.get(kind.partition(".")[0])
    return str(found.title) % {"name": subject or "…"} if found else kind


def row_list(operations: Sequence[Operation] | QuerySet[Operation], *, user: User) -> list[Row]:
    """Return ``operations`` as lists show them."""
    return [operation_row(operation, user=user) for operation in operations]


def operation_row(operation: Operation, *, user: User) -> Row:
    """Return one operation as lists show it."""
    duration = operation.duration
    seconds = duration.total_seconds() if duration is not None else None
    since_asked = (operation.ended_at - operation.created_at).total_seconds() if operation.ended_at else 0.0
    return Row(
        operation=operation,
        title=operation.title,
        object_url=object_url(operation),
        detail=detail_of(operation),
        seconds=seconds,
        duration=duration_words(seconds),
        elapsed=None if operation.is_ended else timezone.now() - (operation.started_at or operation.created_at),
        is_mine=operation.actor_id == user.pk,
        is_news=since_asked > PATIENCE,
    )


def detail_of(operation: Operation) -> str:
    """Return the one line that matters most: why it failed, or what goes on."""
    if operation.error:
        return operation.error.splitlines()[0]
    if operation.is_stopping:
        return _("Stopping…")
    if operation.is_ended:
        return ""
    bytes_words = _bytes_words(operation)
    return f"{operation.message} · {bytes_words}" if operation.message and bytes_words else operation.message


def _bytes_words(operation: Operation) -> str:
    progress = operation.progress
    if progress.get("unit") != "bytes" or not progress.get("total"):
        return ""
    return f"{human_size(progress['current'])} / {human_size(progress['total'])}"


def duration_words(seconds: float | None) -> str:
    """Return a length of time as people say it, to the precision that matters."""
    if seconds is None:
        return ""
    if seconds < 10:
        return _("%(seconds)s s") % {"seconds": f"{max(seconds, 0):.1f}"}
    return time_words(round(seconds))


def object_url(operation: Operation) -> str:
    """Return the page of what it is about; "" while there is none."""
    subject, _dot, _verb = operation.kind.partition(".")
    if operation.host_id is None or not operation.object_id:
        return ""
    if subject == "container":
        return reverse("container-detail", args=[operation.host_id, operation.object_id])
    if subject == "volume":
        return reverse("volume-detail", args=[operation.host_id, operation.object_id])
    if subject == "network":
        return reverse("network-detail", args=[operation.host_id, operation.object_id])
    if subject == "image" and operation.object_id.startswith("sha256:"):
        return reverse("image-detail", args=[operation.host_id, operation.object_id.removeprefix("sha256:")])
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of an operation: done, current, failed."""

    label: str | Promise
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a pull."""

    layer_id: str
    phase: str
    label: str | Promise
    current: int
    total: int
    bytes_words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Everything about one operation."""

    row: Row
    steps: list[Step]
    layers: list[Layer]
    layers_done: int
    bytes_words: str
    bytes_current: int
    bytes_total: int
    #: Of what is said about its end.
    tone: str
    sentence: str
    engine_words: str
    can_cancel: bool
    can_retry: bool
    #: The form that asks for the same, to be corrected; "" where there is none.
    correct_url: str
    retries: list[Row]


def operation_detail(operation: Operation, *, user: User) -> Detail:
    """Return what the page and the dock show of ``operation``."""
    kind = find(operation.kind)
    progress = operation.progress
    layers = [_layer(entry) for entry in progress.get("layers", [])]
    sentence, _newline, engine_words = operation.error.partition("\n")
    retries = operation.retries.select_related("host", "actor").defer(*_NOT_LISTED).order_by("created_at")
    can_stop = operation.state == OperationState.QUEUED or (
        operation.state == OperationState.RUNNING and kind is not None and kind.cancellable
    )
    can_repeat = operation.is_ended and operation.state != OperationState.SUCCEEDED and operation.host_id is not None
    return Detail(
        row=operation_row(operation, user=user),
        steps=_steps(operation),
        layers=layers,
        layers_done=sum(layer.phase in ("done", "exists") for layer in layers),
        bytes_words=_bytes_words(operation),
        bytes_current=progress.get("current", 0),
        bytes_total=progress.get("total", 0),
        tone="danger" if operation.state == OperationState.FAILED else "info",
        sentence=sentence,
        engine_words=engine_words,
        can_cancel=can_stop and operation.cancel_requested_at is None,
        can_retry=can_repeat and kind is not None and kind.retries,
        correct_url=_correct_url(operation)
        if can_repeat and allowed(user, operation.kind, team_id=operation.team_id)
        else "",
        retries=row_list(retries[:10], user=user),
    )


def _correct_url(operation: Operation) -> str:
    if operation.kind != "container.create":
        return ""
    return reverse("container-create") + "?" + urlencode({"again": operation.pk})


def _steps(operation: Operation) -> list[Step]:
    phases = operation.progress.get("phases", [])
    last = {
        OperationState.SUCCEEDED: "done",
        OperationState.FAILED: "failed",
        OperationState.CANCELLED: "cancelled",
    }.get(OperationState(operation.state), "current")
    return [
        Step(label=PHASES.get(phase, phase), state=last if place == len(phases) - 1 else "done")
        for place, phase in enumerate(phases)
    ]


def _layer(entry: dict[str, Any]) -> Layer:
    phase, current, total = entry["phase"], entry["current"], entry["total"]
    moving = phase in ("downloading", "extracting")
    if total:
        words = f"{human_size(current)} / {human_size(total)}" if moving else human_size(total)
    else:
        words = human_size(current) if current else ""
    return Layer(
        layer_id=entry["id"][:12],
        phase=phase,
        label=LAYER_PHASES.get(phase, phase),
        current=current,
        total=total,
        bytes_words=words,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """What the top bar shows."""

    active: list[Row]
    active_count: int
    recent: list[Row]
    label: str


def indicator(user: User) -> Indicator:
    """Return what goes on now and what ended lately; every page asks, so who may see nothing just gets nothing."""
    operations = Operation.objects.visible_to(user).select_related("host", "actor").defer(*_NOT_LISTED)
    active = row_list(operations.active().order_by("created_at")[: _INDICATOR_RUNNING + 1], user=user)
    count = len(active) if len(active) <= _INDICATOR_RUNNING else operations.active().count()
    recent = row_list(operations.ended().order_by("-ended_at")[:_INDICATOR_RECENT], user=user)
    label = (
        ngettext("%(count)s operation is going on", "%(count)s operations are going on", count) % {"count": count}
        if count
        else _("No operation is going on")
    )
    return Indicator(active=active[:_INDICATOR_RUNNING], active_count=count, recent=recent, label=label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """What ended and was not seen yet."""

    rows: list[Row]
    count: int
    #: When the last of them ended; seeing them is seeing everything until then.
    until: datetime | None
    label: str

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.count - len(self.rows)


def notifications(user: User) -> Notifications:
    """Return what ``user`` was not told yet, failures first; every page asks, as for the indicator."""
    news = Operation.objects.news_to(user)
    summed = news.aggregate(count=Count("pk"), until=Max("ended_at"))
    failed_first = Case(When(state=OperationState.FAILED, then=0), default=1, output_field=IntegerField())
    shown = news.select_related("host", "actor").defer(*_NOT_LISTED).order_by(failed_first, "-ended_at")
    count = summed["count"]
    label = (
        ngettext(
            "%(count)s notification that you have not seen", "%(count)s notifications that you have not seen", count
        )
        % {"count": count}
        if count
        else _("Notifications")
    )
    rows = row_list(shown[:_NOTIFICATIONS], user=user)
    return Notifications(rows=rows, count=count, until=summed["until"], label=label)
