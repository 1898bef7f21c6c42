"""What a person asks a terminal, logs or statistics for, parsed and bounded."""

from __future__ import annotations

import re
import shlex
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from console.lib.converters import FullId
from console.terminals.models import TerminalKind

_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63})?")


class TargetForm(forms.Form):
    """Which container a stream is for. What it has no field for is refused by name."""

    host = forms.UUIDField()
    container = forms.RegexField(
        rf"^{FullId.regex}$", error_messages={"invalid": _("This is not the full id of a container.")}
    )

    def unknown(self) -> list[str]:
        """Return the keys of a frame that mean nothing here."""
        return sorted(self.data.keys() - self.fields.keys())


class TicketForm(TargetForm):
    """Which terminal to open. Without a command, a shell is looked for."""

    title = forms.CharField(label=_("Name"), max_length=80, required=False)
    kind = forms.ChoiceField(choices=TerminalKind.choices, required=False)
    command = forms.CharField(label=_("Command"), max_length=2000, required=False)
    user = forms.CharField(label=_("User"), max_length=130, required=False)

    def clean_kind(self) -> str:
        """A shell, unless the main process was asked for."""
        return self.cleaned_data["kind"] or TerminalKind.EXEC.value

    def clean_command(self) -> list[str] | None:
        """Split into arguments as a shell does, without one: nothing in it is ever interpreted."""
        text = self.cleaned_data["command"].strip()
        if not text:
            return None
        try:
            return shlex.split(text)
        except ValueError as error:
            raise ValidationError(
                _("The command has a quotation mark that is never closed; close it or put a backslash before it.")
            ) from error

    def clean_user(self) -> str:
        """A name or number, with a group if need be."""
        user: str = self.cleaned_data["user"].strip()
        if user and not _USER.fullmatch(user):
            raise ValidationError(_("A user is a name or a number, with a group if need be: app, 1000 or 1000:1000."))
        return user


class ReturnForm(forms.Form):
    """Which terminal, open already, to come back to."""

    session = forms.UUIDField()


class LogsForm(TargetForm):
    """Which part of a container's log to read."""

    tail = forms.IntegerField(min_value=0, max_value=10_000_000, required=False)
    since = forms.FloatField(min_value=0, max_value=2**33, required=False)
    until = forms.FloatField(min_value=0, max_value=2**33, required=False)
    stdout = forms.NullBooleanField(required=False)
    stderr = forms.NullBooleanField(required=False)
    timestamps = forms.BooleanField(required=False)
    follow = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        """An end before the beginning is a mistake, not an empty log."""
        data = self.cleaned_data
        since, until = data.get("since"), data.get("until")
        if since is not None and until is not None and until < since:
            self.add_error("until", _("The end must come after the beginning."))
        return data

    def arguments(self) -> dict[str, Any]:
        """What the engine is asked with. Both channels unless one was switched off."""
        data = self.cleaned_data
        return {
            "stdout": data["stdout"] is not False,
            "stderr": data["stderr"] is not False,
            "timestamps": data["timestamps"],
            "follow": data["follow"],
            "tail": data["tail"],
            "since": data["since"],
            "until": data["until"],
        }
