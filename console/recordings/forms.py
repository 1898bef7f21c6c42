"""What somebody looks for among recordings, and where in one."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from console.lib.periods import PeriodForm
from console.recordings.queries import RecordingFilter


class RecordingFilterForm(PeriodForm):
    """All optional; what makes no sense is left out and said above the list."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    person = forms.CharField(label=_("Person"), required=False, max_length=120)
    container = forms.CharField(label=_("Container"), required=False, max_length=255)

    def wanted(self) -> RecordingFilter:
        """Return what was understood."""
        self.is_valid()
        data = self.cleaned_data
        return RecordingFilter(
            text=data.get("q", ""),
            person=data.get("person", ""),
            container=data.get("container", ""),
            since=data.get("since"),
            until=data.get("until"),
        )


class PageForm(forms.Form):
    """Which page of the list."""

    page = forms.IntegerField(required=False, min_value=1, max_value=10_000)

    def number(self) -> int:
        """Return it; the first when none makes sense."""
        return (self.cleaned_data["page"] or 1) if self.is_valid() else 1


class SearchForm(forms.Form):
    """What is looked for within one recording."""

    q = forms.CharField(required=False, max_length=200)

    def words(self) -> str:
        """Return it, empty when it makes no sense."""
        return str(self.cleaned_data["q"]) if self.is_valid() else ""


class MomentForm(forms.Form):
    """Where a replay begins."""

    t = forms.FloatField(required=False, min_value=0, max_value=10_000_000)

    def seconds(self) -> float:
        """Return it in seconds."""
        return (self.cleaned_data["t"] or 0.0) if self.is_valid() else 0.0
