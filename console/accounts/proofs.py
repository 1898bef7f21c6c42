"""Forms by which somebody proves who they are: at the second step of a sign-in, and before a dangerous act."""

from __future__ import annotations

from typing import Any

import structlog
from allauth.core.internal import ratelimit
from allauth.mfa.models import Authenticator
from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from console.accounts import codes, keys, second_factor
from console.accounts.backends import prove
from console.accounts.forms import PASSWORD_LENGTH
from console.accounts.identities import DirectoryFailed, is_of, list_connections
from console.accounts.models import Source, User

logger = structlog.get_logger(__name__)

#: No code is as long as this, however it is spaced.
CODE_LENGTH = 40


def say_wrong(error: codes.WrongCode) -> str:
    """Return what is wrong with a code, in words."""
    if isinstance(error, codes.OtherTime):
        return ngettext(
            "This code belongs to another time: the clock of your device and the clock of this server differ by about "
            "%(minutes)s minute. Set the one that is wrong, then enter a new code.",
            "This code belongs to another time: the clock of your device and the clock of this server differ by about "
            "%(minutes)s minutes. Set the one that is wrong, then enter a new code.",
            error.minutes,
        ) % {"minutes": error.minutes}
    if isinstance(error, codes.SpentCode):
        return _("This code was used already. Wait until your app shows the next one.")
    return _("This code is not right. Check it and try again.")


def consume_attempt(request: HttpRequest, user: User) -> ratelimit.RateLimitUsage | None:
    """Count an attempt to prove that one is ``user``; ``None`` when there were too many. A right one is rolled back."""
    return ratelimit.consume(
        request, app="allauth.account", action="login_failed", key=f"second-factor:{user.pk}", user=user
    )


def code_field() -> forms.CharField:
    """Return the field for a one-time code."""
    return forms.CharField(
        label=gettext_lazy("Code"),
        max_length=CODE_LENGTH,
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false", "autofocus": True}
        ),
    )


class Proof(forms.Form):
    """Checks what was typed once, and counts the wrong ones."""

    #: How the proof was given, for the record.
    method = ""

    def __init__(self, data: QueryDict | None = None, *, request: HttpRequest, user: User) -> None:
        super().__init__(data)
        self.request = request
        self.user = user
        self.is_limited = False

    def prove(self, cleaned: dict[str, Any]) -> None:
        """Check the proof. Raises ``ValidationError``."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Look at the proof, unless too many were wrong of late."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        usage = consume_attempt(self.request, self.user)
        if usage is None:
            self.is_limited = True
            raise ValidationError(_("Too many failed attempts. Wait five minutes, then try again."))
        self.prove(cleaned)
        # Only this attempt is forgotten: the wrong ones of an address go on counting.
        usage.rollback()
        return cleaned


class PasswordProof(Proof):
    """The password, of somebody who has no second factor."""

    method = "password"
    password = forms.CharField(
        label=gettext_lazy("Password"),
        max_length=PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def __init__(self, data: QueryDict | None = None, *, request: HttpRequest, user: User) -> None:
        super().__init__(data, request=request, user=user)
        #: What they are called in the directory that keeps their password, if one does.
        self._elsewhere = next(
            (found.username for found in list_connections(user) if found.source == Source.LDAP and found.username), ""
        )

    @property
    def can_be_given(self) -> bool:
        """Whether there is a password to ask for: a provider's pages ask for their own."""
        return self.user.has_usable_password() or bool(self._elsewhere)

    def prove(self, cleaned: dict[str, Any]) -> None:
        """Compare the password, here or in the directory."""
        password = cleaned["password"]
        if self.user.has_usable_password():
            right = self.user.check_password(password)
        else:
            right = self._is_right_elsewhere(password)
        if not right:
            raise ValidationError({"password": _("This is not your password.")})

    def _is_right_elsewhere(self, password: str) -> bool:
        if not self._elsewhere:
            return False
        try:
            proof = prove(self._elsewhere, password)
        except DirectoryFailed as failed:
            logger.error("directory_failed", reason=str(failed))
            message = _("The directory that would know your password does not answer. Try again in a while.")
            raise ValidationError({"password": message}) from failed
        return proof is not None and is_of(self.user, proof)


class SecondFactorProof(Proof):
    """A code, a recovery code, or the answer of a security key."""

    code = code_field()
    #: What the key said, as JSON; a script fills it in.
    credential = forms.CharField(max_length=keys.ANSWER_LENGTH, required=False, widget=forms.HiddenInput)

    authenticator: Authenticator

    def __init__(self, data: QueryDict | None = None, *, request: HttpRequest, user: User) -> None:
        super().__init__(data, request=request, user=user)
        self.has = second_factor.second_factor_of(user)
        if self.has.app_since is None:
            self.fields["code"].label = _("Recovery code")
        else:
            self.fields["code"].help_text = _("The six digits that your app shows, or one of your recovery codes.")
        self.fields["code"].required = not (data and data.get("credential"))
        self.why_no_key = keys.why_not(request) if self.has.keys else ""

    def prove(self, cleaned: dict[str, Any]) -> None:
        """Ask the codes or the keys."""
        if cleaned["credential"]:
            try:
                self.authenticator = keys.finish_asking(self.request, self.user, cleaned["credential"])
            except keys.BadAnswer as error:
                raise ValidationError(_("The security key's answer was not accepted. Try again.")) from error
        else:
            try:
                self.authenticator = codes.spend_code(self.user, cleaned["code"])
            except codes.WrongCode as error:
                raise ValidationError({"code": say_wrong(error)}) from error
        self.method = self.authenticator.type
        self.authenticator.record_usage()


def proof_of(user: User, request: HttpRequest, data: QueryDict | None = None) -> Proof:
    """Return the form that asks ``user`` for the strongest proof there is of them."""
    kind = SecondFactorProof if second_factor.is_set_up(user) else PasswordProof
    return kind(data, request=request, user=user)
