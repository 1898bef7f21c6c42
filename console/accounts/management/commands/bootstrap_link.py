"""Print the one-time link that creates the first admin."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.urls import reverse

from console.accounts.services import issue_bootstrap_link


class Command(BaseCommand):
    help = "Print a one-time link that creates the first admin; print nothing when there is an admin."

    def add_arguments(self, parser: CommandParser) -> None:
        """Let programs ask for JSON."""
        parser.add_argument("--json", action="store_true", help="print an object with url and expires_at, or {}")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Replace the old link, if any, and print the new one."""
        link = issue_bootstrap_link()
        url = settings.PUBLIC_URL + reverse("first-admin", args=[link.token]) if link else ""
        if options["json"]:
            self.stdout.write(json.dumps({"url": url, "expires_at": link.expires_at.isoformat()} if link else {}))
        elif link:
            self.stdout.write(url)
