"""Who did what, when, from where, and how it ended. Append-only and hash-chained."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Outcome(models.TextChoices):
    """How an act ended, as far as known when the row was written."""

    ACCEPTED = "accepted", _("Accepted")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")
    DENIED = "denied", _("Denied")


class FaultKind(models.TextChoices):
    """In which way a row is not what it was."""

    MISSING = "missing", _("row %(sequence)s is missing, and another comes in its place")
    MOVED = "moved", _("it does not follow the row before it")
    ALTERED = "altered", _("its content is not what was written")
    HIDDEN = "hidden", _("a search does not find it by what it says")
    CUT = "cut", _("it was anchored, and is gone: the end of the record was cut off")
    REWRITTEN = "rewritten", _("it was anchored with another hash: the record was written anew")


class RecordOnlyGrows(Exception):
    """Somebody tried to change or remove a row of the record."""


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Rows are read and added, nothing else; the database's own triggers say the same."""

    def update(self, **_values: Any) -> NoReturn:
        """Refuse."""
        raise RecordOnlyGrows

    def delete(self) -> NoReturn:
        """Refuse."""
        raise RecordOnlyGrows


class AuditEvent(models.Model):
    """One act. Rows are never changed or deleted; each holds the hash of the one before it."""

    sequence = models.PositiveBigIntegerField(primary_key=True, editable=False)
    occurred_at = models.DateTimeField(db_index=True)
    # DO_NOTHING without a constraint: the row outlives the person and must not change when they go.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    actor_name = models.CharField(max_length=120)
    action = models.CharField(max_length=60, db_index=True)
    host_id = models.UUIDField(null=True)
    host_name = models.CharField(max_length=120, blank=True)
    object_id = models.CharField(max_length=255, blank=True, db_index=True)
    object_name = models.CharField(max_length=255, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    operation_id = models.UUIDField(null=True, db_index=True)
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    details = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["-sequence"]
        indexes = [
            models.Index(fields=["actor", "outcome", "occurred_at"]),
            models.Index(fields=["outcome", "sequence"]),
            models.Index(fields=["actor_name", "sequence"]),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.object_name} {self.outcome}"

    def save(self, *, force_insert: bool = False, **options: Any) -> None:  # type: ignore[override]
        """Add a row; there is no other way to save one."""
        if not force_insert:
            raise RecordOnlyGrows
        super().save(force_insert=True, **options)

    def delete(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse."""
        raise RecordOnlyGrows

    @property
    def words(self) -> str:
        """What a search finds the row by, in lower case; the same when the row is read again."""
        details = json.dumps(self.details, ensure_ascii=False, sort_keys=True)
        parts = (
            self.actor_name,
            self.action,
            self.object_name,
            self.object_id,
            self.host_name,
            self.operation_id or "",
            self.address,
            details,
        )
        return "\n".join(map(str, parts)).lower()

    @property
    def reason(self) -> str:
        """Why an act was refused, or went wrong, as far as the row tells: in words, else by the code."""
        if self.outcome not in (Outcome.DENIED, Outcome.FAILED):
            return ""
        return str(self.details.get("reason") or self.details.get("code") or "")

    @property
    def detail_items(self) -> list[tuple[str, Any]]:
        """The details for a template, which would take a detail named "items" for the method."""
        return list(self.details.items())


class AuditText(models.Model):
    """What a search finds a row of the record by, in one place and one case.

    Beside the row, not within: it is made from the row, proves nothing, and must not be part of what is hashed. Without
    a constraint, so that whoever tampers with the record meets ``verify`` and not an error.
    """

    event = models.OneToOneField(
        AuditEvent, primary_key=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="searchable"
    )
    text = models.TextField()

    def __str__(self) -> str:
        return self.text


class AuditCheck(models.Model):
    """One check of the whole record: who asked, when it ran, what it found."""

    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    #: When a worker took it; again, when that worker died.
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True, db_index=True)
    rows = models.PositiveBigIntegerField(default=0)
    fault_sequence = models.PositiveBigIntegerField(null=True)
    fault_kind = models.CharField(max_length=10, choices=FaultKind.choices, blank=True)

    class Meta:
        ordering = ["-asked_at", "-id"]

    def __str__(self) -> str:
        return f"{self.asked_at:%Y-%m-%d %H:%M}: {self.fault_kind or self.rows}"

    @property
    def reason(self) -> str:
        """What is wrong with the row, in words; empty when the record is whole."""
        return str(self.get_fault_kind_display()) % {"sequence": self.fault_sequence}
