"""Check recordings of terminals."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.recordings.models import KEPT, Recording
from console.recordings.services import check_recording


class Command(BaseCommand):
    help = "verify: check every byte of every recording that is kept, or of the named ones."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name what to do."""
        parser.add_argument("act", choices=["verify"])
        parser.add_argument("ids", nargs="*", metavar="ID", help="a recording's id")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it, and say in one sentence how it went."""
        recordings = Recording.objects.filter(state__in=KEPT).order_by("started_at")
        if options["ids"]:
            recordings = recordings.filter(pk__in=options["ids"])
        count, faulty = 0, 0
        for recording in recordings.iterator():
            count += 1
            found = check_recording(recording)
            fault = found.verdict.fault
            if fault is not None:
                self.stderr.write(f"{recording.pk}: {fault.kind} between bytes {fault.start} and {fault.end}.")
            elif not found.is_recorded:
                self.stderr.write(f"{recording.pk}: the audit record names another head.")
            faulty += not found.is_whole
        if faulty:
            raise CommandError(f"Of {count} recordings, {faulty} are not what was written.", returncode=1)
        self.stdout.write(f"All recordings are whole: {count}.")
