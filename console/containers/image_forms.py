"""What people enter about images, parsed and checked."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.accounts.models import User
from console.containers.specs import is_reference
from console.gateway import RegistryCredentials
from console.hosts.models import Host

_EXAMPLE = _("Write it like nginx:1.27 or registry.example.com/team/app:2.")
_UPPER = re.compile(r"[A-Z]")


def _wrong(sentence: str | Promise) -> ValidationError:
    return ValidationError(f"{sentence} {_EXAMPLE}")


class Reference(forms.CharField):
    """An image's name with tag or digest; ``latest`` where neither is given. The value is always complete."""

    def __init__(self, *, digest_allowed: bool, **options: Any) -> None:
        super().__init__(max_length=300, strip=True, **options)
        self._digest_allowed = digest_allowed

    def clean(self, value: Any) -> str:
        """Return the complete reference. Raises ``ValidationError`` with what is wrong and how to write it."""
        text = str(super().clean(value))
        if not text:
            return text
        if re.match(r"[a-z]+://", text):
            raise _wrong(_("Leave out “https://”: a reference begins with the registry's name."))
        if any(character.isspace() for character in text):
            raise _wrong(_("A reference holds no spaces."))
        if re.fullmatch(r"(sha256:)?[0-9a-f]{64}", text):
            raise _wrong(_("This is an image's id; a registry needs its name."))
        if not is_reference(text):
            if _UPPER.search(text.rpartition("/")[2].partition(":")[0]):
                raise _wrong(_("Names of images hold no capital letters."))
            raise _wrong(_("This is no image reference."))
        if "@" in text:
            if not self._digest_allowed:
                raise _wrong(_("A new name has a tag and no digest."))
            return text
        return text if ":" in text.rpartition("/")[2] else f"{text}:latest"


class PullForm(forms.Form):
    """Which image to pull on which host, and as whom."""

    host = forms.ModelChoiceField(label=_("Host"), queryset=Host.objects.none(), empty_label=None)
    reference = Reference(
        label=_("Image"),
        digest_allowed=True,
        help_text=_("Name and tag, as in nginx:1.27; a registry's name in front if it is not the engine's usual one."),
    )
    username = forms.CharField(label=_("Registry user"), max_length=200, required=False, strip=True)
    password = forms.CharField(
        label=_("Registry password or token"),
        max_length=4000,
        required=False,
        strip=False,
        widget=forms.PasswordInput(render_value=False),
        help_text=_("Kept encrypted with the operation and never shown again."),
    )

    def __init__(self, data: Any = None, *, user: User, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        hosts: Any = self.fields["host"]
        hosts.queryset = Host.objects.visible_to(user)

    def clean(self) -> dict[str, Any]:
        """Check that user and password come together."""
        cleaned: dict[str, Any] = super().clean() or {}
        username, password = cleaned.get("username"), cleaned.get("password")
        if username and not password:
            self.add_error("password", _("Enter the password or token of this registry user."))
        if password and not username:
            self.add_error("username", _("Enter the registry user whose password this is."))
        return cleaned

    @property
    def credentials(self) -> RegistryCredentials | None:
        """What to show the registry; ``None`` for an anonymous pull. For a valid form."""
        if not self.cleaned_data["username"]:
            return None
        return RegistryCredentials(
            username=self.cleaned_data["username"],
            password=self.cleaned_data["password"],
            server_address=registry_of(self.cleaned_data["reference"]),
        )


def registry_of(reference: str) -> str:
    """Return the registry that ``reference`` names; "" for the engine's usual one."""
    first, slash, _rest = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else ""


class TagForm(forms.Form):
    """A further name for an image."""

    reference = Reference(label=_("New name"), digest_allowed=False, help_text=_EXAMPLE)

    @property
    def repository_and_tag(self) -> tuple[str, str]:
        """The name in its two parts. For a valid form."""
        repository, _colon, tag = self.cleaned_data["reference"].rpartition(":")
        return repository, tag
