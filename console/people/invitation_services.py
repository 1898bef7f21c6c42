"""Single-use links by which people join. A token is seen once, by who asked for it; only its hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from console.accounts.models import Invitation, Membership, Role, Team, TeamRole, User
from console.audit.models import Outcome
from console.audit.services import record
from console.lib import live
from console.lib.origin import Origin
from console.people.access import may_invite
from console.rbac.access import Refused

LIFETIME = timedelta(days=3)


class InvitationSpent(Exception):
    """The link is unknown, used, revoked or too old, or who gave it may not invite any more."""


class UsernameTaken(Exception):
    """Somebody got this user name a moment ago."""


class AlreadyMember(Exception):
    """Who follows the link is in the team already."""


class NothingToJoin(Exception):
    """The link makes an account, and who follows it has one."""


@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    """An invitation with its token, seen here once and then never again."""

    invitation: Invitation
    token: str


def _hash(token: str) -> str:
    # The token has 256 random bits, so a plain hash is as strong as a slow one.
    return hashlib.sha256(token.encode()).hexdigest()


def is_open() -> Q:
    """Return the condition that an invitation can still be used."""
    return Q(used_at=None, revoked_at=None, expires_at__gt=timezone.now())


def invite(
    *,
    actor: User,
    role: str = Role.USER,
    team: Team | None = None,
    team_role: str = TeamRole.MEMBER,
    note: str = "",
    lifetime: timedelta = LIFETIME,
    origin: Origin,
) -> IssuedInvitation:
    """Make a link that works once, for the console and, with ``team``, for the team. Raises ``Refused``."""
    action = "team.invite" if team else "person.invite"
    if not may_invite(actor, role=role, team_id=team.pk if team else None):
        raise Refused(action)
    token = secrets.token_urlsafe(32)
    invitation = Invitation(
        token_hash=_hash(token),
        note=note,
        role=role,
        team=team,
        team_role=team_role,
        invited_by=actor,
        expires_at=timezone.now() + lifetime,
    )
    with transaction.atomic():
        invitation.save(force_insert=True)
        _record(action, invitation, actor=actor, origin=origin)
    return IssuedInvitation(invitation=invitation, token=token)


def revoke_invitation(*, actor: User, invitation: Invitation, origin: Origin) -> None:
    """Make a link worthless that nobody has used yet. Raises ``InvitationSpent``."""
    action = "team.revoke_invitation" if invitation.team_id else "person.revoke_invitation"
    with transaction.atomic():
        if not Invitation.objects.filter(is_open(), pk=invitation.pk).update(revoked_at=timezone.now()):
            raise InvitationSpent
        _record(action, invitation, actor=actor, origin=origin)


def find_invitation(token: str) -> Invitation | None:
    """Return the invitation that ``token`` would spend now."""
    invitation = _by_token(token).filter(is_open()).select_related("team", "invited_by").first()
    return invitation if invitation is not None and _is_backed(invitation) else None


def accept_as_new_person(*, token: str, username: str, password: str, origin: Origin) -> User:
    """Spend ``token`` and create the person whom it invites. Of many at once one wins.

    Raises ``InvitationSpent``, or ``UsernameTaken``: the link then stays good.
    """
    with transaction.atomic():
        invitation = _spend(token)
        try:
            with transaction.atomic():
                person = User.objects.create_user(username, password, role=invitation.role)
        except IntegrityError as error:
            raise UsernameTaken from error
        if invitation.team is not None:
            Membership.objects.create(team=invitation.team, person=person, role=invitation.team_role)
        _note_use(invitation, person=person, origin=origin)
    return person


def accept_as_member(*, token: str, person: User, origin: Origin) -> Team:
    """Spend ``token`` and put ``person``, who has an account, into the team; their role in the console stays.

    Raises ``InvitationSpent``, or ``AlreadyMember`` or ``NothingToJoin``: the link then stays good for somebody else.
    """
    with transaction.atomic():
        invitation = _spend(token)
        if invitation.team is None:
            raise NothingToJoin
        try:
            with transaction.atomic():
                Membership.objects.create(team=invitation.team, person=person, role=invitation.team_role)
        except IntegrityError as error:
            raise AlreadyMember from error
        _note_use(invitation, person=person, origin=origin)
    return invitation.team


def _by_token(token: str) -> QuerySet[Invitation]:
    return Invitation.objects.filter(token_hash=_hash(token))


def _is_backed(invitation: Invitation) -> bool:
    """Whether who gave the link could give it now."""
    inviter = invitation.invited_by
    return inviter is not None and may_invite(inviter, role=invitation.role, team_id=invitation.team_id)


def _spend(token: str) -> Invitation:
    """Claim the invitation within the caller's transaction, which undoes it by failing. Raises ``InvitationSpent``."""
    if not _by_token(token).filter(is_open()).update(used_at=timezone.now()):
        raise InvitationSpent
    invitation = _by_token(token).select_related("team", "invited_by").get()
    if not _is_backed(invitation):
        raise InvitationSpent
    return invitation


def _note_use(invitation: Invitation, *, person: User, origin: Origin) -> None:
    Invitation.objects.filter(pk=invitation.pk).update(used_by=person)
    _record("account.accept_invitation", invitation, actor=person, origin=origin)


def _record(action: str, invitation: Invitation, *, actor: User, origin: Origin) -> None:
    """Put what happened to an invitation on record, and let open pages know."""
    team = invitation.team
    details = {"role": invitation.role, "expires_at": invitation.expires_at.isoformat()}
    if invitation.invited_by is not None:
        details["invited_by"] = invitation.invited_by.username
    if team is not None:
        details |= {"team": team.name, "team_id": str(team.pk), "team_role": invitation.team_role}
    record(
        actor=actor,
        action=action,
        outcome=Outcome.SUCCEEDED,
        object_id=str(invitation.pk),
        object_name=invitation.note or (team.name if team is not None else ""),
        origin=origin,
        details=details,
    )
    live.notify("people", "teams")
