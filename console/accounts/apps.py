from typing import Any

from django.apps import AppConfig
from django.core.management import call_command
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "console.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Make the table of rate limits together with the others."""
        post_migrate.connect(_create_cache_table, sender=self)


def _create_cache_table(*, using: str, **_kwargs: Any) -> None:
    call_command("createcachetable", database=using, verbosity=0)
