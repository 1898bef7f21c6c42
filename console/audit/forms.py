"""The filter of the record."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from console.audit.models import Outcome
from console.audit.queries import AuditFilter


class AuditFilterForm(forms.Form):
    """All optional; what makes no sense is left out and said at the field."""

    action = forms.CharField(label=_("Action"), required=False, max_length=60)
    person = forms.CharField(label=_("Person"), required=False, max_length=120)
    outcome = forms.ChoiceField(label=_("Outcome"), required=False, choices=[("", _("Any outcome")), *Outcome.choices])
    q = forms.CharField(label=_("Object or host"), required=False, max_length=255)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)

    def wanted(self) -> AuditFilter:
        """Return what was understood."""
        self.is_valid()
        data = self.cleaned_data
        return AuditFilter(
            action=data.get("action", ""),
            person=data.get("person", ""),
            outcome=data.get("outcome", ""),
            text=data.get("q", ""),
            before=data.get("before"),
        )
