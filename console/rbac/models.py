"""Which team owns which object of an engine, and on which hosts a team may work."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import BooleanField, Func, OuterRef, Q, Subquery
from django.utils.translation import gettext_lazy as _

from console.accounts.models import Team


class OwnedKind(models.TextChoices):
    """What a team can own."""

    CONTAINER = "container", _("Container")
    VOLUME = "volume", _("Volume")
    NETWORK = "network", _("Network")


class Ownership(models.Model):
    """A team owns an object of a host's engine.

    Keyed by host and full id: a name can come to mean something else. A volume has nothing but its name, and Podman
    makes a network's id of its name, so the owner of either is forgotten once the engine says that it is gone.
    """

    # Named in words: hosts stand on a floor above this one.
    host = models.ForeignKey("hosts.Host", on_delete=models.CASCADE, related_name="ownerships")
    kind = models.CharField(max_length=10, choices=OwnedKind.choices)
    object_id = models.CharField(max_length=255)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="ownerships")
    since = models.DateTimeField(auto_now_add=True)
    #: Who made the object, or gave it to the team.
    given_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["host", "kind", "object_id"], name="one_owner_per_object"),
        ]
        indexes = [models.Index(fields=["team", "kind"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id[:12]} of {self.team_id}"


class HostGrant(models.Model):
    """A team may work on a host, or on a part of it: the quota says how much of it. ``None`` is no bound."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="grants")
    host = models.ForeignKey("hosts.Host", on_delete=models.CASCADE, related_name="grants")
    since = models.DateTimeField(auto_now_add=True)
    containers = models.PositiveIntegerField(null=True, default=10)
    nano_cpus = models.PositiveBigIntegerField(null=True)
    memory_bytes = models.PositiveBigIntegerField(null=True)
    #: What its containers may write beside their volumes; only where the host limits that.
    disk_bytes = models.PositiveBigIntegerField(null=True)
    #: The host's ports that the team may publish, first and last; without them it publishes none.
    first_port = models.PositiveIntegerField(null=True)
    last_port = models.PositiveIntegerField(null=True)
    #: Where they are published; empty is every address of the host.
    address = models.GenericIPAddressField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "host"], name="one_grant_per_host")]

    def __str__(self) -> str:
        return f"{self.host_id} for {self.team_id}"

    @property
    def ports(self) -> tuple[int, int] | None:
        """The range that the team may publish; ``None`` is none."""
        return (self.first_port, self.last_port) if self.first_port and self.last_port else None


def owner_of(*, host_id: UUID, kind: str, object_id: str) -> UUID | None:
    """Return the id of the team that owns the object; ``None`` when nobody does."""
    owners = Ownership.objects.filter(host_id=host_id, kind=kind, object_id=object_id)
    return owners.values_list("team_id", flat=True).first()


def owner_of_container(*, host_id: UUID, container_id: str) -> UUID | None:
    """Return the id of the team that owns the container; ``None`` when nobody does."""
    return owner_of(host_id=host_id, kind=OwnedKind.CONTAINER, object_id=container_id)


def team_of(*, kind: str, object_id: str) -> Subquery:
    """Return who owns a row's object, as an expression; ``object_id`` names its column."""
    owners = Ownership.objects.filter(host_id=OuterRef("host_id"), kind=kind, object_id=OuterRef(object_id))
    return Subquery(owners.values("team_id")[:1], output_field=models.UUIDField())


def owned_by(team_ids: list[UUID], *, kind: str, object_id: str) -> Q:
    """Return the condition that a row's object is one of the teams'; ``object_id`` names its column."""
    if not team_ids:
        return Q(pk__in=())
    theirs = Ownership.objects.filter(kind=kind, team_id__in=team_ids).values("host_id", "object_id")
    # As one pair, for which Django has no lookup: so a database begins with the few that are theirs, not with all there
    # are, and looks each of them up once.
    pair = Func("host_id", object_id, template="(%(expressions)s)")
    return Q(Func(pair, Subquery(theirs), template="%(expressions)s", arg_joiner=" IN ", output_field=BooleanField()))
