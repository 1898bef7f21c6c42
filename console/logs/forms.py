"""What the address of a kept log says: which part of it, and what is looked for."""

from __future__ import annotations

from datetime import UTC, datetime

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

from console.logs.reading import LONGEST_PATTERN, Place

#: Beyond, a moment has no name in every time zone.
_SENSIBLE = [MinValueValidator(datetime(1970, 1, 1, tzinfo=UTC)), MaxValueValidator(datetime(2200, 1, 1, tzinfo=UTC))]


class ReadForm(forms.Form):
    """All optional; what makes no sense is left out, and said where a person could have written it."""

    at = forms.DateTimeField(label=_("Go to"), required=False, validators=_SENSIBLE)
    q = forms.CharField(label=_("Search"), required=False, max_length=LONGEST_PATTERN, strip=False)
    regex = forms.BooleanField(label=_("Regular expression"), required=False)
    case = forms.BooleanField(label=_("Match case"), required=False)
    alone = forms.BooleanField(label=_("This container only"), required=False)
    edge = forms.ChoiceField(required=False, choices=[("first", ""), ("last", "")])
    before = forms.CharField(required=False, max_length=60)
    after = forms.CharField(required=False, max_length=60)
    around = forms.CharField(required=False, max_length=60)
    timestamps = forms.BooleanField(required=False)

    def place(self, name: str) -> Place | None:
        """Return the place that the address names; ``None`` for none, and for what is no place."""
        return Place.parse(self.cleaned_data.get(name) or "")
