"""Who may do what: the one check behind pages, sockets and workers.

An action's name is the operation kind and the audit action too: ``container.start``. Each asks for a level; a person's
level over an object comes from the team that owns it, or from a role in the whole console. What nobody owns is only
for those whose role reaches everywhere.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from console.accounts.models import ApiToken, Membership, Role, TeamRole, TokenScope, User


class Level(enum.IntEnum):
    """How far somebody's rights over an object go; each level holds those below it."""

    NONE = 0
    VIEW = 1
    LOGS = 2
    OPERATE = 3
    SHELL = 4
    EDIT = 5
    OWN = 6


#: Acts on what a team can own, and the level that each asks for.
OBJECT_ACTIONS: Final[Mapping[str, Level]] = {
    "container.view": Level.VIEW,
    "container.stats": Level.VIEW,
    "container.logs": Level.LOGS,
    "container.start": Level.OPERATE,
    "container.stop": Level.OPERATE,
    "container.restart": Level.OPERATE,
    "container.kill": Level.OPERATE,
    "container.pause": Level.OPERATE,
    "container.unpause": Level.OPERATE,
    "container.terminal": Level.SHELL,
    "container.attach": Level.SHELL,
    #: What a shell could do as well, byte by byte.
    "container.file_read": Level.SHELL,
    "container.file_write": Level.SHELL,
    "container.inspect": Level.LOGS,
    #: Somebody's terminal: ``terminals.access`` asks besides whose it is, and with whom it is shared.
    "terminal.view": Level.VIEW,
    "terminal.watch": Level.LOGS,
    "terminal.type": Level.SHELL,
    "terminal.share": Level.SHELL,
    "terminal.unshare": Level.SHELL,
    "terminal.hand_over": Level.SHELL,
    "terminal.end": Level.SHELL,
    "terminal.message": Level.OWN,
    "terminal.lock": Level.OWN,
    "terminal.unlock": Level.OWN,
    #: A shell that the team's policy lets nobody open without an approval.
    "shell.ask": Level.SHELL,
    "shell.withdraw": Level.SHELL,
    "shell.approve": Level.OWN,
    "shell.deny": Level.OWN,
    #: Shows an environment value that looks secret.
    "container.reveal": Level.EDIT,
    #: For a team, within its policy and quota; for nobody, by admins alone.
    "container.create": Level.EDIT,
    "container.rename": Level.EDIT,
    "container.remove": Level.EDIT,
    "volume.view": Level.VIEW,
    #: For the team that will own it.
    "volume.create": Level.EDIT,
    "volume.remove": Level.EDIT,
    "network.view": Level.VIEW,
    #: Whose recordings, says their queryset: one's own, those of teams that one owns, or all.
    "recording.view": Level.NONE,
    "recording.download": Level.NONE,
    "recording.verify": Level.NONE,
    #: A log that outlived its container, or will.
    "log.view": Level.LOGS,
    "operation.view": Level.VIEW,
    "operation.cancel": Level.OPERATE,
    "operation.retry": Level.OPERATE,
    "policy.view": Level.VIEW,
    "team.view": Level.VIEW,
    "team.invite": Level.OWN,
    "team.change_role": Level.OWN,
    "team.remove_member": Level.OWN,
    "team.revoke_invitation": Level.OWN,
    "team.leave": Level.VIEW,
}

#: Acts on the console and its hosts, and the level that they ask for everywhere.
CONSOLE_ACTIONS: Final[Mapping[str, Level]] = {
    "host.view": Level.VIEW,
    "host.add": Level.OWN,
    "host.test": Level.OWN,
    "host.edit": Level.OWN,
    "host.remove": Level.OWN,
    "container.assign": Level.OWN,
    "volume.assign": Level.OWN,
    "network.create": Level.OWN,
    "network.remove": Level.OWN,
    "network.assign": Level.OWN,
    "image.view": Level.VIEW,
    "image.pull": Level.OWN,
    "image.tag": Level.OWN,
    "image.remove": Level.OWN,
    "audit.view": Level.VIEW,
    "audit.export": Level.VIEW,
    "audit.verify": Level.VIEW,
    "person.view": Level.VIEW,
    "person.invite": Level.OWN,
    "person.revoke_invitation": Level.OWN,
    "person.change_role": Level.OWN,
    "person.suspend": Level.OWN,
    "person.restore": Level.OWN,
    "person.revoke_tokens": Level.OWN,
    "person.reset_second_factor": Level.OWN,
    "group.view": Level.VIEW,
    "group.map": Level.OWN,
    "group.unmap": Level.OWN,
    "team.create": Level.OWN,
    #: Done by groups from single sign-on; people are invited.
    "team.add_member": Level.OWN,
    "team.rename": Level.OWN,
    "team.remove": Level.OWN,
    "team.grant_host": Level.OWN,
    "team.revoke_host": Level.OWN,
    "team.edit_quota": Level.OWN,
    "policy.edit": Level.OWN,
}

#: Every action there is. A name that is not here is refused, so a misspelt check denies.
ACTIONS: Final = frozenset(OBJECT_ACTIONS) | frozenset(CONSOLE_ACTIONS)

#: What no token does, whoever owns it: what becomes of people, and shells, which are typed into, or let somebody in.
IN_PERSON: Final = frozenset(action for action in ACTIONS if action.startswith("person.")) - {"person.view"} | {
    "container.terminal",
    "container.attach",
    "container.file_read",
    "container.file_write",
    # They may show what nobody meant to say.
    "recording.view",
    "recording.download",
    "recording.verify",
    "terminal.watch",
    "terminal.type",
    "terminal.share",
    "terminal.hand_over",
    "shell.ask",
    "shell.withdraw",
    "shell.approve",
    "team.invite",
    "team.change_role",
    "team.remove_member",
    "team.revoke_invitation",
    "team.leave",
    # Puts people into teams, like an invitation.
    "group.map",
    "group.unmap",
}

#: Acts for which people must have signed in, or proved again who they are, within the last 15 minutes.
#: ``rbac.access.check`` asks, for the form as well as when it is sent.
DANGEROUS: Final = frozenset(
    {
        "container.assign",
        "container.reveal",
        "host.add",
        "host.edit",
        "host.remove",
        "person.change_role",
        "person.invite",
        "person.reset_second_factor",
        "person.restore",
        "person.suspend",
        "policy.edit",
        "team.grant_host",
    }
)

_EVERYWHERE: Final = {Role.ADMIN.value: Level.OWN, Role.AUDITOR.value: Level.LOGS}
_IN_TEAM: Final = {
    TeamRole.OWNER.value: Level.OWN,
    TeamRole.MEMBER.value: Level.EDIT,
    TeamRole.VIEWER.value: Level.LOGS,
}
_BY_TOKEN: Final = {
    TokenScope.READ.value: Level.LOGS,
    TokenScope.OPERATE.value: Level.OPERATE,
    TokenScope.ALL.value: Level.OWN,
}


@dataclass(frozen=True, slots=True)
class Rights:
    """A person's levels at one moment: over everything, and over what each of their teams owns."""

    everywhere: Level
    teams: Mapping[UUID, Level]
    #: What the person may not do now, whatever the levels say.
    withheld: frozenset[str] = frozenset()

    def over(self, team_id: UUID | None) -> Level:
        """The level over what the team owns; ``None`` is what nobody owns."""
        return max(self.everywhere, self.teams.get(team_id, Level.NONE) if team_id is not None else Level.NONE)

    def within(self, team_id: UUID | None) -> Level:
        """The level over what the team owns, of who belongs to it or owns everything: not of who only reads all."""
        own = self.everywhere if self.everywhere >= Level.OWN else Level.NONE
        return max(own, self.teams.get(team_id, Level.NONE) if team_id is not None else Level.NONE)

    def teams_with(self, level: Level) -> list[UUID]:
        """The teams whose objects the person has at least this level over."""
        return [team_id for team_id, reached in self.teams.items() if reached >= level]

    def through(self, token: ApiToken) -> Rights:
        """What of these rights reaches through ``token``: its scope is a ceiling, and its team, if any, a wall."""
        ceiling = _BY_TOKEN.get(token.scope, Level.NONE)
        everywhere, teams = self.everywhere, self.teams
        if token.team_id is not None:
            everywhere, teams = Level.NONE, {token.team_id: self.over(token.team_id)}
        return Rights(
            min(everywhere, ceiling), {team_id: min(level, ceiling) for team_id, level in teams.items()}, IN_PERSON
        )


NOTHING: Final = Rights(Level.NONE, {})


def level_of_role(role: str) -> Level:
    """Return how far a role in a team reaches over what the team owns."""
    return _IN_TEAM.get(role, Level.NONE)


def rights_of(user: User) -> Rights:
    """Return what ``user`` may do, read once for each time the person was fetched, and bounded by their token.

    A request fetches its person anew, a worker and the lease of a stream do so whenever they ask.
    """
    if not user.is_authenticated or not user.is_active:
        return NOTHING
    known: Rights | None = user.__dict__.get("_rights")
    if known is None:
        everywhere = _EVERYWHERE.get(user.role, Level.NONE)
        # Who may do everything everywhere gains nothing from a team.
        memberships = (
            Membership.objects.filter(person_id=user.pk) if everywhere < Level.OWN else Membership.objects.none()
        )
        teams = {team_id: level_of_role(role) for team_id, role in memberships.values_list("team_id", "role")}
        known = Rights(everywhere, teams)
        if user.auth_token is not None:
            known = known.through(user.auth_token)
        user.__dict__["_rights"] = known
    return known


def allowed(user: User, action: str, *, team_id: UUID | None = None) -> bool:
    """Whether ``user`` may do ``action`` now, to what the team owns; without a team, to what nobody owns."""
    rights = rights_of(user)
    if action in rights.withheld:
        return False
    if action in CONSOLE_ACTIONS:
        return rights.everywhere >= CONSOLE_ACTIONS[action]
    return action in OBJECT_ACTIONS and rights.over(team_id) >= OBJECT_ACTIONS[action]


def allowed_somewhere(user: User, action: str) -> bool:
    """Whether there can be anything that ``user`` may do ``action`` to: for pages and menus, never for an object."""
    rights = rights_of(user)
    if action in rights.withheld:
        return False
    if action in CONSOLE_ACTIONS:
        return rights.everywhere >= CONSOLE_ACTIONS[action]
    best = max([rights.everywhere, *rights.teams.values()])
    return action in OBJECT_ACTIONS and best >= OBJECT_ACTIONS[action]
