"""What a person asks the search over a log for, parsed and bounded."""

from __future__ import annotations

from typing import Any

from django import forms

from console.terminals.forms import LogsForm
from console.terminals.log_search import Place, Query


class SearchForm(LogsForm):
    """What to look for in a container's log, and how much around it to give."""

    q = forms.CharField(max_length=500, strip=False)
    regex = forms.BooleanField(required=False)
    case = forms.BooleanField(required=False)
    before = forms.IntegerField(min_value=0, max_value=20, required=False)
    after = forms.IntegerField(min_value=0, max_value=20, required=False)
    limit = forms.IntegerField(min_value=1, max_value=1000, required=False)
    more = forms.RegexField(r"^[0-9]{1,20}\.[0-9]{1,9}$", required=False)

    def query(self) -> Query:
        """What the search is asked with."""
        data = self.cleaned_data
        return Query(
            text=data["q"],
            is_pattern=data["regex"],
            matches_case=data["case"],
            before=data["before"] or 0,
            after=data["after"] or 0,
            limit=data["limit"] or 200,
            place=Place.parse(data["more"]) if data["more"] else None,
        )

    def arguments(self) -> dict[str, Any]:
        """Lines are told apart by their timestamps; where the request before stopped, this one goes on."""
        query = self.query()
        arguments = {**super().arguments(), "timestamps": True, "follow": False}
        if query.place is not None:
            arguments["tail"] = None
            arguments["since"] = query.place.since
        return arguments
