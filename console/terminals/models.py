"""Interactive sessions in containers: who, where, since when, how they ended."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from console.hosts.models import Host


class TerminalState(models.TextChoices):
    """The one life cycle of a session."""

    ISSUED = "issued", _("Ticket issued")
    OPEN = "open", _("Open")
    ENDED = "ended", _("Ended")


class TerminalKind(models.TextChoices):
    """What the session is connected to."""

    EXEC = "exec", _("Shell")
    ATTACH = "attach", _("Main process")


class TerminalSession(models.Model):
    """One terminal. Its marker is in the environment of every process it starts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="terminals")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="terminals")
    container_id = models.CharField(max_length=64)
    container_name = models.CharField(max_length=255)
    kind = models.CharField(max_length=10, choices=TerminalKind.choices, default=TerminalKind.EXEC)
    #: {"command": [...]|null, "user": "", "tty": true}; null means: find a shell.
    parameters = models.JSONField(default=dict)
    #: SHA-256 of the single-use ticket, and until when it opens the stream.
    ticket_hash = models.CharField(max_length=64, unique=True)
    ticket_until = models.DateTimeField()
    session_key = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=TerminalState.choices, default=TerminalState.ISSUED)
    #: Of the web process that has it open: one that dies leaves all that it held.
    holder = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True)
    #: Renewed by the web process that holds it; after it, the reaper ends what is left.
    lease_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_code = models.IntegerField(null=True)
    end_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "lease_until"]), models.Index(fields=["host", "container_id"])]

    def __str__(self) -> str:
        return f"{self.kind} in {self.container_name}"

    @property
    def marker(self) -> str:
        """What every process of the session has in its environment; contains the session's id and the holder."""
        return f"{self.pk}.{self.holder}"
