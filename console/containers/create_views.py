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
from console.audit.services import record_refusal
from console.containers import create_queries, detail_queries, services
from console.containers.access import access_container
from console.containers.forms import HEALTH_CHOICES, PULL_CHOICES, RESTART_CHOICES, CreateForm
from console.containers.masking import MASK
from console.containers.requests import host_name, person
from console.containers.specs import argv_text, from_arguments
from console.containers.twins import compose, docker_run
from console.gateway import BackendError
from console.lib.converters import FullId
from console.lib.crypto import Undecryptable
from console.lib.decoding import Malformed
from console.lib.origin import origin_of
from console.lib.problems import Missing, unacceptable, wants_json
from console.operations.access import access_operation
from console.operations.answers import accepted
from console.operations.errors import explain
from console.operations.models import Operation
from console.policies.refusals import Denied
from console.policies.rules import harden
from console.rbac.access import check, check_somewhere

_PROTOCOLS = ("tcp", "udp", "sctp")
#: How a form's source begins when that is an operation and no container.
_OPERATION = "operation:"


def _page(
    request: HttpRequest, form: CreateForm, *, notice: str = "", left_out: list[str] | None = None
) -> HttpResponse:
    user = person(request)
    if form.problems and wants_json(request):
        said = " ".join(f"{label}: {message}" for _section, label, message in form.problems)
        return unacceptable(request, said)
    hosts, owners = create_queries.hosts_by_id(user), create_queries.owners_by_id(user)
    for name, known in (("host", list(hosts)), ("team", list(owners))):
        if not form.values[name] and len(known) == 1:
            form.values[name] = known[0]
    chosen, team = hosts.get(form.values["host"]), owners.get(form.values["team"])
    context: dict[str, Any] = {
        "form": form,
        "hosts": hosts.values(),
        "owners": owners.items(),
        "choices": create_queries.choices(chosen, team=team),
        "pulls": PULL_CHOICES,
        "restarts": RESTART_CHOICES,
        "healths": HEALTH_CHOICES,
        "protocols": _PROTOCOLS,
        "notice": notice,
        "left_out": left_out or [],
        "broken": form.broken_sections,
    }
    status = 200 if not form.problems else 403 if form.denials else 422
    return render(request, "containers/container_create.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def container_create(request: HttpRequest) -> HttpResponse:
    """Fill in the form, and create what it says."""
    user = person(request)
    check_somewhere(user, "container.create")
    if request.method != "POST":
        if source := request.GET.get("from", ""):
            return _duplicate(request, source)
        if earlier := request.GET.get("again", ""):
            return _correct(request, earlier)
        return _page(request, CreateForm.of_query(request.GET))
    form = CreateForm.of_data(request.POST)
    start = request.POST.get("submit") != "create"
    is_complete = form.read(
        hosts=create_queries.hosts_by_id(user), owners=create_queries.owners_by_id(user), kept=_kept(user, form)
    )
    try:
        if form.denials:
            name = form.spec.name if form.spec is not None else ""
            raise Denied("container.create", form.denials, host=form.host, object_name=name)
        if not is_complete or form.host is None or form.spec is None:
            return _page(request, form)
        check(user, "container.create", team_id=form.team.pk if form.team is not None else None, host=form.host)
        operation = services.create_container(
            actor=user,
            host=form.host,
            spec=form.spec,
            pull=form.values["pull"],
            start=start,
            team=form.team,
            origin=origin_of(request),
        )
    except Denied as denied:
        if wants_json(request):
            raise
        # As it stands in the form, so that nothing typed is lost.
        record_refusal(denied, actor=user, origin=origin_of(request))
        form.denials = list(denied.denials)
        form.show_denials(form.denials)
        return _page(request, form)
    if wants_json(request):
        return accepted(operation)
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
    form = CreateForm.of_spec(spec, host=container.host, team_id=container.team_id, source=source)
    if (team := create_queries.owners_by_id(user).get(form.values["team"])) is not None:
        form.leave_to_team(team)
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
    form = CreateForm.of_spec(spec, host=host, team_id=operation.team_id, source=f"{_OPERATION}{operation.pk}")
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
    check_somewhere(user, "container.create")
    form = CreateForm.of_data(request.POST)
    # Values to take over are asked for at the end only: typing must not wait for an engine.
    stand_ins = {
        "environment": {row.values["env_name"].strip(): MASK for row in form.rows["environment"]},
        "labels": {row.values["label_name"].strip(): MASK for row in form.rows["labels"]},
    }
    is_complete = form.read(
        hosts=create_queries.hosts_by_id(user), owners=create_queries.owners_by_id(user), kept=stand_ins
    )
    context: dict[str, Any] = {"form": form, "is_complete": is_complete}
    if form.host is not None and form.spec is not None and "image" not in form.errors:
        context["plan"] = create_queries.plan(
            form.spec, host=form.host, pull=form.values["pull"], address=host_name(request)
        )
        made = harden(form.spec, form.bounds.rules) if form.bounds is not None else form.spec
        context["command_line"] = docker_run(made)
        context["compose_file"] = compose(made)
        context["argv"] = [*(form.spec.entrypoint or ()), *(form.spec.command or ())]
        context["argv_text"] = argv_text(tuple(context["argv"]))
    return render(request, "containers/_preview.html", context)


@require_GET
def container_choices(request: HttpRequest) -> HttpResponse:
    """The images, volumes and networks of a host, for the form's lists."""
    user = person(request)
    check_somewhere(user, "container.create")
    host = create_queries.hosts_by_id(user).get(request.GET.get("host", ""))
    team = create_queries.owners_by_id(user).get(request.GET.get("team", ""))
    form = CreateForm()
    form.values["network"] = request.GET.get("network", "")[:255]
    form.values["disk"] = request.GET.get("disk", "")[:20]
    context = {"choices": create_queries.choices(host, team=team), "form": form}
    return render(request, "containers/_choices.html", context)
