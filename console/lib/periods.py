"""The part that forms for lists over time have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext_lazy as _

#: Beyond, a moment has no name in every time zone.
_SENSIBLE = [MinValueValidator(datetime(1970, 1, 1, tzinfo=UTC)), MaxValueValidator(datetime(2200, 1, 1, tzinfo=UTC))]


class PeriodForm(forms.Form):
    """From when until when, both optional."""

    since = forms.DateTimeField(label=_("Since"), required=False, validators=_SENSIBLE)
    until = forms.DateTimeField(label=_("Until"), required=False, validators=_SENSIBLE)

    def clean(self) -> dict[str, Any]:
        """An end before the beginning is a mistake, not an empty list."""
        data = self.cleaned_data
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", _("The end must come after the beginning."))
        return data

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What makes no sense, as (label, message)."""
        return [(str(self.fields[name].label), str(messages[0])) for name, messages in self.errors.items()]
