"""The Celery application. Messages are wake-ups: they carry an operation's id, never authority or data."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import setup_logging
from kombu import Connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")


class _Connection(Connection):
    """Asks every two seconds whether Redis is back: Celery's own pauses grow to half a minute."""

    def ensure_connection(self, *args: Any, **options: Any) -> Connection:  # type: ignore[override]  # only defaults differ
        """Return once there is a connection."""
        return super().ensure_connection(
            *args, **{"interval_start": 2, "interval_step": 0, "interval_max": 2, **options}
        )


class _Amqp(AMQP):
    Connection = _Connection


app = Celery("pilothouse", amqp=_Amqp)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    result_backend=None,
    task_ignore_result=True,
    # The row with its lease is the truth; a lost message is sent again by the sweep, so acknowledging early is safe.
    task_acks_late=False,
    task_default_queue="operations",
    task_publish_retry=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # A Redis that answers nonsense (it is loading, or full) is treated like one that is gone: ask again.
    broker_channel_error_retry=True,
    # Longer than the second for which the worker's blocking pop lies at Redis, and short enough for one that froze.
    # Whoever sends tries once: a sender that tried again by itself would hold up every wake-up behind it, and what did
    # not leave is sent again by the sweep. The worker and the scheduler ask for their connections without this bound.
    broker_transport_options={
        "socket_connect_timeout": 1,
        "socket_timeout": 5,
        "visibility_timeout": 3600,
        "max_retries": 0,
    },
    beat_scheduler="console.operations.scheduler:Scheduler",
    timezone="UTC",
)
app.autodiscover_tasks(
    [
        "console.operations",
        "console.terminals",
        "console.recordings",
        "console.logs",
        "console.audit",
        "console.accounts",
    ]
)


@setup_logging.connect
def _use_our_logging(**_kwargs: object) -> None:
    # Connected to this signal, Celery leaves the root logger alone: console.lib.logs has set it up with Django.
    return
