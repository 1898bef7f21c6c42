"""Who is signed in where: the list, its upkeep, and the check that open sockets repeat."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import DatabaseError, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from console.accounts import second_factor
from console.accounts.models import User
from console.accounts.signals import account_acted
from console.lib.origin import Origin
from console.lib.rechecks import recheck

logger = structlog.get_logger(__name__)

#: "Last seen" is written at most this often: a page must not cost a write.
SEEN_EVERY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class SignedInSession:
    """One place where a person is signed in, in words."""

    id: int
    device: str
    is_phone: bool
    address: str
    since: datetime
    last_seen: datetime
    is_current: bool


_BROWSERS = (
    (re.compile(r"Edg(?:e|A|iOS)?/"), "Edge"),
    (re.compile(r"OPR/|Opera"), "Opera"),
    (re.compile(r"SamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"Whale/"), "Whale"),
    (re.compile(r"Vivaldi/"), "Vivaldi"),
    (re.compile(r"Firefox/|FxiOS/"), "Firefox"),
    (re.compile(r"Chrome/|CriOS/|Chromium/"), "Chrome"),
    (re.compile(r"Version/.*Safari/"), "Safari"),
    (re.compile(r"^curl/"), "curl"),
    (re.compile(r"^python|^Wget/|^Go-http-client/", re.IGNORECASE), "script"),
)
_SYSTEMS = (
    (re.compile(r"iPhone"), "iPhone"),
    (re.compile(r"iPad"), "iPad"),
    (re.compile(r"Android"), "Android"),
    (re.compile(r"Windows"), "Windows"),
    (re.compile(r"Macintosh|Mac OS X"), "macOS"),
    (re.compile(r"CrOS"), "ChromeOS"),
    (re.compile(r"Linux|X11"), "Linux"),
)


def describe_user_agent(user_agent: str) -> str:
    """Return browser and system in words, as far as ``user_agent`` tells: "Firefox on Linux"."""
    browser = next((name for pattern, name in _BROWSERS if pattern.search(user_agent)), "")
    system = next((name for pattern, name in _SYSTEMS if pattern.search(user_agent)), "")
    if browser == "script":
        browser = _("A script")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("An unknown browser")


def list_sessions(user: User, *, current_key: str) -> list[SignedInSession]:
    """Return where ``user`` is signed in: the session at hand first, then by when it was last seen."""
    rows = list(UserSession.objects.filter(user=user))
    alive = set(
        Session.objects.filter(
            session_key__in=[row.session_key for row in rows], expire_date__gt=timezone.now()
        ).values_list("session_key", flat=True)
    )
    found = [
        SignedInSession(
            id=row.pk,
            device=describe_user_agent(row.user_agent),
            is_phone=bool(re.search(r"iPhone|Android|Mobile", row.user_agent)),
            address=row.ip,
            since=row.created_at,
            last_seen=row.last_seen_at,
            is_current=row.session_key == current_key,
        )
        for row in rows
        if row.session_key in alive
    ]
    return sorted(found, key=lambda session: (not session.is_current, -session.last_seen.timestamp()))


def note_session(*, user: User, session_key: str, origin: Origin) -> None:
    """Keep the list of sessions: add this one, or note that it was seen (at most once a minute)."""
    now = timezone.now()
    seen = {"user": user, "ip": origin.address or "0.0.0.0", "user_agent": origin.user_agent, "last_seen_at": now}
    row = UserSession.objects.filter(session_key=session_key).first()
    if row is not None and now - row.last_seen_at <= SEEN_EVERY and _is_same(row, seen):
        return
    try:
        with transaction.atomic():
            if row is None:
                UserSession.objects.get_or_create(session_key=session_key, defaults=seen)
            else:
                UserSession.objects.filter(pk=row.pk).update(**seen)
    except DatabaseError as error:
        # Reading a page must work while nothing can be written: the disk is full, the database fails over.
        logger.warning("session_not_noted", error=str(error))


def _is_same(row: UserSession, seen: dict[str, Any]) -> bool:
    return (row.user_id, row.ip, row.user_agent) == (seen["user"].pk, seen["ip"], seen["user_agent"])


def is_session_valid(session_key: str, user_id: UUID) -> bool:
    """Whether ``session_key`` still signs in the active user ``user_id``, with their present password.

    Nor may a second factor be missing where this console requires one. Open sockets ask this every few seconds; it
    reads two rows by their keys, at most one more, and writes nothing.
    """
    session = Session.objects.filter(session_key=session_key, expire_date__gt=timezone.now()).first()
    if session is None:
        return False
    data = session.get_decoded()
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or data.get(SESSION_KEY) != str(user.pk) or second_factor.is_missing(user):
        return False
    return constant_time_compare(data.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash())


def last_session_key(user: User) -> str:
    """Return the key of the session in which ``user`` was seen last; empty when no session signs them in."""
    rows = UserSession.objects.filter(user=user).order_by("-last_seen_at")
    keys = rows.values_list("session_key", flat=True)
    return next((key for key in keys if is_session_valid(key, user.pk)), "")


def find_user(session_key: str) -> User | None:
    """Return the active user whom ``session_key`` signs in, for a socket's handshake."""
    session = Session.objects.filter(session_key=session_key, expire_date__gt=timezone.now()).first()
    user_id = session.get_decoded().get(SESSION_KEY) if session else None
    user = User.objects.filter(pk=user_id).first() if user_id else None
    return user if user is not None and is_session_valid(session_key, user.pk) else None


def forget_sessions(session_keys: list[str], *, user_id: UUID) -> None:
    """Delete sessions and their rows in the list, and have the person's open streams look at once."""
    Session.objects.filter(session_key__in=session_keys).delete()
    UserSession.objects.filter(session_key__in=session_keys).delete()
    recheck(user_id)


def sweep_sessions() -> None:
    """Delete sessions that have run out, and rows of the list whose session is gone."""
    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()


def end_session(*, actor: User, session_id: int, origin: Origin) -> str:
    """End one of ``actor``'s own sessions and return its key. Raises ``UserSession.DoesNotExist``."""
    with transaction.atomic():
        row = UserSession.objects.get(pk=session_id, user=actor)
        forget_sessions([row.session_key], user_id=actor.pk)
        account_acted.send(
            sender=UserSession,
            action="session.end",
            outcome="succeeded",
            actor=actor,
            object_id=str(actor.pk),
            object_name=actor.username,
            origin=origin,
            details={"sessions": 1, "device": describe_user_agent(row.user_agent), "address": row.ip},
        )
    return str(row.session_key)


def end_other_sessions(*, actor: User, current_key: str, origin: Origin) -> int:
    """End every session of ``actor`` but the one at hand; return how many there were."""
    with transaction.atomic():
        keys = list(
            UserSession.objects.filter(user=actor)
            .exclude(session_key=current_key)
            .values_list("session_key", flat=True)
        )
        if keys:
            forget_sessions(keys, user_id=actor.pk)
            account_acted.send(
                sender=UserSession,
                action="session.end",
                outcome="succeeded",
                actor=actor,
                object_id=str(actor.pk),
                object_name=actor.username,
                origin=origin,
                details={"sessions": len(keys)},
            )
    return len(keys)
