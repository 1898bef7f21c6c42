"""What programs are answered where people get a page: its data as JSON, from the same view, access and query.

``console.lib.problems.wants_json`` says who asks. Times are ISO 8601 in UTC, sizes bytes, ids whole, and no name of a
field is ever translated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, JsonResponse


def json_page(
    request: HttpRequest, items: Iterable[dict[str, Any]], *, total: int, previous: str = "", following: str = ""
) -> JsonResponse:
    """Answer with one page of a list. ``previous`` and ``following`` are the queries of its neighbours, if any."""
    return JsonResponse(
        {
            "items": list(items),
            "total": total,
            "previous": request.path + previous if previous else None,
            "next": request.path + following if following else None,
        }
    )
