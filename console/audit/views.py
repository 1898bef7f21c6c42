"""The record of who did what, for admins."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from console.accounts.models import User
from console.audit.access import access_audit
from console.audit.forms import AuditFilterForm
from console.audit.models import Outcome
from console.audit.queries import audit_page


@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    """List the record, newest first, filtered; HTMX gets the rows alone."""
    if not isinstance(request.user, User):
        raise Http404
    events = access_audit(request.user)
    form = AuditFilterForm(request.GET)
    wanted = form.wanted()
    page = audit_page(events, wanted)
    chosen = {"action": wanted.action, "person": wanted.person, "outcome": wanted.outcome, "q": wanted.text}
    kept = {name: value for name, value in chosen.items() if value}
    context = {
        "page": page,
        "form": form,
        "chosen": chosen,
        "outcomes": Outcome.choices,
        "is_filtered": bool(kept),
        "is_first_page": wanted.before is None,
        "query": urlencode(kept),
        "next_query": urlencode({**kept, "before": page.next_before}) if page.next_before else "",
    }
    part = request.headers.get("HX-Target") == "audit-rows"
    return render(request, "audit/_rows.html" if part else "audit/audit_list.html", context)
