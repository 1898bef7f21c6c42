"""What people enter about volumes and networks, parsed and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from console.accounts.models import Team, User
from console.containers.network_services import BUILT_IN
from console.containers.specs import is_name
from console.hosts.models import Host
from console.inventory.models import ObservedNetwork, ObservedVolume
from console.policies.rules import prefixed
from console.rbac.models import HostGrant
from console.rbac.policy import allowed

if TYPE_CHECKING:
    _TeamChoice = forms.ModelChoiceField[Team]
    _HostChoice = forms.ModelChoiceField[Host]
else:
    _TeamChoice = _HostChoice = forms.ModelChoiceField


class Name(forms.CharField):
    """A name that an engine takes."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Name"),
            max_length=255,
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )

    def clean(self, value: Any) -> str:
        """Return the name. Raises ``ValidationError``."""
        name = str(super().clean(value))
        if not is_name(name):
            raise ValidationError(
                _("Use two or more letters, digits, “_”, “.” or “-”, and begin with a letter or digit."), code="name"
            )
        return name


class _NewForm(forms.Form):
    """A name, and the host on which nothing else of the kind may have it."""

    name = Name()
    host = _HostChoice(label=_("Host"), queryset=Host.objects.none(), empty_label=None)

    def __init__(self, data: Any = None, *, user: User, initial: dict[str, Any] | None = None) -> None:
        super().__init__(data, initial=initial)
        hosts = Host.objects.visible_to(user).defer("credentials", "info").order_by("name")
        self.fields["host"].queryset = hosts  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse what is taken; the worker asks the engine itself."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("host") and cleaned.get("name") and self._is_taken(cleaned["host"], cleaned["name"]):
            self.add_error("name", ValidationError(_("This name is taken on this host; choose another."), code="taken"))
        return cleaned

    def _is_taken(self, host: Host, name: str) -> bool:
        raise NotImplementedError


class VolumeForm(_NewForm):
    """A new volume, and whose it will be."""

    team = _TeamChoice(
        label=_("Team"),
        queryset=Team.objects.none(),
        help_text=_(
            "It owns the volume: its people see it, its members and owners may remove it. Its prefix begins the name."
        ),
    )
    field_order = ("name", "team", "host")

    def __init__(
        self, data: Any = None, *, user: User, teams: QuerySet[Team], initial: dict[str, Any] | None = None
    ) -> None:
        super().__init__(data, user=user, initial=initial)
        team: Any = self.fields["team"]
        team.queryset = teams
        if allowed(user, "volume.create"):
            team.required, team.empty_label = False, _("Nobody: only admins and auditors see it")
        elif len(teams) == 1:
            team.empty_label = None

    def clean(self) -> dict[str, Any]:
        """See that the team may work on the host; what it makes there begins with its own prefix."""
        if self.cleaned_data.get("team") and self.cleaned_data.get("name"):
            name = prefixed(self.cleaned_data["name"], prefix=self.cleaned_data["team"].prefix)
            self.cleaned_data["name"] = name
            if not is_name(name):
                self.add_error("name", ValidationError(_("This name is too long."), code="long"))
        cleaned = super().clean()
        team, host = cleaned.get("team"), cleaned.get("host")
        if team and host and not HostGrant.objects.filter(team=team, host=host).exists():
            self.add_error(
                "host",
                ValidationError(
                    _("The team %(team)s may not work on this host. Choose another, or ask an admin to give it."),
                    code="grant",
                    params={"team": team.name},
                ),
            )
        return cleaned

    def _is_taken(self, host: Host, name: str) -> bool:
        return ObservedVolume.objects.filter(host=host, name=name).exists()


class NetworkForm(_NewForm):
    """A new network."""

    internal = forms.BooleanField(
        label=_("Internal"),
        required=False,
        help_text=_("Containers on it reach each other and nothing else; no port of theirs can be published."),
    )

    def _is_taken(self, host: Host, name: str) -> bool:
        return name in BUILT_IN or ObservedNetwork.objects.filter(host=host, name=name).exists()


class RemovalForm(forms.Form):
    """Asks for the name of what goes."""

    confirmation = forms.CharField(
        label=_("Its name"),
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, data: Any = None, *, name: str, obstacle: str) -> None:
        super().__init__(data)
        self._name, self._obstacle = name, obstacle
        self.fields["confirmation"].help_text = _("To remove it, type %(name)s.") % {"name": name}

    def clean_confirmation(self) -> str:
        """The name must be the object's."""
        typed = str(self.cleaned_data["confirmation"])
        if typed != self._name:
            raise ValidationError(
                _("This is not its name. Type “%(name)s” exactly."), code="name", params={"name": self._name}
            )
        return typed

    def clean(self) -> dict[str, Any]:
        """What something stands in the way of stays; the worker asks the engine itself."""
        if self._obstacle:
            raise ValidationError(self._obstacle, code="obstacle")
        return super().clean() or {}


class AssignForm(forms.Form):
    """Which team something is given to; none is nobody."""

    team = _TeamChoice(
        label=_("Team"),
        queryset=Team.objects.order_by("name"),
        required=False,
        empty_label=_("Nobody: only admins and auditors see it"),
        error_messages={"invalid_choice": _("There is no such team any more; choose another.")},
    )

    def __init__(self, data: Any = None, *, owner: Any, help_text: str) -> None:
        super().__init__(data, initial={"team": owner})
        self.fields["team"].help_text = help_text

    def refuse(self, reason: str) -> None:
        """Say why no team may have it."""
        self.add_error("team", ValidationError(reason, code="refused"))
