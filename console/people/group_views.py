"""Pages of groups from single sign-on."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.lib.htmx import redirect
from console.lib.origin import origin_of
from console.people import group_services
from console.people.access import access_mapping, access_mappings, person_of
from console.people.answers import show_form
from console.people.forms import GroupForm
from console.people.queries import roles_by_group
from console.rbac.access import check
from console.rbac.policy import allowed


@require_GET
def group_list(request: HttpRequest) -> HttpResponse:
    """Which groups lead to which teams, and which give a role in the console."""
    user = person_of(request)
    context = {
        "mappings": access_mappings(user),
        "roles": roles_by_group(),
        "is_set_up": settings.SIGN_IN.is_configured,
        "may_change": allowed(user, "group.map"),
    }
    return render(request, "people/group_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def group_map(request: HttpRequest) -> HttpResponse:
    """Let people of a group be in a team."""
    user = person_of(request)
    check(user, "group.map")
    form = GroupForm(request.POST if request.method == "POST" else None)
    back_url = reverse("group-list")
    if form.is_bound and form.is_valid():
        try:
            mapping = group_services.map_group(actor=user, origin=origin_of(request), **form.cleaned_data)
        except group_services.MappedAlready:
            form.say_taken()
        else:
            messages.success(
                request,
                _("People of %(group)s come to the team %(team)s with their next sign-in.")
                % {"group": mapping.group, "team": mapping.team.name},
            )
            return redirect(request, back_url)
    return show_form(
        request,
        form,
        title=_("Map a group to a team"),
        submit=_("Map the group"),
        back_url=back_url,
        text=_("It takes effect when somebody signs in. Memberships that were given by hand stay as they are."),
    )


@require_POST
def group_unmap(request: HttpRequest, mapping_id: int) -> HttpResponse:
    """Let a group lead to a team no longer."""
    user = person_of(request)
    mapping = access_mapping(user, mapping_id, "group.unmap")
    group_services.unmap_group(actor=user, mapping=mapping, origin=origin_of(request))
    messages.success(
        request,
        _("%(group)s does not lead to the team %(team)s any more.")
        % {"group": mapping.group, "team": mapping.team.name},
    )
    return redirect(request, reverse("group-list"))
