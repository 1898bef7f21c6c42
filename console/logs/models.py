"""Which containers' logs are kept, whose they are, and what became of the containers. The lines are in files."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from console.accounts.models import Team, User
from console.rbac.models import OwnedKind, Ownership
from console.rbac.policy import Level, rights_of

#: Labels by which compose says what a container is one more of.
PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"


class KeptState(models.TextChoices):
    """Whether a log still grows."""

    KEEPING = "keeping", _("The container is there")
    GONE = "gone", _("The container is gone")
    #: The container may be there, but its team's policy, or its owner, is another.
    RELEASED = "released", _("Not kept any more")


class KeptLogQuerySet(models.QuerySet["KeptLog"]):
    def visible_to(self, user: User) -> Self:
        """The logs ``user`` may read: all by their role, else their teams'.

        While somebody owns the container, the log is theirs. Afterwards it is whose it was: a container that has its
        name by then is another one, and shows nothing of this one.
        """
        rights = rights_of(user)
        if rights.everywhere >= Level.LOGS:
            return self
        teams = rights.teams_with(Level.LOGS)
        owners = Ownership.objects.filter(
            kind=OwnedKind.CONTAINER, host_id=OuterRef("host_id"), object_id=OuterRef("container_id")
        )
        return self.filter(Q(team__in=teams) & ~Exists(owners) | Exists(owners.filter(team__in=teams)))


class KeptLog(models.Model):
    """The log of one container. Host and team may go before it does, so it keeps their names."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host_id = models.UUIDField()
    host_name = models.CharField(max_length=60)
    container_id = models.CharField(max_length=64)
    container_name = models.CharField(max_length=255)
    image = models.CharField(max_length=300)
    project = models.CharField(max_length=255, blank=True)
    service = models.CharField(max_length=255, blank=True)
    #: What it is one of several lives of: the same on one host, in one team, is read as one log.
    lineage = models.CharField(max_length=600)
    team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="kept_logs")
    team_name = models.CharField(max_length=60)
    state = models.CharField(max_length=10, choices=KeptState.choices, default=KeptState.KEEPING)
    #: Why nothing is kept at the moment: a code; "" while all is well.
    problem = models.CharField(max_length=30, blank=True)
    #: The container's life.
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_code = models.IntegerField(null=True)
    oom_killed = models.BooleanField(default=False)
    #: What is kept.
    bytes = models.BigIntegerField(default=0)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    #: Whether its oldest lines had to go.
    is_cut = models.BooleanField(default=False)
    #: Of the container as last observed: the hub looks again when it changes.
    revision = models.CharField(max_length=32, blank=True)
    since = models.DateTimeField(auto_now_add=True)
    #: When the inventory began to know nothing of the container, while the engine has not said that it is gone.
    lost_at = models.DateTimeField(null=True)
    #: When nothing more could come.
    closed_at = models.DateTimeField(null=True)
    #: How long it is kept from then on, by the policy that holds, or by the last one that kept any.
    days = models.PositiveIntegerField()
    keep_until = models.DateTimeField(null=True)
    #: Lower-cased name, image, stack and id: what the list's search looks through.
    search_text = models.TextField(blank=True)

    objects = KeptLogQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host_id", "container_id"], name="one_kept_log_per_container")]
        indexes = [
            models.Index(fields=["host_id", "team", "lineage", "created_at"]),
            models.Index(fields=["state", "keep_until"]),
            models.Index(fields=["last_at"]),
        ]

    def __str__(self) -> str:
        return f"log of {self.container_name}"

    def get_absolute_url(self) -> str:
        """Return the page that shows its last lines."""
        return reverse("kept-log", args=[self.pk])

    @property
    def short_id(self) -> str:
        """The first twelve digits, for people only."""
        return self.container_id[:12]

    @property
    def is_living(self) -> bool:
        """Whether the container is there, as far as we know."""
        return self.state == KeptState.KEEPING

    @property
    def end_at(self) -> datetime | None:
        """When the container ended, as far as it is known; ``None`` while it lives."""
        return self.ended_at or (self.closed_at if self.state == KeptState.GONE else None)
