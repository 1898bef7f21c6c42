"""The record of who did what, for those who may read it: as a page, as a file, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from console.accounts.models import User
from console.accounts.sessions import is_session_valid
from console.audit import exports
from console.audit.access import access_audit
from console.audit.checks import ask_check
from console.audit.forms import AuditFilterForm, ExportForm, PageForm
from console.audit.models import Outcome
from console.audit.queries import AuditFilter, audit_page, check_state
from console.lib.htmx import redirect
from console.lib.origin import origin_of
from console.lib.problems import BadInput
from console.lib.websocket import in_database
from console.rbac.access import check
from console.rbac.policy import allowed

#: What HTMX may ask for alone, by its id.
_PARTS = {"audit-rows": "audit/_rows.html", "audit-check": "audit/_check.html"}


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    """List the record, newest first, filtered; HTMX gets the rows alone."""
    user = _person(request)
    events = access_audit(user)
    form = AuditFilterForm(request.GET)
    wanted = form.wanted()
    before = PageForm(request.GET).start()
    page = audit_page(events, wanted, before=before)
    context = {
        "page": page,
        "form": form,
        "wanted": wanted,
        "chosen": wanted.chosen,
        # What the search field above does not show already.
        "is_narrow": bool(wanted.chosen.keys() - {"q"}) or bool(form.problems),
        "outcomes": Outcome.choices,
        "check": check_state(),
        "may_export": allowed(user, "audit.export"),
        "may_verify": allowed(user, "audit.verify"),
        "is_first_page": before is None,
        "query": urlencode(wanted.chosen),
        "next_query": urlencode({**wanted.chosen, "before": page.next_before}) if page.next_before else "",
    }
    return render(request, _PARTS.get(request.headers.get("HX-Target", ""), "audit/audit_list.html"), context)


@require_POST
def audit_verify(request: HttpRequest) -> HttpResponse:
    """Have the whole record checked."""
    user = _person(request)
    check(user, "audit.verify")
    ask_check(actor=user, origin=origin_of(request))
    messages.info(request, _("The record is checked in the background; the outcome appears here."))
    return redirect(request, reverse("audit-list"))


@require_POST
def audit_export(request: HttpRequest) -> StreamingHttpResponse:
    """The rows that the filter finds, as a file, oldest first."""
    user = _person(request)
    check(user, "audit.export")
    form = ExportForm(request.POST)
    if not form.is_valid():
        raise BadInput(" ".join(f"{label}: {message}" for label, message in form.problems))
    kind: str = form.cleaned_data["format"]
    wanted = form.wanted()
    last = exports.begin_export(actor=user, wanted=wanted, kind=kind, origin=origin_of(request))
    part = partial(_part, wanted, kind=kind, last=last, user_id=user.pk, session_key=request.session.session_key or "")
    return StreamingHttpResponse(
        _content(part, start=exports.head(kind)),
        content_type=exports.TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="audit-{timezone.now():%Y%m%d-%H%M%S}.{kind}"'},
    )


async def _content(part: Callable[..., tuple[bytes, int | None]], *, start: bytes) -> AsyncIterator[bytes]:
    yield start
    after: int | None = 0
    while after is not None:
        text, after = await in_database(partial(part, after=after))
        yield text


def _part(
    wanted: AuditFilter, *, kind: str, after: int, last: int, user_id: UUID, session_key: str
) -> tuple[bytes, int | None]:
    """Return the next rows with the session and the rights of now; who lost them gets a last line that says so."""
    user = User.objects.filter(pk=user_id).first()
    if user is None or not is_session_valid(session_key, user_id) or not allowed(user, "audit.export"):
        return exports.cut_off(kind), None
    return exports.export_part(access_audit(user), wanted, kind=kind, after=after, last=last)
