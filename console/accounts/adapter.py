"""How django-allauth behaves here: it signs people in, and nothing else."""

from __future__ import annotations

from typing import Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

from console.accounts.identities import DirectoryFailed
from console.accounts.models import User
from console.accounts.signals import account_acted
from console.lib import crypto
from console.lib.origin import origin_of

logger = structlog.get_logger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """No sign-up, no mail, no congratulations; addresses as our own server saw them."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": _("The user name or the password is not right. Check both and try again."),
        "too_many_login_attempts": _(
            "Too many failed attempts. Wait five minutes, then try again; the right password works then."
        ),
    }

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        """Never: the first admin comes by a one-time link."""
        return False

    def add_message(self, *_args: Any, **_kwargs: Any) -> None:
        """Say nothing: the page that follows shows what happened."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """The connection's address: a header that the client writes must not widen a limit."""
        return origin_of(request).address or "0.0.0.0"

    def is_safe_url(self, url: str | None) -> bool:
        """Only pages of ours are gone on to, by their path: another port of this machine is another site."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def get_login_stages(self) -> list[str]:
        """After the password, or what stands for it, there is one more step at the most."""
        return ["console.accounts.stages.SecondStep"]

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return who has these credentials; a suspended person is answered like a wrong password.

        Raises ``DirectoryFailed``.
        """
        try:
            user: User | None = super().authenticate(request, **credentials)
        except DirectoryFailed as failed:
            logger.error("directory_failed", reason=str(failed))
            self.authentication_failed(request, **credentials)
            raise
        if user is not None and not user.is_active:
            self.authentication_failed(request, **credentials)
            return None
        return user

    def login(self, request: HttpRequest, user: User) -> None:
        """Sign in, and let it be known."""
        factors = [record["type"] for record in get_authentication_records(request, user) if record["method"] == "mfa"]
        super().login(request, user)
        account_acted.send(
            sender=User,
            action="account.sign_in",
            outcome="succeeded",
            actor=user,
            object_id=str(user.pk),
            object_name=user.username,
            origin=origin_of(request),
            details={"second_factor": factors[-1]} if factors else {},
        )

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Let a failed attempt be known, without keeping what may be a password typed into the wrong field."""
        typed = str(credentials.get("username", ""))
        known = User.objects.filter(username__iexact=typed).first()
        account_acted.send(
            sender=User,
            action="account.sign_in",
            outcome="failed",
            actor=None,
            object_id=str(known.pk) if known else "",
            object_name=known.username if known else "#" + salted_hmac("failed-sign-in", typed).hexdigest()[:8],
            origin=origin_of(request),
            details={"known": known is not None},
        )

    def _get_login_attempts_cache_key(self, _request: HttpRequest, **credentials: Any) -> str:
        # allauth mixes the Host header into this key, which would give each of our names attempts of its own.
        return User.normalize_username(str(credentials.get("username", ""))).casefold()


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """How secrets of second factors are kept."""

    def encrypt(self, text: str) -> str:
        """Encrypt for the database."""
        return crypto.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt what the database holds."""
        return crypto.decrypt(encrypted_text)
