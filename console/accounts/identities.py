"""People whom somebody else vouches for: who they are here, and what follows them at each sign-in.

Who somebody is follows from the provider and its subject alone. Names and addresses change hands; they never lead to
an account.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from console.accounts.models import Role, Source, User
from console.accounts.signals import account_acted, groups_told
from console.lib.origin import Origin
from console.lib.text import one_line

#: What django-allauth keeps of a subject; no provider comes near.
SUBJECT_LENGTH: Final = 191
_NAME_LENGTH: Final = 120
_USERNAME_LENGTH: Final = 60
_EMAIL_LENGTH: Final = 254
#: More groups than this nobody is in; longer names lead to no team.
MOST_GROUPS: Final = 2000
_GROUP_LENGTH: Final = 255


class DirectoryFailed(Exception):
    """The directory does not answer, or not us. The sentence is for the log."""


class Suspended(Exception):
    """An admin has shut this person out."""


class ConnectedElsewhere(Exception):
    """Another account is connected with who somebody is there."""


class ConnectedAlready(Exception):
    """The account is connected with somebody else there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Who somebody is, in the words of a provider that has proved it."""

    source: Source
    provider: str
    subject: str
    username: str
    name: str
    #: Empty unless the provider has verified it.
    email: str
    groups: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A provider by which a person signs in, for their settings."""

    id: int
    source: Source
    #: What people call the provider.
    name: str
    #: What they are called there.
    username: str


def text_in(claim: object) -> str:
    """Return a claim as one line; whatever is not text is nothing."""
    return one_line(" ".join(claim.split()), limit=_NAME_LENGTH) if isinstance(claim, str) else ""


def cleaned_email(claim: object) -> str:
    """Return a claim as an address that mail could go to; empty when it is none."""
    if not isinstance(claim, str) or len(claim) > _EMAIL_LENGTH:
        return ""
    try:
        validate_email(claim)
    except ValidationError:
        return ""
    return claim


def groups_in(claim: object) -> frozenset[str]:
    """Return the groups that a claim names; a claim that is missing, or of another shape, names none."""
    names = [claim] if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(name for name in names[:MOST_GROUPS] if isinstance(name, str) and 0 < len(name) <= _GROUP_LENGTH)


def admit(proof: Proof, *, origin: Origin) -> User:
    """Return who signs in, made at their first time, with what the provider says of them. Raises ``Suspended``."""
    try:
        return _admit(proof, origin=origin)
    except IntegrityError:
        # The same person signed in somewhere else a moment ago, or somebody took their user name.
        return _admit(proof, origin=origin)


def _admit(proof: Proof, *, origin: Origin) -> User:
    with transaction.atomic():
        connection = _connections(proof).select_related("user").first()
        if connection is None:
            person = User.objects.create_user(_free_username(proof), role=Role.USER)
            connection = _connect(person, proof, known={})
            _tell("account.create", person, proof=proof, origin=origin)
        person = connection.user
        if not person.is_active:
            raise Suspended
        _follow(person, connection, proof=proof)
        groups_told.send(sender=User, person=person, source=proof.source, groups=proof.groups, origin=origin)
    return User.objects.get(pk=person.pk)


def connect(*, actor: User, proof: Proof, origin: Origin) -> None:
    """Let ``actor`` sign in by the provider from now on. Raises ``ConnectedElsewhere`` or ``ConnectedAlready``."""
    with transaction.atomic():
        # One at a time: two of one provider would undo each other's groups.
        User.objects.select_for_update().get(pk=actor.pk)
        there = _connections(proof).first()
        if there is not None and there.user_id != actor.pk:
            raise ConnectedElsewhere
        if there is not None:
            return
        if SocialAccount.objects.filter(user=actor, provider=proof.provider).exists():
            raise ConnectedAlready
        # Their name here stays until it changes there.
        _connect(actor, proof, known=_told(proof))
        _tell("connection.add", actor, proof=proof, origin=origin)
        groups_told.send(sender=User, person=actor, source=proof.source, groups=proof.groups, origin=origin)


def disconnect(*, actor: User, connection_id: int, origin: Origin) -> None:
    """Let ``actor`` sign in by a provider no longer; what its groups gave goes too.

    Raises ``SocialAccount.DoesNotExist``, also when there is no password to sign in by instead.
    """
    if not actor.has_usable_password():
        raise SocialAccount.DoesNotExist
    with transaction.atomic():
        connection = SocialAccount.objects.select_for_update().get(pk=connection_id, user=actor)
        source = _source_of(connection)
        connection.delete()
        account_acted.send(
            sender=User,
            action="connection.remove",
            outcome="succeeded",
            actor=actor,
            object_id=str(actor.pk),
            object_name=actor.username,
            origin=origin,
            details={"provider": connection.provider, "subject": connection.uid},
        )
        groups_told.send(sender=User, person=actor, source=source, groups=frozenset(), origin=origin)


def list_connections(person: User) -> list[Connection]:
    """Return by which providers ``person`` signs in."""
    return [
        Connection(
            id=connection.pk,
            source=_source_of(connection),
            name=_name_of(connection),
            username=str(connection.extra_data.get("username", "")),
        )
        for connection in SocialAccount.objects.filter(user=person).order_by("pk")
    ]


def is_of(person: User, proof: Proof) -> bool:
    """Whether who was proved elsewhere is ``person`` here."""
    return bool(_connections(proof).filter(user=person).exists())


def _name_of(connection: SocialAccount) -> str:
    oidc, ldap = settings.SIGN_IN.oidc, settings.SIGN_IN.ldap
    names = {oidc.issuer: oidc.name} if oidc else {}
    names |= {Source.LDAP.value: ldap.name} if ldap else {}
    return names.get(connection.provider, str(connection.provider))


def _source_of(connection: SocialAccount) -> Source:
    return Source.LDAP if connection.provider == Source.LDAP else Source.OIDC


def _connections(proof: Proof) -> Any:
    return SocialAccount.objects.filter(provider=proof.provider, uid=proof.subject)


def _connect(person: User, proof: Proof, *, known: dict[str, str]) -> SocialAccount:
    connection: SocialAccount = SocialAccount.objects.create(
        user=person, provider=proof.provider, uid=proof.subject, extra_data=known
    )
    return connection


def _told(proof: Proof) -> dict[str, str]:
    return {"username": proof.username, "name": proof.name, "email": proof.email}


def _follow(person: User, connection: SocialAccount, *, proof: Proof) -> None:
    """Take over a name or address that is new at the provider; what a person changed here stays until then."""
    told, known = _told(proof), connection.extra_data
    changed = [field for field in ("name", "email") if told[field] and told[field] != known.get(field)]
    for field in changed:
        setattr(person, field, told[field])
    if changed:
        person.save(update_fields=changed)
    connection.extra_data = told
    # Also when nothing is new: the row says when they last came.
    connection.save(update_fields=["extra_data", "last_login"])


def _free_username(proof: Proof) -> str:
    """Return a user name that nobody has, as near to the provider's as may be."""
    wanted = unicodedata.normalize("NFKC", proof.username or proof.name)
    wanted = re.sub(r"[^\w.@+-]+", ".", wanted).strip(".")[:_USERNAME_LENGTH] or "person"
    name, number = wanted, 1
    while User.objects.filter(username__iexact=name).exists():
        number += 1
        ending = f"-{number}"
        name = wanted[: _USERNAME_LENGTH - len(ending)] + ending
    return name


def _tell(action: str, person: User, *, proof: Proof, origin: Origin) -> None:
    account_acted.send(
        sender=User,
        action=action,
        outcome="succeeded",
        actor=person,
        object_id=str(person.pk),
        object_name=person.username,
        origin=origin,
        details={"provider": proof.provider, "subject": proof.subject, "username": proof.username},
    )
