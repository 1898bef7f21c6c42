"""Pages of teams."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts.models import Team, TeamRole
from console.lib.htmx import redirect
from console.lib.origin import origin_of
from console.lib.problems import BadInput
from console.people import invitation_services, team_services
from console.people.access import access_grant, access_membership, access_team, access_teams, person_of
from console.people.answers import show_form, show_link
from console.people.forms import GrantForm, RemoveTeamForm, TeamForm, TeamInvitationForm, TeamRoleForm
from console.people.queries import team_page, team_rows
from console.policies.forms import QuotaForm
from console.rbac.access import check
from console.rbac.policy import allowed


def _url(team: Team) -> str:
    return reverse("team-detail", args=[team.pk])


@require_GET
def team_list(request: HttpRequest) -> HttpResponse:
    """The teams that one may know of."""
    user = person_of(request)
    context = {
        "teams": team_rows(access_teams(user)),
        "may_create": allowed(user, "team.create"),
        "may_see_people": allowed(user, "person.view"),
    }
    return render(request, "people/team_list.html", context)


@require_GET
def team_detail(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """One team: its people, its hosts, what it owns."""
    user = person_of(request)
    team = access_team(user, team_id, "team.view")
    return render(request, "people/team_detail.html", {"page": team_page(user, team), "roles": TeamRole.choices})


@require_http_methods(["GET", "HEAD", "POST"])
def team_create(request: HttpRequest) -> HttpResponse:
    """Make a team."""
    user = person_of(request)
    check(user, "team.create")
    form = TeamForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            team = team_services.create_team(actor=user, name=form.cleaned_data["name"], origin=origin_of(request))
        except team_services.NameTaken:
            form.say_taken()
        else:
            messages.success(request, _("The team %(team)s is there. Invite its first owner.") % {"team": team.name})
            return redirect(request, _url(team))
    return show_form(
        request, form, title=_("Create a team"), submit=_("Create the team"), back_url=reverse("team-list")
    )


@require_http_methods(["GET", "HEAD", "POST"])
def team_rename(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """Call a team something else."""
    user = person_of(request)
    team = access_team(user, team_id, "team.rename")
    form = TeamForm(request.POST if request.method == "POST" else None, team=team)
    title = _("Rename the team %(team)s") % {"team": team.name}
    if form.is_bound and form.is_valid():
        try:
            team_services.rename_team(actor=user, team=team, name=form.cleaned_data["name"], origin=origin_of(request))
        except team_services.NameTaken:
            form.say_taken()
        else:
            messages.success(request, _("The team is called %(team)s now.") % {"team": team.name})
            return redirect(request, _url(team))
    return show_form(request, form, title=title, submit=_("Rename"), back_url=_url(team))


@require_http_methods(["GET", "HEAD", "POST"])
def team_remove(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """Remove a team that owns nothing, after its name was typed."""
    user = person_of(request)
    team = access_team(user, team_id, "team.remove")
    form = RemoveTeamForm(request.POST if request.method == "POST" else None, team=team)
    if form.is_bound and form.is_valid():
        name = team.name
        team_services.remove_team(actor=user, team=team, origin=origin_of(request))
        messages.success(request, _("The team %(team)s is removed.") % {"team": name})
        return redirect(request, reverse("team-list"))
    return show_form(
        request,
        form,
        title=_("Remove the team %(team)s?") % {"team": team.name},
        submit=_("Remove the team"),
        back_url=_url(team),
        text=_("Its people stay in the console and lose their rights in the team; its invitations stop working."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def team_invite(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """Make a link by which somebody joins the team."""
    user = person_of(request)
    team = access_team(user, team_id, "team.invite")
    form = TeamInvitationForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        issued = invitation_services.invite(actor=user, team=team, origin=origin_of(request), **form.wanted)
        return show_link(request, issued, back_url=_url(team))
    title = _("Invite somebody to the team %(team)s") % {"team": team.name}
    return show_form(request, form, title=title, submit=_("Make the link"), back_url=_url(team))


@require_POST
def team_change_role(request: HttpRequest, team_id: UUID, person_id: UUID) -> HttpResponse:
    """Let somebody do more or less in the team."""
    user = person_of(request)
    membership = access_membership(user, team_id, person_id, "team.change_role")
    form = TeamRoleForm(request.POST)
    if not form.is_valid():
        raise BadInput(_("There is no such role."))
    role = form.cleaned_data["role"]
    team_services.change_member_role(actor=user, membership=membership, role=role, origin=origin_of(request))
    messages.success(
        request,
        _("The role of %(name)s in the team is now: %(role)s.")
        % {"name": membership.person.username, "role": TeamRole(role).label},
    )
    return redirect(request, _url(membership.team))


@require_POST
def team_remove_member(request: HttpRequest, team_id: UUID, person_id: UUID) -> HttpResponse:
    """Take somebody out of the team."""
    user = person_of(request)
    membership = access_membership(user, team_id, person_id, "team.remove_member")
    team_services.remove_member(actor=user, membership=membership, origin=origin_of(request))
    messages.success(request, _("%(name)s is not in the team any more.") % {"name": membership.person.username})
    return redirect(request, _url(membership.team) if person_id != user.pk or user.oversees else reverse("overview"))


@require_POST
def team_leave(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """Take oneself out of the team."""
    user = person_of(request)
    membership = access_membership(user, team_id, user.pk, "team.leave")
    team_services.leave(actor=user, membership=membership, origin=origin_of(request))
    messages.success(request, _("You have left the team %(team)s.") % {"team": membership.team.name})
    return redirect(request, reverse("overview"))


@require_http_methods(["GET", "HEAD", "POST"])
def team_grant_host(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """Let a team work on a host."""
    user = person_of(request)
    team = access_team(user, team_id, "team.grant_host")
    form = GrantForm(request.POST if request.method == "POST" else None, team=team)
    if form.is_bound and form.is_valid():
        host = form.cleaned_data["host"]
        team_services.grant_host(actor=user, team=team, host=host, quota=form.quota, origin=origin_of(request))
        messages.success(
            request, _("The team %(team)s may work on %(host)s now.") % {"team": team.name, "host": host.name}
        )
        return redirect(request, _url(team))
    return show_form(
        request,
        form,
        title=_("Give the team %(team)s a host") % {"team": team.name},
        submit=_("Give the host"),
        back_url=_url(team),
        text=_("Its members and owners may create containers there, and see only what the team owns."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def team_edit_quota(request: HttpRequest, team_id: UUID, host_id: UUID) -> HttpResponse:
    """Change how much of a host the team has."""
    user = person_of(request)
    grant = access_grant(user, team_id, host_id, "team.edit_quota")
    team, host = grant.team, grant.host
    form = QuotaForm(request.POST if request.method == "POST" else None, team=team, host=host, grant=grant)
    if form.is_bound and form.is_valid():
        team_services.edit_quota(actor=user, grant=grant, quota=form.quota, origin=origin_of(request))
        messages.success(
            request, _("The quota of the team %(team)s on %(host)s is saved.") % {"team": team.name, "host": host.name}
        )
        return redirect(request, _url(team))
    return show_form(
        request,
        form,
        title=_("Quota of the team %(team)s on %(host)s") % {"team": team.name, "host": host.name},
        submit=_("Save"),
        back_url=_url(team),
        text=_("What the team has already stays, also beyond a smaller quota; it only gets nothing more."),
    )


@require_POST
def team_revoke_host(request: HttpRequest, team_id: UUID, host_id: UUID) -> HttpResponse:
    """Let a team work on a host no longer."""
    user = person_of(request)
    grant = access_grant(user, team_id, host_id, "team.revoke_host")
    team, host = grant.team, grant.host
    team_services.revoke_host(actor=user, team=team, host=host, origin=origin_of(request))
    messages.success(
        request, _("The team %(team)s may not work on %(host)s any more.") % {"team": team.name, "host": host.name}
    )
    return redirect(request, _url(team))
