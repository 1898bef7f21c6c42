"""Check the record of who did what, or anchor it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.audit.anchors import anchor, first_contradiction
from console.audit.chain import all_events, first_fault
from console.audit.models import AuditEvent


class Command(BaseCommand):
    help = "verify: check every row's hash and every anchor. anchor: write the signed head beside the database."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name what to do."""
        parser.add_argument("act", choices=["verify", "anchor"])

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it, and say in one sentence how it went."""
        if options["act"] == "anchor":
            written = anchor()
            self.stdout.write(f"Anchored row {written.sequence}." if written else "The last row is anchored already.")
            return
        fault = first_fault(all_events()) or first_contradiction()
        if fault is not None:
            raise CommandError(f"The audit record is not whole: row {fault.sequence}: {fault.reason}.", returncode=1)
        self.stdout.write(f"The audit record is whole: {AuditEvent.objects.count()} rows.")
