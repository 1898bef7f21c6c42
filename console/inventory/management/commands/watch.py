"""`manage.py watch`: follow every host and write what it holds into the inventory."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand

from console.inventory.watcher import Watch


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT; stops within two seconds. A second one stands by until the first is gone."""

    help = "Follow the events of every host and keep the inventory up to date."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run."""
        asyncio.run(_watch())


async def _watch() -> None:
    watch = Watch()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, watch.stop)
    await watch.run()
    # Everything of ours has ended. What may be left is a thread that waits for a dead name server, and Python would
    # wait for it longer than a supervisor waits for us.
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
