"""Groups from single sign-on: which teams they lead to, and what of that a person has.

What a person of the house gave is theirs to take away: groups add to it, and touch only what groups gave.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import IntegrityError, transaction

from console.accounts.models import GroupMapping, Membership, Role, Source, Team, TeamRole, User
from console.audit.models import Outcome
from console.audit.services import record, record_refusal
from console.lib import live
from console.lib.origin import Origin
from console.lib.rechecks import recheck
from console.people.services import LastAdmin, change_console_role
from console.people.team_services import record_act
from console.sign_in import normal_dn

#: Of two groups that lead to one team, the one that grants more counts.
_RANK: Final = {TeamRole.VIEWER.value: 1, TeamRole.MEMBER.value: 2, TeamRole.OWNER.value: 3}


class MappedAlready(Exception):
    """The group leads to the team already."""


def map_group(*, actor: User, source: str, group: str, team: Team, role: str, origin: Origin) -> GroupMapping:
    """Let people of a group be in a team, from their next sign-in on. Raises ``MappedAlready``."""
    mapping = GroupMapping(source=source, group=group, team=team, role=role)
    with transaction.atomic():
        try:
            with transaction.atomic():
                mapping.save(force_insert=True)
        except IntegrityError as error:
            raise MappedAlready from error
        _record("group.map", mapping, actor=actor, origin=origin)
    return mapping


def unmap_group(*, actor: User, mapping: GroupMapping, origin: Origin) -> None:
    """Let a group lead to a team no longer; who is there by it stays until their next sign-in."""
    with transaction.atomic():
        if GroupMapping.objects.filter(pk=mapping.pk).delete()[0]:
            _record("group.unmap", mapping, actor=actor, origin=origin)


def _record(action: str, mapping: GroupMapping, *, actor: User, origin: Origin) -> None:
    record(
        actor=actor,
        action=action,
        outcome=Outcome.SUCCEEDED,
        object_id=str(mapping.team.pk),
        object_name=mapping.team.name,
        origin=origin,
        details={"source": mapping.source, "group": mapping.group, "role": mapping.role},
    )
    live.notify("people", "teams")


def align(person: User, *, source: Source, groups: frozenset[str], origin: Origin) -> None:
    """Bring in line with ``groups`` what ``person`` has by groups of ``source``: memberships, and their role."""
    with transaction.atomic():
        # One sign-in at a time: two at once, with groups of different moments, would mix.
        person = User.objects.select_for_update().get(pk=person.pk)
        _align_teams(person, source=source, groups=groups, origin=origin)
        _align_role(person, source=source, groups=groups, origin=origin)


def _align_teams(person: User, *, source: Source, groups: frozenset[str], origin: Origin) -> None:
    wanted: dict[Team, str] = {}
    for mapping in GroupMapping.objects.filter(source=source).select_related("team"):
        if _compared(mapping) in groups and _RANK[mapping.role] > _RANK.get(wanted.get(mapping.team, ""), 0):
            wanted[mapping.team] = mapping.role
    there = {one.team: one for one in person.memberships.select_related("team")}

    for team, membership in there.items():
        if membership.source != source:
            wanted.pop(team, None)
        elif team not in wanted:
            membership.delete()
            details = {"person": person.username, "role": membership.role}
            _record_membership("team.remove_member", team, source=source, origin=origin, details=details)
            recheck(person.pk)
    for team, role in wanted.items():
        if team not in there:
            Membership.objects.create(team=team, person=person, role=role, source=source)
            details = {"person": person.username, "role": role}
            _record_membership("team.add_member", team, source=source, origin=origin, details=details)
        elif there[team].role != role:
            Membership.objects.filter(pk=there[team].pk).update(role=role)
            details = {"person": person.username, "before": there[team].role, "role": role}
            _record_membership("team.change_role", team, source=source, origin=origin, details=details)
            recheck(person.pk)


def _compared(mapping: GroupMapping) -> str:
    """Return a group's name as its source tells it."""
    return normal_dn(mapping.group) if mapping.source == Source.LDAP else mapping.group


def _record_membership(action: str, team: Team, *, source: Source, origin: Origin, details: dict[str, str]) -> None:
    record_act(action, team, actor=None, component=source, origin=origin, details=details)


def _align_role(person: User, *, source: Source, groups: frozenset[str], origin: Origin) -> None:
    if person.role_source not in ("", source) or (person.role_source == "" and person.role != Role.USER):
        return
    roles = settings.SIGN_IN.roles_of(source)
    role = Role.USER
    if groups & roles.admin_groups:
        role = Role.ADMIN
    elif groups & roles.auditor_groups:
        role = Role.AUDITOR
    if role == person.role:
        return
    try:
        change_console_role(actor=None, source=source, person=person, role=role, origin=origin)
    except LastAdmin as refused:
        # Nobody could run the console; the next sign-in tries again.
        record_refusal(refused, actor=None, origin=origin)
