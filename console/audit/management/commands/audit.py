"""Check the record of who did what, or anchor it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from console.audit.anchors import anchor
from console.audit.checks import do_check
from console.audit.models import AuditCheck


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
        now = timezone.now()
        check = do_check(AuditCheck(asked_at=now, started_at=now))
        if check.fault_kind:
            raise CommandError(
                f"The audit record is not whole: row {check.fault_sequence}: {check.reason}.", returncode=1
            )
        self.stdout.write(f"The audit record is whole: {check.rows} rows.")
