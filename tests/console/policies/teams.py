"""The team red with a part of the host, and bob in it: fixtures for whatever makes something for a team."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from console.accounts.models import Membership, Team, TeamRole, User
from console.hosts.models import Host
from console.policies.models import PolicyVersion
from console.policies.rules import Rules, to_json
from console.rbac.models import HostGrant

SetPolicy = Callable[..., Rules]


@pytest.fixture
def red(db: None, host: Host) -> Team:
    """A team with ten containers and ten ports of the host, which may run the starter image and nginx."""
    team = Team.objects.create(name="Red")
    HostGrant.objects.create(team=team, host=host, containers=10, first_port=8000, last_port=8009)
    policy(team, images=["starter:*", "nginx"])
    return team


@pytest.fixture
def bob_in_red(red: Team, bob: User) -> User:
    """Bob as a member of the team red."""
    Membership.objects.create(team=red, person=bob, role=TeamRole.MEMBER)
    return User.objects.get(pk=bob.pk)


def policy(team: Team, **rules: Any) -> Rules:
    """Give ``team`` another policy, which has all else as it ordinarily is."""
    number = PolicyVersion.objects.filter(team=team).count() + 1
    images = tuple(rules.pop("images", ("starter:*", "nginx")))
    content = to_json(Rules(images=images, **rules))
    return PolicyVersion.objects.create(team=team, number=number, content=content, author_name="alice").rules


@pytest.fixture
def set_policy(red: Team) -> SetPolicy:
    """Give the team red another policy."""
    return lambda **rules: policy(red, **rules)
