"""Deciding which logs are kept, telling the hub, and writing down what it says.

The hub keeps what it is told to, and knows nothing of teams. So every few seconds, and as soon as a container comes,
changes or goes, it gets the whole list of what the policies of now want kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.utils import timezone

from console.accounts.models import Team
from console.gateway import ContainerState, HubAway, HubRefused, ask_hub, endpoint_for_hub, hub_messages
from console.hosts.models import Host
from console.inventory.models import ContainerQuerySet, ObservedContainer
from console.lib.crypto import Undecryptable
from console.lib.live import notify
from console.logs.models import NUMBER_LABEL, PROJECT_LABEL, SERVICE_LABEL, KeptLog, KeptState
from console.policies.queries import LogTerms, log_terms
from console.rbac.models import OwnedKind, owned_by

logger = structlog.get_logger(__name__)

#: The hub keeps no more; those that run come first.
MOST_LOGS: Final = 2000
#: A container that the inventory has not shown for so long is gone, though nobody could ask its engine.
LOST_AFTER: Final = timedelta(minutes=5)
_ENDED: Final = (ContainerState.EXITED.value, ContainerState.DEAD.value)
_BATCH: Final = 500

_turn = threading.Lock()

Key = tuple[UUID, str]


class _Draft:
    """A row, and what of it is to be written."""

    def __init__(self, row: KeptLog) -> None:
        self.row = row
        self._changed: set[str] = set()

    def set(self, **fields: Any) -> None:
        """Change what differs."""
        for name, value in fields.items():
            if getattr(self.row, name) != value:
                setattr(self.row, name, value)
                self._changed.add(name)

    def close(self, state: KeptState, *, now: datetime) -> None:
        """Nothing more comes: its time begins to run."""
        self.set(state=state.value, closed_at=now, keep_until=now + timedelta(days=self.row.days), lost_at=None)

    def save(self) -> None:
        """Write it, if there is anything to write, and tell the pages."""
        if self.row._state.adding:  # noqa: SLF001  Django's documented place for it
            # Another worker may have been faster; the next list finds its row.
            KeptLog.objects.bulk_create([self.row], ignore_conflicts=True)
        elif self._changed:
            self.row.save(update_fields=self._changed)
        else:
            return
        notify("kept-logs")


def keep_logs() -> int:
    """Tell the hub what to keep, and write down how that goes; return how many logs are kept.

    One at a time: of two lists made beside each other the older one could win.
    """
    with _turn:
        now = timezone.now()
        terms = {team_id: found for team_id, found in log_terms().items() if found.days}
        hosts = {host.pk: host for host in Host.objects.defer("info").order_by()}
        drafts = _list(terms, hosts=hosts, now=now)
        states, problem = _ask([draft.row for draft in drafts], terms=terms, hosts=hosts)
        for draft in drafts:
            _note(draft, states.get((draft.row.host_id, draft.row.container_id)), problem=problem, now=now)
            draft.save()
        return len(drafts)


def _list(terms: Mapping[UUID, LogTerms], *, hosts: Mapping[UUID, Host], now: datetime) -> list[_Draft]:
    """Return the rows of all that is kept from now on, and let go of the others."""
    wanted = {(container.host_id, container.container_id): container for container in _wanted(terms)}
    known = _known(wanted)
    names = dict(Team.objects.filter(pk__in=list(terms)).values_list("pk", "name"))
    drafts = []
    for key, container in wanted.items():
        team_id, host = container.team_id, hosts.get(container.host_id)
        row = known.pop(key, None)
        if team_id is None or team_id not in terms or host is None or _was_closed_just_now(row, now=now):
            continue
        draft = _Draft(row or KeptLog(host_id=host.pk, container_id=container.container_id))
        draft.set(team_id=team_id, team_name=names.get(team_id, ""), days=terms[team_id].days)
        _describe(draft, container, host=host)
        drafts.append(draft)
    there = _there([row for row in known.values() if row.state == KeptState.KEEPING])
    for key, row in known.items():
        if row.state != KeptState.KEEPING:
            continue
        draft = _Draft(row)
        if row.host_id not in hosts or (row.lost_at is not None and row.lost_at < now - LOST_AFTER):
            draft.close(KeptState.GONE, now=now)
        elif key in there or row.team_id not in terms:
            draft.close(KeptState.RELEASED, now=now)
        else:
            # Its last lines may still be on their way: the engine has the last word.
            draft.set(lost_at=row.lost_at or now)
            drafts.append(draft)
            continue
        draft.save()
    return drafts


def _wanted(terms: Mapping[UUID, LogTerms]) -> list[ObservedContainer]:
    containers: ContainerQuerySet = ObservedContainer.objects.with_team()
    found = containers.filter(owned_by(list(terms), kind=OwnedKind.CONTAINER, object_id="container_id"))
    return list(found.defer("ports", "mounts", "networks", "search_text").order_by("rank", "pk")[:MOST_LOGS])


def _known(wanted: Iterable[Key]) -> dict[Key, KeptLog]:
    """Return the rows of what is kept, and of what is to be kept again."""
    known = {(row.host_id, row.container_id): row for row in KeptLog.objects.filter(state=KeptState.KEEPING)}
    others = [container_id for host_id, container_id in wanted if (host_id, container_id) not in known]
    for start in range(0, len(others), _BATCH):
        closed = KeptLog.objects.filter(container_id__in=others[start : start + _BATCH])
        known |= {(row.host_id, row.container_id): row for row in closed}
    return known


def _was_closed_just_now(row: KeptLog | None, *, now: datetime) -> bool:
    """Whether the engine has just said that the container is gone: the inventory will see it too."""
    if row is None or row.state != KeptState.GONE or row.closed_at is None:
        return False
    return row.closed_at > now - LOST_AFTER


def _there(rows: list[KeptLog]) -> set[Key]:
    """Return which of the containers the inventory shows, whoever owns them."""
    found: set[Key] = set()
    for start in range(0, len(rows), _BATCH):
        ids = [row.container_id for row in rows[start : start + _BATCH]]
        shown = ObservedContainer.objects.filter(container_id__in=ids).order_by()
        found |= set(shown.values_list("host_id", "container_id"))
    return found


def _describe(draft: _Draft, container: ObservedContainer, *, host: Host) -> None:
    """Write down what the container is, as last observed."""
    labels: dict[str, str] = container.labels
    project, service = (labels.get(name, "")[:255] for name in (PROJECT_LABEL, SERVICE_LABEL))
    number = labels.get(NUMBER_LABEL, "")[:20]
    words = (container.name, container.image, project, service, container.container_id)
    draft.set(
        host_name=host.name,
        container_name=container.name,
        image=container.image,
        project=project,
        service=service,
        lineage=f"stack {project}/{service}/{number}" if project and service else f"name {container.name}",
        created_at=container.created_at,
        revision=container.fingerprint,
        search_text=" ".join(words).lower(),
        state=KeptState.KEEPING.value,
        closed_at=None,
        keep_until=None,
        lost_at=None,
    )
    if container.state in _ENDED:
        draft.set(exit_code=container.exit_code)
    elif container.state != ContainerState.RESTARTING:
        draft.set(exit_code=None, ended_at=None, oom_killed=False)


def _ask(
    rows: list[KeptLog], *, terms: Mapping[UUID, LogTerms], hosts: Mapping[UUID, Host]
) -> tuple[dict[Key, dict[str, Any]], str]:
    """Send the list; return what the hub says of each log, and what keeps it from saying anything."""
    endpoints = {}
    for host_id in {row.host_id for row in rows}:
        try:
            endpoints[str(host_id)] = endpoint_for_hub(hosts[host_id].endpoint)
        except Undecryptable:
            logger.warning("logs_not_kept", host_id=str(host_id), cause="the key file was lost")
    order = hub_messages.KeepLogs(
        at=time.time(),
        hosts=endpoints,
        containers=[
            {
                "host": str(row.host_id),
                "container": row.container_id,
                "limit": terms[row.team_id].size_bytes if row.team_id is not None and row.team_id in terms else 0,
                "revision": row.revision,
                "is_lost": row.lost_at is not None,
            }
            for row in rows
            if str(row.host_id) in endpoints
        ],
    )
    try:
        answer = ask_hub(order)
    except HubAway as error:
        logger.warning("logs_not_kept", cause=str(error))
        return {}, "hub_away"
    except HubRefused as error:
        logger.error("logs_not_kept", cause=str(error))
        return {}, "hub_refused"
    return {(UUID(state["host"]), state["container"]): state for state in answer["logs"]}, "no_answer"


def _note(draft: _Draft, state: Mapping[str, Any] | None, *, problem: str, now: datetime) -> None:
    """Write down how the keeping of a log goes; without a word of the hub's, what keeps it from saying one."""
    if state is None:
        draft.set(problem=problem)
        return
    draft.set(problem=state["error"][:30])
    if state["bytes"] is not None:
        draft.set(
            bytes=state["bytes"],
            first_at=_moment(state["first"] / 10**9),
            last_at=_moment(state["last"] / 10**9),
            is_cut=state["is_cut"],
        )
    if state["started_at"]:
        draft.set(started_at=_moment(state["started_at"]))
    if state["ended_at"] and state["state"] != "following":
        draft.set(ended_at=_moment(state["ended_at"]), exit_code=state["exit_code"], oom_killed=state["oom_killed"])
    if state["state"] == "gone":
        draft.close(KeptState.GONE, now=now)


def _moment(seconds: float) -> datetime | None:
    """Return a moment; ``None`` for none, and for one that no clock of ours shows."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (ValueError, OverflowError, OSError):
        return None
