"""One claim, from there to the end of the row."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from console.accounts.models import Role, User
from console.audit.models import AuditEvent
from console.gateway import BackendError, Conflict, EngineFailure, NotFound, Unreachable
from console.hosts.models import Host
from console.operations import models, worker
from console.operations.context import OUTPUT_LIMIT
from console.operations.errors import Failure
from console.operations.models import HOST_SHARE, LONG_SHARE, Operation, OperationState
from console.operations.registry import Handler, OperationContext
from runtime.testing import FakeEngine
from tests.console.operations.conftest import KIND, Ask, Handle

Beside = Callable[[Operation], threading.Thread]


def _reload(operation: Operation) -> Operation:
    return Operation.objects.get(pk=operation.pk)


def _outcomes(operation: Operation) -> list[str]:
    events = AuditEvent.objects.filter(operation_id=operation.pk).order_by("sequence")
    return list(events.values_list("outcome", flat=True))


def test_a_handler_runs_and_the_row_ends(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        context.phase("start", "Starting")
        context.progress(current=3, total=4, unit="bytes")
        context.output("a line")
        context.result(container_id="c1")
        context.identify(object_id="c" * 64, object_name="web-2")

    handle(handler)
    worker.run(operation.pk)

    ended = _reload(operation)
    assert ended.state == OperationState.SUCCEEDED
    assert (ended.phase, ended.message, ended.output) == ("start", "Starting", "a line\n")
    assert ended.progress == {"phases": ["start"], "current": 3, "total": 4, "unit": "bytes"}
    assert (ended.result, ended.object_id, ended.object_name) == ({"container_id": "c1"}, "c" * 64, "web-2")
    assert (ended.attempts, ended.fence, ended.lease_owner, ended.lease_until) == (1, 1, "", None)
    assert ended.started_at is not None
    assert ended.ended_at is not None
    assert _outcomes(operation) == ["accepted", "succeeded"]


def test_a_second_message_for_the_same_operation_does_nothing(operation: Operation, handle: Handle) -> None:
    runs: list[int] = []

    async def handler(context: OperationContext) -> None:
        runs.append(context.attempt)

    handle(handler)
    for _message in range(10):
        worker.run(operation.pk)
    assert runs == [1]
    assert _outcomes(operation) == ["accepted", "succeeded"]


def test_an_engine_error_becomes_a_reason_with_a_next_step(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        raise EngineFailure("Bind for 0.0.0.0:80 failed: port is already allocated", reason="port_taken")

    handle(handler)
    worker.run(operation.pk)

    ended = _reload(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "port_taken")
    assert ended.error.startswith("A port that web-1 wants is taken on harbour.")
    assert "Bind for 0.0.0.0:80 failed" in ended.error
    assert ended.next_step == "Choose another port, or stop what uses it."
    assert _outcomes(operation) == ["accepted", "failed"]
    assert AuditEvent.objects.latest("sequence").details == {"code": "port_taken"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unreachable("connection refused"), "unreachable"),
        (NotFound("No such container: x"), "not_found"),
        (Conflict("name is already in use", reason="name_taken"), "name_taken"),
    ],
)
def test_each_error_has_a_stable_code(operation: Operation, handle: Handle, error: BackendError, code: str) -> None:
    async def handler(context: OperationContext) -> None:
        raise error

    handle(handler)
    worker.run(operation.pk)
    ended = _reload(operation)
    assert ended.error_code == code
    assert ended.next_step


def test_a_handlers_own_reason_is_kept(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        raise Failure("exited", "It ended at once.", next_step="Read its log.")

    handle(handler)
    worker.run(operation.pk)
    ended = _reload(operation)
    assert (ended.error_code, ended.error, ended.next_step) == ("exited", "It ended at once.", "Read its log.")


def test_a_broken_handler_ends_its_row_without_inner_words(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        raise KeyError("secret-inner-word")

    handle(handler)
    worker.run(operation.pk)
    ended = _reload(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "internal")
    assert "secret-inner-word" not in ended.error


def test_what_takes_too_long_is_stopped(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        await asyncio.sleep(60)

    handle(handler, timeout=0)
    worker.run(operation.pk)
    assert _reload(operation).error_code == "timed_out"


def test_rights_are_asked_again_before_the_handler(
    operation: Operation, handle: Handle, alice: User, engine: FakeEngine
) -> None:
    async def handler(context: OperationContext) -> None:
        raise AssertionError("the handler must not run")

    handle(handler)
    User.objects.filter(pk=alice.pk).update(role=Role.USER)
    worker.run(operation.pk)

    ended = _reload(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "policy")
    assert engine.calls == []
    assert list(AuditEvent.objects.order_by("sequence").values_list("outcome", flat=True)) == [
        "accepted",
        "denied",
        "failed",
    ]


def test_a_suspended_person_changes_nothing(operation: Operation, alice: User, engine: FakeEngine) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    worker.run(operation.pk)
    assert _reload(operation).error_code == "policy"
    assert engine.calls == []


def test_a_removed_person_changes_nothing(operation: Operation, alice: User, engine: FakeEngine) -> None:
    alice.delete()
    worker.run(operation.pk)
    assert _reload(operation).error_code == "policy"
    assert engine.calls == []
    assert AuditEvent.objects.latest("sequence").actor_name == "system:worker"


def test_a_removed_host_fails_the_operation(operation: Operation, host: Host) -> None:
    Host.objects.filter(pk=host.pk).delete()
    worker.run(operation.pk)
    assert _reload(operation).error_code == "host_gone"


def test_an_unknown_kind_fails_the_operation(operation: Operation) -> None:
    Operation.objects.filter(pk=operation.pk).update(kind="container.paint")
    worker.run(operation.pk)
    assert _reload(operation).error_code == "unknown_kind"


def test_output_keeps_its_end_within_its_bound(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        for number in range(6000):
            context.output(f"{number:05} " + "가" * 20)

    handle(handler)
    worker.run(operation.pk)
    output = _reload(operation).output
    assert len(output.encode()) <= OUTPUT_LIMIT
    assert output.rstrip().splitlines()[-1].startswith("05999")
    assert output.splitlines()[0][:5].isdigit(), "the first line is whole"


def test_hostile_text_reaches_the_row_as_text(operation: Operation, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        context.output("nul \0 and half a character \ud800")
        context.phase("start", "a\x1b[31m\n" + "x" * 900)
        context.result(note="nul \0")
        raise EngineFailure("said \0 <script>")

    handle(handler)
    worker.run(operation.pk)
    ended = _reload(operation)
    assert (ended.state, ended.error_code) == (OperationState.FAILED, "engine_failure")
    assert "and half a character" in ended.output
    for text in (ended.output, ended.message, ended.error, str(ended.result)):
        assert "\0" not in text
    assert len(ended.message) <= 500
    assert "\x1b" not in ended.message


def test_operations_on_one_object_run_one_after_another(ask: Ask, handle: Handle) -> None:
    ran: list[str] = []

    async def handler(context: OperationContext) -> None:
        ran.append(context.object_name)

    handle(handler)
    first, second = ask(object_id="c" * 64, object_name="first"), ask(object_id="c" * 64, object_name="second")

    worker.run(second.pk)
    assert ran == [], "the older one goes first"
    worker.run(first.pk)
    worker.run(second.pk)
    assert ran == ["first", "second"]


def test_other_objects_do_not_wait(ask: Ask, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        return

    handle(handler)
    ask(object_id="c" * 64)
    other = ask(object_id="d" * 64)
    worker.run(other.pk)
    assert _reload(other).state == OperationState.SUCCEEDED


def test_who_waited_for_the_object_is_woken_at_the_end(
    ask: Ask, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(context: OperationContext) -> None:
        return

    handle(handler)
    first, second, _other = ask(object_id="c" * 64), ask(object_id="c" * 64), ask(object_id="d" * 64)
    woken: list[object] = []
    monkeypatch.setattr(worker, "wake", woken.append)
    worker.run(first.pk)
    assert woken == [second.pk]


def test_who_waited_for_the_object_that_a_create_made_is_woken_too(
    ask: Ask, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = ask(object_id="c" * 64)

    async def handler(context: OperationContext) -> None:
        context.identify(object_id="c" * 64)

    handle(handler)
    creating = ask()
    woken: list[object] = []
    monkeypatch.setattr(worker, "wake", woken.append)
    worker.run(creating.pk)
    assert woken == [waiting.pk]


def _watch_until(go_on: threading.Event, *, end: Failure | None = None, undone_by: str = KIND) -> Handler:
    """Return a handler that watches the object "c…" until it may go on, and then has seen what it wants, or fails."""

    async def handler(context: OperationContext) -> None:
        if context.object_id:
            return  # it is the other one
        context.identify(object_id="c" * 64)
        context.watch(undone_by=[undone_by])
        await asyncio.to_thread(go_on.wait, 20)
        if end is not None:
            raise end
        context.saw("It is there.")

    return handler


def test_while_one_only_watches_its_object_others_act_on_it(
    committed: Ask, handle: Handle, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    handle(_watch_until(go_on))
    watching, other = committed(), committed(object_id="c" * 64)
    woken: list[object] = []
    monkeypatch.setattr(worker, "wake", woken.append)
    thread = beside(watching)
    _until(lambda: woken == [other.pk])

    worker.run(other.pk)
    assert _reload(other).state == OperationState.SUCCEEDED
    assert _reload(watching).state == OperationState.RUNNING
    go_on.set()
    thread.join(20)
    ended = _reload(watching)
    assert (ended.state, ended.message) == (OperationState.SUCCEEDED, "It is there."), "what it saw counts"


def test_what_others_did_to_a_watched_object_is_told_as_the_end(committed: Ask, handle: Handle, beside: Beside) -> None:
    go_on = threading.Event()
    handle(_watch_until(go_on, end=Failure("exited", "It ended at once.")))
    watching, other = committed(), committed(object_id="c" * 64)
    thread = beside(watching)
    _until(lambda: _reload(watching).watches)
    worker.run(other.pk)
    go_on.set()
    thread.join(20)

    ended = _reload(watching)
    assert (ended.state, ended.error_code) == (OperationState.CANCELLED, "overtaken")
    assert ended.error == "While this only waited, alice asked for something else: Start web-1."
    assert ended.next_step
    assert _outcomes(watching) == ["accepted", "cancelled"]


@pytest.mark.parametrize("undone_by", ["container.start", "container.rename"])
def test_a_failure_that_nobody_else_explains_stays_one(
    committed: Ask, handle: Handle, beside: Beside, undone_by: str
) -> None:
    go_on = threading.Event()
    handle(_watch_until(go_on, end=Failure("exited", "It ended at once."), undone_by=undone_by))
    watching, other = committed(), committed(object_id="c" * 64)
    thread = beside(watching)
    _until(lambda: _reload(watching).watches)
    if undone_by != KIND:
        worker.run(other.pk)  # what it did explains nothing
    go_on.set()
    thread.join(20)
    assert _reload(watching).error_code == "exited"


def test_one_that_is_claimed_again_watches_only_when_it_says_so_again(operation: Operation) -> None:
    Operation.objects.filter(pk=operation.pk).update(watches=True)
    claimed = worker.claim(operation.pk)
    assert claimed is not None
    assert claimed.watches is False


def test_without_a_free_slot_the_operation_waits_and_is_woken(
    ask: Ask, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(context: OperationContext) -> None:
        return

    handle(handler)
    waiting, running = ask(), ask()
    woken: list[object] = []
    monkeypatch.setattr(worker, "wake", woken.append)
    monkeypatch.setattr(worker, "_slots", threading.BoundedSemaphore(1))
    assert worker._slots.acquire(blocking=False)
    worker.run(waiting.pk)
    assert _reload(waiting).state == OperationState.QUEUED
    worker._slots.release()

    worker.run(running.pk)
    assert woken == [waiting.pk]


def test_a_host_that_hangs_holds_up_its_own_operations_only(ask: Ask, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        return

    handle(handler)
    hanging = [ask() for _number in range(HOST_SHARE)]
    late = ask()
    elsewhere = ask(host=Host.objects.create(name="quay", url="unix:///nowhere/quay.sock"))
    for each in hanging:
        assert worker.claim(each.pk) is not None

    worker.run(late.pk)
    worker.run(elsewhere.pk)
    assert _reload(late).state == OperationState.QUEUED
    assert _reload(elsewhere).state == OperationState.SUCCEEDED


def test_pulls_leave_room_for_a_stop(ask: Ask) -> None:
    pulls = [ask(kind="image.pull", object_id=f"demo:{number}") for number in range(LONG_SHARE + 1)]
    stop = ask(kind="container.stop")

    claimed = [worker.claim(operation.pk) is not None for operation in (*pulls, stop)]

    assert claimed == [True] * LONG_SHARE + [False, True]


def test_one_that_only_watches_takes_no_room_of_its_host(ask: Ask, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        return

    handle(handler)
    for _number in range(HOST_SHARE):
        assert worker.claim(ask().pk) is not None
    Operation.objects.update(watches=True)
    late = ask()
    worker.run(late.pk)
    assert _reload(late).state == OperationState.SUCCEEDED


def test_whoever_leaves_a_full_host_wakes_those_that_wait_longest(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    for _number in range(HOST_SHARE - 1):
        assert worker.claim(ask().pk) is not None
    waiting = [ask() for _number in range(HOST_SHARE + 1)]
    last = ask()
    woken: list[object] = []
    monkeypatch.setattr(worker, "wake", woken.append)

    claimed = worker.claim(last.pk)
    assert claimed is not None
    worker.run(waiting[0].pk)
    assert _reload(waiting[0]).state == OperationState.QUEUED
    worker.end(claimed, worker.SUCCEEDED)
    worker._wake_next(claimed)
    assert woken == [each.pk for each in waiting[:HOST_SHARE]]


def test_a_free_slot_goes_to_the_hosts_in_turn(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SLOTS", 3)
    running = ask()
    claimed = worker.claim(running.pk)
    assert claimed is not None
    worker._turned_away.set()
    first, second, _third = ask(), ask(), ask()
    elsewhere = ask(host=Host.objects.create(name="quay", url="unix:///nowhere/quay.sock"))
    woken: list[object] = []
    monkeypatch.setattr(worker, "wake", woken.append)
    worker.end(claimed, worker.SUCCEEDED)
    worker._wake_next(claimed)
    assert woken == [first.pk, elsewhere.pk, second.pk]


def test_progress_is_written_while_it_runs(committed: Ask, handle: Handle, beside: Beside) -> None:
    go_on = threading.Event()

    async def handler(context: OperationContext) -> None:
        context.phase("pull", "Pulling")
        context.progress(current=10, total=100, unit="bytes")
        await asyncio.to_thread(go_on.wait, 20)

    handle(handler)
    operation = committed()
    beside(operation)
    _until(lambda: _reload(operation).progress.get("current") == 10)
    assert _reload(operation).message == "Pulling"
    go_on.set()


def test_the_lease_is_renewed_while_it_runs(
    committed: Ask, handle: Handle, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "RENEW_EVERY", 0.05)
    go_on = threading.Event()

    async def handler(context: OperationContext) -> None:
        await asyncio.to_thread(go_on.wait, 20)

    handle(handler)
    operation = committed()
    beside(operation)
    _until(lambda: _reload(operation).lease_until is not None)
    first = _reload(operation).lease_until
    _until(lambda: _reload(operation).lease_until != first)
    go_on.set()


def test_a_worker_that_lost_its_lease_stops_and_writes_nothing(committed: Ask, handle: Handle, beside: Beside) -> None:
    told: dict[str, Any] = {}

    async def handler(context: OperationContext) -> None:
        told["running"] = True
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told["abandoned"] = context.abandoned
            context.output("written too late")
            raise

    handle(handler)
    operation = committed()
    thread = beside(operation)
    _until(lambda: "running" in told)
    # Another worker has claimed the row meanwhile.
    Operation.objects.filter(pk=operation.pk).update(lease_owner="somebody else", fence=7)
    thread.join(10)
    # The worker does not wait for a handler that it gave up.
    _until(lambda: "abandoned" in told)

    assert told["abandoned"] is True, "the handler must know that it may not clean up"
    row = _reload(operation)
    assert (row.state, row.lease_owner, row.fence, row.output) == (OperationState.RUNNING, "somebody else", 7, "")
    assert _outcomes(operation) == ["accepted"]


def test_a_handler_that_ends_after_the_lease_was_lost_ends_nothing(ask: Ask, handle: Handle) -> None:
    async def handler(context: OperationContext) -> None:
        return

    handle(handler)
    operation = ask()
    stale = worker.claim(operation.pk)
    assert stale is not None
    Operation.objects.filter(pk=operation.pk).update(fence=9)
    assert worker.end(stale, worker.SUCCEEDED) is False
    assert _reload(operation).state == OperationState.RUNNING
    assert _outcomes(operation) == ["accepted"]


def test_cancelling_stops_a_running_handler_which_may_clean_up(committed: Ask, handle: Handle, beside: Beside) -> None:
    told: list[str] = []

    async def handler(context: OperationContext) -> None:
        told.append("running")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            told.append("abandoned" if context.abandoned else "cleaned up")

    handle(handler, cancellable=True)
    operation = committed()
    thread = beside(operation)
    _until(lambda: told == ["running"])
    Operation.objects.filter(pk=operation.pk).update(cancel_requested_at=timezone.now())
    thread.join(10)

    assert told == ["running", "cleaned up"]
    assert _reload(operation).state == OperationState.CANCELLED
    assert _outcomes(operation) == ["accepted", "cancelled"]


def test_one_that_was_to_be_cancelled_when_its_worker_died_is_cancelled_by_the_next(
    operation: Operation, handle: Handle
) -> None:
    told: list[str] = []

    async def handler(context: OperationContext) -> None:
        try:
            await asyncio.sleep(worker.TICK / 4)
        except asyncio.CancelledError:
            told.append("cleaned up")
            raise

    handle(handler, cancellable=True)
    Operation.objects.filter(pk=operation.pk).update(cancel_requested_at=timezone.now() - timedelta(seconds=20))
    worker.run(operation.pk)
    assert _reload(operation).state == OperationState.CANCELLED
    assert told == ["cleaned up"], "the handler had the chance to remove what an earlier run made"


def test_fifty_workers_at_once_make_one_claim(committed: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    # SQLite lets one of them write and has the others look again and again: a round takes it a second.
    contenders, rounds = 50, 10 if connection.vendor == "postgresql" else 3
    monkeypatch.setattr(models, "HOST_SHARE", rounds)
    operations = [committed() for _round in range(rounds)]
    barrier = threading.Barrier(contenders)
    winners: list[list[int]] = [[] for _operation in operations]
    troubles: list[BaseException] = []

    def contend(number: int) -> None:
        try:
            for place, operation in enumerate(operations):
                barrier.wait(60)
                if worker.claim(operation.pk) is not None:
                    winners[place].append(number)
        except (DatabaseError, threading.BrokenBarrierError) as error:
            troubles.append(error)
            barrier.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert troubles == []
    assert [len(found) for found in winners] == [1] * rounds
    assert set(Operation.objects.values_list("fence", "attempts")) == {(1, 1)}


def test_two_operations_on_one_object_are_never_claimed_at_once(committed: Ask) -> None:
    operations = [committed(object_id="c" * 64) for _number in range(10)]
    contenders = 20
    barrier = threading.Barrier(contenders)
    claims: list[Operation] = []

    def contend() -> None:
        barrier.wait(60)
        for operation in operations:
            claimed = worker.claim(operation.pk)
            if claimed is not None:
                claims.append(claimed)
        connection.close()

    threads = [threading.Thread(target=contend) for _number in range(contenders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [claimed.pk for claimed in claims] == [operations[0].pk]


def test_a_host_never_has_more_than_its_share_claimed_at_once(committed: Ask) -> None:
    operations = [committed() for _number in range(3 * HOST_SHARE)]
    barrier = threading.Barrier(len(operations))
    claims: list[Operation] = []

    def contend(operation: Operation) -> None:
        barrier.wait(60)
        claimed = worker.claim(operation.pk)
        if claimed is not None:
            claims.append(claimed)
        connection.close()

    threads = [threading.Thread(target=contend, args=(operation,)) for operation in operations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(claims) == HOST_SHARE


def _until(ready: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < limit, "it did not come to be"
        time.sleep(0.01)
