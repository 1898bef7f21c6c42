"""Pages of operations: the list, one of them, and what the top bar shows."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from console.accounts.models import User
from console.accounts.services import see_notifications
from console.lib.htmx import is_fragment, redirect, toast
from console.lib.origin import origin_of
from console.lib.problems import BadInput, Problem, answer, wants_json
from console.lib.programs import json_page
from console.operations import queries
from console.operations.access import access_operation, access_operations
from console.operations.answers import accepted
from console.operations.errors import Impossible
from console.operations.forms import SeenForm
from console.operations.models import Operation, OperationState
from console.operations.services import cancel_operation, retry_operation, wait_for
from console.rbac.access import Refused
from console.rbac.policy import allowed

#: What to say to whoever cancelled, by how it ended.
_CANCELLED: dict[str, Promise] = {
    OperationState.CANCELLED: gettext_lazy("%(title)s: cancelled."),
    OperationState.SUCCEEDED: gettext_lazy("%(title)s: it was done before it could be cancelled."),
    OperationState.FAILED: gettext_lazy("%(title)s: it failed before it could be cancelled."),
}


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Refused("operation.view")
    return request.user


@require_GET
def activity(request: HttpRequest) -> HttpResponse:
    """Every operation, the newest first."""
    user = _person(request)
    access_operations(user)
    filters = queries.Filters.of(request.GET)
    page = queries.activity_page(user, filters)
    if wants_json(request):
        items = (queries.as_json(row.operation) for row in page.rows)
        return json_page(request, items, total=page.total, previous=page.previous, following=page.next)
    context = {
        "filters": filters,
        "page": page,
        "facets": queries.activity_facets(user, filters),
        "query": filters.query(page=filters.page),
        "may_see_audit": allowed(user, "audit.view"),
    }
    return render(request, "operations/activity.html", context)


@require_GET
def operation_detail(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """One operation: its steps, progress, output, and how it ended."""
    user = _person(request)
    operation = access_operation(user, operation_id, "operation.view")
    if wants_json(request):
        return JsonResponse(queries.as_json(operation) | {"result": operation.result, "output": operation.output})
    context = {"operation": operation, "detail": queries.operation_detail(operation, user=user)}
    return render(request, "operations/operation_detail.html", context)


@require_GET
def operation_panel(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """One operation for the dock."""
    user = _person(request)
    operation = access_operation(user, operation_id, "operation.view")
    context = {"operation": operation, "detail": queries.operation_detail(operation, user=user), "in_dock": True}
    return render(request, "operations/_operation.html", context)


@require_GET
def operation_indicator(request: HttpRequest) -> HttpResponse:
    """What goes on now, for the top bar."""
    return render(request, "operations/_indicator.html", {"indicator": queries.indicator(_person(request))})


@require_GET
def notifications(request: HttpRequest) -> HttpResponse:
    """What ended since the person looked, for the top bar."""
    context = {"notifications": queries.notifications(_person(request))}
    return render(request, "operations/_notifications.html", context)


@require_POST
def notifications_seen(request: HttpRequest) -> HttpResponse:
    """Take what was shown for seen; what ended meanwhile stays news."""
    user = _person(request)
    form = SeenForm(request.POST)
    if not form.is_valid():
        raise BadInput(_("This does not say until when you have seen them; reload the page."))
    see_notifications(actor=user, until=form.cleaned_data["until"])
    user.refresh_from_db(fields=["notifications_seen_at"])
    context = {"notifications": queries.notifications(user)}
    return toast(render(request, "operations/_notifications.html", context), "info", _("Marked as seen."))


@require_POST
def operation_cancel(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """Stop an operation."""
    user = _person(request)
    operation = access_operation(user, operation_id, "operation.cancel")
    try:
        operation = cancel_operation(actor=user, operation=operation, origin=origin_of(request))
    except Impossible as reason:
        return _impossible(request, operation, reason)
    if wants_json(request):
        return accepted(operation)
    operation = wait_for(operation)
    text = _CANCELLED.get(operation.state, _("%(title)s: it stops as soon as it can.")) % {"title": operation.title}
    cause = queries.detail_of(operation) if operation.error else ""
    if is_fragment(request):
        return toast(HttpResponse(), "info", text, detail=cause, next_step=operation.next_step)
    messages.info(request, " ".join(filter(None, (text, cause, operation.next_step))))
    return redirect(request, _url(operation))


@require_POST
def operation_retry(request: HttpRequest, operation_id: UUID) -> HttpResponse:
    """Ask for the same change again."""
    user = _person(request)
    operation = access_operation(user, operation_id, "operation.retry")
    try:
        again = retry_operation(actor=user, operation=operation, origin=origin_of(request))
    except Impossible as reason:
        return _impossible(request, operation, reason)
    if wants_json(request):
        return accepted(again)
    return redirect(request, _url(again))


def _impossible(request: HttpRequest, operation: Operation, reason: Impossible) -> HttpResponse:
    if wants_json(request):
        title = _("The operation's present state forbids this")
        problem = Problem(
            status=409, code="impossible", title=title, message=reason.message, next_step=reason.next_step
        )
        return answer(request, problem)
    if is_fragment(request):
        return toast(HttpResponse(), "warning", reason.message, next_step=reason.next_step)
    messages.warning(request, f"{reason.message} {reason.next_step}")
    return redirect(request, _url(operation))


def _url(operation: Operation) -> str:
    return reverse("operation-detail", args=[operation.pk])
