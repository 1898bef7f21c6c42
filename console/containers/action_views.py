"""What people do to containers. Each waits up to two seconds, so that what is quick shows at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts.models import Team, User
from console.audit.models import Outcome
from console.audit.services import record
from console.containers import detail_queries, queries, services
from console.containers.access import MOST_IN_BULK, access_container, access_containers
from console.containers.forms import parse_name, parse_removal, parse_signal, parse_targets, parse_team
from console.containers.requests import header_context, host_name, person
from console.containers.starts import check_starts
from console.containers.states import SIGNALS
from console.gateway import BackendError
from console.inventory.models import ObservedContainer
from console.lib.htmx import close_dialog, is_fragment, redirect, toast
from console.lib.origin import Origin, origin_of
from console.lib.problems import Missing, unacceptable, wants_json
from console.operations.answers import accepted, accepted_all
from console.operations.errors import explain
from console.operations.models import Operation, OperationState
from console.operations.registry import title_of
from console.operations.services import wait_for
from console.rbac.access import check_somewhere

_WAIT = 2.0
#: A bulk change is shown by its summary; the page does not stand still for all of it.
_BULK_WAIT = 2.0

_DONE: dict[str, Promise] = {
    "container.start": gettext_lazy("%(name)s runs."),
    "container.stop": gettext_lazy("%(name)s is stopped."),
    "container.restart": gettext_lazy("%(name)s was restarted."),
    "container.kill": gettext_lazy("%(name)s got the signal."),
    "container.pause": gettext_lazy("%(name)s is paused."),
    "container.unpause": gettext_lazy("%(name)s goes on."),
    "container.rename": gettext_lazy("It is called %(name)s now."),
    "container.remove": gettext_lazy("%(name)s is removed."),
}
_Simple = Callable[..., Operation]


# Answers


def _say(response: HttpResponse, operation: Operation) -> HttpResponse:
    """Tell how ``operation`` ended, or that it goes on; as a toast now, or after the redirect."""
    url = reverse("operation-detail", args=[operation.pk])
    name = {"name": operation.object_name}
    if operation.state == OperationState.SUCCEEDED:
        return toast(response, "success", str(_DONE[operation.kind]) % name)
    if operation.state in (OperationState.FAILED, OperationState.CANCELLED):
        return toast(
            response,
            "error",
            _("%(title)s: failed") % {"title": title_of(operation.kind, object_name=operation.object_name)},
            detail=operation.error[:600],
            next_step=operation.next_step,
            url=url,
            url_label=_("Show what happened"),
        )
    title = _("%(title)s: under way") % {"title": title_of(operation.kind, object_name=operation.object_name)}
    return toast(response, "info", title, url=url, url_label=_("Follow it"))


def _message(request: HttpRequest, operation: Operation) -> None:
    """The same for a browser without scripts."""
    name = {"name": operation.object_name}
    title = title_of(operation.kind, object_name=operation.object_name)
    if operation.state == OperationState.SUCCEEDED:
        messages.success(request, str(_DONE[operation.kind]) % name)
    elif operation.is_ended:
        messages.error(request, _("%(title)s: %(cause)s") % {"title": title, "cause": operation.error[:600]})
    else:
        messages.info(request, _("%(title)s: under way") % {"title": title})


def _answer(request: HttpRequest, container: ObservedContainer, operation: Operation) -> HttpResponse:
    """Answer with what the change was asked from: the row or the head as it is now, else the container's page."""
    if wants_json(request):
        return accepted(operation)
    operation = wait_for(operation, timeout=_WAIT)
    url = reverse("container-detail", args=[container.host_id, container.container_id])
    target = request.headers.get("HX-Target", "")
    if not is_fragment(request):
        _message(request, operation)
        return HttpResponseRedirect(url)
    if target == "palette-found":
        # Asked for from any page, which stays: what it shows of the container changes by itself.
        return _say(HttpResponse(status=204), operation)
    fresh = ObservedContainer.objects.with_team().filter(pk=container.pk).first()
    if fresh is None:
        return _say(redirect(request, _back(request, container)), operation)
    fresh.host = container.host
    if target.startswith("row-"):
        rows = {"rows": [queries.container_row(fresh, user=person(request), address=host_name(request))]}
        return _say(render(request, "containers/_rows.html", rows), operation)
    if target == "container-header":
        return _say(render(request, "containers/_header.html", header_context(request, fresh)), operation)
    response = close_dialog(redirect(request, _back(request, container)))
    return _say(response, operation)


def _back(request: HttpRequest, container: ObservedContainer) -> str:
    """Return the page of ours from which the request came; the list, if that was the page of a container now gone."""
    detail = reverse("container-detail", args=[container.host_id, container.container_id])
    current = urlsplit(request.headers.get("HX-Current-URL", ""))
    path = current.path if current.path.startswith(reverse("container-list")) else detail
    if path.startswith(detail) and path.removeprefix(detail) in ("kill/", "rename/", "remove/"):
        path = detail
    if path.startswith(detail) and not ObservedContainer.objects.filter(pk=container.pk).exists():
        return reverse("container-list")
    return f"{path}?{current.query}" if current.query else path


def _simple(request: HttpRequest, host_id: UUID, container_id: str, action: str, service: _Simple) -> HttpResponse:
    user = person(request)
    container = access_container(user, host_id, container_id, action)
    check_starts(user, [container], action)
    operation = service(actor=user, container=container, origin=origin_of(request))
    return _answer(request, container, operation)


# One container


@require_POST
def container_start(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Start it."""
    return _simple(request, host_id, container_id, "container.start", services.start_container)


@require_POST
def container_stop(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Stop it."""
    return _simple(request, host_id, container_id, "container.stop", services.stop_container)


@require_POST
def container_restart(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Restart it."""
    return _simple(request, host_id, container_id, "container.restart", services.restart_container)


@require_POST
def container_pause(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Pause it."""
    return _simple(request, host_id, container_id, "container.pause", services.pause_container)


@require_POST
def container_unpause(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Resume it."""
    return _simple(request, host_id, container_id, "container.unpause", services.unpause_container)


def _dialog(
    request: HttpRequest, container: ObservedContainer, form: str, *, error: str = "", **extra: Any
) -> HttpResponse:
    """Show the form of an action: as a dialog's content, or as a page of its own. Programs only hear of the error."""
    if error and wants_json(request):
        return unacceptable(request, error)
    context = header_context(request, container) | {"form": f"containers/_{form}.html", "error": error} | extra
    template = f"containers/_{form}.html" if is_fragment(request) else "containers/container_action.html"
    return render(request, template, context, status=422 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def container_kill(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Send it a signal, which the form lets choose."""
    user = person(request)
    container = access_container(user, host_id, container_id, "container.kill")
    if request.method != "POST":
        return _dialog(request, container, "kill", signals=SIGNALS)
    try:
        signal = parse_signal(request.POST)
    except ValidationError as error:
        return _dialog(request, container, "kill", signals=SIGNALS, error=error.messages[0])
    operation = services.kill_container(actor=user, container=container, signal=signal, origin=origin_of(request))
    return _answer(request, container, operation)


@require_http_methods(["GET", "HEAD", "POST"])
def container_assign(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Give it to a team, or take it back."""
    user = person(request)
    container = access_container(user, host_id, container_id, "container.assign")
    teams = Team.objects.order_by("name")
    if request.method != "POST":
        return _dialog(request, container, "assign", teams=teams, chosen=container.team_id)
    try:
        team = parse_team(request.POST)
    except ValidationError as error:
        return _dialog(request, container, "assign", teams=teams, error=error.messages[0])
    limits = {}
    if team is not None:
        try:
            detail = detail_queries.inspect(container)
        except BackendError as error:
            reason = explain(error, name=container.name, host=container.host.name)
            message = _("Its limits, which count in the team's quota, could not be read: %(cause)s")
            error_text = message % {"cause": reason.sentence}
            return _dialog(request, container, "assign", teams=teams, chosen=team.pk, error=error_text)
        limits = {
            "nano_cpus": detail.nano_cpus,
            "memory_bytes": detail.memory_bytes,
            "disk_bytes": detail.disk_bytes,
        }
    services.assign_container(actor=user, container=container, team=team, origin=origin_of(request), **limits)
    if team is not None:
        text = _("%(name)s belongs to %(team)s now.") % {"name": container.name, "team": team.name}
    else:
        text = _("%(name)s belongs to nobody now: only admins and auditors see it.") % {"name": container.name}
    if is_fragment(request):
        return toast(close_dialog(redirect(request, _back(request, container))), "success", text)
    messages.success(request, text)
    return redirect(request, _back(request, container))


@require_http_methods(["GET", "HEAD", "POST"])
def container_rename(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Give it another name."""
    user = person(request)
    container = access_container(user, host_id, container_id, "container.rename")
    if request.method != "POST":
        return _dialog(request, container, "rename", name=container.name)
    try:
        name = parse_name(request.POST, team=services.owner_of(container))
        if ObservedContainer.objects.filter(host=container.host, name=name).exclude(pk=container.pk).exists():
            raise ValidationError(_("Another container on this host has this name; choose another."))
    except ValidationError as error:
        typed = request.POST.get("name", "")[:255]
        return _dialog(request, container, "rename", name=typed, error=error.messages[0])
    operation = services.rename_container(actor=user, container=container, name=name, origin=origin_of(request))
    return _answer(request, container, operation)


@require_http_methods(["GET", "HEAD", "POST"])
def container_remove(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Remove it, after saying what is lost."""
    user = person(request)
    container = access_container(user, host_id, container_id, "container.remove")
    if request.method != "POST":
        return _dialog(request, container, "remove", **_losses(container))
    try:
        removal = parse_removal(request.POST, name=container.name)
    except ValidationError as error:
        return _dialog(request, container, "remove", error=error.messages[0], wants_volumes=True, **_losses(container))
    operation = services.remove_container(
        actor=user, container=container, force=removal.force, volumes=removal.volumes, origin=origin_of(request)
    )
    return _answer(request, container, operation)


def _losses(container: ObservedContainer) -> dict[str, Any]:
    """Return which volumes go and stay, by the last observation: the form must not wait for a dead host."""
    volumes = [
        (str(mount.get("source", "")), str(mount.get("target", "")))
        for mount in container.mounts
        if mount.get("kind") == "volume"
    ]
    return {
        "anonymous": [pair for pair in volumes if detail_queries.is_anonymous("volume", pair[0])],
        "named": [pair for pair in volumes if not detail_queries.is_anonymous("volume", pair[0])],
        "is_running": container.state in ("running", "paused", "restarting"),
    }


@require_POST
def container_reveal(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """Show a masked value: a POST, since it leaves a row in the audit."""
    user = person(request)
    container = access_container(user, host_id, container_id, "container.reveal")
    kind, name = request.POST.get("kind", ""), request.POST.get("name", "")[:300]
    try:
        detail = detail_queries.inspect(container)
    except BackendError as error:
        reason = explain(error, name=container.name, host=container.host.name)
        return toast(
            HttpResponse(status=204),
            "error",
            _("The value could not be read"),
            detail=reason.sentence,
            next_step=reason.next_step,
        )
    pairs = dict(detail.environment) if kind == "environment" else dict(detail.container.labels)
    if name not in pairs:
        raise Missing(_("There is no such value any more."))
    record(
        actor=user,
        action="container.reveal",
        outcome=Outcome.SUCCEEDED,
        host=container.host,
        object_id=container.container_id,
        object_name=container.name,
        origin=origin_of(request),
        details={"revealed": name, "kind": "environment" if kind == "environment" else "label"},
    )
    return render(request, "containers/_revealed.html", {"value": pairs[name]})


# Many containers


def _remove_stopping(*, actor: User, container: ObservedContainer, origin: Origin | None) -> Operation:
    """Remove one of many: stopped first if it runs; volumes are only removed one by one, by name."""
    return services.remove_container(actor=actor, container=container, force=True, volumes=False, origin=origin)


_BULK: dict[str, _Simple] = {
    "start": services.start_container,
    "stop": services.stop_container,
    "restart": services.restart_container,
    "remove": _remove_stopping,
}


@require_POST
def container_bulk(request: HttpRequest, verb: str) -> HttpResponse:
    """Start, stop, restart or remove what was chosen: all of it or, if a single one may not be touched, nothing."""
    user = person(request)
    if verb not in _BULK:
        raise Missing(_("There is no such action."))
    action = f"container.{verb}"
    check_somewhere(user, action)
    parameters = queries.ListParameters.of(request.GET)
    back = HttpResponseRedirect(reverse("container-list") + parameters.query(page=parameters.page))
    try:
        if request.POST.get("all") == "1":
            targets = queries.matching_targets(user, parameters, most=MOST_IN_BULK)
        else:
            targets = parse_targets(request.POST)
    except ValidationError as error:
        return _refuse_bulk(request, back, error.messages[0], say=messages.error)
    if not targets:
        return _refuse_bulk(request, back, _("Choose containers first; nothing was done."), say=messages.warning)
    if len(targets) > MOST_IN_BULK:
        message = _("These are more than %(most)s containers; narrow the list. Nothing was done.") % {
            "most": MOST_IN_BULK
        }
        return _refuse_bulk(request, back, message, say=messages.warning)
    try:
        containers = access_containers(user, targets, action)
        check_starts(user, containers, action)
    except Missing as missing:
        if wants_json(request):
            raise
        return _refuse_bulk(request, back, str(missing), say=messages.error)
    origin = origin_of(request)
    with transaction.atomic():
        operations = [_BULK[verb](actor=user, container=container, origin=origin) for container in containers]
    if wants_json(request):
        return accepted_all(operations)
    _summarise(request, verb, operations)
    return back


def _refuse_bulk(
    request: HttpRequest, back: HttpResponse, message: str, *, say: Callable[[HttpRequest, str], None]
) -> HttpResponse:
    """Lead back to the list, which says why nothing was done; programs are told at once."""
    if wants_json(request):
        return unacceptable(request, message)
    say(request, message)
    return back


def _summarise(request: HttpRequest, verb: str, operations: list[Operation]) -> None:
    # The last one ends last, more or less; the others are only read again.
    wait_for(operations[-1], timeout=_BULK_WAIT)
    ended = Operation.objects.filter(pk__in=[operation.pk for operation in operations])
    states = list(ended.values_list("state", flat=True))
    done = states.count(OperationState.SUCCEEDED)
    failed = states.count(OperationState.FAILED) + states.count(OperationState.CANCELLED)
    under_way = len(states) - done - failed
    words = {"start": _("Start"), "stop": _("Stop"), "restart": _("Restart"), "remove": _("Remove")}
    parts = [ngettext("%(count)s container", "%(count)s containers", len(states)) % {"count": len(states)}]
    parts += [_("%(count)s done") % {"count": done}] if done else []
    parts += [_("%(count)s failed; Activity tells why") % {"count": failed}] if failed else []
    parts += [_("%(count)s under way") % {"count": under_way}] if under_way else []
    say = messages.warning if failed else messages.success if not under_way else messages.info
    say(request, f"{words[verb]}: {', '.join(parts)}.")
