"""Pages of networks. No engine is asked for any of them, so a dead host delays no page."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from console.containers import network_services as services
from console.containers.answers import lead_to
from console.containers.network_access import access_network, access_networks
from console.containers.ownership import CannotBeGiven
from console.containers.requests import person
from console.containers.resource_forms import AssignForm, NetworkForm, RemovalForm
from console.containers.resource_queries import ResourceFilters, list_context, resource_facts, url_of
from console.containers.uses import uses_of
from console.hosts.access import access_host
from console.inventory.models import ObservedNetwork
from console.lib.htmx import redirect
from console.lib.origin import origin_of
from console.operations.services import wait_for
from console.people.answers import show_form
from console.rbac.access import check
from console.rbac.policy import allowed


@require_GET
def network_list(request: HttpRequest) -> HttpResponse:
    """Every network of every host, as last observed."""
    user = person(request)
    networks = access_networks(user)
    return render(request, "networks/network_list.html", list_context(user, networks, ResourceFilters.of(request.GET)))


@require_GET
def network_detail(request: HttpRequest, host_id: UUID, network_id: str) -> HttpResponse:
    """One network, as last observed."""
    user = person(request)
    network = access_network(user, host_id, network_id, "network.view")
    context = {
        "network": network,
        "host": network.host,
        "facts": resource_facts(network, user=user),
        "why_kept": services.why_kept(network.name),
        "may_remove": allowed(user, "network.remove"),
    }
    return render(request, "networks/network_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def network_create(request: HttpRequest) -> HttpResponse:
    """Have a network made."""
    user = person(request)
    check(user, "network.create")
    initial = {"host": request.GET.get("host", "")[:40]}
    form = NetworkForm(request.POST if request.method == "POST" else None, user=user, initial=initial)
    if form.is_bound and form.is_valid():
        host, name = access_host(user, form.cleaned_data["host"].pk, "network.create"), form.cleaned_data["name"]
        internal = form.cleaned_data["internal"]
        operation = wait_for(
            services.create_network(actor=user, host=host, name=name, internal=internal, origin=origin_of(request))
        )
        made = ObservedNetwork.objects.filter(host=host, name=name).first()
        return lead_to(
            request,
            url_of(made) if made is not None else reverse("network-list"),
            operation=operation,
            done=_("The network %(name)s is there.") % {"name": name},
        )
    return show_form(
        request,
        form,
        title=_("Create a network"),
        submit=_("Create the network"),
        back_url=reverse("network-list"),
        text=_("A bridge of its own on one host: containers on it reach each other by name."),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def network_remove(request: HttpRequest, host_id: UUID, network_id: str) -> HttpResponse:
    """Remove it, after its name was typed."""
    user = person(request)
    network = access_network(user, host_id, network_id, "network.remove")
    obstacle = services.why_kept(network.name) or uses_of(network, user=user).obstacle
    form = RemovalForm(request.POST if request.method == "POST" else None, name=network.name, obstacle=obstacle)
    if form.is_bound and form.is_valid():
        operation = wait_for(services.remove_network(actor=user, network=network, origin=origin_of(request)))
        is_gone = not ObservedNetwork.objects.filter(pk=network.pk).exists()
        return lead_to(
            request,
            reverse("network-list") if is_gone else url_of(network),
            operation=operation,
            done=_("The network %(name)s is removed.") % {"name": network.name},
        )
    lost = _("It goes from %(host)s; what its containers wrote stays.") % {"host": network.host.name}
    return show_form(
        request,
        form,
        title=_("Remove the network %(name)s?") % {"name": network.name},
        submit=_("Remove the network"),
        back_url=url_of(network),
        text=lost if form.is_bound else f"{lost} {obstacle}",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def network_assign(request: HttpRequest, host_id: UUID, network_id: str) -> HttpResponse:
    """Give it to a team, or take it back."""
    user = person(request)
    network = access_network(user, host_id, network_id, "network.assign")
    form = AssignForm(
        request.POST if request.method == "POST" else None,
        owner=network.team_id,
        help_text=_("Its people see the network. Containers of others that are on it stay there."),
    )
    if form.is_bound and form.is_valid():
        team = form.cleaned_data["team"]
        try:
            services.assign_network(actor=user, network=network, team=team, origin=origin_of(request))
        except CannotBeGiven as refusal:
            form.refuse(str(refusal))
        else:
            if team is not None:
                text = _("%(name)s belongs to %(team)s now.") % {"name": network.name, "team": team.name}
            else:
                text = _("%(name)s belongs to nobody now: only admins and auditors see it.") % {"name": network.name}
            messages.success(request, text)
            return redirect(request, url_of(network))
    return show_form(
        request,
        form,
        title=_("Give %(name)s to a team") % {"name": network.name},
        submit=_("Give"),
        back_url=url_of(network),
        text=services.why_kept(network.name),
    )
