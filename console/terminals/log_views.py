"""A log as a file, and the search over all of it: both are streamed while the log is read."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from console.accounts.models import User
from console.accounts.pages import finder_of
from console.containers.access import access_container, still_allowed
from console.containers.requests import person
from console.gateway import BackendError, Chunk, open_engine
from console.inventory.models import ObservedContainer
from console.lib.leases import Lease, RightsEnded
from console.lib.problems import field_errors
from console.operations.errors import explain
from console.terminals import log_search
from console.terminals.forms import LogsForm
from console.terminals.log_forms import SearchForm


def _may_go_on(container: ObservedContainer, *, find: Callable[[], User | None]) -> bool:
    """Whether whom ``find`` finds, by session or token, may still read the log with the rights of now."""
    user = find()
    return user is not None and still_allowed(
        user, host_id=container.host_id, container_id=container.container_id, action="container.logs"
    )


def lease_of(request: HttpRequest, container: ObservedContainer) -> Callable[[], bool]:
    """Return what tells whether the request's person may still read the container's log."""
    return partial(_may_go_on, container, find=finder_of(request))


async def leased(chunks: AsyncIterator[Chunk], may_go_on: Callable[[], bool]) -> AsyncGenerator[Chunk, None]:
    """Yield the chunks for as long as the person may read them. Raises ``RightsEnded``."""
    lease = Lease(may_go_on)
    try:
        async for chunk in chunks:
            await lease.hold()
            yield chunk
    finally:
        if hasattr(chunks, "aclose"):
            await chunks.aclose()


def _too_many() -> str:
    return _("Two of your searches are running already; wait until one has ended, or stop it.")


class StreamedBody:
    """What an answer streams, let go of as soon as the answer is closed, not when it is collected."""

    def __init__(self, content: AsyncGenerator[bytes, None]) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._content

    def close(self) -> None:
        """End the content wherever it stands. Django calls this in a thread, also when the browser has gone."""
        asyncio.run_coroutine_threadsafe(self._content.aclose(), self._loop)


@require_GET
async def logs_search(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """What is found in a log, as JSON by lines: :func:`console.terminals.log_search.search` has the rows."""
    form = SearchForm({**request.GET.dict(), "follow": ""})
    if not form.is_valid():
        return field_errors(form)
    data = form.cleaned_data
    user = person(request)
    container = await sync_to_async(lambda: access_container(user, data["host"], data["container"], "container.logs"))()
    query = form.query()
    try:
        query.compile()
    except log_search.BadPattern as error:
        form.add_error("q", _("This regular expression is not understood: %(reason)s") % {"reason": error})
        return field_errors(form)
    if log_search.is_busy(user.pk):
        return JsonResponse({"code": "too_many", "message": _too_many()}, status=429)
    engine = open_engine(container.host.endpoint)
    detail = await engine.inspect_container(container.container_id)
    chunks = engine.logs(container.container_id, tty=detail.tty, **form.arguments())
    rows = log_search.search(leased(chunks, lease_of(request, container)), query)

    async def found() -> AsyncGenerator[dict[str, Any], None]:
        try:
            with log_search.turn(user.pk):
                async with aclosing(rows):
                    async for row in rows:
                        yield row
        except log_search.TooMany:
            yield {"type": "end", "reason": "failed", "message": _too_many()}
        except RightsEnded:
            message = _("Your session or your rights ended, so the search ends here.")
            yield {"type": "end", "reason": "failed", "message": message}
        except BackendError as error:
            reason = explain(error, name=container.name, host=container.host.name)
            yield {"type": "end", "reason": "failed", "message": f"{reason.sentence} {reason.next_step}"}

    async def content() -> AsyncGenerator[bytes, None]:
        async with aclosing(found()) as told:
            async for row in told:
                yield json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    return StreamingHttpResponse(
        StreamedBody(content()),
        content_type="application/x-ndjson",
        headers={"Cache-Control": "no-store, private", "X-Accel-Buffering": "no"},
    )


@require_GET
async def logs_download(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The log as a text file, streamed: nothing of it is kept here."""
    form = LogsForm({**request.GET.dict(), "follow": ""})
    if not form.is_valid():
        return field_errors(form)
    data = form.cleaned_data
    container = await sync_to_async(
        lambda: access_container(person(request), data["host"], data["container"], "container.logs")
    )()
    engine = open_engine(container.host.endpoint)
    detail = await engine.inspect_container(container.container_id)
    chunks = engine.logs(container.container_id, tty=detail.tty, **form.arguments())
    # The first chunk is awaited here, so that an engine's refusal still becomes a proper answer.
    first = await anext(aiter(chunks), None)

    async def content() -> AsyncGenerator[bytes, None]:
        rest = leased(chunks, lease_of(request, container))
        try:
            async with aclosing(rest):
                if first is not None:
                    yield first.data
                async for chunk in rest:
                    yield chunk.data
        except RightsEnded:
            yield f"\n{_('Your session or your rights ended, so the log ends here.')}\n".encode()

    name = re.sub(r"[^A-Za-z0-9_.-]", "_", container.name)
    return StreamingHttpResponse(
        StreamedBody(content()),
        content_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}-{timezone.now():%Y%m%d-%H%M%S}.log"',
            "Cache-Control": "no-store, private",
        },
    )
