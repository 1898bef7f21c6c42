"""Checking the whole record: asked for by a person or by time, done by a worker, kept for the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from console.accounts.models import User
from console.audit.anchors import first_contradiction
from console.audit.chain import all_events, first_fault
from console.audit.models import AuditCheck, AuditEvent, Outcome
from console.audit.services import record
from console.lib.live import notify
from console.lib.origin import Origin

#: What nobody asked for is checked this often.
CHECK_EVERY = timedelta(days=1)
#: A check that takes longer than this lost its worker.
LONGEST_CHECK = timedelta(minutes=30)


def ask_check(*, actor: User, origin: Origin) -> AuditCheck:
    """Have a worker check the record; who asks while one is to be done or goes on gets that one."""
    with transaction.atomic():
        # Its audit row holds the lock that two who ask at once would wait for, so it comes first.
        record(actor=actor, action="audit.verify", outcome=Outcome.ACCEPTED, origin=origin)
        waiting = AuditCheck.objects.filter(ended_at=None).first()
        return waiting or AuditCheck.objects.create(asked_at=timezone.now(), asked_by=actor)


def do_due_check() -> None:
    """Do the check that was asked for, or that the last one is too old to do without; or nothing."""
    now = timezone.now()
    if not AuditCheck.objects.filter(Q(ended_at=None) | Q(ended_at__gt=now - CHECK_EVERY)).exists():
        AuditCheck.objects.create(asked_at=now)
    untaken = Q(started_at=None) | Q(started_at__lt=now - LONGEST_CHECK)
    check = AuditCheck.objects.filter(untaken, ended_at=None).first()
    if check is None or not AuditCheck.objects.filter(untaken, pk=check.pk, ended_at=None).update(started_at=now):
        return
    notify("audit")
    check.started_at = now
    do_check(check)
    record(
        actor=check.asked_by,
        action="audit.verify",
        outcome=Outcome.FAILED if check.fault_kind else Outcome.SUCCEEDED,
        component="audit",
        details={"rows": check.rows}
        if not check.fault_kind
        else {"row": check.fault_sequence, "fault": check.fault_kind},
    )


def do_check(check: AuditCheck) -> AuditCheck:
    """Read the whole record and keep what was found."""
    count = 0

    def counted() -> Iterator[AuditEvent]:
        nonlocal count
        for event in all_events():
            count += 1
            yield event

    fault = first_fault(counted()) or first_contradiction()
    check.ended_at = timezone.now()
    check.rows = count
    if fault is not None:
        check.fault_sequence, check.fault_kind = fault.sequence, fault.kind.value
    check.save()
    notify("audit")
    return check
