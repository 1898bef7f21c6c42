"""What each team may do, since when, by whose word; and what of its quotas is taken."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from console.accounts.models import Team
from console.hosts.models import Host
from console.policies.rules import Rules, from_json


class PolicyVersion(models.Model):
    """A policy of a team as somebody saved it. Rows are added, never changed: the newest one holds."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="policy_versions")
    number = models.PositiveIntegerField()
    #: As ``rules.to_json`` gives it.
    content = models.JSONField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    #: Kept when the person goes.
    author_name = models.CharField(max_length=60)
    created_at = models.DateTimeField(auto_now_add=True)
    #: Why, in the author's words.
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["team", "number"], name="one_policy_per_number")]

    def __str__(self) -> str:
        return f"policy {self.number} of {self.team_id}"

    @property
    def rules(self) -> Rules:
        """The policy as values. Raises ``Malformed``."""
        return from_json(self.content)


class Reservation(models.Model):
    """A container's share of what its team may have on a host: from the moment it was asked for until it is gone."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="reservations")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="reservations")
    #: The operation that makes it; ``None`` when it was made otherwise and given to the team.
    operation_id = models.UUIDField(null=True, unique=True)
    #: Empty until it is made.
    container_id = models.CharField(max_length=64, blank=True)
    nano_cpus = models.BigIntegerField(default=0)
    memory_bytes = models.BigIntegerField(default=0)
    disk_bytes = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    #: When the container was last known to be there by whoever made it.
    held_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["host", "container_id"], condition=~Q(container_id=""), name="one_reservation_per_container"
            )
        ]
        indexes = [models.Index(fields=["team", "host"])]

    def __str__(self) -> str:
        return f"{self.container_id[:12] or self.operation_id} of {self.team_id}"


class ReservedPort(models.Model):
    """A port of a host that a team's container publishes, also while it is stopped: nobody else gets it meanwhile."""

    reservation = models.ForeignKey(Reservation, on_delete=models.CASCADE, related_name="ports")
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="+")
    protocol = models.CharField(max_length=4)
    port = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "protocol", "port"], name="one_holder_per_port")]

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol}"
