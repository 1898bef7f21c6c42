"""What the hosts hold, as last observed. Written by `manage.py watch` alone; never the truth; safe to delete."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from django.db import models
from django.db.models import Exists, OuterRef

from console.accounts.models import User
from console.gateway import ContainerState, Health
from console.hosts.models import Host
from console.rbac.models import OwnedKind, owned_by, team_of
from console.rbac.policy import Level, allowed, rights_of


class Rank(models.IntegerChoices):
    """The order of the default list of containers: what needs somebody comes first."""

    PROBLEM = 0
    RUNNING = 1
    PAUSED = 2
    REMOVING = 3
    CREATED = 4
    ENDED = 5


class ContainerQuerySet(models.QuerySet["ObservedContainer"]):
    def visible_to(self, user: User) -> Self:
        """The containers ``user`` may know of: all by their role, else those that their teams own."""
        rights = rights_of(user)
        if rights.everywhere >= Level.VIEW:
            return self
        teams = rights.teams_with(Level.VIEW)
        return self.filter(owned_by(teams, kind=OwnedKind.CONTAINER, object_id="container_id"))

    def with_team(self) -> Self:
        """The same, each with the id of the team that owns it in ``team_id``."""
        return self.annotate(team_id=team_of(kind=OwnedKind.CONTAINER, object_id="container_id"))


class VolumeQuerySet(models.QuerySet["ObservedVolume"]):
    def visible_to(self, user: User) -> Self:
        """The volumes ``user`` may know of: all by their role, else those that their teams own."""
        rights = rights_of(user)
        if rights.everywhere >= Level.VIEW:
            return self
        return self.filter(owned_by(rights.teams_with(Level.VIEW), kind=OwnedKind.VOLUME, object_id="name"))

    def with_team(self) -> Self:
        """The same, each with the id of the team that owns it in ``team_id``."""
        return self.annotate(team_id=team_of(kind=OwnedKind.VOLUME, object_id="name"))

    def in_use(self) -> Exists:
        """The condition that a container, running or not, mounts it."""
        return _used(OwnedKind.VOLUME, OuterRef("name"))


class NetworkQuerySet(models.QuerySet["ObservedNetwork"]):
    def visible_to(self, user: User) -> Self:
        """The networks ``user`` may know of: all by their role, else those that their teams own."""
        rights = rights_of(user)
        if rights.everywhere >= Level.VIEW:
            return self
        return self.filter(owned_by(rights.teams_with(Level.VIEW), kind=OwnedKind.NETWORK, object_id="network_id"))

    def with_team(self) -> Self:
        """The same, each with the id of the team that owns it in ``team_id``."""
        return self.annotate(team_id=team_of(kind=OwnedKind.NETWORK, object_id="network_id"))

    def in_use(self) -> Exists:
        """The condition that a container, running or not, is on it."""
        return _used(OwnedKind.NETWORK, OuterRef("name"), OuterRef("network_id"))


def _used(kind: OwnedKind, *names: OuterRef) -> Exists:
    return Exists(ObservedUse.objects.filter(container__host_id=OuterRef("host_id"), kind=kind, name__in=names))


class ImageQuerySet(models.QuerySet["ObservedImage"]):
    def visible_to(self, user: User) -> Self:
        """The images ``user`` may know of: what a host keeps may be another team's work."""
        return self if allowed(user, "image.view") else self.none()


class ObservedContainer(models.Model):
    """A container as the last list or event showed it."""

    #: Who owns it; ``None`` is nobody. There after ``with_team()`` alone.
    team_id: UUID | None

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="containers")
    container_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    image = models.CharField(max_length=300)
    image_id = models.CharField(max_length=80)
    command = models.TextField(blank=True)
    state = models.CharField(max_length=12, choices=[(state.value, state.value) for state in ContainerState])
    #: The order of the default list: what is wrong comes first (see `Rank`).
    rank = models.PositiveSmallIntegerField(default=9)
    #: The engine's own words, "Up 5 minutes"; renewed with each full list, without a signal to pages.
    status = models.CharField(max_length=255, blank=True)
    health = models.CharField(
        max_length=10, choices=[(health.value, health.value) for health in Health], default=Health.NONE.value
    )
    exit_code = models.IntegerField(null=True)
    #: Somebody stopped or killed it, so that its exit code is nobody's problem.
    end_requested = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    #: Lists of plain values in the shape of runtime's Port, Mount and names of networks.
    ports = models.JSONField(default=list)
    mounts = models.JSONField(default=list)
    networks = models.JSONField(default=list)
    labels = models.JSONField(default=dict)
    #: Lower-cased name, image, id, ports and labels: what the list's search looks through.
    search_text = models.TextField(blank=True)
    #: Of the values as the engine gave them: equal means nothing to write.
    fingerprint = models.CharField(max_length=32, default="", editable=False)
    #: When the engine was asked for what this row says; a row that did not change keeps its time.
    observed_at = models.DateTimeField()

    objects = ContainerQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "container_id"], name="one_row_per_container")]
        indexes = [
            models.Index(fields=["rank", "name", "id"]),
            models.Index(fields=["name", "id"]),
            models.Index(fields=["state", "rank", "name"]),
            models.Index(fields=["image", "rank", "name"]),
            models.Index(fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def short_id(self) -> str:
        """The first twelve digits, for people only."""
        return self.container_id[:12]


class ObservedLabel(models.Model):
    """A label of a container as a row of its own, for facets and filters."""

    container = models.ForeignKey(ObservedContainer, on_delete=models.CASCADE, related_name="label_rows")
    key = models.CharField(max_length=255)
    value = models.CharField(max_length=255)

    class Meta:
        indexes = [models.Index(fields=["key", "value", "container"])]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class ObservedUse(models.Model):
    """That a container uses a volume or a network of its host, as a row of its own, for lists and filters."""

    container = models.ForeignKey(ObservedContainer, on_delete=models.CASCADE, related_name="use_rows")
    kind = models.CharField(
        max_length=10, choices=[(kind.value, kind.value) for kind in (OwnedKind.VOLUME, OwnedKind.NETWORK)]
    )
    #: As the container says it: a network's is its name or, before the first start, what it was asked for by.
    name = models.CharField(max_length=255)

    class Meta:
        indexes = [models.Index(fields=["name", "kind", "container"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ObservedImage(models.Model):
    """An image as the last list showed it."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="images")
    image_id = models.CharField(max_length=80)
    tags = models.JSONField(default=list)
    digests = models.JSONField(default=list)
    #: The first tag, or "" when it has none: what lists sort by.
    name = models.CharField(max_length=300, blank=True)
    size_bytes = models.BigIntegerField()
    created_at = models.DateTimeField()
    labels = models.JSONField(default=dict)
    search_text = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=32, default="", editable=False)
    observed_at = models.DateTimeField()

    objects = ImageQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "image_id"], name="one_row_per_image")]
        indexes = [models.Index(fields=["name", "id"])]

    def __str__(self) -> str:
        return self.name or self.image_id


class ObservedVolume(models.Model):
    """A volume as the last list showed it."""

    #: Who owns it; ``None`` is nobody. There after ``with_team()`` alone.
    team_id: UUID | None

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="volumes")
    name = models.CharField(max_length=255)
    driver = models.CharField(max_length=60)
    #: Where its files are on the host: for those whose role reaches everywhere.
    mountpoint = models.TextField(blank=True)
    created_at = models.DateTimeField(null=True)
    labels = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    #: Lower-cased name, driver and labels: what the list's search looks through.
    search_text = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=32, default="", editable=False)
    observed_at = models.DateTimeField()

    objects = VolumeQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "name"], name="one_row_per_volume")]
        indexes = [models.Index(fields=["name", "id"])]

    def __str__(self) -> str:
        return self.name


class ObservedNetwork(models.Model):
    """A network as the last list showed it."""

    #: Who owns it; ``None`` is nobody. There after ``with_team()`` alone.
    team_id: UUID | None

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="networks")
    network_id = models.CharField(max_length=64)
    name = models.CharField(max_length=255)
    driver = models.CharField(max_length=60)
    scope = models.CharField(max_length=20, blank=True)
    #: Nothing on it reaches beyond it.
    internal = models.BooleanField(default=False)
    created_at = models.DateTimeField(null=True)
    labels = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    #: Lower-cased name, id, driver and labels: what the list's search looks through.
    search_text = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=32, default="", editable=False)
    observed_at = models.DateTimeField()

    objects = NetworkQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "network_id"], name="one_row_per_network")]
        indexes = [models.Index(fields=["name", "id"])]

    def __str__(self) -> str:
        return self.name


class WatchLease(models.Model):
    """Who may write the inventory: one watch at a time, until its lease ends."""

    # One row at the most.
    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    owner = models.CharField(max_length=120, blank=True)
    held_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_watch_lease")]

    def __str__(self) -> str:
        return self.owner
