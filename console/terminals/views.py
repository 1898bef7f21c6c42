"""Tickets for terminals."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from console.containers.access import access_container
from console.containers.requests import person
from console.lib.origin import origin_of
from console.lib.problems import field_errors
from console.terminals import services
from console.terminals.access import ACTIONS, access_terminal, check_let_in
from console.terminals.forms import ReturnForm, TicketForm


def _return_ticket(request: HttpRequest) -> HttpResponse:
    """A ticket for a terminal that is open already."""
    form = ReturnForm(request.POST)
    if not form.is_valid():
        return field_errors(form)
    actor = person(request)
    session = access_terminal(actor, form.cleaned_data["session"], "terminal.watch")
    ticket = services.issue_return(
        actor=actor, session_key=request.session.session_key or "", session=session, origin=origin_of(request)
    )
    return JsonResponse({"ticket": ticket, "session": str(session.pk)})


@require_POST
def terminal_ticket(request: HttpRequest) -> HttpResponse:
    """Issue a single-use ticket that opens one terminal, or comes back to one, within 30 seconds."""
    if "session" in request.POST:
        return _return_ticket(request)
    form = TicketForm(request.POST)
    if not form.is_valid():
        return field_errors(form)
    data = form.cleaned_data
    actor = person(request)
    container = access_container(actor, data["host"], data["container"], ACTIONS[data["kind"]])
    check_let_in(actor, container, kind=data["kind"])
    ticket, session = services.issue_ticket(
        actor=actor,
        session_key=request.session.session_key or "",
        container=container,
        kind=data["kind"],
        parameters={"command": data["command"], "user": data["user"]},
        title=data["title"],
        origin=origin_of(request),
    )
    return JsonResponse({"ticket": ticket, "session": str(session.pk)})
