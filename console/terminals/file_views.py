"""Files from and to the place of a terminal: where that is, what is there, download, upload."""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from console.accounts.models import User
from console.accounts.sessions import find_user
from console.audit.models import Outcome
from console.containers.requests import person
from console.gateway import BackendError, FileStream, PathKind, open_engine
from console.lib import problems
from console.lib.amounts import size_text
from console.lib.bodies import BodyGone, parts_of
from console.lib.leases import Lease, RightsEnded
from console.lib.origin import Origin, origin_of
from console.lib.text import one_line
from console.lib.websocket import in_database
from console.rbac.access import Refused
from console.terminals import file_problems
from console.terminals.file_access import READ, WRITE, FilePlace, access_files, access_session, may_go_on
from console.terminals.file_forms import FromTerminalForm, PathForm, PlaceForm, UploadForm
from console.terminals.file_services import (
    DOWNLOAD_LIMIT,
    MOST_AT_ONCE,
    Passage,
    TooLarge,
    TooMany,
    Ways,
    place_of,
    record_file,
)

_LONGEST_SHOWN: Final = 200


def _unknown(form: FromTerminalForm) -> JsonResponse | None:
    """Say which parameter means nothing here, if one does."""
    for key in form.unknown():
        if key != "csrfmiddlewaretoken":
            message = _("“%(key)s” means nothing here.") % {"key": one_line(key, limit=100)}
            errors = {one_line(key, limit=100): message}
            return JsonResponse({"code": "invalid", "errors": errors}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return None


async def _answer(request: HttpRequest, problem: problems.Problem) -> HttpResponse:
    """Say what is wrong; a page around it asks the database."""
    return await sync_to_async(problems.answer)(request, problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks for which container's files, from where."""

    actor: User
    place: FilePlace
    action: str
    origin: Origin
    session_key: str

    def lease(self) -> Lease:
        """Return what asks for the rights of now, by the session that the request came with."""
        container = self.place.container
        going_on = partial(
            may_go_on, host_id=container.host_id, container_id=container.container_id, action=self.action
        )

        def may() -> bool:
            user = find_user(self.session_key)
            return user is not None and going_on(user)

        return Lease(may)

    async def note(self, outcome: Outcome, *, path: str, is_answered: bool = False, **details: Any) -> None:
        """Put on record what became of a file; once ``is_answered``, without the request's own thread."""
        row = partial(
            record_file,
            self.place,
            actor=self.actor,
            action=self.action,
            outcome=outcome,
            path=path,
            origin=self.origin,
            **details,
        )
        await (in_database(row) if is_answered else sync_to_async(row)())

    def problem(self, error: BackendError, *, path: str) -> problems.Problem:
        """Return an engine's error in words."""
        container = self.place.container
        shown = one_line(path, limit=_LONGEST_SHOWN)
        return file_problems.file_problem(error, path=shown, name=container.name, host=container.host.name)


async def _asking(request: HttpRequest, form: FromTerminalForm, *, action: str) -> Asking:
    """Fetch and authorise. Raises ``Missing`` or ``Refused``; nothing has reached the engine by then."""
    data = form.cleaned_data

    def fetch() -> Asking:
        actor = person(request)
        place = access_files(
            actor, host_id=data["host"], container_id=data["container"], session_id=data["session"], action=action
        )
        return Asking(
            actor=actor,
            place=place,
            action=action,
            origin=origin_of(request),
            session_key=request.session.session_key or "",
        )

    return await sync_to_async(fetch)()


@require_GET
async def file_place(request: HttpRequest) -> HttpResponse:
    """Where the person's own terminal stands, and how much may be put there."""
    form = PlaceForm(request.GET)
    if not form.is_valid():
        return problems.field_errors(form)
    place = await sync_to_async(lambda: access_session(person(request), form.cleaned_data["session"]))()
    folder = await place_of(place, open_engine(place.container.host.endpoint))
    return JsonResponse({"folder": folder, "upload_limit": settings.UPLOAD_LIMIT})


@require_GET
async def file_about(request: HttpRequest) -> HttpResponse:
    """What is at a path: asked before a download, so that what is wrong is said in its place."""
    form = PathForm(request.GET.dict())
    if not form.is_valid():
        return problems.field_errors(form)
    if (unknown := _unknown(form)) is not None:
        return unknown
    asking = await _asking(request, form, action=READ)
    path = form.cleaned_data["path"]
    ways = Ways(asking.place, open_engine(asking.place.container.host.endpoint), action=READ)
    try:
        stat = await ways.stat(path)
    except BackendError as error:
        return await _answer(request, asking.problem(error, path=path))
    return JsonResponse({"name": stat.name, "kind": stat.kind.value, "size_bytes": stat.size_bytes})


@require_POST
async def file_download(request: HttpRequest) -> HttpResponseBase:
    """A file as it is, a folder as a tar; nothing of it is kept here. Posted, because it leaves a row of the record."""
    form = PathForm(request.POST.dict())
    if not form.is_valid():
        return problems.field_errors(form)
    if (unknown := _unknown(form)) is not None:
        return unknown
    asking = await _asking(request, form, action=READ)
    path = form.cleaned_data["path"]
    ways = Ways(asking.place, open_engine(asking.place.container.host.endpoint), action=READ)
    try:
        passage = Passage(asking.actor.pk)
    except TooMany:
        return await _answer(request, file_problems.too_many(MOST_AT_ONCE))
    try:
        stream = await ways.read(path)
    except BackendError as error:
        passage.end()
        await asking.note(Outcome.FAILED, path=path, reason=error.reason or error.code)
        return await _answer(request, asking.problem(error, path=path))
    except BaseException:
        passage.end()
        raise
    stat = stream.stat
    await asking.note(Outcome.ACCEPTED, path=path, kind=stat.kind.value, size_bytes=stream.size_bytes)
    name = _file_name(stat.name or asking.place.container.name)
    if stat.kind is PathKind.FOLDER:
        name = f"{name}.tar"
    headers = {
        "Content-Disposition": content_disposition_header(as_attachment=True, filename=name) or "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "no-store, private",
    }
    if stream.size_bytes is not None:
        headers["Content-Length"] = str(stream.size_bytes)
    outgoing = Outgoing(asking, stream, path=path, passage=passage)
    kind = "application/x-tar" if stat.kind is PathKind.FOLDER else "application/octet-stream"
    return StreamingHttpResponse(outgoing, content_type=kind, headers=headers)


#: What is being let go of: a task that nobody holds is thrown away.
_endings: Final[set[asyncio.Task[None]]] = set()


class Outgoing:
    """A file on its way to a browser. Django calls ``close`` however the answer ends, also before it has begun."""

    def __init__(self, asking: Asking, stream: FileStream, *, path: str, passage: Passage) -> None:
        self._asking = asking
        self._stream = stream
        self._path = path
        self._passage = passage
        self._loop = asyncio.get_running_loop()
        self._parts = self._send()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the file. Raises, and so breaks the answer off, where it cannot be had whole."""
        return self._parts

    async def _send(self) -> AsyncGenerator[bytes, None]:
        lease = self._asking.lease()
        sent, outcome, details = 0, Outcome.CANCELLED, {"reason": "the browser went"}
        try:
            async for part in self._stream:
                await lease.hold()
                sent += len(part)
                if sent > DOWNLOAD_LIMIT:
                    raise TooLarge
                yield part
            outcome, details = Outcome.SUCCEEDED, {}
        except TooLarge:
            outcome, details = Outcome.FAILED, {"reason": "too_large"}
            raise
        except RightsEnded:
            outcome, details = Outcome.DENIED, {"reason": "the person's session or rights ended"}
            raise
        except BackendError as error:
            outcome, details = Outcome.FAILED, {"reason": error.reason or error.code}
            raise
        finally:
            self._passage.end()
            try:
                await self._stream.aclose()
            finally:
                await self._asking.note(outcome, path=self._path, is_answered=True, sent_bytes=sent, **details)

    def close(self) -> None:
        """Let go of what is not read to its end; from any thread."""

        def start() -> None:
            task = self._loop.create_task(self._end())
            _endings.add(task)
            task.add_done_callback(_endings.discard)

        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(start)

    async def _end(self) -> None:
        self._passage.end()
        await self._parts.aclose()
        await self._stream.aclose()


@require_POST
async def file_upload(request: HttpRequest) -> HttpResponseBase:
    """One file, as the body of the request, into a folder of the container: it goes there as it comes."""
    form = UploadForm(request.GET.dict())
    if not form.is_valid():
        return problems.field_errors(form)
    if (unknown := _unknown(form)) is not None:
        return unknown
    asking = await _asking(request, form, action=WRITE)
    data = form.cleaned_data
    path = posixpath.join(data["folder"], data["name"])
    length = request.headers.get("Content-Length", "")
    if not re.fullmatch(r"[0-9]{1,18}", length):
        return await _answer(request, file_problems.no_length())
    if int(length) > settings.UPLOAD_LIMIT:
        await asking.note(Outcome.FAILED, path=path, size_bytes=int(length), reason="too_large")
        return await _answer(request, file_problems.too_large(size_text(settings.UPLOAD_LIMIT)))
    try:
        passage = Passage(asking.actor.pk)
    except TooMany:
        return await _answer(request, file_problems.too_many(MOST_AT_ONCE))
    try:
        return await _take(request, asking, path=path, size_bytes=int(length), **_target(data))
    finally:
        passage.end()


def _target(data: dict[str, Any]) -> dict[str, Any]:
    return {"folder": data["folder"], "name": data["name"], "overwrite": data["overwrite"]}


async def _take(
    request: HttpRequest, asking: Asking, *, path: str, size_bytes: int, folder: str, name: str, overwrite: bool
) -> HttpResponseBase:
    received = Received(parts_of(request), lease=asking.lease())
    note = partial(asking.note, path=path, size_bytes=size_bytes)
    ways = Ways(asking.place, open_engine(asking.place.container.host.endpoint), action=WRITE)
    await note(Outcome.ACCEPTED, overwrite=overwrite)
    try:
        await ways.write(folder, name, size_bytes=size_bytes, data=received.parts(), overwrite=overwrite)
    except (BackendError, RightsEnded, BodyGone) as error:
        # What ended the body comes first: the engine only says that it ended.
        cause = received.failure or error
        if isinstance(cause, RightsEnded):
            raise _refusal(asking) from cause
        if isinstance(cause, BodyGone):
            await note(Outcome.CANCELLED, received_bytes=received.size, reason="the browser went")
            return HttpResponse(status=HTTPStatus.BAD_REQUEST)
        if not isinstance(cause, BackendError):
            raise
        await note(Outcome.FAILED, received_bytes=received.size, reason=cause.reason or cause.code)
        return await _answer(request, asking.problem(cause, path=path))
    await note(Outcome.SUCCEEDED)
    return JsonResponse({"path": path, "size_bytes": size_bytes}, status=HTTPStatus.CREATED)


def _refusal(asking: Asking) -> Refused:
    container = asking.place.container
    return Refused(
        asking.action,
        message=_("Your session or your rights ended, so the file was not put there."),
        host=container.host,
        object_id=container.container_id,
        object_name=container.name,
    )


class Received:
    """A body on its way into a container: counted, and only for as long as its sender may."""

    def __init__(self, body: AsyncIterator[bytes], *, lease: Lease) -> None:
        self._body = body
        self._lease = lease
        self.size = 0
        self.failure: Exception | None = None

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield what comes. Raises ``BodyGone``, ``RightsEnded``."""
        try:
            async for part in self._body:
                await self._lease.hold()
                self.size += len(part)
                yield part
        except (BodyGone, RightsEnded) as error:
            self.failure = error
            raise


def _file_name(name: str) -> str:
    """Return a name under which any system saves a file, and no header breaks."""
    plain = one_line(name, limit=_LONGEST_SHOWN)
    return re.sub(r'[\\/:*?"<>|]', "_", plain).strip() if plain.strip(". ") else "file"
