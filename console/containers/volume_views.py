"""Pages of volumes. No engine is asked for any of them, so a dead host delays no page."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from console.containers import volume_services as services
from console.containers.answers import lead_to
from console.containers.ownership import CannotBeGiven
from console.containers.requests import person
from console.containers.resource_forms import AssignForm, RemovalForm, VolumeForm
from console.containers.resource_queries import ResourceFilters, list_context, resource_facts, url_of
from console.containers.uses import uses_of
from console.containers.volume_access import access_new_volume, access_new_volumes, access_volume, access_volumes
from console.gateway import BackendError
from console.inventory.models import ObservedVolume
from console.lib.htmx import redirect
from console.lib.origin import origin_of
from console.operations.errors import explain
from console.operations.services import wait_for
from console.people.answers import show_form
from console.rbac.policy import allowed


@require_GET
def volume_list(request: HttpRequest) -> HttpResponse:
    """Every volume of every host, as last observed."""
    user = person(request)
    volumes = access_volumes(user)
    return render(request, "volumes/volume_list.html", list_context(user, volumes, ResourceFilters.of(request.GET)))


@require_GET
def volume_detail(request: HttpRequest, host_id: UUID, name: str) -> HttpResponse:
    """One volume, as last observed."""
    user = person(request)
    volume = access_volume(user, host_id, name, "volume.view")
    context = {
        "volume": volume,
        "host": volume.host,
        "facts": resource_facts(volume, user=user),
        "why_not_given": services.why_not_given(volume),
        "may_remove": allowed(user, "volume.remove", team_id=volume.team_id),
    }
    return render(request, "volumes/volume_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def volume_create(request: HttpRequest) -> HttpResponse:
    """Have a volume made, for a team to own."""
    user = person(request)
    teams = access_new_volumes(user)
    initial = {"host": request.GET.get("host", "")[:40]}
    form = VolumeForm(request.POST if request.method == "POST" else None, user=user, teams=teams, initial=initial)
    if form.is_bound and form.is_valid():
        host, team, name = (form.cleaned_data[field] for field in ("host", "team", "name"))
        access_new_volume(user, host=host, team=team, name=name)
        operation = wait_for(
            services.create_volume(actor=user, host=host, name=name, team=team, origin=origin_of(request))
        )
        made = ObservedVolume.objects.filter(host=host, name=name).first()
        return lead_to(
            request,
            url_of(made) if made is not None else reverse("volume-list"),
            operation=operation,
            done=_("The volume %(name)s is there.") % {"name": name},
        )
    return show_form(
        request, form, title=_("Create a volume"), submit=_("Create the volume"), back_url=reverse("volume-list")
    )


@require_http_methods(["GET", "HEAD", "POST"])
def volume_remove(request: HttpRequest, host_id: UUID, name: str) -> HttpResponse:
    """Remove it with all that is in it, after its name was typed."""
    user = person(request)
    volume = access_volume(user, host_id, name, "volume.remove")
    obstacle = uses_of(volume, user=user).obstacle
    form = RemovalForm(request.POST if request.method == "POST" else None, name=volume.name, obstacle=obstacle)
    if form.is_bound and form.is_valid():
        operation = wait_for(services.remove_volume(actor=user, volume=volume, origin=origin_of(request)))
        is_gone = not ObservedVolume.objects.filter(pk=volume.pk).exists()
        return lead_to(
            request,
            reverse("volume-list") if is_gone else url_of(volume),
            operation=operation,
            done=_("The volume %(name)s is removed.") % {"name": volume.name},
        )
    lost = _("Lost for good: everything that containers wrote into it on %(host)s.") % {"host": volume.host.name}
    return show_form(
        request,
        form,
        title=_("Remove the volume %(name)s?") % {"name": volume.name},
        submit=_("Remove the volume"),
        back_url=url_of(volume),
        text=lost if form.is_bound else f"{lost} {obstacle}",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def volume_assign(request: HttpRequest, host_id: UUID, name: str) -> HttpResponse:
    """Give it to a team, or take it back."""
    user = person(request)
    volume = access_volume(user, host_id, name, "volume.assign")
    form = AssignForm(
        request.POST if request.method == "POST" else None,
        owner=volume.team_id,
        help_text=_("Its people see the volume; its owners and members may remove it."),
    )
    if form.is_bound and form.is_valid():
        team = form.cleaned_data["team"]
        try:
            services.assign_volume(actor=user, volume=volume, team=team, origin=origin_of(request))
        except CannotBeGiven as refusal:
            form.refuse(str(refusal))
        except BackendError as error:
            reason = explain(error, name=volume.name, host=volume.host.name)
            form.refuse(f"{reason.sentence} {reason.next_step}")
        else:
            if team is not None:
                text = _("%(name)s belongs to %(team)s now.") % {"name": volume.name, "team": team.name}
            else:
                text = _("%(name)s belongs to nobody now: only admins and auditors see it.") % {"name": volume.name}
            messages.success(request, text)
            return redirect(request, url_of(volume))
    return show_form(
        request,
        form,
        title=_("Give %(name)s to a team") % {"name": volume.name},
        submit=_("Give"),
        back_url=url_of(volume),
        text=services.why_not_given(volume),
    )
