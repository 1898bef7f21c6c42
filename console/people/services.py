"""Every change to people as others see them: their role in the console, and whether they may be here at all."""

from __future__ import annotations

from uuid import UUID

from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils.translation import gettext as _

from console.accounts import tokens
from console.accounts.models import Role, User
from console.accounts.second_factor_services import forget_second_factor
from console.accounts.sessions import forget_sessions
from console.audit.models import Outcome
from console.audit.services import record
from console.lib import live
from console.lib.origin import Origin
from console.lib.rechecks import recheck
from console.rbac.access import Refused


class RuledOut(Refused):
    """Who asks has the right, but a rule of the house stands against it now. The sentence says which, for people."""

    def __init__(
        self, action: str, message: str, *, code: str, next_step: str, object_id: UUID, object_name: str
    ) -> None:
        super().__init__(action, message=message, code=code, object_id=str(object_id), object_name=object_name)
        self.next_step = next_step


class LastAdmin(RuledOut):
    """Nobody could run the console any more."""

    def __init__(self, action: str, person: User) -> None:
        super().__init__(
            action,
            _("%(name)s is the last active admin. Without an admin nobody could run this console.")
            % {"name": person.username},
            code="people.last_admin",
            next_step=_("Make somebody else an admin first."),
            object_id=person.pk,
            object_name=person.username,
        )


def _keep_an_admin(action: str, person: User) -> None:
    """See that another admin stays when ``person`` goes, until the transaction ends. Raises ``LastAdmin``."""
    # In one order, so that two who do this to each other wait instead of blocking each other for ever.
    admins = User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).order_by("pk")
    if list(admins.values_list("pk", flat=True)) == [person.pk]:
        raise LastAdmin(action, person)


def change_console_role(*, actor: User | None, person: User, role: str, origin: Origin, source: str = "") -> None:
    """Make ``person`` an admin, an auditor or a plain user. Raises ``LastAdmin``.

    Without an actor it is ``source`` whose groups say so; what they give, they may take.
    """
    with transaction.atomic():
        if role != Role.ADMIN:
            _keep_an_admin("person.change_role", person)
        before = User.objects.select_for_update().values_list("role", flat=True).get(pk=person.pk)
        User.objects.filter(pk=person.pk).update(role=role, role_source=source if role != Role.USER else "")
        if before == role:
            return
        record(
            actor=actor,
            component=source,
            action="person.change_role",
            outcome=Outcome.SUCCEEDED,
            object_id=str(person.pk),
            object_name=person.username,
            origin=origin,
            details={"before": before, "role": role},
        )
        live.notify("people")
        recheck(person.pk)


def suspend_person(*, actor: User, person: User, origin: Origin) -> None:
    """Shut ``person`` out: every session, stream and API token of theirs ends. Raises ``LastAdmin``."""
    with transaction.atomic():
        _keep_an_admin("person.suspend", person)
        # Counted and revoked while they still work; who is let in again makes new ones.
        worked = tokens.revoke_all(person)
        if not User.objects.filter(pk=person.pk, is_active=True).update(is_active=False):
            return
        record(
            actor=actor,
            action="person.suspend",
            outcome=Outcome.SUCCEEDED,
            object_id=str(person.pk),
            object_name=person.username,
            origin=origin,
            details={"sessions": _end_sessions(person), "tokens": worked},
        )
        live.notify("people")


def restore_person(*, actor: User, person: User, origin: Origin) -> None:
    """Let ``person`` sign in again."""
    with transaction.atomic():
        if not User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
            return
        # A sign-in that was under way when they were suspended must not come back to life.
        _end_sessions(person)
        record(
            actor=actor,
            action="person.restore",
            outcome=Outcome.SUCCEEDED,
            object_id=str(person.pk),
            object_name=person.username,
            origin=origin,
        )
        live.notify("people")


def revoke_tokens(*, actor: User, person: User, origin: Origin) -> int:
    """Make every API token of ``person`` worthless; return how many worked."""
    with transaction.atomic():
        worked = tokens.revoke_all(person)
        if worked:
            record(
                actor=actor,
                action="person.revoke_tokens",
                outcome=Outcome.SUCCEEDED,
                object_id=str(person.pk),
                object_name=person.username,
                origin=origin,
                details={"tokens": worked},
            )
    return worked


def reset_second_factor(*, actor: User | None, person: User, origin: Origin | None, component: str = "") -> bool:
    """Let ``person`` sign in with the password alone; every session and stream of theirs ends.

    Returns whether there was anything to reset. Without an ``actor`` it is ``component`` that does it.
    """
    with transaction.atomic():
        if not forget_second_factor(person):
            return False
        record(
            actor=actor,
            action="person.reset_second_factor",
            outcome=Outcome.SUCCEEDED,
            object_id=str(person.pk),
            object_name=person.username,
            origin=origin,
            details={"sessions": _end_sessions(person)},
            component=component,
        )
        live.notify("people")
    return True


def _end_sessions(person: User) -> int:
    keys = list(UserSession.objects.filter(user=person).values_list("session_key", flat=True))
    forget_sessions(keys, user_id=person.pk)
    return len(keys)
