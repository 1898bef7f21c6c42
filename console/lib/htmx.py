"""What views say to the page beside their answer: toasts, events, where to go."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

Level = Literal["success", "info", "warning", "error"]
AnyResponse = TypeVar("AnyResponse", bound=HttpResponseBase)


def is_fragment(request: HttpRequest) -> bool:
    """Whether HTMX asks for a part of a page; boosted visits and the back button want a whole one."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def trigger(response: AnyResponse, event: str, detail: dict[str, Any] | None = None) -> AnyResponse:
    """Fire ``event`` in the page when ``response`` arrives. May be called several times."""
    events: dict[str, Any] = json.loads(response.headers.get("HX-Trigger", "{}"))
    events[event] = detail or {}
    response.headers["HX-Trigger"] = json.dumps(events)
    return response


def toast(
    response: AnyResponse,
    level: Level,
    text: object,
    *,
    detail: object = "",
    next_step: object = "",
    url: str = "",
    url_label: object = "",
) -> AnyResponse:
    """Show ``text`` in a corner of the page; ``detail`` says the cause, ``next_step`` what to do, ``url`` where."""
    events: dict[str, Any] = json.loads(response.headers.get("HX-Trigger", "{}"))
    toasts = events.get("toasts", {}).get("items", [])
    item = {"level": level, "title": str(text)}
    if detail:
        item["detail"] = str(detail)
    if next_step:
        item["next"] = str(next_step)
    if url:
        item["url"], item["label"] = url, str(url_label)
    return trigger(response, "toasts", {"items": [*toasts, item]})


def close_dialog(response: AnyResponse) -> AnyResponse:
    """Close the dialog that the request came from."""
    return trigger(response, "dialog:close")


def redirect(request: HttpRequest, url: str) -> HttpResponse:
    """Lead to ``url``: by swapping the main part for a fragment's request, else by an ordinary redirect."""
    if not is_fragment(request):
        return HttpResponseRedirect(url)
    location = {"path": url, "target": "#main", "select": "#main", "swap": "outerHTML"}
    return HttpResponse(status=204, headers={"HX-Location": json.dumps(location)})
