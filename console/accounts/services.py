"""What changes about people: the first admin, their profile, their password."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils import timezone

from console.accounts import sessions, tokens
from console.accounts.models import BootstrapToken, Role, User
from console.accounts.signals import account_acted
from console.lib.live import notify
from console.lib.origin import Origin

BOOTSTRAP_LIFETIME = timedelta(hours=24)


class BootstrapSpent(Exception):
    """The one-time link is unknown, used, replaced or too old."""


@dataclass(frozen=True, slots=True)
class BootstrapLink:
    """A token, seen here once and then never again, and until when it works."""

    token: str
    expires_at: datetime


def has_admin() -> bool:
    """Whether somebody can run this console."""
    return User.objects.filter(role=Role.ADMIN, is_active=True).exists()


def _hash(token: str) -> str:
    # The token has 256 random bits, so a plain hash is as strong as a slow one.
    return hashlib.sha256(token.encode()).hexdigest()


def issue_bootstrap_link() -> BootstrapLink | None:
    """Make the one-time link for the first admin, replacing any other; ``None`` when there is an admin."""
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    with transaction.atomic():
        if has_admin():
            return None
        BootstrapToken.objects.update_or_create(
            id=1, defaults={"token_hash": _hash(token), "created_at": now, "used_at": None}
        )
    return BootstrapLink(token=token, expires_at=now + BOOTSTRAP_LIFETIME)


def is_bootstrap_open(token: str) -> bool:
    """Whether ``token`` could make the first admin now."""
    return (
        BootstrapToken.objects.filter(
            token_hash=_hash(token), used_at=None, created_at__gt=timezone.now() - BOOTSTRAP_LIFETIME
        ).exists()
        and not has_admin()
    )


def create_first_admin(*, token: str, username: str, password: str, origin: Origin) -> User:
    """Spend ``token`` and create the admin. Of many at once one wins; the others raise ``BootstrapSpent``."""
    now = timezone.now()
    with transaction.atomic():
        won = BootstrapToken.objects.filter(
            token_hash=_hash(token), used_at=None, created_at__gt=now - BOOTSTRAP_LIFETIME
        ).update(used_at=now)
        if not won or has_admin():
            raise BootstrapSpent
        user = User.objects.create_user(username, password, role=Role.ADMIN)
        account_acted.send(
            sender=User,
            action="account.create_first_admin",
            outcome="succeeded",
            actor=user,
            object_id=str(user.pk),
            object_name=user.username,
            origin=origin,
            details={},
        )
    return user


def sign_out(*, actor: User, session_key: str, origin: Origin) -> None:
    """End the session at hand."""
    with transaction.atomic():
        sessions.forget_sessions([session_key], user_id=actor.pk)
        account_acted.send(
            sender=User,
            action="account.sign_out",
            outcome="succeeded",
            actor=actor,
            object_id=str(actor.pk),
            object_name=actor.username,
            origin=origin,
            details={},
        )


def edit_profile(*, actor: User, name: str, email: str, origin: Origin) -> None:
    """Change what ``actor`` is called and where they are written to."""
    changed = [field for field, value in (("name", name), ("email", email)) if getattr(actor, field) != value]
    if not changed:
        return
    with transaction.atomic():
        actor.name, actor.email = name, email
        actor.save(update_fields=changed)
        account_acted.send(
            sender=User,
            action="profile.edit",
            outcome="succeeded",
            actor=actor,
            object_id=str(actor.pk),
            object_name=actor.username,
            origin=origin,
            details={"changed": changed},
        )


def change_password(*, actor: User, password: str, origin: Origin) -> None:
    """Set ``actor``'s password; every session and API token of theirs ends.

    The caller gives the session at hand a new key.
    """
    with transaction.atomic():
        actor.set_password(password)
        actor.save(update_fields=["password"])
        keys = list(UserSession.objects.filter(user=actor).values_list("session_key", flat=True))
        sessions.forget_sessions(keys, user_id=actor.pk)
        account_acted.send(
            sender=User,
            action="password.change",
            outcome="succeeded",
            actor=actor,
            object_id=str(actor.pk),
            object_name=actor.username,
            origin=origin,
            details={"sessions": len(keys), "tokens": tokens.revoke_all(actor)},
        )


def prefer_theme(*, actor: User, theme: str) -> None:
    """Remember how ``actor`` wants pages coloured."""
    actor.theme = theme
    actor.save(update_fields=["theme"])


def prefer_language(*, actor: User, language: str) -> None:
    """Remember which language ``actor`` reads."""
    actor.language = language
    actor.save(update_fields=["language"])


def see_notifications(*, actor: User, until: datetime) -> None:
    """Remember that ``actor`` has seen what ended until ``until``; never less than before, and nothing to come."""
    until = min(until, timezone.now())
    if User.objects.filter(pk=actor.pk, notifications_seen_at__lt=until).update(notifications_seen_at=until):
        notify(f"notifications:{actor.pk}")
