"""API tokens: what a person's programs bring instead of a session. A secret is seen once; only its hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.utils import timezone

from console.accounts.models import ApiToken, Team, User
from console.accounts.signals import account_acted
from console.lib.bearer import TOKEN
from console.lib.live import notify
from console.lib.origin import Origin

logger = structlog.get_logger(__name__)

#: Tokens that one person may have at a time.
MOST_TOKENS = 50
#: "Last used" is written at most this often: reading must not cost a write.
USED_EVERY = timedelta(seconds=60)
#: How long a token that works no more is kept: its owner is told that it expired, and records name it.
KEEP = timedelta(days=90)
_NO_HASH = "0" * 64


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token with its whole text, seen here once and then never again."""

    token: ApiToken
    text: str


def _hash(text: str) -> str:
    # The secret has 256 random bits, so a plain hash is as strong as a slow one.
    return hashlib.sha256(text.encode()).hexdigest()


def list_tokens(user: User) -> list[ApiToken]:
    """Return the tokens of ``user`` that nobody revoked, newest first; those that expired of late are among them."""
    return list(user.tokens.filter(revoked_at=None, expires_at__gt=timezone.now() - KEEP).select_related("team"))


def create_token(
    *, actor: User, name: str, scope: str, team: Team | None, lifetime: timedelta, origin: Origin
) -> IssuedToken:
    """Give ``actor`` a token with at most the rights of ``scope``, over what ``team`` owns alone if there is one."""
    prefix = f"ph_{secrets.token_hex(6)}"
    text = f"{prefix}_{secrets.token_hex(32)}"
    token = ApiToken(
        owner=actor,
        name=name,
        prefix=prefix,
        token_hash=_hash(text),
        scope=scope,
        team=team,
        expires_at=timezone.now() + lifetime,
    )
    with transaction.atomic():
        token.save(force_insert=True)
        details = {"scope": scope, "expires_at": token.expires_at.isoformat()}
        _tell("token.create", token, actor=actor, origin=origin, details=details)
    return IssuedToken(token=token, text=text)


def revoke_token(*, actor: User, token_id: UUID, origin: Origin) -> ApiToken:
    """Make a token of ``actor``'s worthless. Raises ``ApiToken.DoesNotExist`` when there is none, or not any more."""
    with transaction.atomic():
        token = ApiToken.objects.select_related("team").get(pk=token_id, owner=actor, revoked_at=None)
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now()):
            raise ApiToken.DoesNotExist
        _tell("token.revoke", token, actor=actor, origin=origin, details={"scope": token.scope})
    return token


def revoke_all(person: User) -> int:
    """Make every token of ``person`` worthless, in the caller's transaction; return how many worked until now."""
    worked = person.tokens.usable().count()
    person.tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
    notify("people")
    return worked


def find_token(text: str) -> ApiToken | None:
    """Return the token whose text this is, with its owner, if it works now."""
    parts = TOKEN.fullmatch(text)
    prefix = parts[1] if parts is not None else ""
    token = ApiToken.objects.usable().select_related("owner").filter(prefix=prefix).first()
    # An unknown beginning takes as long as a wrong end.
    matches = hmac.compare_digest(token.token_hash if token is not None else _NO_HASH, _hash(text))
    if token is None or not matches:
        logger.warning("token_refused", prefix=prefix)
        return None
    token.owner.auth_token = token
    return token


def find_owner(token_id: UUID) -> User | None:
    """Return whose token this is, with no more rights than it leaves them; ``None`` when it works no more."""
    token = ApiToken.objects.usable().select_related("owner").filter(pk=token_id).first()
    if token is None:
        return None
    token.owner.auth_token = token
    return token.owner


def note_use(token: ApiToken) -> None:
    """Keep when ``token`` was last used (at most once a minute)."""
    now = timezone.now()
    if token.last_used_at is not None and now - token.last_used_at <= USED_EVERY:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY)
    try:
        with transaction.atomic():
            ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
    except DatabaseError as error:
        # Reading must work while nothing can be written: the disk is full, the database fails over.
        logger.warning("token_use_not_noted", error=str(error))


def sweep_tokens() -> None:
    """Delete tokens that have not worked for long."""
    long_ago = timezone.now() - KEEP
    ApiToken.objects.filter(Q(expires_at__lt=long_ago) | Q(revoked_at__lt=long_ago)).delete()


def _tell(action: str, token: ApiToken, *, actor: User, origin: Origin, details: dict[str, str]) -> None:
    """Put what happened to a token on record."""
    account_acted.send(
        sender=ApiToken,
        action=action,
        outcome="succeeded",
        actor=actor,
        object_id=str(token.pk),
        object_name=str(token),
        origin=origin,
        details=details | ({"team": token.team.name} if token.team is not None else {}),
    )
    notify("people")
