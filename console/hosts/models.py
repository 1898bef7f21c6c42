"""Registered machines."""

from __future__ import annotations

import uuid
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from console.accounts.models import User
from console.gateway import Driver, Endpoint, Timeouts, TlsCredentials
from console.lib.crypto import EncryptedJSONField
from console.rbac.policy import allowed


class HostState(models.TextChoices):
    """How a host answered when `manage.py watch` last asked it."""

    UNKNOWN = "unknown", _("Not asked yet")
    REACHABLE = "reachable", _("Reachable")
    UNREACHABLE = "unreachable", _("Unreachable")
    REFUSING = "refusing", _("Refuses us")
    FAILING = "failing", _("Failing")


class DriverChoice(models.TextChoices):
    """What runs on a host."""

    DOCKER = Driver.DOCKER.value, "Docker"
    PODMAN = Driver.PODMAN.value, "Podman"


class HostQuerySet(models.QuerySet["Host"]):
    def visible_to(self, user: User) -> Self:
        """The hosts ``user`` may know of."""
        return self if allowed(user, "host.view") else self.none()


class Host(models.Model):
    """A registered machine that runs an engine."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=60, unique=True)
    driver = models.CharField(_("engine"), max_length=10, choices=DriverChoice.choices, default=DriverChoice.DOCKER)
    url = models.CharField(_("address"), max_length=255)
    #: {"ca_pem", "certificate_pem", "key_pem"} or None. Write-only: never put into a page.
    credentials = EncryptedJSONField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    #: The rest is what `manage.py watch` last saw.
    state = models.CharField(max_length=12, choices=HostState.choices, default=HostState.UNKNOWN)
    status = models.CharField(max_length=500, blank=True)
    state_changed_at = models.DateTimeField(null=True)
    #: The last good answer.
    seen_at = models.DateTimeField(null=True)
    engine_id = models.CharField(max_length=120, blank=True)
    info = models.JSONField(default=dict)

    objects = HostQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def endpoint(self) -> Endpoint:
        """Where and how the engine is reached. Raises ``Undecryptable`` when the key file was lost."""
        tls = TlsCredentials(**self.credentials) if self.credentials else None
        return Endpoint(driver=Driver(self.driver), url=self.url, tls=tls, timeouts=Timeouts(connect=3.0, read=10.0))

    @property
    def is_reachable(self) -> bool:
        """Whether the last answer was good."""
        return self.state == HostState.REACHABLE
