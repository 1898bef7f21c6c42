"""People, and how they look at the console."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person may do in the whole console, beside what teams grant."""

    ADMIN = "admin", _("Admin")
    USER = "user", _("User")


class Theme(models.TextChoices):
    """How the pages are coloured."""

    SYSTEM = "system", _("Like the system")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class UserManager(BaseUserManager["User"]):
    """Makes people, with their password hashed."""

    def create_user(
        self, username: str, password: str | None = None, *, role: str = Role.USER, email: str = ""
    ) -> User:
        """Create a person; without a password nobody can sign in as them."""
        user = self.model(username=User.normalize_username(username), role=role, email=self.normalize_email(email))
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person who can sign in."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField(
        _("user name"),
        max_length=60,
        unique=True,
        validators=[UnicodeUsernameValidator()],
        error_messages={"unique": _("Somebody has this user name already; choose another.")},
    )
    name = models.CharField(_("name"), max_length=120, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.USER)
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(_("joined"), auto_now_add=True)
    theme = models.CharField(_("theme"), max_length=10, choices=Theme.choices, default=Theme.SYSTEM)
    language = models.CharField(_("language"), max_length=10, blank=True)
    #: What ended until then is no news any more.
    notifications_seen_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            # "Alice" must not pass for "alice".
            models.UniqueConstraint(
                Lower("username"),
                name="username_in_any_case",
                violation_error_message=_("Somebody has this user name already; choose another."),
            )
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def is_admin(self) -> bool:
        """Whether this person runs the console."""
        return self.is_active and self.role == Role.ADMIN

    def get_short_name(self) -> str:
        """What pages call this person."""
        return self.name or self.username


class BootstrapToken(models.Model):
    """The one-time link that makes the first admin. Only the hash of the token is kept."""

    # One row at the most: creating the first admin has a single winner by this constraint.
    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    token_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_bootstrap_token")]

    def __str__(self) -> str:
        return "bootstrap token"
