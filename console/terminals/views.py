"""Tickets for terminals, and logs as a file."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from console.accounts.middleware import token_of
from console.accounts.models import User
from console.accounts.sessions import find_user
from console.accounts.tokens import find_owner
from console.containers.access import access_container, still_allowed
from console.containers.requests import person
from console.gateway import open_engine
from console.inventory.models import ObservedContainer
from console.lib.origin import origin_of
from console.lib.websocket import StreamConsumer, in_database
from console.terminals import services
from console.terminals.access import ACTIONS, access_terminal, check_let_in
from console.terminals.forms import LogsForm, ReturnForm, TicketForm


def _problems(form: TicketForm | ReturnForm | LogsForm) -> JsonResponse:
    """The first error of each field, named."""
    return JsonResponse(
        {"code": "invalid", "errors": {field: errors[0] for field, errors in form.errors.items()}}, status=422
    )


def _may_go_on(container: ObservedContainer, *, find: Callable[[], User | None]) -> bool:
    """Whether whom ``find`` finds, by session or token, may still read the log with the rights of now."""
    user = find()
    return user is not None and still_allowed(
        user, host_id=container.host_id, container_id=container.container_id, action="container.logs"
    )


def _return_ticket(request: HttpRequest) -> HttpResponse:
    """A ticket for a terminal that is open already."""
    form = ReturnForm(request.POST)
    if not form.is_valid():
        return _problems(form)
    actor = person(request)
    session = access_terminal(actor, form.cleaned_data["session"], "terminal.watch")
    ticket = services.issue_return(
        actor=actor, session_key=request.session.session_key or "", session=session, origin=origin_of(request)
    )
    return JsonResponse({"ticket": ticket, "session": str(session.pk)})


@require_POST
def terminal_ticket(request: HttpRequest) -> HttpResponse:
    """Issue a single-use ticket that opens one terminal, or comes back to one, within 30 seconds."""
    if "session" in request.POST:
        return _return_ticket(request)
    form = TicketForm(request.POST)
    if not form.is_valid():
        return _problems(form)
    data = form.cleaned_data
    actor = person(request)
    container = access_container(actor, data["host"], data["container"], ACTIONS[data["kind"]])
    check_let_in(actor, container, kind=data["kind"])
    ticket, session = services.issue_ticket(
        actor=actor,
        session_key=request.session.session_key or "",
        container=container,
        kind=data["kind"],
        parameters={"command": data["command"], "user": data["user"]},
        title=data["title"],
        origin=origin_of(request),
    )
    return JsonResponse({"ticket": ticket, "session": str(session.pk)})


@require_GET
async def logs_download(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The log as a text file, streamed: nothing of it is kept here."""
    form = LogsForm({**request.GET.dict(), "follow": ""})
    if not form.is_valid():
        return _problems(form)
    data = form.cleaned_data
    container = await sync_to_async(
        lambda: access_container(person(request), data["host"], data["container"], "container.logs")
    )()
    engine = open_engine(container.host.endpoint)
    detail = await engine.inspect_container(container.container_id)
    chunks = engine.logs(container.container_id, tty=detail.tty, **form.arguments())
    # The first chunk is awaited here, so that an engine's refusal still becomes a proper answer.
    first = await anext(aiter(chunks), None)
    token = token_of(request)
    find = partial(find_owner, token.pk) if token else partial(find_user, request.session.session_key or "")
    may_go_on = partial(_may_go_on, container, find=find)

    async def content() -> AsyncIterator[bytes]:
        asked = time.monotonic()
        try:
            if first is not None:
                yield first.data
                async for chunk in chunks:
                    # A large log takes long; revocation must reach it like any other stream.
                    if time.monotonic() - asked >= StreamConsumer.lease_interval:
                        if not await in_database(may_go_on):
                            yield f"\n{_('Your session or your rights ended, so the log ends here.')}\n".encode()
                            return
                        asked = time.monotonic()
                    yield chunk.data
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()

    name = re.sub(r"[^A-Za-z0-9_.-]", "_", container.name)
    return StreamingHttpResponse(
        content(),
        content_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}-{timezone.now():%Y%m%d-%H%M%S}.log"',
            "Cache-Control": "no-store, private",
        },
    )
