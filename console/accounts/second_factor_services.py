"""Every change of a person's second factor. Those that add or take away end the sessions of the old rules."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import IntegrityError, transaction

from console.accounts import codes, keys, sessions
from console.accounts.models import User
from console.accounts.second_factor import is_required, is_set_up
from console.accounts.signals import account_acted
from console.lib import live
from console.lib.origin import Origin


class StillRequired(Exception):
    """This console wants a second factor of this person, and it would be the last one that goes."""


class AlreadyThere(Exception):
    """There is an app already, or there are as many keys as there may be."""


def add_app(*, actor: User, secret: str, counter: int, current_key: str, origin: Origin) -> list[str]:
    """Keep an authenticator app; return the recovery codes if these are the first. Raises ``AlreadyThere``."""
    with transaction.atomic():
        try:
            with transaction.atomic():
                codes.add_app(actor, secret=secret, counter=counter)
        except IntegrityError as error:
            raise AlreadyThere from error
        return _added(actor, "second_factor.add_app", current_key=current_key, origin=origin, details={})


def add_key(*, actor: User, name: str, kept: dict[str, Any], current_key: str, origin: Origin) -> list[str]:
    """Keep a security key; return the recovery codes if these are the first. Raises ``AlreadyThere``."""
    with transaction.atomic():
        # Taken so that two windows do not pass the bound together.
        User.objects.select_for_update().get(pk=actor.pk)
        if len(keys.keys_of(actor)) >= keys.MOST:
            raise AlreadyThere
        Authenticator.objects.create(user=actor, type=Authenticator.Type.WEBAUTHN, data=kept | {"name": name})
        return _added(actor, "second_factor.add_key", current_key=current_key, origin=origin, details={"key": name})


def _added(actor: User, action: str, *, current_key: str, origin: Origin, details: dict[str, Any]) -> list[str]:
    issued = codes.renew_recovery_codes(actor) if codes.count_recovery_codes(actor) is None else []
    _changed(actor, action, current_key=current_key, origin=origin, details=details)
    return issued


def rename_key(*, actor: User, key: Authenticator, name: str, origin: Origin) -> None:
    """Call a key something else."""
    with transaction.atomic():
        before, key.data["name"] = key.data["name"], name
        key.save(update_fields=["data"])
        _tell(actor, "second_factor.rename_key", origin=origin, details={"before": before, "key": name})


def remove_app(*, actor: User, current_key: str, origin: Origin) -> None:
    """Forget the authenticator app. Raises ``StillRequired``."""
    with transaction.atomic():
        Authenticator.objects.filter(user=actor, type=Authenticator.Type.TOTP).delete()
        _removed(actor, "second_factor.remove_app", current_key=current_key, origin=origin, details={})


def remove_key(*, actor: User, key: Authenticator, current_key: str, origin: Origin) -> None:
    """Forget a security key. Raises ``StillRequired``."""
    with transaction.atomic():
        key.delete()
        details = {"key": key.data["name"]}
        _removed(actor, "second_factor.remove_key", current_key=current_key, origin=origin, details=details)


def turn_off(*, actor: User, current_key: str, origin: Origin) -> None:
    """Forget everything that a sign-in asks for beside the password. Raises ``StillRequired``."""
    with transaction.atomic():
        Authenticator.objects.filter(user=actor).delete()
        _removed(actor, "second_factor.turn_off", current_key=current_key, origin=origin, details={})


def _removed(actor: User, action: str, *, current_key: str, origin: Origin, details: dict[str, Any]) -> None:
    if not is_set_up(actor):
        if is_required(actor):
            raise StillRequired  # and the transaction undoes it
        Authenticator.objects.filter(user=actor).delete()
    _changed(actor, action, current_key=current_key, origin=origin, details=details)


def renew_codes(*, actor: User, origin: Origin) -> list[str]:
    """Replace the recovery codes and return the new ones, seen here once."""
    with transaction.atomic():
        # Taken so that two windows do not both make some.
        User.objects.select_for_update().get(pk=actor.pk)
        issued = codes.renew_recovery_codes(actor)
        _tell(actor, "second_factor.renew_codes", origin=origin, details={})
    return issued


def forget_second_factor(user: User) -> bool:
    """Forget what ``user`` has set up, in the caller's transaction; return whether there was anything."""
    return bool(Authenticator.objects.filter(user=user).delete()[0])


def _changed(actor: User, action: str, *, current_key: str, origin: Origin, details: dict[str, Any]) -> None:
    """End what was signed in under the old rules, but for the session at hand."""
    others = UserSession.objects.filter(user=actor).exclude(session_key=current_key)
    ended = list(others.values_list("session_key", flat=True))
    sessions.forget_sessions(ended, user_id=actor.pk)
    _tell(actor, action, origin=origin, details=details | {"sessions": len(ended)})
    live.notify("people")


def _tell(actor: User, action: str, *, origin: Origin, details: dict[str, Any]) -> None:
    account_acted.send(
        sender=User,
        action=action,
        outcome="succeeded",
        actor=actor,
        object_id=str(actor.pk),
        object_name=actor.username,
        origin=origin,
        details=details,
    )
