"""Inviting to the console: the link is shown once, and only admins make it."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import Invitation, Role, Team, TeamRole, User
from console.audit.models import AuditEvent
from console.lib.origin import Origin
from console.people.invitation_services import invite
from console.rbac.access import Refused
from tests.console.people.conftest import Sign, rows

URL = "/people/invite/"
FORM = {"note": "Erin", "role": "user", "team": "", "team_role": "member", "days": "3"}


def link_of(page: str) -> str:
    found = re.search(r"/invitations/([\w-]+)/", page)
    assert found, page
    return found.group(1)


def test_the_link_is_shown_once_and_only_its_hash_is_kept(alice: User, client_of: Sign) -> None:
    client = client_of(alice)
    answer = client.post(URL, FORM)
    token = link_of(answer.content.decode())
    assert len(token) == 43, "256 bits"
    invitation = Invitation.objects.get()
    assert invitation.token_hash == hashlib.sha256(token.encode()).hexdigest()
    assert (invitation.note, invitation.role, invitation.team) == ("Erin", Role.USER, None)
    left = invitation.expires_at - timezone.now()
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)
    listed = client.get("/people/").content.decode()
    assert "Erin" in listed
    assert token not in listed


def test_it_is_on_record_without_the_token(alice: User, client_of: Sign) -> None:
    token = link_of(client_of(alice).post(URL, FORM).content.decode())
    event = AuditEvent.objects.get(action="person.invite")
    assert (event.actor_name, event.outcome, event.object_name) == ("alice", "succeeded", "Erin")
    assert token not in str(event.details)


def test_an_admin_invites_to_a_team_and_a_role_at_once(alice: User, red: Team, client_of: Sign) -> None:
    client_of(alice).post(URL, FORM | {"role": "auditor", "team": str(red.pk), "team_role": "owner"})
    invitation = Invitation.objects.get()
    assert (invitation.role, invitation.team, invitation.team_role) == (Role.AUDITOR, red, TeamRole.OWNER)


def test_the_page_shows_the_form_within_a_dialog(alice: User, client_of: Sign) -> None:
    page = client_of(alice).get(URL, HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in page
    assert "data-dialog-title" in page


@pytest.mark.parametrize(("field", "value"), [("role", "root"), ("team_role", "king"), ("days", "365"), ("team", "x")])
def test_what_the_form_does_not_offer_is_refused(alice: User, client_of: Sign, field: str, value: str) -> None:
    assert client_of(alice).post(URL, FORM | {field: value}).status_code == 422
    assert not Invitation.objects.exists()


def test_looking_invites_nobody(alice: User, client_of: Sign) -> None:
    client_of(alice).get(URL, FORM)
    assert not Invitation.objects.exists()


def test_nobody_else_invites_to_the_console(owner: User, charlie: User, dora: User, client_of: Sign) -> None:
    for person in (owner, charlie, dora):
        assert client_of(person).get(URL).status_code == 403
        assert client_of(person).post(URL, FORM).status_code == 403
    assert not Invitation.objects.exists()
    assert set(rows("person.invite")) == {("bob", "denied"), ("charlie", "denied"), ("dora", "denied")}


def test_the_service_knows_it_too(owner: User, red: Team, blue: Team) -> None:
    for wanted in ({}, {"team": blue}, {"team": red, "role": Role.ADMIN}, {"team": red, "role": Role.AUDITOR}):
        with pytest.raises(Refused):
            invite(actor=owner, origin=Origin(), **wanted)
    assert not Invitation.objects.exists()


def test_a_form_without_its_token_is_refused(alice: User, client_of: Sign) -> None:
    client: Client = client_of(alice, enforce_csrf_checks=True)
    assert client.post(URL, FORM).status_code == 403
    assert not Invitation.objects.exists()
