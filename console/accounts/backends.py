"""Who has a user name and a password, when neither is kept here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from console.accounts import identities
from console.accounts.identities import Proof
from console.accounts.models import User
from console.lib.origin import Origin, origin_of


def prove(username: str, password: str) -> Proof | None:
    """Return who has these credentials in the directory, if there is one. Raises ``DirectoryFailed``."""
    if settings.SIGN_IN.ldap is None:
        return None
    # Only where a directory is set up is there a library to ask it with.
    from console.accounts import directory

    return directory.prove(username, password, directory=settings.SIGN_IN.ldap)


class DirectoryBackend(BaseBackend):
    """Asks the directory that the operator named."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> User | None:
        """Return who has these credentials in the directory. Raises ``DirectoryFailed``."""
        proof = prove(username, password) if username and password else None
        if proof is None:
            return None
        try:
            return identities.admit(proof, origin=origin_of(request) if request else Origin())
        except identities.Suspended:
            return None

    def get_user(self, user_id: UUID | str) -> User | None:
        """Return who is signed in by a session, unless they are suspended."""
        return User.objects.filter(pk=user_id, is_active=True).first()
