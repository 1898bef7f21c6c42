"""Changes that outlive their request."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.accounts.models import Team, User
from console.hosts.models import Host
from console.lib.crypto import EncryptedJSONField
from console.operations.registry import title_of
from console.rbac.policy import Level, rights_of


class OperationState(models.TextChoices):
    """The one life cycle: queued, running, then one of three ends."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


#: Operations of one host at a time. A host that hangs holds up its own ones, not those of others.
HOST_SHARE = 4
#: Of those, the ones that may carry an image for minutes: a stop finds a place beside them.
LONG_SHARE = 3
LONG = ("container.create", "image.pull")

ENDED = (OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED)
ACTIVE = (OperationState.QUEUED, OperationState.RUNNING)
#: A success that took less was watched, or is not worth a word.
NEWS_AFTER = timedelta(seconds=10)
#: Those that change something now.
WORKS = Q(state=OperationState.RUNNING, watches=False)


class OperationQuerySet(models.QuerySet["Operation"]):
    def visible_to(self, user: User) -> Self:
        """The operations ``user`` may know of: all by their role, else those on what their teams own."""
        rights = rights_of(user)
        if rights.everywhere >= Level.VIEW:
            return self
        return self.filter(team_id__in=rights.teams_with(Level.VIEW))

    def active(self) -> Self:
        """Those of which something is still to come."""
        return self.filter(state__in=ACTIVE)

    def ended(self) -> Self:
        """Those of which nothing more will come."""
        return self.filter(state__in=ENDED)

    def news_to(self, user: User) -> Self:
        """Those of his own that ended since he looked: failures, and what took so long that he went on elsewhere."""
        took_long = Q(state=OperationState.SUCCEEDED, ended_at__gt=F("created_at") + NEWS_AFTER)
        mine = self.visible_to(user).filter(actor=user, ended_at__gt=user.notifications_seen_at)
        return mine.filter(Q(state=OperationState.FAILED) | took_long)

    def claimable(self) -> Self:
        """The queued ones that may begin: no other stands before them on the same object, and their host has room.

        On one object they run in order, one at a time. One that only watches its object stands before nobody.
        """
        same = Operation.objects.filter(host_id=OuterRef("host_id"), object_id=OuterRef("object_id"))
        older = Q(state=OperationState.QUEUED, created_at__lt=OuterRef("created_at"))
        ahead = same.exclude(object_id="").exclude(pk=OuterRef("pk")).filter(older | WORKS)
        on_host = Operation.objects.filter(WORKS, host_id=OuterRef("host_id")).order_by("pk")
        last_place = on_host[HOST_SHARE - 1 : HOST_SHARE]
        last_long_place = on_host.filter(kind__in=LONG)[LONG_SHARE - 1 : LONG_SHARE]
        return self.filter(
            ~Exists(ahead),
            ~Exists(last_place),
            ~Q(kind__in=LONG) | ~Exists(last_long_place),
            state=OperationState.QUEUED,
        )


class Operation(models.Model):
    """One change: who asked for what, where it stands, how it ended. The row is the truth; messages only wake."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=60)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="operations")
    #: The token that it was asked for with. No foreign key: one that is gone must forbid, not be forgotten.
    token_id = models.UUIDField(null=True, editable=False)
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="operations")
    #: Who owned the object when this was asked for, or will own what this makes.
    team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="operations")
    #: The engine object's full id or reference; "" until a create knows it.
    object_id = models.CharField(max_length=300, blank=True, db_index=True)
    #: What people call it: a container's name, an image's reference.
    object_name = models.CharField(max_length=300, blank=True)
    #: What the handler needs, in plain JSON; encrypted, since it may hold environment values.
    arguments = EncryptedJSONField(default=dict, editable=False)
    #: Whether there are some among them that are forgotten after its end (see ``Kind.secrets``).
    holds_secrets = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=OperationState.choices, default=OperationState.QUEUED)
    #: A word for the present step ("pull", "create", "start", "healthy"), and a sentence for people.
    phase = models.CharField(max_length=30, blank=True)
    message = models.CharField(max_length=500, blank=True)
    #: {"current": int, "total": int, "unit": "bytes"|"", "phases": [...],
    #:  "layers": [{"id", "phase", "current", "total"}]}
    progress = models.JSONField(default=dict)
    #: What the engine said on the way, as lines of text; the last 256 KiB.
    output = models.TextField(blank=True)
    #: {"container_id": …} and the like, for the page that waits for it.
    result = models.JSONField(default=dict)
    error_code = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    next_step = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    #: While it runs: that it only looks at its object any more, so that others may act on it.
    watches = models.BooleanField(default=False)
    #: Who works on it until when; a worker that dies stops renewing, and the sweep queues the row again.
    lease_owner = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True)
    #: Grows with each claim; a worker that lost its lease writes nothing more.
    fence = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    #: When the wake-up message was last sent; the sweep sends it again for rows nobody took.
    dispatched_at = models.DateTimeField(null=True)
    retry_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="retries")
    #: Where the request came from, for the audit row at the end.
    address = models.CharField(max_length=45, blank=True)
    #: The language of whoever asked: messages and reasons are written in it.
    language = models.CharField(max_length=10, blank=True)

    objects = OperationQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["state", "lease_until"]),
            models.Index(fields=["state", "created_at"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["host", "object_id", "-created_at"]),
            models.Index(fields=["ended_at"], condition=Q(holds_secrets=True), name="operations_with_secrets"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_name}"

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    @property
    def title(self) -> str:
        """What it does, in words: "Start web"."""
        return title_of(self.kind, object_name=self.object_name)

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop and has not yet."""
        return self.state == OperationState.RUNNING and self.cancel_requested_at is not None

    @property
    def duration(self) -> timedelta | None:
        """How long it ran, or runs already; ``None`` before it started."""
        return (self.ended_at or timezone.now()) - self.started_at if self.started_at else None

    @property
    def percent(self) -> int | None:
        """How much of the present step is done, 0 to 100; ``None`` when nobody can know."""
        current, total = self.progress.get("current"), self.progress.get("total")
        return min(100, int(current * 100 / total)) if current is not None and total else None
