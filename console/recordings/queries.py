"""Recordings as their pages show them, and the search in what they showed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Q

from console.recordings.index import matching
from console.recordings.models import Recording, RecordingQuerySet, RecordingText

PAGE_LENGTH = 25
#: Hits that the list shows of one recording, and that the search within one finds.
HITS_EACH = 4
MOST_HITS = 500
#: Rows of the index that one page reads at most.
_TEXTS_READ = 400
#: Characters shown before and behind what was found.
_BEFORE = 60
_BEHIND = 120
#: A replay begins so many seconds before what was found, so that one sees it come.
_RUN_UP = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter:
    """What somebody looks for; an empty field looks for nothing."""

    text: str = ""
    person: str = ""
    container: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def chosen(self) -> dict[str, str]:
        """What is looked for, by the names of the filter's fields."""
        words = {
            "q": self.text,
            "person": self.person,
            "container": self.container,
            "since": _moment(self.since),
            "until": _moment(self.until),
        }
        return {name: value for name, value in words.items() if value}


def _moment(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A line in which something was found: when it was shown, and the text around it."""

    seconds: float
    before: str
    found: str
    behind: str

    @property
    def start(self) -> float:
        """Where a replay that shows it begins."""
        return round(max(0.0, self.seconds - _RUN_UP), 1)


@dataclass(slots=True)
class FoundRecording:
    """A recording of the list, with what was found in it."""

    recording: Recording
    hits: list[Hit] = field(default_factory=list)
    has_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingPage:
    """Some recordings, newest first."""

    rows: list[FoundRecording]
    has_next: bool


def filtered(recordings: RecordingQuerySet, wanted: RecordingFilter) -> RecordingQuerySet:
    """Return those of ``recordings`` that are looked for, whatever they showed."""
    if wanted.person:
        recordings = recordings.filter(person_name__iexact=wanted.person)
    if wanted.container:
        recordings = recordings.filter(
            Q(container_name__icontains=wanted.container) | Q(container_id__startswith=wanted.container)
        )
    if wanted.since:
        # One that goes on at that time counts too; one without an end goes on still.
        recordings = recordings.filter(Q(ended_at__gte=wanted.since) | Q(ended_at=None))
    if wanted.until:
        recordings = recordings.filter(started_at__lte=wanted.until)
    return recordings


def recording_page(recordings: RecordingQuerySet, wanted: RecordingFilter, *, page: int = 1) -> RecordingPage:
    """Return one page of those of ``recordings`` that match, each with the first lines that do."""
    found = filtered(recordings, wanted)
    if wanted.text:
        texts = matching(RecordingText.objects.all(), wanted.text)
        found = found.filter(pk__in=texts.values("recording_id"))
    start = (page - 1) * PAGE_LENGTH
    rows = list(found.order_by("-started_at", "-pk")[start : start + PAGE_LENGTH + 1])
    shown = [FoundRecording(row) for row in rows[:PAGE_LENGTH]]
    if wanted.text:
        _add_hits(shown, wanted.text)
    return RecordingPage(rows=shown, has_next=len(rows) > PAGE_LENGTH)


def _add_hits(rows: list[FoundRecording], words: str) -> None:
    by_id: dict[UUID, FoundRecording] = {row.recording.pk: row for row in rows}
    texts = matching(RecordingText.objects.filter(recording_id__in=by_id), words).order_by("pk")[:_TEXTS_READ]
    for text in texts:
        row = by_id[text.recording_id]
        for hit in hits_in(text, words):
            if len(row.hits) == HITS_EACH:
                row.has_more = True
                break
            row.hits.append(hit)


def hits_within(recording: Recording, words: str) -> list[Hit]:
    """Return where ``recording`` showed ``words``, in order."""
    if not words:
        return []
    hits: list[Hit] = []
    for text in matching(RecordingText.objects.filter(recording=recording), words).order_by("pk")[:MOST_HITS]:
        hits += hits_in(text, words)
        if len(hits) >= MOST_HITS:
            break
    return hits[:MOST_HITS]


def hits_in(text: RecordingText, words: str) -> Iterator[Hit]:
    """Return the lines of ``text`` that hold ``words``, in any case."""
    wanted = words.lower()
    for line, seconds in zip(text.text.split("\n"), text.times, strict=False):
        at = line.lower().find(wanted)
        if at < 0:
            continue
        end = at + len(words)
        start = max(0, at - _BEFORE)
        yield Hit(
            float(seconds),
            ("…" if start else "") + line[start:at],
            line[at:end],
            line[end : end + _BEHIND] + ("…" if len(line) > end + _BEHIND else ""),
        )
