"""What people enter about people and teams, checked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from console.accounts.models import GroupMapping, Role, Source, Team, TeamRole
from console.hosts.models import Host
from console.policies.forms import QuotaForm

if TYPE_CHECKING:
    _TeamChoice = forms.ModelChoiceField[Team]
    _HostChoice = forms.ModelChoiceField[Host]
else:
    _TeamChoice = _HostChoice = forms.ModelChoiceField

#: How long a link works, in days; more than these nobody needs.
_LIFETIMES = ((1, _("1 day")), (3, _("3 days")), (7, _("1 week")), (14, _("2 weeks")))


class TeamInvitationForm(forms.Form):
    """An invitation to a team."""

    note = forms.CharField(
        label=_("For whom"),
        max_length=120,
        required=False,
        help_text=_("A name or an address, so that you recognise the invitation later. No mail is sent."),
    )
    team_role = forms.ChoiceField(
        label=_("Role in the team"),
        choices=TeamRole.choices,
        initial=TeamRole.MEMBER,
        help_text=_("Viewers read, members work with what the team owns, owners invite and remove people too."),
    )
    days = forms.TypedChoiceField(label=_("The link works for"), choices=_LIFETIMES, coerce=int, initial=3)

    @property
    def wanted(self) -> dict[str, Any]:
        """What the service is asked for; valid forms only."""
        values = self.cleaned_data
        return {
            "note": values["note"],
            "team_role": values["team_role"],
            "lifetime": timedelta(days=values["days"]),
        }


class InvitationForm(TeamInvitationForm):
    """An invitation to the console, and to a team of it if wanted."""

    role = forms.ChoiceField(
        label=_("Role in the console"),
        choices=Role.choices,
        initial=Role.USER,
        help_text=_("Users see what their teams own, auditors read everything, admins may do everything."),
    )
    team = _TeamChoice(
        label=_("Team"), queryset=Team.objects.all(), required=False, empty_label=_("No team for now"), blank=True
    )
    field_order = ("note", "role", "team", "team_role", "days")

    @property
    def wanted(self) -> dict[str, Any]:
        """What the service is asked for; valid forms only."""
        return super().wanted | {"role": self.cleaned_data["role"], "team": self.cleaned_data["team"]}


class RoleForm(forms.Form):
    """What somebody becomes in the console."""

    role = forms.ChoiceField(choices=Role.choices)


class TeamRoleForm(forms.Form):
    """What somebody becomes in a team."""

    role = forms.ChoiceField(choices=TeamRole.choices)


class GroupForm(forms.Form):
    """A group somewhere else that leads to a team."""

    source = forms.ChoiceField(label=_("Where the group is"), choices=Source.choices)
    group = forms.CharField(
        label=_("Group"),
        max_length=255,
        help_text=_("Exactly as single sign-on names it. In a directory, its whole distinguished name."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    team = _TeamChoice(label=_("Team"), queryset=Team.objects.all(), empty_label=None)
    role = forms.ChoiceField(
        label=_("Role in the team"),
        choices=TeamRole.choices,
        initial=TeamRole.MEMBER,
        help_text=_("Of two groups that lead to one team, the one that grants more counts."),
    )

    def clean(self) -> dict[str, Any]:
        """Refuse a group that leads to the team already."""
        cleaned = super().clean() or {}
        found = {name: cleaned[name] for name in ("source", "group", "team") if name in cleaned}
        if len(found) == 3 and GroupMapping.objects.filter(**found).exists():
            self.say_taken()
        return cleaned

    def say_taken(self) -> None:
        """Say that the group leads to the team already."""
        self.add_error("group", ValidationError(_("This group leads to this team already."), code="taken"))


class TeamForm(forms.Form):
    """What a team is called."""

    name = forms.CharField(label=_("Name"), max_length=60, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, data: Any = None, *, team: Team | None = None) -> None:
        super().__init__(data, initial={"name": team.name} if team else None)
        self._team = team

    def clean_name(self) -> str:
        """Refuse what cannot be read, and the name of another team in whatever case."""
        name = str(self.cleaned_data["name"])
        if not name.isprintable():
            raise ValidationError(_("A name is one line of letters, digits and signs."), code="unprintable")
        others = Team.objects.exclude(pk=self._team.pk) if self._team else Team.objects.all()
        if others.filter(name__iexact=name).exists():
            self.say_taken()
        return name

    def say_taken(self) -> None:
        """Say that another team has the name."""
        self.add_error(
            "name", ValidationError(_("There is a team of this name already; choose another."), code="taken")
        )


class RemoveTeamForm(forms.Form):
    """Asks for the name of what goes."""

    confirmation = forms.CharField(label=_("Name of the team"), max_length=60)

    def __init__(self, data: Any = None, *, team: Team) -> None:
        super().__init__(data)
        self._team = team

    def clean_confirmation(self) -> str:
        """The name must be the team's."""
        typed = str(self.cleaned_data["confirmation"])
        if typed != self._team.name:
            raise ValidationError(
                _("This is not the team's name. Type “%(name)s” exactly."),
                code="name",
                params={"name": self._team.name},
            )
        return typed


class GrantForm(QuotaForm):
    """A host that a team may work on from now on, and how much of it."""

    host = _HostChoice(label=_("Host"), queryset=Host.objects.none(), empty_label=None)
    field_order = ("host",)

    def __init__(self, data: Any = None, *, team: Team) -> None:
        super().__init__(data, team=team)
        hosts = Host.objects.exclude(grants__team=team).defer("credentials", "info").order_by("name")
        self.fields["host"].queryset = hosts  # type: ignore[attr-defined]
