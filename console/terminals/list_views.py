"""The page of terminals, and what is done there to terminals that run."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts.models import User
from console.containers.requests import person
from console.lib.htmx import Level, close_dialog, is_fragment, redirect, toast
from console.lib.origin import origin_of
from console.lib.problems import Problem, unacceptable, wants_json
from console.lib.problems import answer as answer_problem
from console.lib.programs import json_page
from console.people.answers import show_form
from console.terminals import oversight_services as services
from console.terminals import queries
from console.terminals.access import access_terminal
from console.terminals.forms import HandOverForm, MessageForm, ShareForm
from console.terminals.models import TerminalSession


@require_GET
def terminal_list(request: HttpRequest) -> HttpResponse:
    """Who has a shell where; who asks for one; how the last ones ended."""
    user = person(request)
    filters = queries.Filters.of(request.GET)
    page = queries.terminal_page(user, filters)
    if wants_json(request):
        return json_page(request, (queries.as_json(row) for row in page.running), total=len(page.running) + page.left)
    return render(request, "terminals/terminal_list.html", {"page": page, "filters": filters})


@require_GET
def terminal_waiting(request: HttpRequest) -> HttpResponse:
    """How many requests for shells wait for the reader, and where the reader is let in: for the top bar."""
    return render(request, "terminals/_waiting.html", {"waiting": queries.waiting_for(person(request))})


def answer(request: HttpRequest, text: str, *, level: Level = "success", next_step: str = "") -> HttpResponse:
    """Say how it went: in a corner of the page, which changes by itself; without scripts on the list."""
    if is_fragment(request):
        return close_dialog(toast(HttpResponse(status=HTTPStatus.NO_CONTENT), level, text, next_step=next_step))
    if wants_json(request) and level == "success":
        return JsonResponse({"message": text})
    if wants_json(request):
        problem = Problem(status=HTTPStatus.CONFLICT, code="not_done", title=text, message=text, next_step=next_step)
        return answer_problem(request, problem)
    messages.add_message(request, messages.SUCCESS if level == "success" else messages.WARNING, f"{text} {next_step}")
    return redirect(request, reverse("terminal-list"))


def mistakes(request: HttpRequest, form: Form) -> HttpResponse:
    """Say what is wrong with ``form`` to a program, or to a terminal, which has no form to show."""
    return unacceptable(request, " ".join(str(found[0]) for found in form.errors.values()))


def _not_done(request: HttpRequest, problem: services.NotDone) -> HttpResponse:
    if problem.is_away:
        return answer(
            request,
            _("The stream hub does not answer, so nothing was done."),
            level="warning",
            next_step=_("Try again in a moment."),
        )
    return answer(request, _("This terminal has ended meanwhile."), level="warning")


def _name(session: TerminalSession) -> dict[str, str]:
    return {"name": session.container_name}


# Sharing


@require_http_methods(["GET", "HEAD", "POST"])
def terminal_share(request: HttpRequest, terminal_id: UUID) -> HttpResponse:
    """Let somebody watch one's terminal, or type into it."""
    user = person(request)
    session = access_terminal(user, terminal_id, "terminal.share")
    people = queries.candidates(session)
    form = ShareForm(
        request.POST if request.method == "POST" else None, watchers=people.watchers, typists=people.typists
    )
    if form.is_bound and form.is_valid():
        somebody, types = form.cleaned_data["person"], form.cleaned_data["role"] == "type"
        services.share_terminal(actor=user, session=session, person=somebody, types=types, origin=origin_of(request))
        words = (
            _("%(person)s may watch and type in %(name)s now.") if types else _("%(person)s may watch %(name)s now.")
        )
        return answer(request, words % {"person": somebody.get_short_name(), **_name(session)})
    if form.is_bound and wants_json(request):
        return mistakes(request, form)
    context = {
        "form": form,
        "session": session,
        "shares": session.shares.select_related("person").order_by("person__username"),
        "may_hand_over": bool(people.typists),
        "has_people": bool(people.watchers),
        "title": _("Share the terminal in %(name)s") % _name(session),
    }
    template = "terminals/_share.html" if is_fragment(request) else "terminals/terminal_share.html"
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    return render(request, template, context, status=status)


@require_GET
def terminal_people(request: HttpRequest, terminal_id: UUID) -> HttpResponse:
    """With whom one's terminal can be shared, and is: for the terminal itself."""
    session = access_terminal(person(request), terminal_id, "terminal.share")
    return JsonResponse(queries.people_of(session), safe=False)


@require_POST
def terminal_unshare(request: HttpRequest, terminal_id: UUID, person_id: UUID) -> HttpResponse:
    """Put somebody out of one's terminal."""
    user = person(request)
    session = access_terminal(user, terminal_id, "terminal.unshare")
    somebody = get_object_or_404(User, pk=person_id, terminal_shares__session=session)
    services.unshare_terminal(actor=user, session=session, person=somebody, origin=origin_of(request))
    return answer(
        request, _("%(person)s is out of %(name)s.") % {"person": somebody.get_short_name(), **_name(session)}
    )


@require_http_methods(["GET", "HEAD", "POST"])
def terminal_hand_over(request: HttpRequest, terminal_id: UUID) -> HttpResponse:
    """Make one's terminal somebody else's."""
    user = person(request)
    session = access_terminal(user, terminal_id, "terminal.hand_over")
    people = queries.candidates(session)
    form = HandOverForm(request.POST if request.method == "POST" else None, typists=people.typists)
    if form.is_bound and form.is_valid():
        somebody = form.cleaned_data["person"]
        try:
            services.hand_over_terminal(actor=user, session=session, person=somebody, origin=origin_of(request))
        except services.NotDone as problem:
            return _not_done(request, problem)
        except services.NotSignedIn:
            form.add_error("person", _("This person is not signed in now. Hand it over while they are here."))
        else:
            words = _("The terminal in %(name)s is that of %(person)s now.")
            return answer(request, words % {"person": somebody.get_short_name(), **_name(session)})
    if form.is_bound and wants_json(request):
        return mistakes(request, form)
    return show_form(
        request,
        form,
        title=_("Hand over the terminal in %(name)s") % _name(session),
        submit=_("Hand it over"),
        back_url=reverse("terminal-list"),
        text=_("They share it from then on, and end it. You may go on watching and typing until they put you out."),
    )


# Oversight


@require_POST
def terminal_end(request: HttpRequest, terminal_id: UUID) -> HttpResponse:
    """End a terminal with what runs in it."""
    user = person(request)
    session = access_terminal(user, terminal_id, "terminal.end")
    try:
        services.end_terminal(actor=user, session=session, origin=origin_of(request))
    except services.NotDone as problem:
        return _not_done(request, problem)
    return answer(request, _("The terminal in %(name)s is ended.") % _name(session))


@require_POST
def terminal_lock(request: HttpRequest, terminal_id: UUID) -> HttpResponse:
    """Have a terminal take no input."""
    return _set_lock(request, access_terminal(person(request), terminal_id, "terminal.lock"), locked=True)


@require_POST
def terminal_unlock(request: HttpRequest, terminal_id: UUID) -> HttpResponse:
    """Have a terminal take input again."""
    return _set_lock(request, access_terminal(person(request), terminal_id, "terminal.unlock"), locked=False)


def _set_lock(request: HttpRequest, session: TerminalSession, *, locked: bool) -> HttpResponse:
    try:
        services.lock_terminal(actor=person(request), session=session, locked=locked, origin=origin_of(request))
    except services.NotDone as problem:
        return _not_done(request, problem)
    words = (
        _("The terminal in %(name)s takes no input any more.") if locked else _("The terminal in %(name)s takes input.")
    )
    return answer(request, words % _name(session))


@require_http_methods(["GET", "HEAD", "POST"])
def terminal_message(request: HttpRequest, terminal_id: UUID) -> HttpResponse:
    """Show a message to everybody who is at a terminal."""
    user = person(request)
    session = access_terminal(user, terminal_id, "terminal.message")
    form = MessageForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            services.message_terminal(
                actor=user, session=session, text=form.cleaned_data["text"], origin=origin_of(request)
            )
        except services.NotDone as problem:
            return _not_done(request, problem)
        return answer(request, _("Shown to everybody at the terminal in %(name)s.") % _name(session))
    if form.is_bound and wants_json(request):
        return mistakes(request, form)
    return show_form(
        request,
        form,
        title=_("Message to the terminal in %(name)s") % _name(session),
        submit=_("Show it"),
        back_url=reverse("terminal-list"),
    )
