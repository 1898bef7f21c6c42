"""What somebody looks for among recordings, and where in one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from console.recordings.queries import RecordingFilter

#: Beyond, a moment has no name in every time zone.
_SENSIBLE = [MinValueValidator(datetime(1970, 1, 1, tzinfo=UTC)), MaxValueValidator(datetime(2200, 1, 1, tzinfo=UTC))]


class RecordingFilterForm(forms.Form):
    """All optional; what makes no sense is left out and said above the list."""

    q = forms.CharField(label=_("Search"), required=False, max_length=200)
    person = forms.CharField(label=_("Person"), required=False, max_length=120)
    container = forms.CharField(label=_("Container"), required=False, max_length=255)
    since = forms.DateTimeField(label=_("Since"), required=False, validators=_SENSIBLE)
    until = forms.DateTimeField(label=_("Until"), required=False, validators=_SENSIBLE)

    def clean(self) -> dict[str, Any]:
        """An end before the beginning is a mistake, not an empty list."""
        data = self.cleaned_data
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", _("The end must come after the beginning."))
        return data

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

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What makes no sense, as (label, message)."""
        return [(str(self.fields[name].label), str(messages[0])) for name, messages in self.errors.items()]


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
