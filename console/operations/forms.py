"""What a person says about operations, parsed."""

from __future__ import annotations

from django import forms


class SeenForm(forms.Form):
    """Until when somebody has seen what ended."""

    until = forms.DateTimeField()
