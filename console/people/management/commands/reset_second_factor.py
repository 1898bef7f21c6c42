"""Take away somebody's second factor, when no admin is left who can sign in and do it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.accounts.models import User
from console.people.services import reset_second_factor


class Command(BaseCommand):
    help = (
        "Take away somebody's second factor; they sign in with the password alone then. Every session of theirs ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Ask whose."""
        parser.add_argument("username")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Reset it, on record."""
        person = User.objects.filter(username__iexact=options["username"]).first()
        if person is None:
            raise CommandError(f"Nobody here is called {options['username']}.")
        if not reset_second_factor(actor=None, person=person, origin=None, component="manage"):
            raise CommandError(f"{person.username} has no second factor.")
        self.stdout.write(f"{person.username} signs in with the password alone now.")
