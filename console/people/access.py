"""Fetching and authorising in one call: people, teams, and the links that invite to them."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from console.accounts.models import GroupMapping, Invitation, Membership, Role, Team, User
from console.rbac.access import check, check_somewhere
from console.rbac.models import HostGrant
from console.rbac.policy import Level, allowed, rights_of


def person_of(request: HttpRequest) -> User:
    """Return who is signed in; the middleware lets nobody else through."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def visible_teams(user: User) -> QuerySet[Team]:
    """Return the teams that ``user`` may know of: all by their role, else their own."""
    rights = rights_of(user)
    if rights.everywhere >= Level.VIEW:
        return Team.objects.all()
    return Team.objects.filter(pk__in=rights.teams_with(Level.VIEW))


def visible_invitations(user: User) -> QuerySet[Invitation]:
    """Return the invitations that ``user`` may know of: all by their role, else those to teams they own."""
    rights = rights_of(user)
    if rights.everywhere >= Level.VIEW:
        return Invitation.objects.all()
    return Invitation.objects.filter(team_id__in=rights.teams_with(Level.OWN))


def access_people(user: User) -> QuerySet[User]:
    """Return everybody. Raises ``Refused``."""
    check(user, "person.view")
    return User.objects.all()


def access_person(user: User, person_id: UUID, action: str) -> User:
    """Return somebody for ``user`` to do ``action`` to. Raises ``Http404`` or ``Refused``."""
    person = User.objects.filter(pk=person_id).first() if allowed(user, "person.view") else None
    if person is None:
        raise Http404
    check(user, action, object_id=str(person.pk), object_name=person.username)
    return person


def access_teams(user: User) -> QuerySet[Team]:
    """Return the teams that ``user`` may know of. Raises ``Refused`` when there can be none."""
    check_somewhere(user, "team.view")
    return visible_teams(user)


def access_team(user: User, team_id: UUID, action: str) -> Team:
    """Return the team for ``user`` to do ``action`` to. Raises ``Http404`` or ``Refused``."""
    team = visible_teams(user).filter(pk=team_id).first()
    if team is None:
        raise Http404
    check(user, action, team_id=team.pk, object_id=str(team.pk), object_name=team.name)
    return team


def access_membership(user: User, team_id: UUID, person_id: UUID, action: str) -> Membership:
    """Return somebody's place in a team for ``user`` to do ``action`` to. Raises ``Http404`` or ``Refused``."""
    team = access_team(user, team_id, action)
    membership = team.memberships.select_related("team", "person").filter(person_id=person_id).first()
    if membership is None:
        raise Http404
    return membership


def access_grant(user: User, team_id: UUID, host_id: UUID, action: str) -> HostGrant:
    """Return what a team has of a host, for ``user`` to do ``action`` to. Raises ``Http404`` or ``Refused``."""
    team = access_team(user, team_id, action)
    grant = team.grants.select_related("team", "host").defer("host__credentials").filter(host_id=host_id).first()
    if grant is None:
        raise Http404
    return grant


def access_mappings(user: User) -> QuerySet[GroupMapping]:
    """Return which groups lead to which teams. Raises ``Refused``."""
    check(user, "group.view")
    return GroupMapping.objects.select_related("team")


def access_mapping(user: User, mapping_id: int, action: str) -> GroupMapping:
    """Return a group's way into a team for ``user`` to do ``action`` to. Raises ``Http404`` or ``Refused``."""
    found = GroupMapping.objects.select_related("team").filter(pk=mapping_id) if allowed(user, "group.view") else None
    mapping = found.first() if found is not None else None
    if mapping is None:
        raise Http404
    check(user, action, object_id=str(mapping.team_id), object_name=mapping.team.name)
    return mapping


def access_invitation(user: User, invitation_id: UUID) -> Invitation:
    """Return an invitation for ``user`` to revoke. Raises ``Http404`` or ``Refused``."""
    invitation = visible_invitations(user).select_related("team").filter(pk=invitation_id).first()
    if invitation is None:
        raise Http404
    action = "team.revoke_invitation" if invitation.team_id else "person.revoke_invitation"
    check(user, action, team_id=invitation.team_id, object_id=str(invitation.pk), object_name=invitation.note)
    return invitation


def may_invite(user: User, *, role: str, team_id: UUID | None) -> bool:
    """Whether ``user`` may invite now: an admin to anything, the owner of a team to it and to no role beside."""
    if allowed(user, "person.invite"):
        return True
    return team_id is not None and role == Role.USER and allowed(user, "team.invite", team_id=team_id)
