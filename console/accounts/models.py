"""People, and how they look at the console."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Collection
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person may do in the whole console, beside what teams grant."""

    ADMIN = "admin", _("Admin")
    #: Reads everything, changes nothing, opens no shell.
    AUDITOR = "auditor", _("Auditor")
    USER = "user", _("User")


class Source(models.TextChoices):
    """What told us of a right that nobody of the house gave."""

    OIDC = "oidc", _("Single sign-on")
    LDAP = "ldap", _("Directory")


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
    #: Whose groups gave the role; empty when a person did, and then groups leave it alone.
    role_source = models.CharField(max_length=10, choices=Source.choices, blank=True, default="", editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(_("joined"), auto_now_add=True)
    theme = models.CharField(_("theme"), max_length=10, choices=Theme.choices, default=Theme.SYSTEM)
    language = models.CharField(_("language"), max_length=10, blank=True)
    #: What ended until then is no news any more.
    notifications_seen_at = models.DateTimeField(default=timezone.now, editable=False)

    #: When they last proved who they are, in seconds of the epoch; known only of whoever is behind a request.
    confirmed_at: float | None = None

    objects: ClassVar[UserManager] = UserManager()

    #: The token that a request or an operation came with, on the person fetched for it: it bounds their rights (see
    #: ``console.rbac.policy``), and the record names it.
    auth_token: ApiToken | None = None

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

    @property
    def oversees(self) -> bool:
        """Whether this person sees everything: admins, and auditors."""
        return self.is_active and self.role in (Role.ADMIN, Role.AUDITOR)

    @cached_property
    def is_in_team(self) -> bool:
        """Whether there is a team for this person to look at."""
        return self.memberships.exists()

    def get_short_name(self) -> str:
        """What pages call this person."""
        return self.name or self.username


class TeamRole(models.TextChoices):
    """What a person may do with what a team owns."""

    OWNER = "owner", _("Owner")
    MEMBER = "member", _("Member")
    VIEWER = "viewer", _("Viewer")


class Team(models.Model):
    """People who share containers: what a team owns, the others do not know of."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=60)
    #: How the names of what the team makes begin; stays when the team is called something else. Letters and digits
    #: only, so that none is the beginning of another one's names.
    prefix = models.CharField(max_length=24, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    people = models.ManyToManyField(User, through="Membership", related_name="teams")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="one_team_per_name",
                violation_error_message=_("There is a team of this name already; choose another."),
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, **options: Any) -> None:
        """Choose the prefix once."""
        if not self.prefix:
            self.prefix = free_prefix(self.name, taken=set(Team.objects.values_list("prefix", flat=True)))
        super().save(**options)


def free_prefix(name: str, *, taken: Collection[str]) -> str:
    """Return the beginning of a team's names made of ``name``: ``red``, then ``red2`` and so on."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    base = re.sub(r"[^a-z0-9]", "", plain)[:20] or "team"
    number, prefix = 1, base
    while prefix in taken:
        number += 1
        prefix = f"{base}{number}"
    return prefix


class Membership(models.Model):
    """A person in a team, and what they may do there."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=TeamRole.choices, default=TeamRole.MEMBER)
    #: Whose groups put the person there; empty when a person did, and then groups leave it alone.
    source = models.CharField(max_length=10, choices=Source.choices, blank=True, default="", editable=False)
    joined_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "person"], name="one_membership_per_team")]

    def __str__(self) -> str:
        return f"{self.person_id} in {self.team_id}"


class GroupMapping(models.Model):
    """People of a group somewhere else are in a team here."""

    source = models.CharField(max_length=10, choices=Source.choices)
    group = models.CharField(max_length=255)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="group_mappings")
    role = models.CharField(_("role in the team"), max_length=10, choices=TeamRole.choices, default=TeamRole.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["source", "group", "team__name"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "group", "team"],
                name="one_mapping_per_group_and_team",
                violation_error_message=_("This group leads to this team already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.group} in {self.team_id}"


class Invitation(models.Model):
    """A single-use link by which somebody joins the console, or a team of it. Only the hash of its token is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    #: Whom it is meant for, in the inviter's words.
    note = models.CharField(_("for"), max_length=120, blank=True)
    #: What a new person becomes in the console; somebody who has an account keeps their role.
    role = models.CharField(_("role in the console"), max_length=10, choices=Role.choices, default=Role.USER)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="invitations")
    team_role = models.CharField(
        _("role in the team"), max_length=10, choices=TeamRole.choices, default=TeamRole.MEMBER
    )
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    used_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"invitation of {self.created_at:%Y-%m-%d}"


class TokenScope(models.TextChoices):
    """How much of its owner's rights a token has."""

    READ = "read", _("Read")
    OPERATE = "operate", _("Read and operate")
    ALL = "all", _("Everything I may do")


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self) -> Self:
        """Those that work now."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now(), owner__is_active=True)


class ApiToken(models.Model):
    """What a program of somebody's brings instead of a session. Only the hash of its secret is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(_("name"), max_length=60)
    #: Its beginning, which is no secret: by it the row is found, and people recognise it.
    prefix = models.CharField(max_length=15, unique=True, editable=False)
    token_hash = models.CharField(max_length=64, editable=False)
    scope = models.CharField(_("scope"), max_length=10, choices=TokenScope.choices, default=TokenScope.READ)
    #: The one team that it is for; it goes with the team, rather than reach further without it.
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    #: To the minute.
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at <= timezone.now()


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
