"""Writing down what the hosts hold.

One function writes containers, :func:`apply_containers`, and it has two callers: `manage.py watch`, which follows the
events and lists of every host, and :func:`observe_container`, with which a worker writes the one row that its operation
changed, so that the page that waited for the operation shows the result. Both say when they asked the engine, and an
older answer never overwrites a newer one.

Every string here came from an engine: it is cut to its column and cleaned of what a database refuses, nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from django.db import models, transaction
from django.utils import timezone

from console import gateway
from console.gateway import Container, ContainerState, Driver, Health, Image, Network, Volume
from console.hosts.models import Host
from console.inventory import signals
from console.inventory.models import (
    ObservedContainer,
    ObservedImage,
    ObservedLabel,
    ObservedNetwork,
    ObservedUse,
    ObservedVolume,
    Rank,
)
from console.lib import live
from console.rbac.models import OwnedKind, Ownership

#: Exit codes of a process that was asked to end: SIGINT and SIGTERM.
_ASKED_TO_END: Final = (130, 143)
_BATCH: Final = 500
#: Topics in one signal; a page that follows one object must not cost a message of megabytes.
_TOPICS: Final = 200
_INTEGER: Final = 2**31 - 1
_BIG_INTEGER: Final = 2**63 - 1
Value = TypeVar("Value", Image, Volume, Network)

_FULL_ID = re.compile(r"[0-9a-f]{64}")
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
#: What an address can name, and an engine be asked for. Swarm's ids are shorter and have more letters.
_VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_NETWORK_ID = re.compile(r"[0-9a-z]{12,64}")

_CONTAINER_FIELDS: Final = [
    "name",
    "image",
    "image_id",
    "command",
    "state",
    "rank",
    "status",
    "health",
    "exit_code",
    "end_requested",
    "created_at",
    "ports",
    "mounts",
    "networks",
    "labels",
    "search_text",
    "fingerprint",
    "observed_at",
]


@dataclass(slots=True)
class Changes:
    """What an observation changed: full ids of containers, and whether anything else did."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def topics(self, host: Host) -> list[str]:
        """What pages are told."""
        if not self:
            return []
        ids = (*self.added, *self.changed, *self.removed)
        return ["containers", f"host:{host.id}", *(f"container:{host.id}:{container_id}" for container_id in ids)]


def _clean(text: str, *, limit: int | None = None) -> str:
    """Return ``text`` without what a database refuses (NUL, lone surrogates), cut to ``limit`` characters."""
    if limit is not None:
        text = text[:limit]
    if text.isascii():
        return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _clean_map(values: Any) -> dict[str, str]:
    return {_clean(key): _clean(value) for key, value in values.items()}


def _fingerprint(*values: object) -> str:
    return hashlib.blake2b(repr(values).encode("utf-8", "replace"), digest_size=16).hexdigest()


def _container_fingerprint(container: Container) -> str:
    return _fingerprint(
        container.name,
        container.image,
        container.image_id,
        container.command,
        container.state.value,
        container.health.value,
        container.exit_code,
        container.created_at,
        container.ports,
        container.mounts,
        container.networks,
        sorted(container.labels.items()),
    )


def rank_of(*, state: str, health: str, exit_code: int | None, end_requested: bool) -> Rank:
    """Return where a container stands in the default list: what needs somebody comes first."""
    if state in (ContainerState.RESTARTING, ContainerState.DEAD) or (
        state == ContainerState.RUNNING and health == Health.UNHEALTHY
    ):
        return Rank.PROBLEM
    if state == ContainerState.EXITED:
        failed = bool(exit_code) and exit_code not in _ASKED_TO_END and not end_requested
        return Rank.PROBLEM if failed else Rank.ENDED
    return {
        ContainerState.RUNNING: Rank.RUNNING,
        ContainerState.PAUSED: Rank.PAUSED,
        ContainerState.REMOVING: Rank.REMOVING,
        ContainerState.CREATED: Rank.CREATED,
    }[ContainerState(state)]


def _search_text(container: Container) -> str:
    ports = (f"{port.host_port}:{port.container_port}" for port in container.ports if port.host_port)
    labels = (f"{key}={value}" for key, value in container.labels.items())
    parts = (container.name, container.image, container.container_id, *ports, *labels)
    return _clean(" ".join(parts).lower(), limit=8192)


def _container_row(host: Host, news: _News, *, end_requested: bool, asked_at: datetime) -> ObservedContainer:
    container = news.container
    exit_code = None if container.exit_code is None else max(-_INTEGER, min(container.exit_code, _INTEGER))
    return ObservedContainer(
        host=host,
        container_id=container.container_id,
        name=_clean(container.name, limit=255),
        image=_clean(container.image, limit=300),
        image_id=_clean(container.image_id, limit=80),
        command=_clean(container.command, limit=4096),
        state=container.state.value,
        rank=rank_of(state=container.state, health=container.health, exit_code=exit_code, end_requested=end_requested),
        status=news.status,
        health=container.health.value,
        exit_code=exit_code,
        end_requested=end_requested,
        created_at=container.created_at,
        ports=[
            {
                "container_port": port.container_port,
                "protocol": _clean(port.protocol),
                "host_ip": _clean(port.host_ip),
                "host_port": port.host_port,
            }
            for port in container.ports
        ],
        mounts=[
            {
                "kind": _clean(mount.kind),
                "source": _clean(mount.source),
                "target": _clean(mount.target),
                "read_only": mount.read_only,
            }
            for mount in container.mounts
        ],
        networks=[_clean(name) for name in container.networks],
        labels=_clean_map(container.labels),
        search_text=_search_text(container),
        fingerprint=news.fingerprint,
        observed_at=asked_at,
    )


def _write_labels(rows: Sequence[ObservedContainer]) -> None:
    ObservedLabel.objects.bulk_create(
        (
            ObservedLabel(container_id=row.pk, key=key[:255], value=value[:255])
            for row in rows
            for key, value in row.labels.items()
        ),
        batch_size=_BATCH,
    )


def _listed_name(host: Host, network: str) -> str:
    """Return what lists of networks call ``network``: Podman's own is "podman" to containers and "bridge" there."""
    return "bridge" if host.driver == Driver.PODMAN and network == "podman" else network


def _write_uses(host: Host, rows: Sequence[ObservedContainer]) -> None:
    """Write which volumes and networks the containers use, each once however often it is mounted."""
    ObservedUse.objects.bulk_create(
        (
            ObservedUse(container_id=row.pk, kind=kind, name=name[:255])
            for row in rows
            for kind, name in dict.fromkeys(
                (
                    *((OwnedKind.VOLUME, mount["source"]) for mount in row.mounts if mount["kind"] == "volume"),
                    *((OwnedKind.NETWORK, _listed_name(host, network)) for network in row.networks),
                )
            )
        ),
        batch_size=_BATCH,
    )


def _batches(ids: Iterable[Any]) -> Iterable[list[Any]]:
    """Cut a long list into what one statement's parameters hold."""
    whole = list(ids)
    return (whole[start : start + _BATCH] for start in range(0, len(whole), _BATCH))


def _alone(host: Host) -> bool:
    """Hold the host's row to the end of the transaction: writers of one host come one after the other.

    ``False`` when the host was removed meanwhile. (SQLite has a single writer anyhow.)
    """
    return Host.objects.select_for_update().filter(id=host.id).exists()


def apply_containers(
    host: Host,
    *,
    containers: Sequence[Container],
    asked_at: datetime,
    asked_for: Collection[str] | None = None,
    ended_by_request: Collection[str] = (),
) -> Changes:
    """Write what differs from the rows, and tell the pages what changed.

    ``containers`` is the engine's answer to a question put at ``asked_at``: for all containers, or only for the full
    ids ``asked_for``. What it does not name is gone. Rows observed after ``asked_at`` are left as they are.
    ``ended_by_request`` are containers that somebody stopped or killed, as the engine's events say.
    """
    news = {
        container.container_id: _News(
            container=container,
            fingerprint=_container_fingerprint(container),
            status=_clean(container.status, limit=255),
            ended=container.state in (ContainerState.EXITED, ContainerState.DEAD),
            end_requested=container.container_id in ended_by_request,
        )
        for container in containers
        if _FULL_ID.fullmatch(container.container_id)
    }
    # Without a transaction, since mostly nothing differs and writers would wait for each other for nothing.
    known = _known(host, asked_for)
    differing = [
        container_id for container_id, news_of_it in news.items() if news_of_it.differs(known.get(container_id))
    ]
    gone = [container_id for container_id in known if container_id not in news]
    changes = Changes()
    # In batches, so that a long first list does not keep everybody else from writing.
    for batch in _batches(differing):
        with transaction.atomic():
            if not _alone(host):
                return changes
            _write(host, [news[container_id] for container_id in batch], asked_at=asked_at, changes=changes)
    for batch in _batches(gone):
        with transaction.atomic():
            if not _alone(host):
                return changes
            rows = ObservedContainer.objects.filter(host=host, container_id__in=batch, observed_at__lte=asked_at)
            removed = list(rows.values_list("container_id", flat=True))
            rows.delete()
            changes.removed += removed
    _tell(changes.topics(host))
    if changes:
        signals.containers_changed.send(sender=None, host=host, changes=changes)
    return changes


class _Known(NamedTuple):
    """As much of a row as tells whether it is still right."""

    pk: int
    fingerprint: str
    status: str
    end_requested: bool
    observed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """What the engine says of one container."""

    container: Container
    fingerprint: str
    status: str
    ended: bool
    end_requested: bool

    def requested(self, before: _Known | None) -> bool:
        """Whether somebody ended it: now, or before and it did not run since."""
        return self.ended and (self.end_requested or (before is not None and before.end_requested))

    def changes(self, before: _Known | None) -> bool:
        """Whether pages should know."""
        return (
            before is None or before.fingerprint != self.fingerprint or before.end_requested != self.requested(before)
        )

    def differs(self, before: _Known | None) -> bool:
        """Whether anything is to be written."""
        return before is None or before.status != self.status or self.changes(before)


def _known(host: Host, container_ids: Collection[str] | None) -> dict[str, _Known]:
    rows = ObservedContainer.objects.filter(host=host)
    if container_ids is not None:
        rows = rows.filter(container_id__in=list(container_ids))
    return {row[0]: _Known(*row[1:]) for row in rows.values_list("container_id", *_Known._fields)}


def _write(host: Host, batch: Sequence[_News], *, asked_at: datetime, changes: Changes) -> None:
    """Write what differs, unless a newer answer was faster, and note it in ``changes``."""
    known = _known(host, [news.container.container_id for news in batch])
    written: list[ObservedContainer] = []
    told_anew: defaultdict[str, list[int]] = defaultdict(list)
    changed: list[int] = []
    for news in batch:
        container_id = news.container.container_id
        before = known.get(container_id)
        if before is not None and before.observed_at > asked_at:
            continue
        if before is not None and not news.changes(before):
            told_anew[news.status].append(before.pk)
            continue
        if before is None:
            changes.added.append(container_id)
        else:
            changes.changed.append(container_id)
            changed.append(before.pk)
        written.append(_container_row(host, news, end_requested=news.requested(before), asked_at=asked_at))
    if written:
        ObservedContainer.objects.bulk_create(
            written,
            update_conflicts=True,
            unique_fields=["host", "container_id"],
            update_fields=_CONTAINER_FIELDS,
        )
        for parts in (ObservedLabel, ObservedUse):
            parts.objects.filter(container_id__in=changed).delete()
        _write_labels(written)
        _write_uses(host, written)
    for status, keys in told_anew.items():
        ObservedContainer.objects.filter(pk__in=keys).update(status=status)


def _tell(topics: Sequence[str]) -> None:
    for start in range(0, len(topics), _TOPICS):
        live.notify(*topics[start : start + _TOPICS])


def _apply(
    host: Host,
    values: Sequence[Value],
    *,
    rows: models.Manager[Any],
    key: str,
    key_of: Callable[[Value], str],
    row_of: Callable[[Value], dict[str, Any]],
    asked_at: datetime,
) -> bool:
    """Write what differs between ``values`` and ``rows``; say whether anything did."""
    found: dict[str, dict[str, Any]] = {key_of(value): row_of(value) for value in values if key_of(value)}
    fingerprints = {name: _fingerprint(sorted(content.items())) for name, content in found.items()}

    def differing() -> tuple[list[str], list[int]]:
        told = rows.filter(host=host).values_list(key, "pk", "fingerprint", "observed_at")
        known = {name: (pk, fingerprint, observed_at) for name, pk, fingerprint, observed_at in told}
        changed = [
            name
            for name, fingerprint in fingerprints.items()
            if name not in known or (known[name][1] != fingerprint and known[name][2] <= asked_at)
        ]
        gone = [before[0] for name, before in known.items() if name not in found and before[2] <= asked_at]
        return changed, gone

    # Mostly nothing differs; then nobody has to wait for a transaction of ours.
    if not any(differing()):
        return False
    changed: list[str]
    gone: list[int]
    with transaction.atomic():
        if not _alone(host):
            return False
        changed, gone = differing()  # again: somebody may have been faster
        if changed:
            rows.bulk_create(
                (
                    rows.model(
                        host=host,
                        **{key: name},
                        **found[name],
                        fingerprint=fingerprints[name],
                        observed_at=asked_at,
                    )
                    for name in changed
                ),
                batch_size=_BATCH,
                update_conflicts=True,
                unique_fields=["host", key],
                update_fields=[*found[changed[0]], "fingerprint", "observed_at"],
            )
        for keys in _batches(gone):
            rows.filter(pk__in=keys).delete()
    return bool(changed or gone)


def apply_images(host: Host, *, images: Sequence[Image], asked_at: datetime) -> bool:
    """Write the images that differ, tell the pages, and say whether any did."""

    def row(image: Image) -> dict[str, Any]:
        tags = [_clean(tag, limit=300) for tag in image.tags]
        digests = [_clean(digest, limit=400) for digest in image.digests]
        labels = _clean_map(image.labels)
        return {
            "tags": tags,
            "digests": digests,
            "name": tags[0] if tags else "",
            "size_bytes": max(0, min(image.size_bytes, _BIG_INTEGER)),
            "created_at": image.created_at,
            "labels": labels,
            "search_text": _clean(" ".join((*tags, image.image_id, *digests)).lower(), limit=8192),
        }

    changed = _apply(
        host,
        images,
        rows=ObservedImage.objects,
        key="image_id",
        key_of=lambda image: image.image_id if _IMAGE_ID.fullmatch(image.image_id) else "",
        row_of=row,
        asked_at=asked_at,
    )
    if changed:
        live.notify("images", f"host:{host.id}")
    return changed


def apply_volumes(
    host: Host, *, volumes: Sequence[Volume], asked_at: datetime, destroyed: Collection[str] = ()
) -> bool:
    """Write the volumes that differ, tell the pages, and say whether any did.

    Of those ``destroyed``, as the engine's events say, and not there any more, nobody knows an owner from here on: the
    next one of the name is another volume.
    """

    def row(volume: Volume) -> dict[str, Any]:
        driver, labels = _clean(volume.driver, limit=60), _clean_map(volume.labels)
        return {
            "driver": driver,
            "mountpoint": _clean(volume.mountpoint, limit=4096),
            "created_at": volume.created_at,
            "labels": labels,
            "options": _clean_map(volume.options),
            "search_text": _search_words(volume.name, driver, labels=labels),
        }

    changed = _apply(
        host,
        volumes,
        rows=ObservedVolume.objects,
        key="name",
        key_of=lambda volume: volume.name if _VOLUME_NAME.fullmatch(volume.name) else "",
        row_of=row,
        asked_at=asked_at,
    )
    if gone := set(destroyed) - {volume.name for volume in volumes}:
        Ownership.objects.filter(host=host, kind=OwnedKind.VOLUME, object_id__in=gone, since__lte=asked_at).delete()
    if changed:
        live.notify("volumes", f"host:{host.id}")
    return changed


def apply_networks(host: Host, *, networks: Sequence[Network], asked_at: datetime) -> bool:
    """Write the networks that differ, tell the pages, and say whether any did.

    Of those that are not there any more nobody knows an owner from here on: Podman makes a network's id of its name, so
    the next one of the name has the same, and Podman has no events of networks.
    """

    def row(network: Network) -> dict[str, Any]:
        name, driver = _clean(network.name, limit=255), _clean(network.driver, limit=60)
        labels = _clean_map(network.labels)
        return {
            "name": name,
            "driver": driver,
            "scope": _clean(network.scope, limit=20),
            "internal": network.internal,
            "created_at": network.created_at,
            "labels": labels,
            "options": _clean_map(network.options),
            "search_text": _search_words(name, network.network_id, driver, labels=labels),
        }

    changed = _apply(
        host,
        networks,
        rows=ObservedNetwork.objects,
        key="network_id",
        key_of=lambda network: network.network_id if _NETWORK_ID.fullmatch(network.network_id) else "",
        row_of=row,
        asked_at=asked_at,
    )
    owned = Ownership.objects.filter(host=host, kind=OwnedKind.NETWORK, since__lte=asked_at)
    gone = owned.exclude(object_id__in=[network.network_id for network in networks])
    if gone.exists():
        gone.delete()
    if changed:
        live.notify("networks", f"host:{host.id}")
    return changed


def _search_words(*words: str, labels: Mapping[str, str]) -> str:
    parts = (*words, *(f"{key}={value}" for key, value in labels.items()))
    return _clean(" ".join(parts).lower(), limit=8192)


def apply_listing(
    host: Host,
    *,
    containers: Sequence[Container],
    images: Sequence[Image],
    volumes: Sequence[Volume],
    networks: Sequence[Network],
    asked_at: datetime,
) -> Changes:
    """Write everything a host holds, as asked for at ``asked_at``; returns what changed among its containers."""
    changes = apply_containers(host, containers=containers, asked_at=asked_at)
    apply_images(host, images=images, asked_at=asked_at)
    apply_volumes(host, volumes=volumes, asked_at=asked_at)
    apply_networks(host, networks=networks, asked_at=asked_at)
    return changes


def apply_container(host: Host, container: Container, *, asked_at: datetime) -> Changes:
    """Write one container of the engine's list."""
    return apply_containers(host, containers=[container], asked_at=asked_at, asked_for=[container.container_id])


def forget_container(host: Host, container_id: str, *, asked_at: datetime) -> Changes:
    """Remove the row of a container that the engine does not know any more."""
    return apply_containers(host, containers=[], asked_at=asked_at, asked_for=[container_id])


def observe_container(host: Host, container_id: str, *, end_requested: bool = False) -> None:
    """Ask the engine about one container and write its row, as watch would. Raises ``BackendError``.

    Called by the worker at the end of an operation on a container. Watch sees the same change by the engine's event and
    finds the row as it should be; without this, the page that waited for the operation could show the state before.
    ``end_requested``: the operation was to end it, so its exit code is nobody's problem (Podman's events do not say).
    """
    asked_at = timezone.now()
    found = gateway.call(host.endpoint, lambda engine: engine.list_containers(container_ids=[container_id]))
    apply_containers(
        host,
        containers=found,
        asked_at=asked_at,
        asked_for=[container_id],
        ended_by_request=[container_id] if end_requested else [],
    )


def observe_images(host: Host) -> None:
    """Ask the engine for its images and write them, after an operation on one. Raises ``BackendError``."""
    asked_at = timezone.now()
    found = gateway.call(host.endpoint, lambda engine: engine.list_images())
    apply_images(host, images=found, asked_at=asked_at)


def observe_volumes(host: Host) -> None:
    """Ask the engine for its volumes and write them, after an operation on one. Raises ``BackendError``."""
    asked_at = timezone.now()
    found = gateway.call(host.endpoint, lambda engine: engine.list_volumes())
    apply_volumes(host, volumes=found, asked_at=asked_at)


def observe_networks(host: Host) -> None:
    """Ask the engine for its networks and write them, after an operation on one. Raises ``BackendError``."""
    asked_at = timezone.now()
    found = gateway.call(host.endpoint, lambda engine: engine.list_networks())
    apply_networks(host, networks=found, asked_at=asked_at)
