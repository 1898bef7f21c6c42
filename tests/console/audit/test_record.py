"""Putting an act on record."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest
from django.db import connection, transaction
from django.test import RequestFactory

from console.accounts.models import User
from console.audit.chain import GENESIS, digest, first_fault
from console.audit.models import AuditEvent, RecordOnlyGrows
from console.audit.origin import Origin, origin_of
from console.audit.services import record


@dataclass
class Harbour:
    """A host, as far as the record cares."""

    name: str = "harbour"
    id: uuid.UUID = field(default_factory=uuid.uuid4)


@pytest.mark.django_db
def test_a_row_says_who_did_what_to_what_from_where(alice: User) -> None:
    host, operation_id = Harbour(), uuid.uuid4()
    record(
        actor=alice,
        action="container.remove",
        outcome="accepted",
        host=host,
        object_id="a" * 64,
        object_name="web-1",
        operation_id=operation_id,
        origin=Origin("192.0.2.1", "Firefox"),
        details={"volumes": True},
    )
    row = AuditEvent.objects.get()
    assert (row.actor, row.actor_name, row.action, row.outcome) == (alice, "alice", "container.remove", "accepted")
    assert (row.host_id, row.host_name, row.object_id, row.object_name) == (host.id, "harbour", "a" * 64, "web-1")
    assert (row.operation_id, row.address, row.user_agent) == (operation_id, "192.0.2.1", "Firefox")
    assert row.details == {"volumes": True}


@pytest.mark.django_db
def test_rows_are_numbered_and_chained_from_the_first(alice: User) -> None:
    first = record(actor=alice, action="a.b", outcome="succeeded")
    second = record(actor=None, action="a.b", outcome="failed", component="sweep")
    assert (first.sequence, first.previous_hash) == (1, GENESIS)
    assert (second.sequence, second.previous_hash) == (2, first.hash)
    assert second.actor_name == "system:sweep"


@pytest.mark.django_db
def test_a_row_read_again_has_the_hash_it_was_written_with(alice: User) -> None:
    record(
        actor=alice,
        action="a.b",
        outcome="succeeded",
        host=Harbour(),
        operation_id=uuid.uuid4(),
        details={
            "float": 0.1,
            "big": 1e300,
            "int": 2**40,
            "한": ["글", None, True],
            "deep": {"a": {"b": {"c": {"d": 1}}}},
        },
    )
    row = AuditEvent.objects.get()
    assert digest(row) == row.hash


@pytest.mark.django_db
def test_an_act_that_fails_leaves_no_row_and_no_gap(alice: User) -> None:
    record(actor=alice, action="a.b", outcome="succeeded")

    def act_and_fail() -> None:
        with transaction.atomic():
            record(actor=alice, action="a.b", outcome="succeeded")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act_and_fail()
    assert record(actor=alice, action="a.b", outcome="succeeded").sequence == 2


@pytest.mark.django_db
def test_an_unknown_outcome_is_refused(alice: User) -> None:
    with pytest.raises(ValueError, match="perhaps"):
        record(actor=alice, action="a.b", outcome="perhaps")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "hostile",
    ["x\r\nforged line", "<script>alert(1)</script>", "nul\0nul", "\ud800 alone", "\u202egnp.exe", "y" * 1_000_000],
)
def test_hostile_text_is_cut_and_escaped_and_still_verifies(alice: User, hostile: str) -> None:
    record(
        actor=alice,
        action="container.create",
        outcome="failed",
        object_id=hostile,
        object_name=hostile,
        origin=Origin("192.0.2.1", hostile),
        details={hostile: [hostile, {"deep": hostile}]},
    )
    row = AuditEvent.objects.get()
    assert digest(row) == row.hash
    assert len(row.object_id) <= 255
    assert len(row.user_agent) <= 200
    assert len(json.dumps(row.details)) < 3000
    for text in (row.object_id, row.object_name, row.user_agent, str(row.details)):
        assert text.isprintable()


def test_the_origin_is_what_our_server_saw() -> None:
    request = RequestFactory().get(
        "/",
        REMOTE_ADDR="192.0.2.1",
        HTTP_X_FORWARDED_FOR="203.0.113.9",
        HTTP_FORWARDED="for=203.0.113.9",
        HTTP_USER_AGENT="Evil\r\n" + "x" * 5000,
    )
    origin = origin_of(request)
    assert origin.address == "192.0.2.1"
    assert origin.user_agent.startswith("Evil\\r\\nx")
    assert len(origin.user_agent) == 200
    assert origin_of(RequestFactory().get("/", REMOTE_ADDR="")).address == ""


@pytest.mark.django_db
def test_rows_cannot_be_changed_or_removed_by_our_own_code(ten_rows: list[AuditEvent]) -> None:
    row = ten_rows[0]
    row.action = "nothing.happened"
    for attempt in (
        row.save,
        row.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(action="nothing.happened"),
        lambda: AuditEvent.objects.bulk_update([row], ["action"]),
    ):
        with pytest.raises(RecordOnlyGrows), transaction.atomic():
            attempt()
    assert first_fault(AuditEvent.objects.order_by("sequence")) is None


@pytest.mark.django_db
def test_the_row_outlives_the_person(bob: User) -> None:
    record(actor=bob, action="a.b", outcome="succeeded")
    bob.delete()
    row = AuditEvent.objects.get()
    assert row.actor_name == "bob"
    assert digest(row) == row.hash


@pytest.mark.django_db(transaction=True)
def test_a_thousand_rows_by_many_writers_are_one_chain_without_a_gap(alice: User) -> None:
    writers, each = 8, 125
    start = threading.Barrier(writers)
    failures: list[Exception] = []

    def write(number: int) -> None:
        start.wait()
        try:
            for count in range(each):
                # Half of them within a transaction of the caller's, which the row joins.
                with transaction.atomic() if number % 2 else nullcontext():
                    record(actor=alice, action="a.b", outcome="succeeded", details={"writer": number, "count": count})
        except Exception as error:  # noqa: BLE001  whatever it was, the test must say so
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert AuditEvent.objects.count() == writers * each
    assert first_fault(AuditEvent.objects.order_by("sequence")) is None
