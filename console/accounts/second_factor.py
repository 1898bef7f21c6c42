"""A person's second factor: whether there is one, whether there must be, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from allauth.mfa.models import Authenticator
from django.conf import settings

from console.accounts import codes, keys
from console.accounts.models import Role, User

#: What can be asked for at a sign-in. Recovery codes stand in for these, and are nothing without them.
_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityKey:
    """A key, as pages show it."""

    id: int
    name: str
    added_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """What a person has set up."""

    app_since: datetime | None
    keys: list[SecurityKey]
    #: Recovery codes that are left; ``None`` when there never were any.
    recovery_codes: int | None

    @property
    def is_set_up(self) -> bool:
        """Whether a sign-in asks for more than the password."""
        return self.app_since is not None or bool(self.keys)


def is_set_up(user: User) -> bool:
    """Whether signing in as ``user`` asks for more than the password."""
    found: bool = Authenticator.objects.filter(user=user, type__in=_FACTORS).exists()
    return found


def is_required(user: User) -> bool:
    """Whether this console wants a second factor of ``user``."""
    wanted = settings.REQUIRE_SECOND_FACTOR
    return wanted == "everybody" or (wanted == "admins" and user.role == Role.ADMIN)


def is_missing(user: User) -> bool:
    """Whether ``user`` has to set one up before anything else."""
    return is_required(user) and not is_set_up(user)


def second_factor_of(user: User) -> SecondFactor:
    """Return what ``user`` has set up, for the pages about it."""
    app = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).first()
    return SecondFactor(
        app_since=app.created_at if app is not None else None,
        keys=[
            SecurityKey(id=key.pk, name=key.data["name"], added_at=key.created_at, last_used_at=key.last_used_at)
            for key in keys.keys_of(user)
        ],
        recovery_codes=codes.count_recovery_codes(user),
    )
