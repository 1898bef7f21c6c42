"""What people type about themselves, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from allauth.account.forms import LoginForm
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from console.accounts.models import User
from console.lib.problems import BadInput

if TYPE_CHECKING:
    _UserForm = forms.ModelForm[User]
else:
    _UserForm = forms.ModelForm

#: Argon2 reads all of it, so it needs a bound; no person and no password manager comes near.
PASSWORD_LENGTH = 1024
USERNAME_LENGTH = 60
#: A credential that is longer was not typed by anybody.
CREDENTIAL_BYTES = 4096


def check_credentials(data: QueryDict, *fields: str) -> None:
    """Refuse what no person types, before anything hashes, stores or logs it."""
    for field in fields:
        value = data.get(field, "")
        if len(value.encode("utf-8", "replace")) > CREDENTIAL_BYTES:
            raise BadInput(gettext("User name and password may have 4 KiB at the most."))
        if "\0" in value:
            raise BadInput(gettext("User name and password cannot hold a NUL character."))


def _password_field(label: Any, *, autocomplete: str, help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=PASSWORD_LENGTH,
        strip=False,
        help_text=help_text,
        widget=forms.PasswordInput(attrs={"autocomplete": autocomplete}),
    )


class SignInForm(LoginForm):  # type: ignore[misc]
    """User name and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"] = forms.CharField(
            label=_("User name"),
            max_length=USERNAME_LENGTH,
            widget=forms.TextInput(
                attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
            ),
        )
        self.fields["password"] = _password_field(_("Password"), autocomplete="current-password")
        self.order_fields(["login", "password"])
        if self.is_bound:
            # Back after a mistake: it is the password that is typed again.
            del self.fields["login"].widget.attrs["autofocus"]
            self.fields["password"].widget.attrs["autofocus"] = True


class _NewPassword(forms.Form):
    """A new password, twice."""

    password = _password_field(
        _("New password"), autocomplete="new-password", help_text=_("At least 10 characters; a short sentence is good.")
    )
    password_again = _password_field(_("New password, again"), autocomplete="new-password")

    def person(self) -> User:
        """Whose password it will be; it must not resemble their name."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        """Compare the two, then ask Django's validators."""
        cleaned = super().clean() or {}
        password, again = cleaned.get("password"), cleaned.get("password_again")
        if password and again and password != again:
            self.add_error("password_again", _("The two passwords differ; type the same one twice."))
        elif password:
            try:
                validate_password(password, self.person())
            except ValidationError as error:
                self.add_error("password", error)
        return cleaned


class NewPersonForm(_NewPassword):
    """What somebody who follows a one-time link will be called, and their password."""

    username = forms.CharField(
        label=_("User name"),
        max_length=USERNAME_LENGTH,
        validators=[UnicodeUsernameValidator()],
        help_text=_("Letters, digits and @ . + - _"),
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )
    field_order = ("username", "password", "password_again")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].label = _("Password")
        self.fields["password_again"].label = _("Password, again")

    def clean_username(self) -> str:
        """Refuse a name that somebody has, in whatever case."""
        username: str = User.normalize_username(self.cleaned_data["username"])
        if User.objects.filter(username__iexact=username).exists():
            raise ValidationError(_("Somebody has this user name already; choose another."))
        return username

    def person(self) -> User:
        """Who they will be."""
        return User(username=self.cleaned_data.get("username", ""))


class PasswordForm(_NewPassword):
    """A new password for somebody who knows the present one."""

    current = _password_field(_("Present password"), autocomplete="current-password")
    field_order = ("current", "password", "password_again")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def person(self) -> User:
        """The one who is signed in."""
        return self.user

    def clean_current(self) -> str:
        """Check the present password."""
        current: str = self.cleaned_data["current"]
        if not self.user.check_password(current):
            raise ValidationError(_("This is not your present password."))
        return current


class ProfileForm(_UserForm):
    """What others see of a person."""

    class Meta:
        model = User
        fields = ("name", "email")
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "name"}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
        }
