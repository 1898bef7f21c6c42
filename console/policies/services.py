"""Changing policies."""

from __future__ import annotations

from django.db import transaction

from console.accounts.models import Team, User
from console.audit.models import Outcome
from console.audit.services import record
from console.lib.live import notify
from console.lib.origin import Origin
from console.lib.rechecks import recheck
from console.policies.models import PolicyVersion
from console.policies.queries import rules_of
from console.policies.rules import Rules, to_json


class Overtaken(Exception):
    """Somebody saved another version since the form was opened."""


def save_policy(
    *, actor: User, team: Team, rules: Rules, note: str, based_on: int, origin: Origin | None = None
) -> PolicyVersion:
    """``actor`` says what the containers of ``team`` may be from now on; what runs goes on running.

    Whoever holds a shell that the policy does not allow any more loses it within seconds. Raises ``Overtaken`` when the
    newest version is not ``based_on``.
    """
    with transaction.atomic():
        Team.objects.select_for_update().get(pk=team.pk)
        newest = PolicyVersion.objects.filter(team=team).order_by("-number").first()
        if (newest.number if newest is not None else 0) != based_on:
            raise Overtaken
        before = rules_of(team.pk)
        if before == rules and newest is not None:
            return newest
        old, new = to_json(before), to_json(rules)
        version = PolicyVersion.objects.create(
            team=team,
            number=based_on + 1,
            content=new,
            author=actor,
            author_name=actor.username,
            note=note,
        )
        record(
            actor=actor,
            action="policy.edit",
            outcome=Outcome.SUCCEEDED,
            object_id=str(team.pk),
            object_name=team.name,
            origin=origin,
            details={
                "version": version.number,
                **{name: {"before": old[name], "after": new[name]} for name in new if old[name] != new[name]},
            },
        )
        notify("teams")
        for person_id in team.memberships.values_list("person_id", flat=True):
            recheck(person_id)
    return version
