"""What the views of images, volumes and networks answer alike, once their operation ended or goes on."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from console.lib.htmx import Level, close_dialog, is_fragment, redirect, toast
from console.operations.models import Operation, OperationState


def lead_to(request: HttpRequest, url: str, *, operation: Operation, done: str) -> HttpResponse:
    """Lead to ``url`` and say there ``done``, or how else the operation ended, or that it goes on."""
    response = redirect(request, url)
    level: Level
    if operation.state == OperationState.SUCCEEDED:
        level, text = "success", done
    elif operation.is_ended:
        level, text = "error", _("%(title)s: failed") % {"title": operation.title}
    else:
        level, text = "info", _("%(title)s: under way") % {"title": operation.title}
    if is_fragment(request):
        return toast(
            close_dialog(response),
            level,
            text,
            detail=operation.error[:600],
            next_step=operation.next_step,
            url="" if level == "success" else reverse("operation-detail", args=[operation.pk]),
            url_label=_("Show what happened"),
        )
    whole = " ".join(filter(None, (text, operation.error[:600], operation.next_step)))
    {"success": messages.success, "error": messages.error, "info": messages.info}[level](request, whole)
    return response
