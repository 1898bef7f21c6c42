"""The filter of the record, and the form it is taken away with."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from console.audit.models import Outcome
from console.audit.queries import AuditFilter
from console.lib.periods import PeriodForm


class AuditFilterForm(PeriodForm):
    """All optional; what makes no sense is left out and said at the field."""

    action = forms.CharField(label=_("Action"), required=False, max_length=60)
    person = forms.CharField(label=_("Person"), required=False, max_length=120)
    outcome = forms.ChoiceField(label=_("Outcome"), required=False, choices=[("", _("Any outcome")), *Outcome.choices])
    host = forms.CharField(label=_("Host"), required=False, max_length=120)
    object = forms.CharField(label=_("Object"), required=False, max_length=255)
    address = forms.CharField(label=_("Address"), required=False, max_length=45)
    q = forms.CharField(label=_("Search"), required=False, max_length=255)

    def wanted(self) -> AuditFilter:
        """Return what was understood."""
        self.is_valid()
        data = self.cleaned_data
        texts = ("action", "person", "outcome", "host", "object", "address")
        return AuditFilter(
            since=data.get("since"),
            until=data.get("until"),
            text=data.get("q", ""),
            **{name: data.get(name, "") for name in texts},
        )


class PageForm(forms.Form):
    """Where a page of the record begins."""

    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def start(self) -> int | None:
        """Return the row before which it begins; none for the newest."""
        return self.cleaned_data["before"] if self.is_valid() else None


class ExportForm(AuditFilterForm):
    """What is taken away, and as what. Here nothing is left out silently: that would be other rows than were meant."""

    format = forms.ChoiceField(choices=[("csv", "CSV"), ("jsonl", "JSON lines")])
