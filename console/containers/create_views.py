"""The create form, and what it says while it is filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.accounts.models import User
from console.containers import create_queries, detail_queries, services
from console.containers.access import access_container
from console.containers.forms import HEALTH_CHOICES, PULL_CHOICES, RESTART_CHOICES, CreateForm
from console.containers.masking import MASK
from console.containers.requests import host_name, person
from console.containers.specs import Malformed, argv_text, from_arguments
from console.containers.twins import compose, docker_run
from console.gateway import BackendError
from console.hosts.access import access_host
from console.lib.converters import FullId
from console.lib.crypto import Undecryptable
from console.lib.origin import origin_of
from console.lib.problems import Missing
from console.operations.access import access_operation
from console.operations.errors import explain
from console.operations.models import Operation
from console.rbac.access import check

_PROTOCOLS = ("tcp", "udp", "sctp")
#: How a form's source begins when that is an operation and no container.
_OPERATION = "operation:"


def _page(
    request: HttpRequest, form: CreateForm, *, notice: str = "", left_out: list[str] | None = None
) -> HttpResponse:
    user = person(request)
    hosts = create_queries.hosts_by_id(user)
    if not form.values["host"] and len(hosts) == 1:
        form.values["host"] = next(iter(hosts))
    chosen = hosts.get(form.values["host"])
    context: dict[str, Any] = {
        "form": form,
        "hosts": hosts.values(),
        "choices": create_queries.choices(chosen),
        "pulls": PULL_CHOICES,
        "restarts": RESTART_CHOICES,
        "healths": HEALTH_CHOICES,
        "protocols": _PROTOCOLS,
        "notice": notice,
        "left_out": left_out or [],
        "broken": form.broken_sections,
    }
    return render(request, "containers/container_create.html", context, status=422 if form.problems else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def container_create(request: HttpRequest) -> HttpResponse:
    """Fill in the form, and create what it says."""
    user = person(request)
    check(user, "container.create")
    if request.method != "POST":
        if source := request.GET.get("from", ""):
            return _duplicate(request, source)
        if earlier := request.GET.get("again", ""):
            return _correct(request, earlier)
        return _page(request, CreateForm.of_query(request.GET))
    form = CreateForm.of_data(request.POST)
    start = request.POST.get("submit") != "create"
    if not form.read(hosts=create_queries.hosts_by_id(user), kept=_kept(user, form)) or not form.host or not form.spec:
        return _page(request, form)
    host = access_host(user, form.host.pk, "container.create")
    operation = services.create_container(
        actor=user, host=host, spec=form.spec, pull=form.values["pull"], start=start, origin=origin_of(request)
    )
    return HttpResponseRedirect(reverse("operation-detail", args=[operation.pk]))


def _source(text: str) -> tuple[UUID, str]:
    host_id, _slash, container_id = text.partition("/")
    try:
        host = UUID(host_id)
    except ValueError as error:
        raise Missing(_("This container does not exist.")) from error
    if not re.fullmatch(FullId.regex, container_id):
        raise Missing(_("This container does not exist."))
    return host, container_id


def _duplicate(request: HttpRequest, source: str) -> HttpResponse:
    """Show the form filled in like an existing container."""
    user = person(request)
    container = access_container(user, *_source(source), "container.reveal")
    try:
        detail, image = detail_queries.inspect_with_image(container)
    except BackendError as error:
        reason = explain(error, name=container.name, host=container.host.name)
        form = CreateForm()
        form.values |= {"host": str(container.host_id), "image": container.image}
        notice = _("The container could not be read, so only host and image are filled in. %(cause)s")
        return _page(request, form, notice=notice % {"cause": reason.sentence})
    spec, left_out = detail_queries.spec_of(detail, image=image)
    form = CreateForm.of_spec(spec, host=container.host, source=source)
    form.values["name"] = create_queries.suggest_name(container.host, spec.name)
    notice = _("Filled in like %(name)s. Values that look secret are taken over without being shown.")
    return _page(request, form, notice=notice % {"name": container.name}, left_out=left_out)


def _earlier(user: User, text: str) -> Operation:
    """Return the create that ``text`` is the id of."""
    try:
        operation_id = UUID(text)
    except ValueError as error:
        raise Missing(_("This operation does not exist.")) from error
    operation = access_operation(user, operation_id, "operation.view")
    if operation.kind != "container.create":
        raise Missing(_("This operation does not exist."))
    return operation


def _correct(request: HttpRequest, text: str) -> HttpResponse:
    """Show the form filled in like an earlier operation that was to create a container."""
    operation = _earlier(person(request), text)
    host = operation.host
    try:
        spec = from_arguments(operation.arguments.get("spec"))
    except (Malformed, Undecryptable):
        form = CreateForm()
        form.values |= {"host": str(host.pk) if host is not None else "", "name": operation.object_name}
        notice = _("What was asked for cannot be read any more, so only host and name are filled in.")
        return _page(request, form, notice=notice)
    form = CreateForm.of_spec(spec, host=host, source=f"{_OPERATION}{operation.pk}")
    form.values["pull"] = str(operation.arguments.get("pull", form.values["pull"]))
    notices = [_("Filled in as it was asked for. Values that look secret are taken over without being shown.")]
    if host is not None and create_queries.is_name_taken(host, spec.name):
        form.values["name"] = create_queries.suggest_name(host, spec.name)
        notices.append(_("A container named %(name)s is there, so another name is suggested.") % {"name": spec.name})
    return _page(request, form, notice=" ".join(notices))


def _kept(user: User, form: CreateForm) -> dict[str, Mapping[str, str]] | None:
    """Return the variables and labels of what the form was filled in from, if it needs any of them."""
    wanted = form.takes_over
    if not form.source or not wanted:
        return None
    if form.source.startswith(_OPERATION):
        operation = _earlier(user, form.source.removeprefix(_OPERATION))
        try:
            spec = from_arguments(operation.arguments.get("spec"))
        except (Malformed, Undecryptable):
            return None  # each row that wants a value says that there is none
        return {"environment": dict(spec.environment), "labels": dict(spec.labels)}
    container = access_container(user, *_source(form.source), "container.reveal")
    try:
        detail = detail_queries.inspect(container)
    except BackendError as error:
        reason = explain(error, name=container.name, host=container.host.name)
        cause = _("The values to take over could not be read: %(cause)s") % {"cause": reason.sentence}
        form.errors |= dict.fromkeys(wanted, cause)
        return None
    return {"environment": dict(detail.environment), "labels": detail.container.labels}


@require_POST
def container_preview(request: HttpRequest) -> HttpResponse:
    """What the form would do, in words and as a command line; changes nothing."""
    user = person(request)
    check(user, "container.create")
    form = CreateForm.of_data(request.POST)
    # Values to take over are asked for at the end only: typing must not wait for an engine.
    stand_ins = {
        "environment": {row.values["env_name"].strip(): MASK for row in form.rows["environment"]},
        "labels": {row.values["label_name"].strip(): MASK for row in form.rows["labels"]},
    }
    is_complete = form.read(hosts=create_queries.hosts_by_id(user), kept=stand_ins)
    context: dict[str, Any] = {"form": form, "is_complete": is_complete}
    if form.host is not None and form.spec is not None and "image" not in form.errors:
        context["plan"] = create_queries.plan(
            form.spec, host=form.host, pull=form.values["pull"], address=host_name(request)
        )
        context["command_line"] = docker_run(form.spec)
        context["compose_file"] = compose(form.spec)
        context["argv"] = [*(form.spec.entrypoint or ()), *(form.spec.command or ())]
        context["argv_text"] = argv_text(tuple(context["argv"]))
    return render(request, "containers/_preview.html", context)


@require_GET
def container_choices(request: HttpRequest) -> HttpResponse:
    """The images, volumes and networks of a host, for the form's lists."""
    user = person(request)
    check(user, "container.create")
    host = create_queries.hosts_by_id(user).get(request.GET.get("host", ""))
    form = CreateForm()
    form.values["network"] = request.GET.get("network", "")[:255]
    return render(request, "containers/_choices.html", {"choices": create_queries.choices(host), "form": form})
