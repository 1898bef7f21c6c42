"""Every change to a team: its name, its people, its hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from console.accounts.models import Membership, Team, TeamRole, User
from console.audit.models import Outcome
from console.audit.services import record
from console.hosts.models import Host, HostState
from console.inventory.models import ObservedContainer, ObservedNetwork, ObservedVolume
from console.lib import live
from console.lib.origin import Origin
from console.lib.rechecks import recheck
from console.people.queries import count_owned, owned_words
from console.people.services import RuledOut
from console.rbac.models import HostGrant, OwnedKind


class NameTaken(Exception):
    """Another team has this name; it got it a moment ago."""


class LastOwner(RuledOut):
    """Nobody could look after the team any more."""

    def __init__(self, action: str, membership: Membership) -> None:
        super().__init__(
            action,
            _("%(name)s is the last active owner of the team %(team)s, and a team keeps one.")
            % {"name": membership.person.username, "team": membership.team.name},
            code="teams.last_owner",
            next_step=_("Make somebody else an owner first, or ask an admin."),
            object_id=membership.team_id,
            object_name=membership.team.name,
        )


class TeamInUse(RuledOut):
    """What the team owns, or is making, would belong to nobody."""

    def __init__(self, team: Team, message: str, *, next_step: str) -> None:
        super().__init__(
            "team.remove",
            message,
            code="teams.in_use",
            next_step=next_step,
            object_id=team.pk,
            object_name=team.name,
        )


def record_act(
    action: str,
    team: Team,
    *,
    actor: User | None,
    origin: Origin,
    host: Host | None = None,
    details: dict[str, Any] | None = None,
    component: str = "",
) -> None:
    """Put an act on a team on record, and let open pages know."""
    record(
        actor=actor,
        component=component,
        action=action,
        outcome=Outcome.SUCCEEDED,
        host=host,
        object_id=str(team.pk),
        object_name=team.name,
        origin=origin,
        details=details,
    )
    live.notify("people", "teams")


def create_team(*, actor: User, name: str, origin: Origin) -> Team:
    """Make a team without people. Raises ``NameTaken``."""
    team = Team(name=name)
    with transaction.atomic():
        _save(team, force_insert=True)
        record_act("team.create", team, actor=actor, origin=origin)
    return team


def rename_team(*, actor: User, team: Team, name: str, origin: Origin) -> None:
    """Call a team something else. Raises ``NameTaken``."""
    before = team.name
    if before == name:
        return
    with transaction.atomic():
        team.name = name
        _save(team, update_fields=["name"])
        record_act("team.rename", team, actor=actor, origin=origin, details={"before": before})


def _save(team: Team, **options: Any) -> None:
    try:
        with transaction.atomic():
            team.save(**options)
    except IntegrityError as error:
        raise NameTaken from error


def remove_team(*, actor: User, team: Team, origin: Origin) -> None:
    """Remove a team that owns nothing; its people stay in the console. Raises ``TeamInUse``."""
    with transaction.atomic():
        _lock(team)
        _forget_what_is_gone(team)
        owned = owned_words(count_owned(team))
        if owned:
            raise TeamInUse(
                team,
                _("The team %(team)s still owns %(owned)s.") % {"team": team.name, "owned": owned},
                next_step=_("Remove them, or give them to another team, first."),
            )
        if team.operations.active().exists():
            raise TeamInUse(
                team,
                _("Something is still being done for the team %(team)s.") % {"team": team.name},
                next_step=_("Wait until it has ended, or cancel it on the Activity page."),
            )
        people = [str(person) for person in team.people.order_by("username")]
        record_act("team.remove", team, actor=actor, origin=origin, details={"people": people})
        team.delete()


def _forget_what_is_gone(team: Team) -> None:
    """Let go of what is on no host any more; of a host that does not answer, nobody knows."""
    on_host = {"host_id": OuterRef("host_id")}
    for kind, there in (
        (OwnedKind.CONTAINER, ObservedContainer.objects.filter(**on_host, container_id=OuterRef("object_id"))),
        (OwnedKind.VOLUME, ObservedVolume.objects.filter(**on_host, name=OuterRef("object_id"))),
        (OwnedKind.NETWORK, ObservedNetwork.objects.filter(**on_host, network_id=OuterRef("object_id"))),
    ):
        team.ownerships.filter(~Exists(there), kind=kind, host__state=HostState.REACHABLE).delete()


def _lock(team: Team) -> None:
    """Let nobody else change the team's people, or give it anything, until the transaction ends."""
    Team.objects.select_for_update().filter(pk=team.pk).first()


def _keep_an_owner(action: str, membership: Membership, *, actor: User) -> None:
    """See that the team keeps an owner who can act; an admin may leave it without one. Raises ``LastOwner``."""
    _lock(membership.team)
    owners = Membership.objects.filter(team_id=membership.team_id, role=TeamRole.OWNER, person__is_active=True)
    if not actor.is_admin and list(owners.values_list("pk", flat=True)) == [membership.pk]:
        raise LastOwner(action, membership)


def change_member_role(*, actor: User, membership: Membership, role: str, origin: Origin) -> None:
    """Let somebody do more or less in a team. Raises ``LastOwner``."""
    with transaction.atomic():
        if role != TeamRole.OWNER:
            _keep_an_owner("team.change_role", membership, actor=actor)
        # What a person decided, groups leave alone from now on.
        if not Membership.objects.filter(pk=membership.pk).exclude(role=role).update(role=role, source=""):
            return
        record_act(
            "team.change_role",
            membership.team,
            actor=actor,
            origin=origin,
            details={"person": membership.person.username, "before": membership.role, "role": role},
        )
        recheck(membership.person_id)


def remove_member(*, actor: User, membership: Membership, origin: Origin) -> None:
    """Take somebody out of a team; what they made there stays the team's. Raises ``LastOwner``."""
    _end(membership, "team.remove_member", actor=actor, origin=origin)


def leave(*, actor: User, membership: Membership, origin: Origin) -> None:
    """Take oneself out of a team. Raises ``LastOwner``."""
    _end(membership, "team.leave", actor=actor, origin=origin)


def _end(membership: Membership, action: str, *, actor: User, origin: Origin) -> None:
    with transaction.atomic():
        _keep_an_owner(action, membership, actor=actor)
        if not Membership.objects.filter(pk=membership.pk).delete()[0]:
            return
        details = {"person": membership.person.username, "role": membership.role}
        record_act(action, membership.team, actor=actor, origin=origin, details=details)
        recheck(membership.person_id)


def grant_host(*, actor: User, team: Team, host: Host, origin: Origin, quota: Mapping[str, Any] | None = None) -> None:
    """Let a team work on a host, or on the part of it that ``quota`` says: fields of a grant."""
    with transaction.atomic():
        _grant, is_new = HostGrant.objects.get_or_create(team=team, host=host, defaults=dict(quota or {}))
        if is_new:
            record_act("team.grant_host", team, actor=actor, origin=origin, host=host, details=dict(quota or {}))


def edit_quota(*, actor: User, grant: HostGrant, quota: Mapping[str, Any], origin: Origin) -> None:
    """Change how much of a host a team has; what it has already beyond that stays."""
    with transaction.atomic():
        before = HostGrant.objects.select_for_update().get(pk=grant.pk)
        changed = {
            name: {"before": getattr(before, name), "after": value}
            for name, value in quota.items()
            if getattr(before, name) != value
        }
        if not changed:
            return
        HostGrant.objects.filter(pk=grant.pk).update(**quota)
        record_act("team.edit_quota", grant.team, actor=actor, origin=origin, host=grant.host, details=changed)


def revoke_host(*, actor: User, team: Team, host: Host, origin: Origin) -> None:
    """Let a team work on a host no longer; what it owns there stays its own."""
    with transaction.atomic():
        if HostGrant.objects.filter(team=team, host=host).delete()[0]:
            record_act("team.revoke_host", team, actor=actor, origin=origin, host=host)
