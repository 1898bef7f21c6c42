"""Recordings: the list with its search, the replay, the file itself, and whether it is what was written."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from console.accounts.models import User
from console.accounts.pages import person_of
from console.accounts.sessions import is_session_valid
from console.lib.origin import origin_of
from console.lib.problems import Missing
from console.lib.websocket import in_database
from console.recordings.access import access_recording, access_recordings
from console.recordings.forms import MomentForm, PageForm, RecordingFilterForm, SearchForm
from console.recordings.models import Recording
from console.recordings.queries import MOST_HITS, hits_within, recording_page
from console.recordings.services import note_download, verify_for

TYPE = "application/x-asciicast"
#: Read, and with the rights of then, at once.
_PART = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})\Z")


@require_GET
def recording_list(request: HttpRequest) -> HttpResponse:
    """List the recordings that one may watch, newest first, filtered and searched; HTMX gets the rows alone."""
    recordings = access_recordings(person_of(request))
    form = RecordingFilterForm(request.GET)
    wanted = form.wanted()
    number = PageForm(request.GET).number()
    page = recording_page(recordings, wanted, page=number)
    context = {
        "page": page,
        "number": number,
        "form": form,
        "wanted": wanted,
        "chosen": wanted.chosen,
        "is_narrow": bool(wanted.chosen.keys() - {"q"}) or bool(form.problems),
        "previous_query": urlencode({**wanted.chosen, "page": number - 1}) if number > 1 else "",
        "next_query": urlencode({**wanted.chosen, "page": number + 1}) if page.has_next else "",
    }
    is_part = request.headers.get("HX-Target") == "recording-rows"
    return render(request, "recordings/_rows.html" if is_part else "recordings/recording_list.html", context)


@require_GET
def recording_detail(request: HttpRequest, *, recording_id: UUID) -> HttpResponse:
    """Replay a recording."""
    recording = access_recording(person_of(request), recording_id)
    words = SearchForm(request.GET).words()
    return render(
        request,
        "recordings/recording_detail.html",
        {
            "recording": recording,
            "start": MomentForm(request.GET).seconds(),
            "words": words,
            "hits": hits_within(recording, words) if recording.is_kept else [],
            "most_hits": MOST_HITS,
        },
    )


@require_GET
def recording_search(request: HttpRequest, *, recording_id: UUID) -> HttpResponse:
    """Where within a recording something was shown."""
    recording = access_recording(person_of(request), recording_id)
    words = SearchForm(request.GET).words()
    context = {"recording": recording, "words": words, "hits": hits_within(recording, words), "most_hits": MOST_HITS}
    return render(request, "recordings/_hits.html", context)


@require_GET
def recording_content(request: HttpRequest, *, recording_id: UUID) -> HttpResponseBase:
    """The file, or a part of it, for the player."""
    recording = access_recording(person_of(request), recording_id)
    return _file(request, recording, asked=request.headers.get("Range", ""))


@require_POST
def recording_download(request: HttpRequest, *, recording_id: UUID) -> HttpResponseBase:
    """The file, to take away."""
    user = person_of(request)
    recording = access_recording(user, recording_id)
    _size(recording)
    note_download(recording, actor=user, origin=origin_of(request))
    response = _file(request, recording, asked="")
    name = f"{recording.started_at:%Y%m%d-%H%M%S}-{recording.pk}.cast"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_POST
def recording_verify(request: HttpRequest, *, recording_id: UUID) -> HttpResponse:
    """Read the whole file, and say whether it is what was written."""
    user = person_of(request)
    recording = access_recording(user, recording_id)
    _size(recording)
    check = verify_for(recording, actor=user, origin=origin_of(request))
    return render(request, "recordings/_check.html", {"recording": recording, "check": check})


def _size(recording: Recording) -> int:
    """Return how large the file is. Raises ``Missing`` when there is none, any more or at all."""
    try:
        if not recording.is_kept:
            raise FileNotFoundError
        return recording.file.stat().st_size
    except OSError as error:
        raise Missing(_("There is nothing to watch of this recording.")) from error


def _file(request: HttpRequest, recording: Recording, *, asked: str) -> HttpResponseBase:
    size = _size(recording)
    start, end = 0, size
    status = HTTPStatus.OK
    headers = {"Accept-Ranges": "bytes"}
    wanted = _RANGE.match(asked)
    if wanted is not None and (wanted[1] or wanted[2]):
        if wanted[1]:
            start = int(wanted[1])
            end = min(size, int(wanted[2]) + 1) if wanted[2] else size
        else:
            start = max(0, size - int(wanted[2]))
        if start >= end:
            return HttpResponse(
                status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers={"Content-Range": f"bytes */{size}"}
            )
        status = HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    part = partial(
        _part, recording.pk, user_id=person_of(request).pk, session_key=request.session.session_key or "", end=end
    )
    return StreamingHttpResponse(_content(part, start, end), content_type=TYPE, status=status, headers=headers)


async def _content(part: partial[bytes], start: int, end: int) -> AsyncIterator[bytes]:
    position = start
    while position < end and (data := await in_database(partial(part, start=position))):
        yield data
        position += len(data)


def _part(recording_id: UUID, *, user_id: UUID, session_key: str, start: int, end: int) -> bytes:
    """Return the next bytes with the session and the rights of now; who lost them gets no more."""
    user = User.objects.filter(pk=user_id).first()
    if user is None or not is_session_valid(session_key, user_id):
        return b""
    recording = Recording.objects.visible_to(user).filter(pk=recording_id).first()
    if recording is None or not recording.is_kept:
        return b""
    with recording.file.open("rb") as file:
        file.seek(start)
        return file.read(min(_PART, end - start))
