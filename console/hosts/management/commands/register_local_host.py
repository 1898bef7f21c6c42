"""`manage.py register_local_host`: tell the console of the engine on its own machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from console.hosts.addresses import clean_address, clean_name
from console.hosts.certificates import SIZE_LIMIT, BadPem, Bundle, read_bundle
from console.hosts.models import DriverChoice
from console.hosts.services import LOCAL, register_local_host


class Command(BaseCommand):
    """Adds or updates the local host; as often as you like."""

    help = "Register the engine of this machine as a host; run again, it updates the address."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what can be given."""
        parser.add_argument("--url", required=True, help="unix:///path or tcp://host:port")
        parser.add_argument("--driver", choices=DriverChoice.values, default=DriverChoice.DOCKER.value)
        parser.add_argument("--name", default=LOCAL, help="what a new host is called (default: local)")
        parser.add_argument("--note", default="", help="where the engine comes from, in a few words")
        parser.add_argument(
            "--certificates", type=Path, metavar="FOLDER", help="a folder with ca.pem, cert.pem and key.pem, for TLS"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Register it."""
        try:
            url = clean_address(options["url"])
            name = clean_name(options["name"])
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        host, done = register_local_host(
            name=name,
            url=url,
            driver=options["driver"],
            note=options["note"][:200],
            bundle=_bundle(options["certificates"]),
        )
        self.stdout.write(f"Host {host.name}: {host.url} ({done}).")


def _bundle(folder: Path | None) -> Bundle | None:
    if folder is None:
        return None
    texts = {}
    for field, file_name in (("ca_pem", "ca.pem"), ("certificate_pem", "cert.pem"), ("key_pem", "key.pem")):
        try:
            with (folder / file_name).open(encoding="ascii") as file:
                texts[field] = file.read(SIZE_LIMIT + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{folder / file_name} cannot be read: {error}") from error
    try:
        return read_bundle(**texts, now=timezone.now())
    except BadPem as error:
        raise CommandError(f"{error.field}: {error.sentence}") from error
