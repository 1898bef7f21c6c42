"""Dangerous acts: each asks for a recent proof of who it is, whoever built the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone

from console.accounts.confirmation import DANGEROUS_FOR_ONESELF, RECENT
from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.rbac.policy import ACTIONS, DANGEROUS

pytestmark = pytest.mark.django_db


@dataclass(frozen=True, slots=True)
class Act:
    """How an act is sent; ``has_form`` when a form is shown before."""

    path: str
    form: dict[str, str] = field(default_factory=dict)
    has_form: bool = False


#: Every dangerous act. A new name in one of the sets fails the test below until it is here.
ACTS = {
    "container.assign": Act("/containers/{host}/{container}/assign/", {"team": ""}, has_form=True),
    "container.reveal": Act("/containers/{host}/{container}/reveal/", {"kind": "environment", "name": "PASSWORD"}),
    "host.add": Act("/hosts/add/", {"name": "other", "driver": "docker", "url": "unix:///other.sock"}, has_form=True),
    "host.edit": Act("/hosts/{host}/edit/", {"name": "renamed"}, has_form=True),
    "host.remove": Act("/hosts/{host}/remove/", {"confirmation": "harbour"}, has_form=True),
    "person.change_role": Act("/people/{person}/role/", {"role": "admin"}),
    "person.invite": Act("/people/invite/", {"role": "admin", "team_role": "member", "days": "3"}, has_form=True),
    "person.reset_second_factor": Act("/people/{person}/reset-second-factor/"),
    "person.restore": Act("/people/{person}/restore/"),
    "person.suspend": Act("/people/{person}/suspend/"),
    "policy.edit": Act("/people/teams/{team}/policy/edit/", {"submit": "save"}, has_form=True),
    "team.grant_host": Act("/people/teams/{team}/hosts/grant/", {"host": "{host}"}, has_form=True),
    "connection.add": Act("/settings/connections/add/", {"confirm-current": "correct horse battery"}),
    "connection.remove": Act("/settings/connections/1/remove/"),
    "password.change": Act(
        "/settings/password/",
        {"current": "correct horse battery", "password": "a staple for it", "password_again": "a staple for it"},
    ),
    "second_factor.add_app": Act("/settings/second-factor/app/", {"code": "000000"}, has_form=True),
    "second_factor.add_key": Act("/settings/second-factor/keys/add/", {"name": "x"}, has_form=True),
    "second_factor.remove_app": Act("/settings/second-factor/app/remove/"),
    "second_factor.remove_key": Act("/settings/second-factor/keys/{key}/remove/"),
    "second_factor.rename_key": Act("/settings/second-factor/keys/{key}/rename/", {"name": "x"}, has_form=True),
    "second_factor.renew_codes": Act("/settings/second-factor/recovery-codes/"),
    "token.create": Act("/settings/tokens/create/", {"name": "x", "scope": "read", "days": "30"}),
    "second_factor.turn_off": Act("/settings/second-factor/off/"),
}


@pytest.fixture
def names(alice: User, bob: User, host: Host) -> dict[str, str]:
    """What paths and forms speak of."""
    container = ObservedContainer.objects.create(
        host=host, container_id="c" * 64, name="web", created_at=timezone.now(), observed_at=timezone.now()
    )
    team = Team.objects.create(name="red")
    Authenticator.objects.create(user=bob, type=Authenticator.Type.TOTP, data={})
    key = Authenticator.objects.create(user=alice, type=Authenticator.Type.WEBAUTHN, data={"name": "blue key"})
    return {
        "host": str(host.pk),
        "container": container.container_id,
        "person": str(bob.pk),
        "team": str(team.pk),
        "key": str(key.pk),
    }


def grow_late(client: Client) -> None:
    session = client.session
    session["confirmed_at"] -= RECENT
    session.save()


def test_the_table_holds_every_dangerous_act() -> None:
    assert set(ACTS) == DANGEROUS | DANGEROUS_FOR_ONESELF
    assert DANGEROUS <= ACTIONS


@pytest.mark.parametrize("action", sorted(ACTS))
def test_without_a_recent_proof_it_is_not_done(
    action: str, alice: User, names: dict[str, str], client_of: Callable[..., Client]
) -> None:
    act = ACTS[action]
    client = client_of(alice)
    grow_late(client)
    path = act.path.format(**names)
    sent = client.post(
        path, {name: value.format(**names) for name, value in act.form.items()}, HTTP_ACCEPT="application/json"
    )
    assert (sent.status_code, sent.json()["code"]) == (403, "reauth_required")
    events = AuditEvent.objects.filter(action=action)
    assert [(event.actor_name, event.outcome) for event in events] == [("alice", "denied")]
    if act.has_form:
        assert client.get(path)["Location"].startswith("/settings/confirm/?next=")


@pytest.mark.parametrize("action", sorted(ACTS))
def test_with_one_it_is_not_asked(
    action: str, alice: User, names: dict[str, str], client_of: Callable[..., Client]
) -> None:
    act = ACTS[action]
    client = client_of(alice)
    form = {name: value.format(**names) for name, value in act.form.items()}
    answer = client.post(act.path.format(**names), form, HTTP_ACCEPT="application/json")
    assert "reauth_required" not in answer.content.decode()
