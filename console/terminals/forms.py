"""What a person asks a terminal, logs or statistics for, parsed and bounded."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from console.accounts.models import User
from console.lib.converters import FullId
from console.terminals.approval_services import LONGEST, SHORTEST
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


# Terminals of others


if TYPE_CHECKING:
    _PersonChoice = forms.ModelChoiceField[User]
else:
    _PersonChoice = forms.ModelChoiceField


class PersonField(_PersonChoice):
    """Somebody, by name."""

    @classmethod
    def among(cls, people: Collection[User]) -> PersonField:
        """One of ``people``."""
        found = User.objects.filter(pk__in=[person.pk for person in people]).order_by("username")
        return cls(label=_("Person"), queryset=found, empty_label=_("Choose somebody"))

    def label_from_instance(self, obj: User) -> str:
        """The user name beside what they are called."""
        return f"{obj.name} ({obj.username})" if obj.name else obj.username


class ShareForm(forms.Form):
    """With whom a terminal is shared, and whether they type."""

    person = PersonField(queryset=User.objects.none())
    role = forms.ChoiceField(
        label=_("They may"),
        choices=(("watch", _("watch")), ("type", _("watch and type"))),
        widget=forms.RadioSelect,
        initial="watch",
    )

    def __init__(self, data: Any = None, *, watchers: Collection[User], typists: Collection[User]) -> None:
        super().__init__(data)
        self._typists = {person.pk for person in typists}
        self.fields["person"] = PersonField.among(watchers)

    def clean(self) -> dict[str, Any]:
        """Nobody types in a terminal that they could not open themselves."""
        data = self.cleaned_data
        person = data.get("person")
        if person is not None and data.get("role") == "type" and person.pk not in self._typists:
            self.add_error(
                "role",
                _("This person could not open such a shell now, so they can only watch."),
            )
        return data


class HandOverForm(forms.Form):
    """Whose a terminal shall be."""

    person = PersonField(queryset=User.objects.none())

    def __init__(self, data: Any = None, *, typists: Collection[User]) -> None:
        super().__init__(data)
        self.fields["person"] = PersonField.among(typists)


class MessageForm(forms.Form):
    """What to say beside a terminal."""

    text = forms.CharField(
        label=_("Message"),
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=_("Shown beside the terminal to everybody who is there, with your name. It is kept in the audit."),
    )


class ShellRequestForm(forms.Form):
    """Why somebody needs a shell, and for how long."""

    reason = forms.CharField(
        label=_("What for"),
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=_("Whoever decides reads it, and it is kept in the audit."),
    )
    minutes = forms.IntegerField(label=_("Minutes"), min_value=SHORTEST, max_value=LONGEST, initial=30)


class ApproveForm(forms.Form):
    """How long somebody is let in."""

    def __init__(self, data: Any = None, *, asked: int) -> None:
        super().__init__(data, initial={"minutes": asked})
        self.fields["minutes"] = forms.IntegerField(
            label=_("Minutes"),
            min_value=SHORTEST,
            max_value=asked,
            help_text=_("At most as many as were asked for. The shell ends with them."),
        )
