"""Kept logs as pages, and as files."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from console.accounts.models import User
from console.accounts.pages import finder_of
from console.containers.access import access_container
from console.containers.requests import person
from console.hosts.models import Host
from console.inventory.models import ContainerQuerySet, ObservedContainer
from console.lib.leases import Lease, RightsEnded
from console.lib.problems import wants_json
from console.lib.programs import json_page
from console.logs import queries
from console.logs.access import access_kept_log, access_kept_logs, still_readable
from console.logs.forms import ReadForm
from console.logs.models import KeptLog
from console.logs.reading import Reader, Reading, Row, moment_of
from console.people.access import visible_teams
from console.terminals.log_search import BadPattern, Query, TooCostly

#: Bytes of a file that are sent at once.
_PART = 256 * 1024


@require_GET
def kept_log_list(request: HttpRequest) -> HttpResponse:
    """Every kept log, what wrote last first."""
    user = person(request)
    logs = access_kept_logs(user)
    filters = queries.LogFilters.of(request.GET)
    page = queries.log_page(logs, filters)
    if wants_json(request):
        items = (queries.as_json(row.log) for row in page.rows)
        return json_page(request, items, total=page.total, previous=page.previous, following=page.next)
    context = {
        "page": page,
        "filters": filters,
        "query": filters.query(page=page.page),
        "facets": queries.facets(logs, filters),
        "keeps_any": page.total or filters.is_narrow or queries.any_team_keeps(visible_teams(user)),
    }
    return render(request, "logs/kept_log_list.html", context)


@require_GET
def kept_log(request: HttpRequest, log_id: UUID) -> HttpResponse:
    """One kept log: its last lines, those of a moment, or those that match; with the other lives of its name."""
    user = person(request)
    log = access_kept_log(user, log_id)
    form = ReadForm(request.GET)
    form.is_valid()
    lives = queries.lives_of(user, log)
    alone = bool(form.cleaned_data.get("alone"))
    reader = Reader([log] if alone else lives)
    problem, reading = _read(reader, log, form)
    if wants_json(request):
        return JsonResponse(queries.as_json(log) | _as_json(reading))
    context: dict[str, Any] = {
        "log": log,
        "row": queries.log_row(log),
        "lives": [queries.log_row(life) for life in reversed(lives)],
        "alone": alone,
        "reading": reading,
        "form": form,
        "problem": problem,
        "chosen": _chosen(form),
        "around": form.cleaned_data.get("around") or "",
        "is_search": bool(form.cleaned_data.get("q")) and not problem,
        "urls": _urls(log, form, reading),
        "live_url": _live_url(user, log),
        "host_url": reverse("host-detail", args=[log.host_id]) if _knows_host(user, log) else "",
    }
    return render(request, "logs/kept_log.html", context)


def _read(reader: Reader, log: KeptLog, form: ReadForm) -> tuple[str, Reading]:
    """Return the lines that the address asks for, and what is wrong with it, in words."""
    data = form.cleaned_data
    before, after, around = (form.place(name) for name in ("before", "after", "around"))
    if data.get("q"):
        try:
            pattern = Query(text=data["q"], is_pattern=data["regex"], matches_case=data["case"]).compile()
        except BadPattern as error:
            return _("This is no regular expression: %(cause)s.") % {"cause": error}, Reading()
        try:
            return "", reader.search(pattern, before=before)
        except TooCostly:
            return _("This regular expression takes too long; write it without large repeats."), Reading()
    problem = " ".join(str(messages[0]) for name, messages in form.errors.items() if name in ("at", "q"))
    if around is not None:
        return problem, reader.page_around(around)
    if after is not None:
        return problem, reader.page_behind(after)
    if before is not None:
        return problem, reader.page_before(before)
    if data.get("at"):
        place = reader.find(data["at"])
        # After the last line nothing is to be read; what came before it is what was meant.
        return problem, reader.page_from(place) if place is not None else reader.page_before(None)
    if data.get("edge"):
        return problem, reader.page_from(None) if data["edge"] == "first" else reader.page_before(None)
    return problem, reader.page_before(reader.end_of(log))


def _chosen(form: ReadForm) -> dict[str, str]:
    """Return what another page of the same view must not forget."""
    data = form.cleaned_data
    chosen = {"q": data.get("q") or ""} | {name: "on" if data.get(name) else "" for name in ("regex", "case", "alone")}
    return {name: value for name, value in chosen.items() if value}


def _urls(log: KeptLog, form: ReadForm, reading: Reading) -> dict[str, str]:
    """Return where one gets from here."""
    page, chosen = reverse("kept-log", args=[log.pk]), _chosen(form)
    plain = {name: value for name, value in chosen.items() if name == "alone"}
    download = reverse("kept-log-download", args=[log.pk])

    def to(path: str, parameters: dict[str, str]) -> str:
        return f"{path}?{urlencode(parameters)}" if parameters else path

    return {
        "before": to(page, {**chosen, "before": reading.before}) if reading.before else "",
        "after": to(page, {**plain, "after": reading.after}) if reading.after else "",
        "first": to(page, {**plain, "edge": "first"}),
        "last": to(page, {**plain, "edge": "last"}),
        "plain": to(page, plain),
        "together": page,
        "alone": to(page, {"alone": "on"}),
        "around": to(page, {**plain, "around": ""}),
        "download": to(download, plain),
        "download_times": to(download, {**plain, "timestamps": "on"}),
    }


def _live_url(user: User, log: KeptLog) -> str:
    """Return where the container's log is followed, while there is one."""
    if not log.is_living:
        return ""
    containers: ContainerQuerySet = ObservedContainer.objects.visible_to(user)
    there = containers.filter(host_id=log.host_id, container_id=log.container_id).exists()
    return reverse("container-logs", args=[log.host_id, log.container_id]) if there else ""


def _knows_host(user: User, log: KeptLog) -> bool:
    return user.oversees and Host.objects.filter(pk=log.host_id).exists()


def _as_json(reading: Reading) -> dict[str, Any]:
    def line(row: Row) -> dict[str, Any]:
        return {
            "place": str(row.place),
            "log": str(row.place.log_id),
            "at": row.at.isoformat() if row.at is not None else None,
            "channel": "stderr" if row.is_error else "stdout",
            "text": row.text,
        }

    return {"lines": [line(row) for row in reading.rows], "before": reading.before, "after": reading.after}


@require_GET
def kept_log_of(request: HttpRequest, host_id: UUID, container_id: str) -> HttpResponse:
    """What is kept of a container's log, and of those of its name before it: a part of its page."""
    user = person(request)
    log = queries.log_of(user, host_id=host_id, container_id=container_id)
    if log is None:
        container = access_container(user, host_id, container_id, "container.logs")
        return render(request, "logs/_of_container.html", {"container": container, "lives": []})
    lives = [queries.log_row(life) for life in reversed(queries.lives_of(user, log))]
    return render(request, "logs/_of_container.html", {"log": log, "lives": lives})


@require_GET
async def kept_log_download(request: HttpRequest, log_id: UUID) -> StreamingHttpResponse:
    """The whole log as a text file, streamed."""

    def find() -> tuple[KeptLog, list[KeptLog], bool]:
        form = ReadForm(request.GET)
        form.is_valid()
        user = person(request)
        log = access_kept_log(user, log_id)
        lives = [log] if form.cleaned_data.get("alone") else queries.lives_of(user, log)
        return log, lives, bool(form.cleaned_data.get("timestamps"))

    log, lives, with_times = await sync_to_async(find)()
    find_person = finder_of(request)

    def may_go_on() -> bool:
        user = find_person()
        return user is not None and still_readable(user, [life.pk for life in lives])

    async def content() -> AsyncIterator[bytes]:
        parts = _parts(Reader(lives), with_times=with_times)
        lease = Lease(may_go_on)
        try:
            while part := await sync_to_async(lambda: next(parts, b""), thread_sensitive=False)():
                await lease.hold()
                yield part
        except RightsEnded:
            yield f"\n{_('Your session or your rights ended, so the log ends here.')}\n".encode()

    name = re.sub(r"[^A-Za-z0-9_.-]", "_", log.container_name)
    return StreamingHttpResponse(
        content(),
        content_type="text/plain; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}-{timezone.now():%Y%m%d-%H%M%S}.log"',
            "Cache-Control": "no-store, private",
        },
    )


def _stamp(at: int) -> str:
    """Return nanoseconds as engines write them before a line."""
    moment = moment_of(at)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 10**9:09d}Z" if moment is not None else "-"


def _parts(reader: Reader, *, with_times: bool) -> Iterator[bytes]:
    """Yield the lines as they were written, a mark where one life ends and the next begins."""
    part, last, is_new_line = bytearray(), None, True
    lives = {life.pk: life for life in reader.logs}
    for place, line in reader.forward():
        if last is not None and last != place.log_id:
            part += b"" if is_new_line else b"\n"
            part += f"--- {queries.border_words(lives[last], lives[place.log_id])} ---\n".encode()
            is_new_line = True
        if with_times and is_new_line:
            part += f"{_stamp(line.at)} ".encode()
        part += line.text
        last, is_new_line = place.log_id, line.ended
        if len(part) >= _PART:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)
