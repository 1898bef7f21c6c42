"""What the pages of hosts show, in their shape. Asks no engine: everything here was observed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.accounts.models import User
from console.audit.models import AuditEvent
from console.hosts.models import Host, HostQuerySet, HostState
from console.rbac.policy import allowed

#: The state in the words that the frame has colours for.
_BADGES: Final = {
    HostState.REACHABLE: "online",
    HostState.UNREACHABLE: "unreachable",
    HostState.REFUSING: "unreachable",
    HostState.FAILING: "unreachable",
    HostState.UNKNOWN: "connecting",
}
#: How long before its end a client certificate is worth a word.
CERTIFICATE_NOTICE: Final = timedelta(days=14)
#: A watch that runs writes `seen_at` every few seconds.
_SILENCE: Final = timedelta(seconds=45)
_HISTORY: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCard:
    """One host with what it holds, as last observed."""

    host: Host
    containers: int
    running: int
    problems: int
    images: int
    is_silent: bool

    @property
    def badge(self) -> str:
        """The state in the frame's words."""
        return _badge(self.host)

    @property
    def warnings(self) -> list[str | Promise]:
        """What is worth a look although the host answers, most pressing first."""
        found: list[str | Promise] = []
        expires_at = self.host.certificate_expires_at
        if expires_at is not None and expires_at < timezone.now() + CERTIFICATE_NOTICE:
            found.append(
                _("Its client certificate ends on %(date)s: edit the host and enter a new one.")
                % {"date": expires_at.date().isoformat()}
            )
        if self.host.url.startswith("tcp://") and not self.host.has_credentials:
            found.append(_("Plain TCP: whoever can reach this port controls the machine. Use TLS."))
        return found

    @property
    def engine_warnings(self) -> list[str]:
        """The engine's own words about its set-up."""
        warnings: list[str] = self.host.info.get("warnings", [])
        return warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class HostChoice:
    """One host to narrow lists to."""

    host: Host
    badge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPage:
    """What the page of one host shows."""

    card: HostCard
    volumes: int
    networks: int
    history: list[AuditEvent]


def host_choices(user: User) -> list[HostChoice]:
    """Return every host that ``user`` may narrow lists to, by name."""
    hosts = Host.objects.visible_to(user).order_by(Lower("name")).only("id", "name", "state")
    return [HostChoice(host=host, badge=_badge(host)) for host in hosts]


def host_cards(user: User) -> list[HostCard]:
    """Return every host that ``user`` may know of, those in trouble first."""
    cards = _cards(Host.objects.visible_to(user))
    return sorted(cards, key=lambda card: (not card.host.is_troubled, card.host.name.lower()))


def as_json(card: HostCard) -> dict[str, Any]:
    """Return one host as programs see it."""
    host = card.host
    return {
        "id": host.pk,
        "name": host.name,
        "url": reverse("host-detail", args=[host.pk]),
        "engine": host.driver,
        "address": host.url,
        "state": host.state,
        "cause": host.cause or None,
        "seen_at": host.seen_at,
        "containers": card.containers,
        "running": card.running,
        "problems": card.problems,
        "images": card.images,
        # Nobody has looked for a while: it may not be so any more.
        "stale": card.is_silent or host.is_troubled,
    }


def host_card(host: Host) -> HostCard:
    """Return one host with what it holds."""
    return _cards(Host.objects.filter(id=host.id))[0]


def host_page(user: User, host: Host) -> HostPage:
    """Return what the page of ``host`` shows to ``user``."""
    history = (
        AuditEvent.objects.filter(host_id=host.id, object_id=str(host.id)) if allowed(user, "audit.view") else None
    )
    return HostPage(
        card=host_card(host),
        volumes=host.volumes.count(),
        networks=host.networks.count(),
        history=list(history[:_HISTORY]) if history is not None else [],
    )


def _badge(host: Host) -> str:
    return _BADGES[HostState(host.state)]


def _cards(hosts: HostQuerySet) -> list[HostCard]:
    hosts = hosts.defer("credentials")
    containers = {
        row["id"]: row
        for row in hosts.order_by()
        .values("id")
        .annotate(
            total=Count("containers"),
            running=Count("containers", filter=Q(containers__state="running")),
            problems=Count("containers", filter=Q(containers__rank=0)),
        )
    }
    images = dict(hosts.order_by().values_list("id").annotate(total=Count("images")))
    now = timezone.now()
    return [
        HostCard(
            host=host,
            containers=containers[host.id]["total"],
            running=containers[host.id]["running"],
            problems=containers[host.id]["problems"],
            images=images[host.id],
            is_silent=_is_silent(host.seen_at or host.created_at, now=now) and not host.is_troubled,
        )
        for host in hosts
        if host.id in containers and host.id in images
    ]


def _is_silent(seen_at: datetime, *, now: datetime) -> bool:
    """Whether nobody looked at the host for so long that the watch cannot be running."""
    return now - seen_at > _SILENCE
