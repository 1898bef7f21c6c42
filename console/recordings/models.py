"""Recordings of terminals: whose, where they lie, how they ended, and what they showed, for searches."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from console.accounts.models import Team, User
from console.hosts.models import Host
from console.lib.templatetags.components import time_words
from console.rbac.policy import Level, rights_of


class RecordingState(models.TextChoices):
    """The one life cycle of a recording."""

    RECORDING = "recording", _("Recording")
    COMPLETE = "complete", _("Complete")
    #: It ends where the disk was full, or where what wrote it died.
    INCOMPLETE = "incomplete", _("Incomplete")
    #: Nothing was recorded.
    FAILED = "failed", _("Failed")
    #: Its time is over: the file is gone.
    EXPIRED = "expired", _("Expired")


#: In these there is a file.
KEPT = (RecordingState.RECORDING, RecordingState.COMPLETE, RecordingState.INCOMPLETE)


class RecordingQuerySet(models.QuerySet["Recording"]):
    def visible_to(self, user: User) -> Self:
        """The recordings ``user`` may watch: all by their role, else their own and those of teams that are theirs.

        No token reaches them: they may show what nobody meant to say.
        """
        rights = rights_of(user)
        if not user.is_active or "recording.view" in rights.withheld:
            return self.none()
        if rights.everywhere >= Level.VIEW:
            return self
        return self.filter(Q(person_id=user.pk) | Q(team_id__in=rights.teams_with(Level.OWN)))


class Recording(models.Model):
    """One terminal's recording. It outlives the container, the team and the host: their names stand here too."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: Of the terminal, whose app stands on a floor above.
    session_id = models.UUIDField(unique=True, editable=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    person_name = models.CharField(max_length=120)
    #: Who owned the container then: a team of the same name later has no part in it.
    team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="+")
    team_name = models.CharField(max_length=60, blank=True)
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    host_name = models.CharField(max_length=120)
    container_id = models.CharField(max_length=64)
    container_name = models.CharField(max_length=255)
    #: Below the folder of recordings.
    path = models.CharField(max_length=100, editable=False)
    keeps_input = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=RecordingState.choices, default=RecordingState.RECORDING)
    started_at = models.DateTimeField()
    #: When the terminal was found to have ended.
    ended_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    #: The last hash of its chain, which the record of who did what holds too.
    chain_head = models.CharField(max_length=64, blank=True)
    #: Days after its end, as the policy said when it began.
    keep_days = models.PositiveIntegerField()
    keep_until = models.DateTimeField(null=True)
    #: Where reading for the search goes on: see runtime's ``Place``.
    read_offset = models.BigIntegerField(default=0)
    read_skip = models.PositiveIntegerField(default=0)
    read_columns = models.PositiveIntegerField(default=0)
    #: Characters that a search looks through, and whether all that it will ever look through is there.
    indexed_size = models.BigIntegerField(default=0)
    is_indexed = models.BooleanField(default=False)
    #: Until then, one worker looks after it.
    claimed_until = models.DateTimeField(null=True)

    objects = RecordingQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at"]
        indexes = [
            models.Index(fields=["-started_at"]),
            models.Index(fields=["team", "-started_at"]),
            models.Index(fields=["person", "-started_at"]),
            models.Index(fields=["state", "keep_until"]),
        ]

    def __str__(self) -> str:
        return f"{self.person_name} in {self.container_name}"

    @property
    def file(self) -> Path:
        """Where it lies."""
        return settings.DATA_DIR / "recordings" / self.path

    @property
    def is_kept(self) -> bool:
        """Whether there is something to watch."""
        return self.state in KEPT

    @property
    def length(self) -> str:
        """How long it is, in words."""
        return time_words(int(self.seconds))


class RecordingText(models.Model):
    """Some lines that a recording showed. The database keeps an index beside it: see ``console.recordings.index``."""

    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="texts")
    #: When each line was shown, in seconds.
    times = models.JSONField(default=list)
    text = models.TextField()

    def __str__(self) -> str:
        return self.text[:60]
