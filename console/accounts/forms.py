"""What people type about themselves, checked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from allauth.account.forms import LoginForm
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from console.accounts.models import Team, TokenScope, User
from console.accounts.tokens import MOST_TOKENS
from console.lib.problems import BadInput

if TYPE_CHECKING:
    _UserForm = forms.ModelForm[User]
    _TeamChoice = forms.ModelChoiceField[Team]
else:
    _UserForm = forms.ModelForm
    _TeamChoice = forms.ModelChoiceField

#: Argon2 reads all of it, so it needs a bound; no person and no password manager comes near.
PASSWORD_LENGTH = 1024
USERNAME_LENGTH = 60
#: How long a token works, in days: every one has an end.
_LIFETIMES = ((7, _("1 week")), (30, _("30 days")), (90, _("90 days")), (365, _("1 year")))
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


class ConfirmForm(forms.Form):
    """The present password, before something that a borrowed session must not do."""

    current = _password_field(_("Present password"), autocomplete="current-password")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_current(self) -> str:
        """Check the present password."""
        current: str = self.cleaned_data["current"]
        if not self.user.check_password(current):
            raise ValidationError(_("This is not your present password."))
        return current


class DirectoryForm(ConfirmForm):
    """Who somebody is in the directory; their password here as well."""

    username = forms.CharField(
        label=_("User name there"),
        max_length=USERNAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = _password_field(_("Password there"), autocomplete="off")
    field_order = ("username", "password", "current")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["current"].label = _("Present password here")

    def say_wrong(self) -> None:
        """Say that nobody there has this name and this password."""
        self.add_error("password", _("The user name or the password is not right. Check both and try again."))


class PasswordForm(ConfirmForm, _NewPassword):
    """A new password for somebody who knows the present one."""

    field_order = ("current", "password", "password_again")

    def person(self) -> User:
        """The one who is signed in."""
        return self.user


class ProfileForm(_UserForm):
    """What others see of a person."""

    class Meta:
        model = User
        fields = ("name", "email")
        widgets = {
            "name": forms.TextInput(attrs={"autocomplete": "name"}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
        }


class TokenForm(forms.Form):
    """What a new token is called, and how far it reaches."""

    name = forms.CharField(
        label=_("Name"),
        max_length=60,
        help_text=_("What it is for, so that you recognise it: “backup script”."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    scope = forms.ChoiceField(
        label=_("It may"),
        choices=TokenScope.choices,
        initial=TokenScope.READ,
        help_text=_("Read: look at things and at logs. Operate: start and stop too. Never more than you may yourself."),
    )
    team = _TeamChoice(
        label=_("Only for the team"), queryset=Team.objects.none(), required=False, empty_label=_("All that I may see")
    )
    days = forms.TypedChoiceField(label=_("It works for"), choices=_LIFETIMES, coerce=int, initial=90)

    def __init__(self, data: Any = None, *, user: User) -> None:
        # It stands on one page with other forms, of which one asks for a name too.
        super().__init__(data, auto_id="id_token_%s")
        self._user = user
        teams = Team.objects.all() if user.oversees else Team.objects.filter(people=user)
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]

    def clean_name(self) -> str:
        """Refuse what cannot be read."""
        name = str(self.cleaned_data["name"])
        if not name.isprintable():
            raise ValidationError(_("A name is one line of letters, digits and signs."), code="unprintable")
        return name

    def clean(self) -> dict[str, Any]:
        """Refuse one too many."""
        if self._user.tokens.usable().count() >= MOST_TOKENS:
            raise ValidationError(
                _("You have %(most)s tokens already; revoke one first."), params={"most": MOST_TOKENS}, code="too_many"
            )
        return super().clean() or {}

    @property
    def wanted(self) -> dict[str, Any]:
        """What the service is asked for; valid forms only."""
        values = self.cleaned_data
        return {
            "name": values["name"],
            "scope": values["scope"],
            "team": values["team"],
            "lifetime": timedelta(days=values["days"]),
        }
