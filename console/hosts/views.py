"""Pages of hosts. Only the test asks an engine, and it only reads."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console import gateway
from console.accounts.models import User
from console.gateway import Endpoint
from console.hosts import services
from console.hosts.access import access_host, access_hosts
from console.hosts.forms import PEM_FIELDS, HostForm, RemoveForm
from console.hosts.models import Host
from console.hosts.probe import Report, probe
from console.hosts.queries import as_json, host_card, host_cards, host_page
from console.lib.htmx import is_fragment
from console.lib.origin import origin_of
from console.lib.problems import wants_json
from console.lib.programs import json_page
from console.rbac.access import check

_PROBE_LIMIT = 25


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


@require_GET
def host_list(request: HttpRequest) -> HttpResponse:
    """Every host as a card, those in trouble first."""
    user = _user(request)
    access_hosts(user)
    cards = host_cards(user)
    if wants_json(request):
        return json_page(request, map(as_json, cards), total=len(cards))
    name = "hosts/_cards.html" if is_fragment(request) else "hosts/host_list.html"
    return render(request, name, {"cards": cards})


@require_GET
def host_filter(request: HttpRequest) -> HttpResponse:
    """The hosts that lists can be narrowed to, for the top bar."""
    return render(request, "hosts/_filter.html")


@require_GET
def host_detail(request: HttpRequest, host_id: UUID) -> HttpResponse:
    """One host: how it answers, what it is, what was done there."""
    user = _user(request)
    host = access_host(user, host_id, "host.view")
    operations = host.operations.visible_to(user).select_related("actor")[:10]
    context = {"page": host_page(user, host), "host": host, "operations": operations}
    return render(request, "hosts/_detail.html" if is_fragment(request) else "hosts/host_detail.html", context)


@sensitive_post_parameters(*PEM_FIELDS)
@require_http_methods(["GET", "HEAD", "POST"])
def host_add(request: HttpRequest) -> HttpResponse:
    """Register a host."""
    user = _user(request)
    check(user, "host.add")
    form = HostForm(request.POST, request.FILES) if request.method == "POST" else HostForm()
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            host = services.add_host(
                actor=user,
                name=values["name"],
                driver=values["driver"],
                url=values["url"],
                bundle=form.bundle,
                origin=origin_of(request),
            )
        except services.Taken:
            form.add_error(None, _("Somebody registered a host with this name or address a moment ago."))
        else:
            messages.success(request, _("%(name)s is registered and is being asked now.") % {"name": host.name})
            return redirect("host-detail", host_id=host.id)
    return _form_page(request, form)


@sensitive_post_parameters(*PEM_FIELDS)
@require_http_methods(["GET", "HEAD", "POST"])
def host_edit(request: HttpRequest, host_id: UUID) -> HttpResponse:
    """Change how a host is called and reached."""
    user = _user(request)
    host = access_host(user, host_id, "host.edit")
    form = HostForm(request.POST, request.FILES, host=host) if request.method == "POST" else HostForm(host=host)
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            services.edit_host(
                actor=user,
                host=host,
                name=values["name"],
                driver=values["driver"],
                url=values["url"],
                bundle=form.bundle,
                keeps_credentials=form.keeps_credentials,
                origin=origin_of(request),
            )
        except services.Taken:
            form.add_error(None, _("Somebody registered a host with this name or address a moment ago."))
        else:
            messages.success(request, _("%(name)s is saved.") % {"name": values["name"]})
            return redirect("host-detail", host_id=host.id)
    return _form_page(request, form, host=host)


def _form_page(request: HttpRequest, form: HostForm, *, host: Host | None = None) -> HttpResponse:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    test_url = reverse("host-test", args=[host.id]) if host else reverse("host-test-new")
    context = {"form": form, "host": host, "test_url": test_url}
    return render(request, "hosts/host_form.html", context, status=status)


@sensitive_post_parameters(*PEM_FIELDS)
@require_POST
def host_test_new(request: HttpRequest) -> HttpResponse:
    """Test what the form for a new host describes, before anything is saved."""
    user = _user(request)
    check(user, "host.test")
    form = HostForm(request.POST, request.FILES, testing=True)
    return _test_form(request, user, form, host=None)


@sensitive_post_parameters(*PEM_FIELDS)
@require_POST
def host_test(request: HttpRequest, host_id: UUID) -> HttpResponse:
    """Test a registered host as it is stored, or as the form for it describes it."""
    user = _user(request)
    host = access_host(user, host_id, "host.test")
    if "url" in request.POST:
        return _test_form(request, user, HostForm(request.POST, request.FILES, host=host, testing=True), host=host)
    return _test(request, user, host.endpoint, host=host)


def _test_form(request: HttpRequest, user: User, form: HostForm, *, host: Host | None) -> HttpResponse:
    if not form.is_valid():
        return render(request, "hosts/_test.html", {"form": form}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _test(request, user, form.endpoint(), host=host)


def _test(request: HttpRequest, user: User, endpoint: Endpoint, *, host: Host | None) -> HttpResponse:
    report: Report = gateway.submit(lambda: probe(endpoint)).result(timeout=_PROBE_LIMIT)
    services.record_test(actor=user, host=host, url=endpoint.url, report=report, origin=origin_of(request))
    same = Host.objects.visible_to(user).filter(engine_id=report.engine_id) if report.engine_id else Host.objects.none()
    twin = same.exclude(id=host.id).first() if host else same.first()
    other = host is not None and bool(host.engine_id and report.engine_id and host.engine_id != report.engine_id)
    context = {"report": report, "twin": twin, "is_other_engine": other}
    return render(request, "hosts/_test.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def host_remove(request: HttpRequest, host_id: UUID) -> HttpResponse:
    """Forget a host, after its name was typed. Its containers keep running."""
    user = _user(request)
    host = access_host(user, host_id, "host.remove")
    form = RemoveForm(request.POST, host=host) if request.method == "POST" else RemoveForm(host=host)
    if request.method == "POST" and form.is_valid():
        name = host.name
        services.remove_host(actor=user, host=host, origin=origin_of(request))
        messages.success(request, _("%(name)s is removed from the console.") % {"name": name})
        return redirect("host-list")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    context = {"form": form, "host": host, "card": host_card(host)}
    return render(request, "hosts/host_remove.html", context, status=status)
