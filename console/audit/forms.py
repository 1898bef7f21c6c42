"""The filter of the record, and the form it is taken away with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from console.audit.models import Outcome
from console.audit.queries import AuditFilter

#: Beyond, a moment has no name in every time zone.
_SENSIBLE = [MinValueValidator(datetime(1970, 1, 1, tzinfo=UTC)), MaxValueValidator(datetime(2200, 1, 1, tzinfo=UTC))]


class AuditFilterForm(forms.Form):
    """All optional; what makes no sense is left out and said at the field."""

    since = forms.DateTimeField(label=_("Since"), required=False, validators=_SENSIBLE)
    until = forms.DateTimeField(label=_("Until"), required=False, validators=_SENSIBLE)
    action = forms.CharField(label=_("Action"), required=False, max_length=60)
    person = forms.CharField(label=_("Person"), required=False, max_length=120)
    outcome = forms.ChoiceField(label=_("Outcome"), required=False, choices=[("", _("Any outcome")), *Outcome.choices])
    host = forms.CharField(label=_("Host"), required=False, max_length=120)
    object = forms.CharField(label=_("Object"), required=False, max_length=255)
    address = forms.CharField(label=_("Address"), required=False, max_length=45)
    q = forms.CharField(label=_("Search"), required=False, max_length=255)

    def clean(self) -> dict[str, Any]:
        """An end before the beginning is a mistake, not an empty list."""
        data = self.cleaned_data
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", _("The end must come after the beginning."))
        return data

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

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What makes no sense, as (label, message)."""
        return [(str(self.fields[name].label), str(messages[0])) for name, messages in self.errors.items()]


class PageForm(forms.Form):
    """Where a page of the record begins."""

    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def start(self) -> int | None:
        """Return the row before which it begins; none for the newest."""
        return self.cleaned_data["before"] if self.is_valid() else None


class ExportForm(AuditFilterForm):
    """What is taken away, and as what. Here nothing is left out silently: that would be other rows than were meant."""

    format = forms.ChoiceField(choices=[("csv", "CSV"), ("jsonl", "JSON lines")])
