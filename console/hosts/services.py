"""Every change to a host: by people, by `./pilothouse up`, and by what watch sees."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from console.accounts.models import User
from console.audit.models import Outcome
from console.audit.services import record
from console.gateway import EngineInfo
from console.hosts.causes import explain
from console.hosts.certificates import Bundle
from console.hosts.models import Host, HostState
from console.hosts.probe import Report
from console.lib import live
from console.lib.origin import Origin
from console.lib.text import one_line

LOCAL = "local"


class Taken(Exception):
    """Another host has this name or address; it was registered a moment ago."""


def _forget_state(host: Host) -> list[str]:
    """Make ``host`` one that nobody asked yet, and return the names of the fields this sets."""
    host.state = HostState.UNKNOWN
    host.cause = host.status = host.engine_id = ""
    return ["state", "cause", "status", "engine_id"]


def add_host(
    *, actor: User, name: str, driver: str, url: str, bundle: Bundle | None, origin: Origin | None = None
) -> Host:
    """Register a host; watch asks it within two seconds. Raises ``Taken``."""
    host = Host(name=name, driver=driver, url=url)
    if bundle is not None:
        host.credentials = bundle.credentials
        host.certificate_expires_at = bundle.expires_at
    with transaction.atomic():
        try:
            with transaction.atomic():
                host.save(force_insert=True)
        except IntegrityError as error:
            raise Taken from error
        record(
            actor=actor,
            action="host.add",
            outcome=Outcome.SUCCEEDED,
            host=host,
            object_id=str(host.id),
            object_name=name,
            origin=origin,
            details={"address": url, "engine": driver, "tls": bundle is not None},
        )
        live.notify("hosts")
    return host


def edit_host(
    *,
    actor: User,
    host: Host,
    name: str,
    driver: str,
    url: str,
    bundle: Bundle | None,
    keeps_credentials: bool,
    origin: Origin | None = None,
) -> Host:
    """Change a host, and accept the engine that answers there now. Raises ``Taken``.

    With ``keeps_credentials`` the stored ones stay; else ``bundle`` replaces them, and ``None`` removes them.
    """
    changed = [
        word
        for word, differs in (
            ("name", host.name != name),
            ("engine", host.driver != driver),
            ("address", host.url != url),
            ("credentials", not keeps_credentials and (bundle is not None or host.has_credentials)),
        )
        if differs
    ]
    fields = ["name"]
    host.name = name
    if changed not in ([], ["name"]) or host.cause == "other_engine":
        host.driver = driver
        host.url = url
        fields += ["driver", "url", "revision", *_forget_state(host)]
        if not keeps_credentials:
            host.credentials = bundle.credentials if bundle else None
            host.certificate_expires_at = bundle.expires_at if bundle else None
            fields += ["credentials", "certificate_expires_at"]
    with transaction.atomic():
        try:
            with transaction.atomic():
                revision = host.revision
                if "revision" in fields:
                    host.revision = F("revision") + 1
                host.save(update_fields=fields)
                host.revision = revision
                host.refresh_from_db(fields=["revision"])
        except IntegrityError as error:
            raise Taken from error
        record(
            actor=actor,
            action="host.edit",
            outcome=Outcome.SUCCEEDED,
            host=host,
            object_id=str(host.id),
            object_name=name,
            origin=origin,
            details={"changed": changed, "address": url},
        )
        live.notify("hosts", f"host:{host.id}", "containers", "images")
    return host


def remove_host(*, actor: User, host: Host, origin: Origin | None = None) -> None:
    """Forget a host and what was seen on it. Nothing on the machine itself is touched."""
    host_id = host.id
    with transaction.atomic():
        # Who writes what it holds takes this lock as well: nothing may be added while it goes.
        Host.objects.select_for_update().filter(id=host_id).first()
        record(
            actor=actor,
            action="host.remove",
            outcome=Outcome.SUCCEEDED,
            host=host,
            object_id=str(host_id),
            object_name=host.name,
            origin=origin,
            details={"address": host.url},
        )
        host.delete()
        live.notify("hosts", f"host:{host_id}", "containers", "images")


def record_test(*, actor: User, host: Host | None, url: str, report: Report, origin: Origin | None = None) -> None:
    """Write down that somebody had an address tested: it makes a connection from this machine."""
    record(
        actor=actor,
        action="host.test",
        outcome=Outcome.SUCCEEDED if report.passed else Outcome.FAILED,
        host=host,
        object_id=str(host.id) if host else "",
        object_name=host.name if host else "",
        origin=origin,
        details={"address": url, "cause": report.cause},
    )


def register_local_host(
    *, name: str, url: str, driver: str, note: str, bundle: Bundle | None = None
) -> tuple[Host, str]:
    """Make the engine that `./pilothouse up` chose the local host; as often as you like.

    Returns the host and what was done: "added", "updated" or "unchanged". A host that people registered under the same
    address becomes the local one. What answers there is accepted even when it is another engine than last time.
    """
    with transaction.atomic():
        before = list(Host.objects.select_for_update().filter(is_local=True)[:1])
        same_address = Host.objects.select_for_update().filter(url=url).first()
        host = same_address or (before[0] if before else None)
        added = host is None
        if before and before[0] != host:
            Host.objects.filter(id=before[0].id).update(is_local=False)
        if host is None:
            host = Host(name=_free_name(name))
        wanted: dict[str, Any] = {"is_local": True, "driver": driver, "url": url, "note": note}
        if bundle is not None and (added or host.credentials != bundle.credentials):
            wanted |= {"credentials": bundle.credentials, "certificate_expires_at": bundle.expires_at}
        elif bundle is None and host.url != url:
            wanted |= {"credentials": None, "certificate_expires_at": None}
        changed = [field for field, value in wanted.items() if added or getattr(host, field) != value]
        for field in changed:
            setattr(host, field, wanted[field])
        if host.cause == "other_engine" or set(changed) & {"driver", "url", "credentials"}:
            _forget_state(host)
            host.revision += not added
        elif not changed:
            return host, "unchanged"
        host.save()
        record(
            actor=None,
            component="up",
            action="host.add" if added else "host.edit",
            outcome=Outcome.SUCCEEDED,
            host=host,
            object_id=str(host.id),
            object_name=host.name,
            details={"address": url, "engine": driver, "changed": changed},
        )
        live.notify("hosts", f"host:{host.id}", "containers", "images")
    return host, "added" if added else "updated"


def _free_name(name: str) -> str:
    names = {other.lower() for other in Host.objects.values_list("name", flat=True)}
    candidates = [name, *(f"{name}-{number}" for number in range(2, len(names) + 3))]
    return next(candidate for candidate in candidates if candidate.lower() not in names)


# What watch sees. Each write names the revision it was seen under, so an edited host is not told about its old address.


#: What the inventory counts itself; here it would only make every answer a new one.
_COUNTS = ("containers", "containers_running", "containers_paused", "containers_stopped", "images")


def lasting_engine_id(info: EngineInfo) -> str:
    """Return the id by which an engine is known again; Podman makes up a new one with each answer, so it has none."""
    return "" if "podman" in info.product.lower() else one_line(info.engine_id, limit=120)


def mark_reachable(*, host_id: UUID, revision: int, info: EngineInfo, now: datetime) -> bool:
    """Write that a host answered well; ``False`` when it was edited or removed meanwhile."""
    values = {name: value for name, value in asdict(info).items() if name not in _COUNTS}
    engine_id = values["engine_id"] = lasting_engine_id(info)
    values["warnings"] = [one_line(text, limit=300) for text in info.warnings[:20]]
    with transaction.atomic():
        host = Host.objects.select_for_update().defer("credentials").filter(id=host_id, revision=revision).first()
        if host is None:
            return False
        changed = host.state != HostState.REACHABLE
        fields: dict[str, Any] = {"seen_at": now}
        if changed:
            fields |= {"state": HostState.REACHABLE, "cause": "", "status": "", "state_changed_at": now}
        if host.engine_id != engine_id:
            fields["engine_id"] = engine_id
        if host.info != values:
            fields["info"] = values
        Host.objects.filter(id=host_id).update(**fields)
        if changed:
            live.notify("hosts", f"host:{host_id}", "containers", "images")
        elif "info" in fields:
            live.notify("hosts", f"host:{host_id}")
    return True


def mark_troubled(*, host_id: UUID, revision: int, cause: str, detail: str, now: datetime) -> bool:
    """Write that a host does not answer well, and why. Its rows stay and are stale from now on.

    Returns whether that is news.
    """
    state = explain(cause).state
    with transaction.atomic():
        host = Host.objects.select_for_update().defer("credentials").filter(id=host_id, revision=revision).first()
        if host is None or (host.state, host.cause, host.status) == (state, cause, detail):
            return False
        fields: dict[str, Any] = {"state": state, "cause": cause, "status": detail}
        if host.state != state:
            fields["state_changed_at"] = now
        Host.objects.filter(id=host_id).update(**fields)
        live.notify("hosts", f"host:{host_id}", "containers", "images")
    return True


def mark_seen(*, host_ids: Collection[UUID], now: datetime) -> None:
    """Write that these hosts answered just now; no page needs to be told."""
    Host.objects.filter(id__in=list(host_ids), state=HostState.REACHABLE).update(seen_at=now)
