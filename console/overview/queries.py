"""What the overview says: first what needs somebody, each with its cause and next step; then the rest.

Asks no engine: everything here was observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.accounts.models import User
from console.containers.states import exit_words
from console.gateway import ContainerState
from console.hosts.models import HostState
from console.hosts.queries import CERTIFICATE_NOTICE, HostCard, host_cards
from console.inventory.models import ContainerQuerySet, ObservedContainer, ObservedImage, Rank
from console.operations.models import Operation, OperationQuerySet, OperationState
from console.operations.queries import Row, row_list
from console.rbac.policy import allowed

_MOST_CONTAINERS: Final = 12
_MOST_OPERATIONS: Final = 6
_RECENT: Final = 8
#: How long a failed operation needs somebody.
FAILED_WITHIN: Final = timedelta(hours=24)
_NOT_LISTED: Final = ("arguments", "output", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that needs somebody: what, why, and what to do. ``action`` is a page that takes a POST."""

    key: str
    icon: str
    tone: str
    title: str
    url: str
    host: str
    cause: str | Promise
    next_step: str | Promise
    link_url: str
    link_label: str | Promise
    at: datetime | None = None
    #: The engine's own words about it.
    said: str = ""
    action_url: str = ""
    action_label: str | Promise = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is of everything."""

    containers: int
    running: int
    images: int
    hosts: int
    hosts_reachable: int
    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewPage:
    """Everything the overview shows."""

    problems: list[Problem]
    #: Containers with a problem that are not in ``problems``, because there are too many.
    more_problems: int
    cards: list[HostCard]
    counts: Counts
    recent: list[Row]
    is_watched: bool
    #: What links to lists carry on: ``?host=…`` while it is about one host only.
    query: str

    @property
    def problem_count(self) -> int:
        """How many things need somebody, shown or not."""
        return len(self.problems) + self.more_problems


def overview_page(user: User, *, host: str = "") -> OverviewPage:
    """Return what ``user`` sees first: of the host with the id ``host``, or of all of them."""
    # Whose rights end at their team's containers sees those, not what else a host does.
    every = host_cards(user) if allowed(user, "host.view") else []
    cards = [card for card in every if str(card.host.id) == host] or every
    is_narrow = len(cards) < len(every)
    host_ids = [card.host.id for card in cards]
    observed = ObservedContainer.objects.visible_to(user)
    images = ObservedImage.objects.visible_to(user)
    operations = Operation.objects.visible_to(user)
    if is_narrow:
        observed, images = observed.filter(host__in=host_ids), images.filter(host__in=host_ids)
        operations = operations.filter(host__in=host_ids)
    containers, more = _container_problems(observed)
    recent = operations.select_related("host", "actor").defer(*_NOT_LISTED).order_by("-created_at")[:_RECENT]
    return OverviewPage(
        problems=[*_host_problems(cards), *containers, *_operation_problems(user, operations)],
        more_problems=more,
        cards=cards,
        counts=Counts(
            containers=observed.count(),
            running=observed.filter(state=ContainerState.RUNNING).count(),
            images=images.count(),
            hosts=len(cards),
            hosts_reachable=sum(card.host.is_reachable for card in cards),
            operations=operations.active().count(),
        ),
        recent=row_list(recent, user=user),
        is_watched=not any(card.is_silent for card in every),
        query=f"?host={host}" if is_narrow else "",
    )


def _host_problems(cards: list[HostCard]) -> list[Problem]:
    found = []
    for card in cards:
        host = card.host
        url = reverse("host-detail", args=[host.id])
        why = host.explanation
        if why is not None:
            found.append(
                Problem(
                    key=f"host-{host.id}",
                    icon="server-off",
                    tone="danger",
                    title=host.name,
                    url=url,
                    host="",
                    cause=why.sentence,
                    next_step=why.next_step,
                    link_url=url,
                    link_label=gettext_lazy("Look at the host"),
                    at=host.state_changed_at,
                )
            )
        expires_at = host.certificate_expires_at
        if expires_at is not None and expires_at < timezone.now() + CERTIFICATE_NOTICE:
            found.append(
                Problem(
                    key=f"certificate-{host.id}",
                    icon="shield-alert",
                    tone="warning",
                    title=host.name,
                    url=url,
                    host="",
                    cause=_("Its client certificate ends on %(date)s; from then on it refuses us.")
                    % {"date": expires_at.date().isoformat()},
                    next_step=gettext_lazy("Have a new certificate made and enter it."),
                    link_url=reverse("host-edit", args=[host.id]),
                    link_label=gettext_lazy("Edit the host"),
                )
            )
    return found


def _container_problems(containers: ContainerQuerySet) -> tuple[list[Problem], int]:
    """Return the first containers in trouble on hosts that answer, and how many more there are."""
    # Of a host that does not answer we know nothing new: the host is the problem, and it is told above.
    rows = containers.filter(rank=Rank.PROBLEM, host__state=HostState.REACHABLE)
    columns = ("host_id", "container_id", "name", "state", "health", "exit_code", "status", "host__name")
    shown = list(rows.order_by("name", "id").only(*columns).select_related("host")[: _MOST_CONTAINERS + 1])
    more = rows.count() - _MOST_CONTAINERS if len(shown) > _MOST_CONTAINERS else 0
    return [_container_problem(row) for row in shown[:_MOST_CONTAINERS]], more


def _container_problem(container: ObservedContainer) -> Problem:
    arguments = [container.host_id, container.container_id]
    logs = reverse("container-logs", args=arguments)
    cause: str | Promise
    next_step: str | Promise
    link_url, link_label = logs, gettext_lazy("Read its log")
    action_url, action_label = "", gettext_lazy("Start again")
    icon, tone = "circle-x", "danger"
    if container.state == ContainerState.RESTARTING:
        icon = "refresh-cw"
        cause = _("It ends again and again, and its restart policy starts it anew. %(why)s") % {
            "why": exit_words(container.exit_code)
        }
        next_step = gettext_lazy("Read the end of its log; stop it until the cause is mended.")
        action_url, action_label = reverse("container-stop", args=arguments), gettext_lazy("Stop")
    elif container.state == ContainerState.DEAD:
        icon = "skull"
        cause = gettext_lazy("The engine could not remove it completely: a file or mount of it is still in use.")
        next_step = gettext_lazy("Remove it once more; if that fails, restart the engine.")
        link_url, link_label = reverse("container-detail", args=arguments), gettext_lazy("Look at it")
    elif container.state == ContainerState.RUNNING:
        icon, tone = "heart-pulse", "warning"
        cause = gettext_lazy("It runs, but its healthcheck fails.")
        next_step = gettext_lazy("Read its log, or restart it.")
        action_url, action_label = reverse("container-restart", args=arguments), gettext_lazy("Restart")
    else:
        cause = exit_words(container.exit_code)
        next_step = gettext_lazy("Read the end of its log, then start it again or remove it.")
        action_url = reverse("container-start", args=arguments)
    return Problem(
        key=f"container-{container.host_id}-{container.container_id}",
        icon=icon,
        tone=tone,
        title=container.name,
        url=reverse("container-detail", args=arguments),
        host=container.host.name,
        cause=cause,
        next_step=next_step,
        link_url=link_url,
        link_label=link_label,
        said=container.status,
        action_url=action_url,
        action_label=action_label,
    )


def _operation_problems(user: User, operations: OperationQuerySet) -> list[Problem]:
    """Return the failures of the last day that nobody tried again since, and that did not work out otherwise."""
    later = Operation.objects.filter(
        kind=OuterRef("kind"),
        host=OuterRef("host"),
        object_name=OuterRef("object_name"),
        created_at__gt=OuterRef("created_at"),
    )
    failed = (
        operations.filter(state=OperationState.FAILED, ended_at__gt=timezone.now() - FAILED_WITHIN)
        .filter(~Exists(later), retries__isnull=True)
        .select_related("host", "actor")
        .defer(*_NOT_LISTED)
        .order_by("-ended_at")
    )
    return [
        Problem(
            key=f"operation-{row.operation.id}",
            icon="circle-alert",
            tone="danger",
            title=row.title,
            url=reverse("operation-detail", args=[row.operation.id]),
            host=row.operation.host.name if row.operation.host else "",
            cause=row.detail,
            next_step=row.operation.next_step or gettext_lazy("Look at what the engine said."),
            link_url=reverse("operation-detail", args=[row.operation.id]),
            link_label=gettext_lazy("Show what happened"),
            at=row.operation.ended_at,
        )
        for row in row_list(failed[:_MOST_OPERATIONS], user=user)
    ]
