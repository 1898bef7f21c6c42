"""Signing out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client

from console.accounts.models import User
from console.accounts.sessions import is_session_valid
from console.audit.models import AuditEvent

pytestmark = pytest.mark.django_db


def test_the_session_ends(alice: User, client_of: Callable[..., Client]) -> None:
    client = client_of(alice)
    client.get("/settings/")
    key = client.session.session_key or ""
    answer = client.post("/accounts/logout/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    assert client.get("/settings/").status_code == 302
    assert not is_session_valid(key, alice.pk)
    assert not UserSession.objects.exists()
    assert AuditEvent.objects.get(action="account.sign_out").actor_name == "alice"


def test_a_link_does_not_sign_anybody_out(alice: User, client_of: Callable[..., Client]) -> None:
    client = client_of(alice)
    assert client.get("/accounts/logout/").status_code == 405
    assert client.get("/settings/").status_code == 200


def test_a_form_without_its_token_is_refused(alice: User, client_of: Callable[..., Client]) -> None:
    client = client_of(alice, enforce_csrf_checks=True)
    assert client.post("/accounts/logout/").status_code == 403
    assert client.get("/settings/").status_code == 200
