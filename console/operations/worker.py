"""The worker's side of every operation: claim the row, run its handler, keep the lease, end it in one place.

The handler is a coroutine on the gateway's loop. The thread that called :func:`run` stands beside it: twice a second it
writes progress and looks for a cancel request, and it renews the lease. All it writes is conditional on lease and
fence, so a worker that lost its lease stops its handler and writes nothing more.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, close_old_connections, connection, transaction
from django.db.models import F, Window
from django.db.models.functions import Coalesce, RowNumber
from django.utils import timezone, translation

from console import gateway
from console.accounts.tokens import find_owner
from console.audit.models import Outcome
from console.audit.services import record, record_refusal
from console.gateway import BackendError
from console.hosts.models import Host
from console.inventory.services import observe_container, observe_images, observe_networks, observe_volumes
from console.lib.crypto import Undecryptable
from console.lib.live import notify
from console.lib.origin import Origin
from console.lib.text import one_line
from console.operations import errors
from console.operations.access import team_of_now
from console.operations.context import DatabaseCall, OperationContext, plain
from console.operations.dispatch import wake
from console.operations.errors import Failure, Halted, Reason
from console.operations.models import HOST_SHARE, Operation, OperationState
from console.operations.registry import Kind, find
from console.rbac.access import Refused
from console.rbac.policy import allowed

logger = structlog.get_logger(__name__)

#: Seconds for which a claim holds, and after which it is renewed.
LEASE = 15.0
RENEW_EVERY = 3.0
#: Seconds between two looks at the row: progress leaves and a cancel request arrives this often.
TICK = 0.5
ATTEMPTS = 3
#: Seconds that a cancelled handler has to clean up.
CLEAN_UP = 60.0
#: Operations at a time; a few of the worker's 16 threads stay free for the sweep and the canary.
SLOTS = 13

#: How far back an operation knows what it repeats.
_MOST_REPEATED = 100

#: After these an engine has nothing to tell about what became of the object.
_NO_USE_TO_ASK = frozenset({"unreachable", "timed_out", "access_denied", "protocol", "terminated"})

_slots = threading.BoundedSemaphore(SLOTS)
#: Set when an operation came while no slot was free.
_turned_away = threading.Event()
#: The hosts of which an operation came and had to wait. Each process knows of its own: what another one turned away is
#: left to that one's next end on the host, or to the sweep.
_full_hosts: set[UUID] = set()
_owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class End:
    """How an operation ended."""

    state: OperationState
    reason: Reason | None = None


SUCCEEDED = End(OperationState.SUCCEEDED)
CANCELLED = End(OperationState.CANCELLED)


def run(operation_id: UUID) -> None:
    """Claim the operation and bring it to its end. Somebody else's, ended or cancelled: nothing happens."""
    if not _slots.acquire(blocking=False):
        _turned_away.set()  # whoever frees a slot wakes the next
        return
    try:
        operation = claim(operation_id)
        if operation is not None:
            with translation.override(operation.language or None):
                _Run(operation).to_the_end()
    finally:
        _slots.release()
    if operation is not None:
        _wake_next(operation)


def claim(operation_id: UUID) -> Operation | None:
    """Take the operation for this process.

    ``None`` when it is taken or ended, when another on its object is first, or when its host has no room.
    """
    # Of many messages for one operation all but one end here, without a lock.
    target = Operation.objects.filter(pk=operation_id, state=OperationState.QUEUED).values_list("host_id", flat=True)
    if not (found := target[:1]):
        return None
    (host_id,) = found
    now = timezone.now()
    with transaction.atomic():
        if host_id is not None:
            # Of two operations on one host, claimed at once, one waits here and then sees the other. SQLite has a
            # single writer and needs no such lock.
            list(Host.objects.select_for_update(no_key=True).filter(pk=host_id).values_list("pk", flat=True))
        claimed = (
            Operation.objects.filter(pk=operation_id)
            .claimable()
            .update(
                state=OperationState.RUNNING,
                lease_owner=_owner,
                lease_until=now + timedelta(seconds=LEASE),
                fence=F("fence") + 1,
                attempts=F("attempts") + 1,
                watches=False,
                started_at=Coalesce("started_at", now),
            )
        )
    if not claimed:
        if host_id is not None:
            _full_hosts.add(host_id)  # whoever leaves the host wakes the next
        return None
    return Operation.objects.defer("arguments").select_related("host", "actor").get(pk=operation_id)


def end(operation: Operation, outcome: End, *, changes: dict[str, Any] | None = None, component: str = "") -> bool:
    """End a claimed operation, with its audit row, in the one place where that happens.

    ``False`` when the claim behind ``operation`` (owner and fence) does not hold any more; then nothing is written.
    """
    reason = outcome.reason
    if operation.actor is None and not component:
        component = "worker"  # whoever asked was removed from the console meanwhile
    fields: dict[str, Any] = {
        **(changes or {}),
        "state": outcome.state,
        "ended_at": timezone.now(),
        "lease_owner": "",
        "lease_until": None,
    }
    if reason is not None:
        fields |= {
            "error_code": one_line(reason.code, limit=40),
            "error": plain(reason.sentence)[:20_000],
            "next_step": one_line(reason.next_step, limit=500),
        }
    with transaction.atomic():
        written = held(operation).update(**fields)
        if not written:
            return False
        record(
            actor=None if component else operation.actor,
            action=operation.kind,
            outcome=Outcome(outcome.state.value),
            host=operation.host,
            object_id=fields.get("object_id", operation.object_id),
            object_name=fields.get("object_name", operation.object_name),
            operation_id=operation.pk,
            origin=Origin(address=operation.address),
            details={"code": reason.code} if reason is not None else None,
            component=component,
        )
        notify("operations", f"operation:{operation.pk}")
    logger.info(
        "operation_ended",
        operation_id=str(operation.pk),
        kind=operation.kind,
        state=outcome.state.value,
        code=reason.code if reason else "",
    )
    return True


def held(operation: Operation) -> Any:
    """Return the row as long as the claim behind ``operation`` holds."""
    return Operation.objects.filter(
        pk=operation.pk, state=OperationState.RUNNING, lease_owner=operation.lease_owner, fence=operation.fence
    )


def _repeated_by(operation: Operation) -> list[UUID]:
    """Return the operations that ``operation`` asks for again, the latest first."""
    found: list[UUID] = []
    before = operation.retry_of_id
    while before is not None and len(found) < _MOST_REPEATED:
        found.append(before)
        before = Operation.objects.filter(pk=before).values_list("retry_of_id", flat=True).first()
    return found


def _wake_next(operation: Operation) -> None:
    """Wake what waited for this operation's object or host, and what waited for a slot."""
    _wake_on_host(operation)
    if _turned_away.is_set():
        _turned_away.clear()
        # The first of each host, then the second of each: a long queue of one host delays no other.
        place = Window(RowNumber(), partition_by=F("host_id"), order_by=("created_at", "pk"))
        fair = Operation.objects.claimable().annotate(place=place).order_by("place", "created_at", "pk")
        for operation_id in fair.values_list("pk", flat=True)[:SLOTS]:
            wake(operation_id)


def _wake_on_host(operation: Operation) -> None:
    """Wake what waited for this operation's object, and what waited for a place on its host."""
    # The row knows the object better: a create got its own while it ran.
    operation.refresh_from_db(fields=["object_id"])
    host_id = operation.host_id
    if host_id is None:
        return
    waiting = Operation.objects.claimable().filter(host_id=host_id).order_by("created_at", "pk")
    next_ones = waiting.values_list("pk", flat=True)
    found = list(next_ones.filter(object_id=operation.object_id)[:1]) if operation.object_id else []
    if host_id in _full_hosts:
        _full_hosts.discard(host_id)
        found += next_ones[:HOST_SHARE]
    for operation_id in dict.fromkeys(found):
        wake(operation_id)


@dataclass(slots=True)
class _Run:
    """One claim of one operation, from here to its end."""

    operation: Operation
    _loop: asyncio.AbstractEventLoop | None = None
    _task: asyncio.Task[End] | None = None
    _context: OperationContext | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    #: What the handler wants of the database; ``None`` says that it has ended.
    _calls: SimpleQueue[DatabaseCall | None] = field(default_factory=SimpleQueue)
    _cancelled: bool = False
    #: When the lease ends, by the monotonic clock: reckoned from before it was asked for.
    _lease_ends: float = field(default_factory=lambda: time.monotonic() + LEASE)

    def to_the_end(self) -> None:
        """Check, run the handler, watch over it, and end the row."""
        operation = self.operation
        kind = find(operation.kind)
        host = operation.host
        notify("operations", f"operation:{operation.pk}")
        if kind is None:
            end(operation, End(OperationState.FAILED, errors.unknown_kind(operation.kind)))
            return
        if not self._authorised():
            return
        if host is None:
            end(operation, End(OperationState.FAILED, errors.host_gone()))
            return
        try:
            endpoint, arguments = host.endpoint, operation.arguments
        except Undecryptable:
            end(operation, End(OperationState.FAILED, errors.undecryptable()))
            return
        repeats = _repeated_by(operation)
        future = gateway.submit(
            lambda: self._work(kind, endpoint=endpoint, arguments=arguments, host_name=host.name, repeats=repeats)
        )
        outcome = self._watch_over(future)
        if outcome is None:
            logger.warning("lease_lost", operation_id=str(operation.pk), kind=operation.kind)
            return
        changes = self._context.changes() if self._context is not None else {}
        if outcome.reason is None or outcome.reason.code not in _NO_USE_TO_ASK:
            self._observe(host, object_id=self._context.object_id if self._context else operation.object_id)
        if outcome.state == OperationState.SUCCEEDED and operation.holds_secrets:
            changes |= {"arguments": kind.without_secrets(arguments), "holds_secrets": False}
        self._end(outcome, changes=changes)

    def _end(self, outcome: End, *, changes: dict[str, Any]) -> None:
        """End the row; while the database is away, try for as long as the lease holds."""
        while True:
            try:
                end(self.operation, self._overtaken(outcome), changes=changes)
            except DatabaseError:
                if connection.in_atomic_block or time.monotonic() >= self._lease_ends:
                    raise
                close_old_connections()
                time.sleep(TICK)
            else:
                return

    def _overtaken(self, outcome: End) -> End:
        """Return how it ended: what others did to an object that was only watched is no failure of this."""
        context, operation = self._context, self.operation
        if context is None or not context.undone_by or self._cancelled:
            return outcome
        others = Operation.objects.filter(
            host=operation.host,
            object_id=context.object_id,
            kind__in=context.undone_by,
            state__in=(OperationState.RUNNING, OperationState.SUCCEEDED),
            started_at__gte=operation.started_at,
        )
        other = others.exclude(pk=operation.pk).select_related("actor").defer("arguments").order_by("started_at").last()
        if other is None:
            return outcome
        person = other.actor.get_short_name() if other.actor is not None else ""
        return End(OperationState.CANCELLED, errors.overtaken(other.title, person=person))

    def _authorised(self) -> bool:
        """Ask again, with the rights of now; a refusal ends the operation and has a row of its own.

        What a token asked for has the token's limits here too, and is not done once the token works no more.
        """
        operation = self.operation
        holds = True
        if operation.token_id is not None:
            owner = find_owner(operation.token_id)
            holds = owner is not None
            operation.actor = owner or operation.actor
        team_id = team_of_now(operation)
        if holds and operation.actor is not None and allowed(operation.actor, operation.kind, team_id=team_id):
            return True
        refusal = Refused(
            operation.kind,
            code="" if holds else "bad_token",
            host=operation.host,
            object_id=operation.object_id,
            object_name=operation.object_name,
        )
        record_refusal(refusal, actor=operation.actor, origin=Origin(address=operation.address))
        end(operation, End(OperationState.FAILED, errors.refused(operation.kind)))
        return False

    async def _work(
        self,
        kind: Kind,
        *,
        endpoint: gateway.Endpoint,
        arguments: dict[str, Any],
        host_name: str,
        repeats: Collection[UUID],
    ) -> End:
        """Run the handler on the gateway's loop and tell how it ended."""
        operation = self.operation
        context = self._context = OperationContext(
            operation_id=operation.pk,
            host_id=operation.host_id,
            team_id=operation.team_id,
            arguments=arguments,
            object_id=operation.object_id,
            object_name=operation.object_name,
            attempt=operation.attempts,
            engine=gateway.open_engine(endpoint),
            output=operation.output,
            repeats=repeats,
            calls=self._calls,
        )
        self._loop = asyncio.get_running_loop()
        # A task of its own, begun before anybody can cancel it: so the handler gets to its first wait, and cleans up.
        self._task = asyncio.create_task(self._handle(kind, context=context, host_name=host_name))
        self._ready.set()
        return await self._task

    async def _handle(self, kind: Kind, *, context: OperationContext, host_name: str) -> End:
        try:
            with translation.override(self.operation.language or None):
                async with asyncio.timeout(kind.timeout) as limit:
                    await kind.handler(context)
        except asyncio.CancelledError:
            return CANCELLED
        except BackendError as error:
            with translation.override(self.operation.language or None):
                reason = errors.explain(error, name=context.object_name, host=host_name)
            return End(OperationState.FAILED, reason)
        except Failure as failure:
            if isinstance(failure, Halted) and limit.expired():
                return End(OperationState.FAILED, errors.took_too_long(kind.timeout))
            state = OperationState.CANCELLED if isinstance(failure, Halted) else OperationState.FAILED
            reason = Reason(code=failure.code, sentence=failure.message, next_step=failure.next_step)
            return End(state, reason)
        except Exception as error:  # whatever a handler did wrong, its row must end
            if isinstance(error, TimeoutError) and limit.expired():
                return End(OperationState.FAILED, errors.took_too_long(kind.timeout))
            logger.exception("operation_broke", operation_id=str(self.operation.pk), kind=kind.name)
            return End(OperationState.FAILED, errors.broken())
        return SUCCEEDED

    def _watch_over(self, future: Future[End]) -> End | None:
        """Wait for the handler. ``None`` when the lease was lost: then it is stopped, and nothing may be written."""
        if self.operation.cancel_requested_at is not None:
            self._cancel()
        future.add_done_callback(lambda _future: self._calls.put(None))
        next_renewal = time.monotonic() + RENEW_EVERY
        give_up_at: float | None = None
        while True:
            with suppress(Empty):
                self._answer(self._calls.get(timeout=TICK))
            if future.done():
                return future.result()
            now = time.monotonic()
            try:
                renew = now >= next_renewal
                if not self._look_at_row(renew=renew):
                    self._abandon()
                    return None
                if renew:
                    next_renewal = now + RENEW_EVERY
            except DatabaseError as error:
                logger.warning("operation_row_unreachable", operation_id=str(self.operation.pk), error=str(error))
                close_old_connections()
                if time.monotonic() >= self._lease_ends:
                    self._abandon()
                    return None
            if self._cancelled:
                give_up_at = give_up_at or now + CLEAN_UP
                if now >= give_up_at:
                    future.cancel()
                    return CANCELLED

    def _answer(self, call: DatabaseCall | None) -> None:
        """Do what the handler wants of the database; while that is away, later."""
        if call is None:
            return
        try:
            call.run()
        except DatabaseError as error:
            if connection.in_atomic_block:
                call.fail(error)
                return
            logger.warning("operation_database_unreachable", operation_id=str(self.operation.pk), error=str(error))
            close_old_connections()
            self._calls.put(call)
            time.sleep(TICK)

    def _look_at_row(self, *, renew: bool) -> bool:
        """Write progress, renew the lease, see whether to cancel. ``False`` when the lease was lost."""
        fields = self._context.changes() if self._context is not None else {}
        told = bool(fields)
        until = time.monotonic() + LEASE
        if renew:
            fields["lease_until"] = timezone.now() + timedelta(seconds=LEASE)
        row = held(self.operation)
        try:
            if fields and not row.update(**fields):
                return False
            # The audit row of the end names what it was about, also when that was learnt long before.
            for name in ("object_id", "object_name"):
                setattr(self.operation, name, fields.get(name, getattr(self.operation, name)))
            if renew:
                self._lease_ends = until
            cancel = row.values_list("cancel_requested_at", flat=True)[:1]
            found = list(cancel)
        except DatabaseError:
            if self._context is not None:
                fields.pop("lease_until", None)
                self._context.put_back(fields)
            raise
        if told:
            notify("operations", f"operation:{self.operation.pk}")
        if not found:
            return False
        if fields.get("watches"):
            _wake_on_host(self.operation)
        if found[0] is not None and not self._cancelled:
            self._cancel()
        return True

    def _abandon(self) -> None:
        """Stop the handler, which must not clean up: somebody else goes on with what it made."""
        self._ready.wait(timeout=5)
        if self._context is not None:
            self._context.abandoned = True
        self._cancel()

    def _cancel(self) -> None:
        """Have the handler's task cancelled on its loop."""
        self._cancelled = True
        self._ready.wait(timeout=5)
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _observe(self, host: Host, *, object_id: str) -> None:
        """Have the inventory show what we did before anybody is told that it is done."""
        try:
            if self.operation.kind.startswith("container.") and object_id:
                ends = self.operation.kind in ("container.stop", "container.kill")
                observe_container(host, object_id, end_requested=ends)
            elif self.operation.kind.startswith("image."):
                observe_images(host)
            elif self.operation.kind.startswith("volume."):
                observe_volumes(host)
            elif self.operation.kind.startswith("network."):
                observe_networks(host)
        except BackendError as error:
            logger.info("not_observed", operation_id=str(self.operation.pk), error=str(error))
