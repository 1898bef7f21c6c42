"""What people enter about their second factor, checked."""

from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from console.accounts import keys
from console.accounts.proofs import code_field


class AppForm(forms.Form):
    """A code that shows that the app has the secret."""

    code = code_field()

    def __init__(self, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.fields["code"].help_text = _("The six digits that the app shows now.")


class KeyNameForm(forms.Form):
    """What a key is called."""

    name = forms.CharField(
        label=_("Name"),
        max_length=keys.NAME_LENGTH,
        help_text=_("So that you recognise it later: “blue key”, “laptop”."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )

    def clean_name(self) -> str:
        """Refuse what cannot be read."""
        name = str(self.cleaned_data["name"])
        if not name.isprintable():
            raise ValidationError(_("A name is one line of letters, digits and signs."), code="unprintable")
        return name


class KeyForm(KeyNameForm):
    """A new key: its name, and what it said to the browser."""

    credential = forms.CharField(
        max_length=keys.ANSWER_LENGTH,
        widget=forms.HiddenInput,
        error_messages={"required": _("The key has not answered. Press the button and touch the key.")},
    )
