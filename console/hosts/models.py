"""Registered machines."""

from __future__ import annotations

import uuid
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.functions import Lower
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from console.accounts.models import User
from console.gateway import Driver, Endpoint, Timeouts, TlsCredentials, is_archive_safe
from console.hosts.causes import Explanation, explain
from console.lib.crypto import EncryptedJSONField
from console.lib.text import one_line
from console.rbac.models import HostGrant
from console.rbac.policy import Level, rights_of


class HostState(models.TextChoices):
    """How a host answered when `manage.py watch` last asked it."""

    UNKNOWN = "unknown", _("Not asked yet")
    REACHABLE = "reachable", _("Reachable")
    UNREACHABLE = "unreachable", _("Unreachable")
    REFUSING = "refusing", _("Refuses us")
    FAILING = "failing", _("Failing")


#: What needs somebody: a host that was asked and did not answer well.
TROUBLED = (HostState.UNREACHABLE, HostState.REFUSING, HostState.FAILING)


class DriverChoice(models.TextChoices):
    """What runs on a host."""

    DOCKER = Driver.DOCKER.value, "Docker"
    PODMAN = Driver.PODMAN.value, "Podman"


class HostQuerySet(models.QuerySet["Host"]):
    def visible_to(self, user: User) -> Self:
        """The hosts ``user`` may know of: all by their role, else those that their teams may work on."""
        rights = rights_of(user)
        if rights.everywhere >= Level.VIEW:
            return self
        teams = rights.teams_with(Level.VIEW)
        return self.filter(Exists(HostGrant.objects.filter(host_id=OuterRef("pk"), team_id__in=teams)))


def storage_words(driver: str, backing: str) -> str:
    """Return how an engine stores containers, in its own words: overlay2 on extfs."""
    driver, backing = one_line(driver, limit=40), one_line(backing, limit=40)
    return gettext("%(driver)s on %(backing)s") % {"driver": driver, "backing": backing} if backing else driver


class Host(models.Model):
    """A registered machine that runs an engine."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=60)
    driver = models.CharField(_("engine"), max_length=10, choices=DriverChoice.choices, default=DriverChoice.DOCKER)
    url = models.CharField(_("address"), max_length=255)
    #: The engine that `./pilothouse up` chose for this machine; at most one, whatever people rename it to.
    is_local = models.BooleanField(default=False, editable=False)
    #: Where a local engine comes from, in the words of `./pilothouse up`.
    note = models.CharField(max_length=200, blank=True, editable=False)
    #: {"ca_pem", "certificate_pem", "key_pem"} or None. Write-only: never put into a page.
    credentials = EncryptedJSONField(null=True, editable=False)
    #: When the client certificate in `credentials` ends; set when and only when there are credentials.
    certificate_expires_at = models.DateTimeField(null=True, editable=False)
    #: Grows with each change of how the host is reached: what was seen under an older one is not written any more.
    revision = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    #: The rest is what `manage.py watch` last saw.
    state = models.CharField(max_length=12, choices=HostState.choices, default=HostState.UNKNOWN)
    #: The code of what went wrong (`causes.py`), and the connection's own words for it; "" while all is well.
    cause = models.CharField(max_length=30, blank=True)
    status = models.CharField(max_length=500, blank=True)
    state_changed_at = models.DateTimeField(null=True)
    #: The last good answer.
    seen_at = models.DateTimeField(null=True)
    engine_id = models.CharField(max_length=120, blank=True)
    #: `EngineInfo` as plain values; {} until it answered once.
    info = models.JSONField(default=dict)

    objects = HostQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Lower("name"), name="one_host_per_name"),
            models.UniqueConstraint(fields=["url"], name="one_host_per_address"),
            models.UniqueConstraint(fields=["is_local"], condition=models.Q(is_local=True), name="one_local_host"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def endpoint(self) -> Endpoint:
        """Where and how the engine is reached. Raises ``Undecryptable`` when the key file was lost."""
        tls = TlsCredentials(**self.credentials) if self.credentials else None
        return Endpoint(driver=Driver(self.driver), url=self.url, tls=tls, timeouts=Timeouts(connect=3.0, read=10.0))

    @property
    def has_credentials(self) -> bool:
        """Whether it is reached with TLS; asks nothing of the encrypted column."""
        return self.certificate_expires_at is not None

    @property
    def is_socket(self) -> bool:
        """Whether it is reached through a socket on this machine."""
        return self.url.startswith("unix://")

    @property
    def has_safe_archives(self) -> bool:
        """Whether its engine may be asked for files of containers, which older ones do dangerously."""
        return is_archive_safe(str(self.info.get("product", "")), str(self.info.get("version", "")))

    @property
    def is_reachable(self) -> bool:
        """Whether the last answer was good."""
        return self.state == HostState.REACHABLE

    @property
    def is_troubled(self) -> bool:
        """Whether it was asked and did not answer well: what we know of it is stale."""
        return self.state in TROUBLED

    @property
    def limits_disk(self) -> bool:
        """Whether its engine bounds what a container writes, as it last told."""
        return self.info.get("limits_disk") is True

    @property
    def storage(self) -> str:
        """How its engine stores containers, in its own words: overlay2 on extfs; empty until it answered once."""
        return storage_words(str(self.info.get("storage_driver", "")), str(self.info.get("backing_filesystem", "")))

    @property
    def explanation(self) -> Explanation | None:
        """What went wrong and what to do next; ``None`` while all is well."""
        return explain(self.cause) if self.is_troubled else None
