"""Pages of people."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts.models import Role
from console.lib.htmx import redirect
from console.lib.origin import origin_of
from console.lib.problems import BadInput
from console.people import invitation_services, services
from console.people.access import access_invitation, access_people, access_person, person_of
from console.people.answers import show_form, show_link
from console.people.forms import InvitationForm, RoleForm
from console.people.queries import open_invitations, people_page
from console.rbac.access import check
from console.rbac.policy import allowed

_LONGEST_SEARCH = 200


@require_GET
def people_list(request: HttpRequest) -> HttpResponse:
    """Everybody, and the invitations that are open."""
    user = person_of(request)
    people = access_people(user)
    search = request.GET.get("q", "").strip()[:_LONGEST_SEARCH]
    context = {
        "page": people_page(people, search=search, number=request.GET.get("page", "")),
        "search": search,
        "invitations": open_invitations(user),
        "roles": Role.choices,
        "may_invite": allowed(user, "person.invite"),
        "may_change": allowed(user, "person.change_role"),
    }
    return render(request, "people/people_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def person_invite(request: HttpRequest) -> HttpResponse:
    """Make a link by which somebody joins the console."""
    user = person_of(request)
    check(user, "person.invite")
    form = InvitationForm(request.POST if request.method == "POST" else None)
    back_url = reverse("people-list")
    if form.is_bound and form.is_valid():
        issued = invitation_services.invite(actor=user, origin=origin_of(request), **form.wanted)
        return show_link(request, issued, back_url=back_url)
    return show_form(request, form, title=_("Invite somebody"), submit=_("Make the link"), back_url=back_url)


@require_POST
def invitation_revoke(request: HttpRequest, invitation_id: UUID) -> HttpResponse:
    """Make an open invitation worthless."""
    user = person_of(request)
    invitation = access_invitation(user, invitation_id)
    try:
        invitation_services.revoke_invitation(actor=user, invitation=invitation, origin=origin_of(request))
    except invitation_services.InvitationSpent:
        messages.warning(request, _("This invitation was used, revoked or too old already."))
    else:
        messages.success(request, _("The invitation is revoked; its link does not work any more."))
    if allowed(user, "person.view"):
        return redirect(request, reverse("people-list"))
    return redirect(request, reverse("team-detail", args=[invitation.team_id]))


@require_POST
def person_change_role(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """Make somebody an admin, an auditor or a plain user."""
    user = person_of(request)
    person = access_person(user, person_id, "person.change_role")
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise BadInput(_("There is no such role."))
    role = form.cleaned_data["role"]
    services.change_console_role(actor=user, person=person, role=role, origin=origin_of(request))
    messages.success(
        request,
        _("The role of %(name)s in the console is now: %(role)s.")
        % {"name": person.username, "role": Role(role).label},
    )
    return redirect(request, reverse("people-list"))


@require_POST
def person_suspend(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """Shut somebody out."""
    user = person_of(request)
    person = access_person(user, person_id, "person.suspend")
    services.suspend_person(actor=user, person=person, origin=origin_of(request))
    messages.success(request, _("%(name)s is suspended. Every session has ended.") % {"name": person.username})
    return redirect(request, reverse("people-list"))


@require_POST
def person_restore(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """Let somebody in again."""
    user = person_of(request)
    person = access_person(user, person_id, "person.restore")
    services.restore_person(actor=user, person=person, origin=origin_of(request))
    messages.success(request, _("%(name)s may sign in again.") % {"name": person.username})
    return redirect(request, reverse("people-list"))


@require_POST
def person_revoke_tokens(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """Make somebody's API tokens worthless."""
    user = person_of(request)
    person = access_person(user, person_id, "person.revoke_tokens")
    count = services.revoke_tokens(actor=user, person=person, origin=origin_of(request))
    text = ngettext(
        "%(count)s API token of %(name)s is revoked.", "%(count)s API tokens of %(name)s are revoked.", count
    )
    messages.success(request, text % {"count": count, "name": person.username})
    return redirect(request, reverse("people-list"))


@require_POST
def person_reset_second_factor(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """Let somebody in with the password alone, who has lost app, keys and recovery codes."""
    user = person_of(request)
    person = access_person(user, person_id, "person.reset_second_factor")
    if services.reset_second_factor(actor=user, person=person, origin=origin_of(request)):
        messages.success(
            request, _("The second factor of %(name)s is reset. Every session has ended.") % {"name": person.username}
        )
    else:
        messages.info(request, _("%(name)s has no second factor.") % {"name": person.username})
    return redirect(request, reverse("people-list"))
