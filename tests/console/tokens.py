"""API tokens for tests."""

from __future__ import annotations

from datetime import timedelta

from django.test import Client

from console.accounts.models import Team, TokenScope, User
from console.accounts.tokens import IssuedToken, create_token
from console.lib.origin import Origin


def issue(owner: User, *, scope: str = TokenScope.ALL, team: Team | None = None, name: str = "robot") -> IssuedToken:
    """Make a token for ``owner``."""
    lifetime = timedelta(days=7)
    return create_token(actor=owner, name=name, scope=scope, team=team, lifetime=lifetime, origin=Origin())


def program(text: str) -> Client:
    """A program that brings a token: no browser, so CSRF is checked as in earnest, and nothing says what it accepts."""
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {text}"})
