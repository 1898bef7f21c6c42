"""Pages that read: the list and a container's tabs.

An engine is asked only for fragments, so a dead host delays no page.
"""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from console.containers import create_queries, detail_queries, queries
from console.containers.access import MOST_IN_BULK, access_container, access_containers
from console.containers.detail_queries import Gone
from console.containers.forms import parse_targets
from console.containers.masking import MASK, looks_secret, mask_inspect
from console.containers.requests import header_context, host_name, person
from console.containers.specs import RESERVED_PREFIX, to_arguments
from console.containers.twins import compose, docker_run
from console.gateway import BackendError, ContainerSpec
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.lib.htmx import is_fragment
from console.lib.problems import BadInput, Missing, wants_json
from console.lib.programs import json_page
from console.operations.errors import Reason, explain
from console.rbac.access import check_somewhere
from console.rbac.policy import allowed

#: Logs that one page merges: each is a stream of its own.
MOST_LOGS: Final = 20

# The list


@require_GET
def container_list(request: HttpRequest) -> HttpResponse:
    """Every container of every host, as last observed."""
    user = person(request)
    check_somewhere(user, "container.view")
    parameters = queries.ListParameters.of(request.GET)
    page = queries.container_page(user, parameters, address=host_name(request))
    previous = parameters.query(page=page.page - 1) if page.page > 1 else ""
    following = parameters.query(page=page.page + 1) if page.page < page.pages else ""
    if wants_json(request):
        items = map(queries.as_json, page.rows)
        return json_page(request, items, total=page.total, previous=previous, following=following)
    context: dict[str, Any] = {
        "parameters": parameters,
        "page": page,
        "query": parameters.query(page=page.page),
        "plain_query": parameters.query(),
        "chips": queries.chosen_filters(user, parameters) if parameters.is_filtered else [],
        "sorts": [
            (name, label, parameters.query(sort=name), name == parameters.sort)
            for name, label in queries.SORT_LABELS.items()
        ],
        "columns": {name: _column(parameters, name) for name in ("name", "image", "host", "created")},
        "previous": previous,
        "next": following,
        "failing_hosts": queries.failing_hosts(user),
        "most_in_bulk": MOST_IN_BULK,
    }
    if is_fragment(request) and request.headers.get("HX-Target") == "list":
        return render(request, "containers/_list.html", context)
    if not page.total and not parameters.is_filtered:
        context["hosts"] = create_queries.hosts_by_id(user)
    if request.headers.get("HX-Request"):
        # Moving within the list: the filters come along, so that they do not flicker.
        context["facets"] = _facets(request, parameters)
    return render(request, "containers/container_list.html", context)


def _column(parameters: queries.ListParameters, name: str) -> dict[str, str]:
    """Return what a column's heading needs: where a click leads, and which way the list is ordered by it now."""
    first, second = (f"-{name}", name) if name == "created" else (name, f"-{name}")
    direction = {name: "asc", f"-{name}": "desc"}.get(parameters.sort, "")
    return {"query": parameters.query(sort=second if parameters.sort == first else first), "direction": direction}


def _facets(
    request: HttpRequest, parameters: queries.ListParameters, *, find: str = "", of: str = ""
) -> list[queries.Facet]:
    user = person(request)
    return [
        queries.facet(user, parameters, name, find=find if name == of else "")
        for name in queries.FACETS
        if of in ("", name)
    ]


@require_GET
def container_facets(request: HttpRequest) -> HttpResponse:
    """What narrows the list, with counts; loaded after the list itself."""
    check_somewhere(person(request), "container.view")
    parameters = queries.ListParameters.of(request.GET)
    return render(
        request,
        "containers/_facets.html",
        {"facets": _facets(request, parameters), "plain_query": parameters.query(), "parameters": parameters},
    )


@require_GET
def container_facet(request: HttpRequest, name: str) -> HttpResponse:
    """One way to narrow the list, with a search among its values."""
    check_somewhere(person(request), "container.view")
    if name not in queries.FACETS:
        raise Missing(_("There is no such filter."))
    parameters = queries.ListParameters.of(request.GET)
    (facet,) = _facets(request, parameters, find=request.GET.get("find", "")[:100], of=name)
    return render(request, "containers/_facet.html", {"facet": facet})


@require_GET
def container_row(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """One row of the list, as it is now."""
    container = access_container(person(request), host_id, container_id, "container.view")
    row = queries.container_row(container, user=person(request), address=host_name(request))
    return render(request, "containers/_rows.html", {"rows": [row]})


@require_GET
def container_look(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """A quick look below a row: what the inventory holds, without asking the engine."""
    container = access_container(person(request), host_id, container_id, "container.view")
    context = {
        "container": container,
        "row": queries.container_row(container, user=person(request), address=host_name(request)),
        "labels": _labels(container),
    }
    return render(request, "containers/_look.html", context)


def _labels(container: ObservedContainer) -> list[tuple[str, str]]:
    """Return labels but ours, with what looks secret masked."""
    return [
        (name, MASK if looks_secret(name, value) else value)
        for name, value in sorted(container.labels.items())
        if not name.startswith(RESERVED_PREFIX)
    ]


@require_GET
def container_menu(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """What can be done with a row."""
    container = access_container(person(request), host_id, container_id, "container.view")
    row = queries.container_row(container, user=person(request), address=host_name(request))
    return render(request, "containers/_menu.html", {"container": container, "row": row, "target": row["row_id"]})


# One container


def _tab(
    request: HttpRequest,
    host_id: UUID,
    container_id: str,
    *,
    tab: str,
    action: str,
    extra: dict[str, Any] | None = None,
) -> HttpResponse:
    """Answer with one tab of a container's page, or with what is known of a container that is gone."""
    user = person(request)
    try:
        container = access_container(user, host_id, container_id, action)
    except Missing:
        found = _find_gone(request, host_id, container_id)
        if found is None:
            raise
        return render(request, "containers/container_gone.html", {"gone": found, "host": found.host})
    context = header_context(request, container) | {"tab": tab} | (extra or {})
    return render(request, f"containers/container_{tab}.html", context)


def _find_gone(request: HttpRequest, host_id: UUID, container_id: str) -> Gone | None:
    host = Host.objects.filter(pk=host_id).first()
    return detail_queries.gone(person(request), host=host, container_id=container_id) if host is not None else None


@require_GET
def container_header(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """The head of a container's page: name, state, actions."""
    container = access_container(person(request), host_id, container_id, "container.view")
    return render(request, "containers/_header.html", header_context(request, container))


@require_GET
def container_detail(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """The overview; what only the engine knows follows as a fragment."""
    if wants_json(request):
        user = person(request)
        container = access_container(user, host_id, container_id, "container.view")
        row = queries.container_row(container, user=user, address=host_name(request))
        more = {"labels": dict(_labels(container)), "mounts": container.mounts, "observed_at": container.observed_at}
        return JsonResponse(queries.as_json(row) | more)
    return _tab(request, host_id, container_id, tab="overview", action="container.view")


@require_GET
def container_live(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """What the engine says about a container now: the lower part of the overview."""
    user = person(request)
    container = access_container(user, host_id, container_id, "container.view")
    context: dict[str, Any] = header_context(request, container)
    try:
        detail = detail_queries.inspect(container)
    except BackendError as error:
        context["problem"] = _explained(container, error)
    else:
        context["facts"] = detail_queries.facts(detail, host=container.host, address=host_name(request))
        context["may_reveal"] = allowed(user, "container.reveal", team_id=container.team_id)
    return render(request, "containers/_live.html", context)


def _explained(container: ObservedContainer, error: BackendError) -> Reason:
    return explain(error, name=container.name, host=container.host.name)


@require_GET
def container_logs(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """What a container wrote and writes; from here, the logs of its whole stack are one click away."""
    stack = detail_queries.stack_of(person(request), host_id=host_id, container_id=container_id, most=MOST_LOGS)
    return _tab(request, host_id, container_id, tab="logs", action="container.logs", extra={"stack": stack})


@require_GET
def container_logs_merged(request: HttpRequest) -> HttpResponse:
    """What several containers wrote and write, in the order of its times; their hosts may be different ones."""
    user = person(request)
    try:
        targets = parse_targets(request.GET)
    except ValidationError as error:
        raise BadInput(error.messages[0]) from error
    if not targets:
        raise Missing(_("Choose containers first, to read their logs as one."))
    if len(targets) > MOST_LOGS:
        message = _("One page shows the logs of at most %(most)s containers; choose fewer.") % {"most": MOST_LOGS}
        raise BadInput(message)
    containers = access_containers(user, targets, "container.logs")
    sources = [
        {
            "host": str(container.host_id),
            "container": container.container_id,
            "name": container.name,
            "place": container.host.name,
        }
        for container in containers
    ]
    return render(request, "containers/logs_merged.html", {"containers": containers, "sources": json.dumps(sources)})


@require_GET
def container_terminal(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """A shell in a container, or its main process."""
    return _tab(request, host_id, container_id, tab="terminal", action="container.terminal")


@require_GET
def container_stats(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """What a container uses."""
    return _tab(request, host_id, container_id, tab="stats", action="container.stats")


@require_GET
def container_activity(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """What people did with a container, and how it ended."""
    user = person(request)
    extra = {
        "operations": detail_queries.operations_on(user, host_id=host_id, container_id=container_id),
        "events": detail_queries.audit_of(user, host_id=host_id, container_id=container_id),
    }
    return _tab(request, host_id, container_id, tab="activity", action="container.view", extra=extra)


@require_GET
def container_configuration(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """What a container was created with: as a form, as a command line, as JSON."""
    if not is_fragment(request):
        return _tab(request, host_id, container_id, tab="configuration", action="container.inspect")
    container = access_container(person(request), host_id, container_id, "container.inspect")
    context: dict[str, Any] = header_context(request, container)
    try:
        detail, image = detail_queries.inspect_with_image(container)
    except BackendError as error:
        context["problem"] = _explained(container, error)
    else:
        spec, left_out = detail_queries.spec_of(detail, image=image)
        context |= {
            "spec": spec,
            "left_out": left_out,
            "sections": detail_queries.sections(spec),
            "command_line": docker_run(spec),
            "compose_file": compose(spec),
            "json": _masked_json(spec),
        }
    return render(request, "containers/_configuration.html", context)


def _masked_json(spec: ContainerSpec) -> str:
    arguments = to_arguments(spec)
    for field in ("environment", "labels"):
        arguments[field] = {name: MASK if looks_secret(name, value) else value for name, value in getattr(spec, field)}
    return json.dumps(arguments, indent=2, ensure_ascii=False)


@require_GET
def container_inspect(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """The engine's whole answer about a container, secrets masked."""
    if not is_fragment(request):
        return _tab(request, host_id, container_id, tab="inspect", action="container.inspect")
    container = access_container(person(request), host_id, container_id, "container.inspect")
    context: dict[str, Any] = header_context(request, container)
    try:
        detail = detail_queries.inspect(container)
    except BackendError as error:
        context["problem"] = _explained(container, error)
    else:
        context["json"] = json.dumps(mask_inspect(detail.raw), indent=2, ensure_ascii=False, sort_keys=True)
    return render(request, "containers/_inspect.html", context)
