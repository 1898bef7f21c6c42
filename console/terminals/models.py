"""Interactive sessions in containers: who, where, since when, how they ended."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from console.accounts.models import Team
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
    """One terminal. It lives in the stream hub; this says whose it is, and how it ended."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="terminals")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="terminals")
    container_id = models.CharField(max_length=64)
    container_name = models.CharField(max_length=255)
    kind = models.CharField(max_length=10, choices=TerminalKind.choices, default=TerminalKind.EXEC)
    #: {"command": [...]|null, "user": "", "tty": true}; null means: find a shell.
    parameters = models.JSONField(default=dict)
    #: What its owner calls it.
    title = models.CharField(max_length=80, blank=True)
    #: Of the sign-in by which its owner was there last: with that one, it ends.
    session_key = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=TerminalState.choices, default=TerminalState.ISSUED)
    #: The hub that has it open: one that dies leaves all that it held.
    holder = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_code = models.IntegerField(null=True)
    #: In the record's language; by its code, where it has one, and by whom: for pages.
    end_reason = models.CharField(max_length=200, blank=True)
    end_code = models.CharField(max_length=30, blank=True)
    ended_by = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "created_at"]), models.Index(fields=["host", "container_id"])]

    def __str__(self) -> str:
        return f"{self.kind} in {self.container_name}"

    @property
    def marker(self) -> str:
        """What every process of the session has in its environment, beside the holder."""
        return str(self.pk)


class TerminalTicket(models.Model):
    """What opens a terminal, or comes back to one: once, within seconds, for the person and sign-in it was given to."""

    #: SHA-256; the ticket itself is kept nowhere.
    hash = models.CharField(max_length=64, unique=True)
    session = models.ForeignKey(TerminalSession, on_delete=models.CASCADE, related_name="tickets")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=64)
    until = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["until"])]

    def __str__(self) -> str:
        return f"ticket for {self.session_id}"


class TerminalShare(models.Model):
    """Somebody beside its owner may watch a terminal, or type into it: as far as their rights of then reach."""

    session = models.ForeignKey(TerminalSession, on_delete=models.CASCADE, related_name="shares")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="terminal_shares")
    types = models.BooleanField(default=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "person"], name="one_share_per_person")]

    def __str__(self) -> str:
        return f"{self.session_id} with {self.person_id}"


class ApprovalState(models.TextChoices):
    """The one life cycle of a request for a shell."""

    ASKED = "asked", _("Waiting")
    APPROVED = "approved", _("Approved")
    DENIED = "denied", _("Denied")
    #: Its time is over, or nobody answered.
    EXPIRED = "expired", _("Over")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class ShellApproval(models.Model):
    """Somebody asked for a shell in a container whose team lets nobody in without an approval."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: Who owned the container then: an approval is worth nothing once it belongs to others.
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="shell_approvals")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="shell_approvals")
    container_id = models.CharField(max_length=64)
    container_name = models.CharField(max_length=255)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="shell_approvals")
    reason = models.CharField(max_length=300)
    #: As asked for; who approves may give less.
    minutes = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=ApprovalState.choices, default=ApprovalState.ASKED)
    asked_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["person", "host", "container_id"],
                condition=Q(state="asked"),
                name="one_open_request_for_a_shell",
            )
        ]
        indexes = [models.Index(fields=["state", "until"]), models.Index(fields=["person", "host", "container_id"])]

    def __str__(self) -> str:
        return f"{self.person_id} into {self.container_name}"
