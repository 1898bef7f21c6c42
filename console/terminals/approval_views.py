"""Asking to be let into a shell, and deciding about it."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts.models import Team
from console.containers.requests import person
from console.lib.htmx import is_fragment, redirect
from console.lib.origin import origin_of
from console.lib.problems import wants_json
from console.people.answers import show_form
from console.policies.queries import terms_of
from console.terminals import approval_services as services
from console.terminals.access import access_approval, access_shell_request
from console.terminals.forms import ApproveForm, ShellRequestForm
from console.terminals.list_views import answer, mistakes
from console.terminals.models import ShellApproval


@require_http_methods(["GET", "HEAD", "POST"])
def shell_ask(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Ask for a shell in a container whose policy wants an approval."""
    user = person(request)
    container = access_shell_request(user, host_id, container_id)
    if container.team_id is None or not terms_of(container.team_id).needs_approval:
        messages.info(request, _("A shell in %(name)s needs no approval.") % {"name": container.name})
        return redirect(request, reverse("container-terminal", args=[host_id, container_id]))
    form = ShellRequestForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            services.ask_for_shell(
                actor=user,
                container=container,
                team=Team.objects.get(pk=container.team_id),
                reason=form.cleaned_data["reason"],
                minutes=form.cleaned_data["minutes"],
                origin=origin_of(request),
            )
        except services.AskedAlready:
            return answer(
                request,
                _("You have asked for a shell in %(name)s already.") % {"name": container.name},
                level="warning",
                next_step=_("Whoever decides has been told."),
            )
        return answer(
            request,
            _("You have asked for a shell in %(name)s.") % {"name": container.name},
            next_step=_("Open the terminal once somebody has approved it."),
        )
    if form.is_bound and wants_json(request):
        return mistakes(request, form)
    return show_form(
        request,
        form,
        title=_("Ask for a shell in %(name)s") % {"name": container.name},
        submit=_("Ask"),
        back_url=reverse("container-detail", args=[host_id, container_id]),
        text=_("An owner of the team or an admin decides. The shell ends by itself when the time is over."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def shell_approve(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Let somebody into a shell for some minutes."""
    user = person(request)
    approval = access_approval(user, approval_id, "shell.approve")
    form = ApproveForm(request.POST if request.method == "POST" else None, asked=approval.minutes)
    if form.is_bound and form.is_valid():
        minutes = form.cleaned_data["minutes"]
        try:
            services.approve_shell(actor=user, approval=approval, minutes=minutes, origin=origin_of(request))
        except services.DecidedAlready:
            return _decided(request)
        words = _("%(person)s may have a shell in %(name)s for %(minutes)s minutes.")
        return answer(request, words % {**_names(approval), "minutes": minutes})
    if form.is_bound and wants_json(request):
        return mistakes(request, form)
    context = {"form": form, "approval": approval}
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    template = "terminals/_approve.html" if is_fragment(request) else "terminals/shell_approve.html"
    return render(request, template, context, status=status)


@require_POST
def shell_deny(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Let somebody into no shell, or no longer."""
    user = person(request)
    approval = access_approval(user, approval_id, "shell.deny")
    try:
        services.deny_shell(actor=user, approval=approval, origin=origin_of(request))
    except services.DecidedAlready:
        return _decided(request)
    return answer(request, _("%(person)s gets no shell in %(name)s.") % _names(approval))


@require_POST
def shell_withdraw(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Take back what one asked for."""
    user = person(request)
    approval = access_approval(user, approval_id, "shell.withdraw")
    try:
        services.withdraw_request(actor=user, approval=approval, origin=origin_of(request))
    except services.DecidedAlready:
        return _decided(request)
    return answer(request, _("Your request for a shell in %(name)s is withdrawn.") % _names(approval))


def _decided(request: HttpRequest) -> HttpResponse:
    return answer(request, _("This was decided meanwhile, or withdrawn, so nothing was done."), level="warning")


def _names(approval: ShellApproval) -> dict[str, str]:
    return {"person": approval.person.get_short_name(), "name": approval.container_name}
