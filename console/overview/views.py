"""The first page, and the search that is on every page."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from console.accounts.models import User
from console.containers.access import access_container
from console.lib.htmx import is_fragment
from console.overview.queries import overview_page
from console.overview.search import actions_on, find


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """What needs somebody now; then hosts, counts and what was done lately."""
    name = "overview/_overview.html" if is_fragment(request) else "overview/overview.html"
    return render(request, name, {"page": overview_page(_user(request), host=request.GET.get("host", ""))})


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """The palette's lines for what was typed."""
    groups = find(_user(request), request.GET.get("q", ""))
    return render(request, "overview/_search.html", {"groups": groups})


@require_GET
def search_actions(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """The palette's lines for what can be done with one container."""
    user = _user(request)
    container = access_container(user, host_id, container_id, "container.view")
    return render(request, "overview/_search.html", {"groups": actions_on(user, container)})
