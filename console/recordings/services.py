"""The life of a recording: planned, ended, proved, made searchable, and gone when its time is over."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from console.accounts.models import Team, User
from console.audit.models import AuditEvent, Outcome
from console.audit.services import record
from console.gateway import (
    LineReader,
    Place,
    RecordingVerdict,
    chain_path,
    hub_messages,
    is_closed,
    length_of,
    verify_recording,
)
from console.hosts.models import Host
from console.lib.live import notify
from console.lib.origin import Origin
from console.policies.queries import ShellTerms
from console.policies.rules import Recorded
from console.rbac.models import owner_of_container
from console.recordings.models import KEPT, Recording, RecordingState, RecordingText

logger = structlog.get_logger(__name__)

#: After this, what wrote a recording whose terminal has ended has done so, or is dead.
WRITER_PATIENCE = timedelta(seconds=5)
#: A terminal whose recording was planned so lately may be opening.
OPENING = timedelta(minutes=1)
#: A worker that takes longer with one recording is dead.
LONGEST_CARE = timedelta(minutes=10)
#: Of one recording, a search looks through so many characters: the first.
INDEX_LIMIT = 8 * 1024 * 1024
#: And through what the first so many bytes of the file showed, which may be the same again and again.
READ_LIMIT = 64 * 1024 * 1024
#: Lines of so many characters together are one row of the index.
TEXT_SIZE = 4000
#: Rows written, recordings looked after, and recordings that go, in one go.
BATCH = 200


class Session(Protocol):
    """As much of a terminal as its recording needs; terminals stand on a floor above."""

    @property
    def pk(self) -> UUID:
        """Its id."""

    @property
    def person(self) -> User | None:
        """Who opened it."""

    @property
    def host(self) -> Host:
        """Where."""

    @property
    def container_id(self) -> str:
        """In what."""

    @property
    def container_name(self) -> str:
        """Its name then."""


def plan_recording(session: Session, terms: ShellTerms) -> hub_messages.Recording | None:
    """Return how the hub is to record the terminal that is about to open; ``None`` when the policy wants none."""
    if terms.recording == Recorded.OFF:
        return None
    now = timezone.now()
    team_id = owner_of_container(host_id=session.host.pk, container_id=session.container_id)
    team = Team.objects.filter(pk=team_id).first() if team_id is not None else None
    person = session.person
    recording, _is_new = Recording.objects.get_or_create(
        session_id=session.pk,
        defaults={
            "person": person,
            "person_name": person.username if person else "",
            "team": team,
            "team_name": team.name if team else "",
            "host": session.host,
            "host_name": session.host.name,
            "container_id": session.container_id,
            "container_name": session.container_name,
            "path": f"{now:%Y/%m}/{session.pk}.cast",
            "keeps_input": terms.record_input,
            "started_at": now,
            "keep_days": terms.recording_days,
        },
    )
    try:
        for folder in reversed((recording.file.parent, *recording.file.parent.parents[:2])):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        # The hub will find no folder either, and then does what the policy wants.
        logger.warning("no folder for a recording", error=str(error))
    return hub_messages.Recording(
        path=str(recording.file),
        required=terms.recording == Recorded.REQUIRED,
        keeps_input=recording.keeps_input,
        title=f"{recording.person_name} in {recording.container_name}",
        details={
            "session": str(recording.session_id),
            "person": recording.person_name,
            "team": recording.team_name,
            "host": recording.host_name,
            "container": recording.container_id,
        },
    )


def pass_recording_on(session_id: UUID, *, person: User) -> None:
    """The terminal is that of ``person`` now, and with it its recording; who began it is still named."""
    Recording.objects.filter(session_id=session_id).update(person=person)


def finish_recording(session_id: UUID) -> None:
    """The terminal has ended, however it did: its recording is to be closed soon. May be said more than once."""
    Recording.objects.filter(session_id=session_id, state=RecordingState.RECORDING, ended_at=None).update(
        ended_at=timezone.now()
    )


def finish_all_but(open_sessions: Collection[UUID]) -> None:
    """These terminals are all that are open: every other recording's terminal has ended."""
    now = timezone.now()
    known = set(open_sessions)
    going_on = Recording.objects.filter(state=RecordingState.RECORDING, ended_at=None, started_at__lt=now - OPENING)
    gone = [row for row in going_on.values_list("pk", "session_id") if row[1] not in known]
    Recording.objects.filter(pk__in=[pk for pk, _session in gone], ended_at=None).update(ended_at=now)


def look_after_recordings() -> int:
    """Index what was recorded since the last look, and close what has ended; return how many were closed."""
    now = timezone.now()
    wanting = Q(state=RecordingState.RECORDING) | Q(state__in=KEPT, is_indexed=False)
    unclaimed = Q(claimed_until=None) | Q(claimed_until__lt=now)
    closed = 0
    for recording_id in list(Recording.objects.filter(wanting, unclaimed).values_list("pk", flat=True)):
        claim = Recording.objects.filter(unclaimed, pk=recording_id)
        if not claim.update(claimed_until=timezone.now() + LONGEST_CARE):
            continue
        try:
            recording = Recording.objects.get(pk=recording_id)
            closed += _close_if_ended(recording)
            index_recording(recording)
        finally:
            Recording.objects.filter(pk=recording_id).update(claimed_until=None)
    return closed


def _close_if_ended(recording: Recording) -> bool:
    if recording.state != RecordingState.RECORDING:
        return False
    has_died = recording.ended_at is not None and recording.ended_at < timezone.now() - WRITER_PATIENCE
    if not has_died and not is_closed(recording.file):
        return False
    close_recording(recording)
    return True


def close_recording(recording: Recording) -> None:
    """Prove what was recorded, and put the head of its chain into the record."""
    verdict = verify_recording(recording.file)
    if verdict.fault is not None and verdict.fault.kind == "missing":
        state = RecordingState.FAILED
    elif verdict.complete:
        state = RecordingState.COMPLETE
    else:
        state = RecordingState.INCOMPLETE
    now = timezone.now()
    ended_at = recording.ended_at or now
    changes: dict[str, Any] = {
        "state": state,
        "ended_at": ended_at,
        "seconds": _length(recording) if state != RecordingState.FAILED else 0.0,
        "size_bytes": verdict.size_bytes,
        "chain_head": verdict.head,
        "keep_until": ended_at + timedelta(days=recording.keep_days),
        "is_indexed": state == RecordingState.FAILED,
    }
    with transaction.atomic():
        if not Recording.objects.filter(pk=recording.pk, state=RecordingState.RECORDING).update(**changes):
            return
        for name, value in changes.items():
            setattr(recording, name, value)
        _record(
            recording,
            action="recording.close",
            outcome=Outcome.SUCCEEDED if state == RecordingState.COMPLETE else Outcome.FAILED,
            details={
                "session": str(recording.session_id),
                "state": state.value,
                "head": verdict.head,
                "bytes": verdict.proved_bytes,
                "of": recording.person_name,
                **({"fault": verdict.fault.kind.value} if verdict.fault else {}),
            },
        )
    notify("recordings")


def _length(recording: Recording) -> float:
    try:
        return length_of(recording.file)
    except OSError:
        return 0.0


def _record(
    recording: Recording,
    *,
    action: str,
    outcome: Outcome,
    actor: User | None = None,
    origin: Origin | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    record(
        actor=actor,
        component="" if actor else "recordings",
        action=action,
        outcome=outcome,
        host=recording.host,
        object_id=str(recording.pk),
        object_name=recording.container_name,
        origin=origin,
        details=details,
    )


# For searches


@dataclass(slots=True)
class _Rows:
    """Lines that become rows of the index."""

    recording: Recording
    size: int
    last: str = ""

    def of(self, reader: LineReader) -> Iterator[RecordingText]:
        """Return the rows; what is shown again at once stands there once."""
        lines: list[str] = []
        times: list[float] = []
        size = 0
        for line in reader:
            if self.size >= INDEX_LIMIT or reader.place.offset >= READ_LIMIT:
                break
            text = line.text.strip()
            if not text or text == self.last:
                continue
            self.last = text
            # Half a surrogate pair, which no database takes, comes only from files that are none of ours.
            lines.append(text.encode("utf-8", "replace").decode())
            times.append(round(line.seconds, 1))
            size += len(text) + 1
            self.size += len(text) + 1
            if size >= TEXT_SIZE:
                yield RecordingText(recording=self.recording, text="\n".join(lines), times=times)
                lines, times, size = [], [], 0
        if lines:
            yield RecordingText(recording=self.recording, text="\n".join(lines), times=times)


def index_recording(recording: Recording) -> None:
    """Make what came since the last time searchable; the last line only once the recording has ended."""
    if recording.is_indexed or not recording.is_kept:
        return
    is_ended = recording.state != RecordingState.RECORDING
    place = Place(offset=recording.read_offset, skip=recording.read_skip, columns=recording.read_columns)
    reader = LineReader(recording.file, place=place, is_ended=is_ended)
    rows = _Rows(recording, recording.indexed_size)
    try:
        with transaction.atomic():
            batch: list[RecordingText] = []
            for row in rows.of(reader):
                batch.append(row)
                if len(batch) == BATCH:
                    RecordingText.objects.bulk_create(batch)
                    batch.clear()
            RecordingText.objects.bulk_create(batch)
            recording.read_offset, recording.read_skip = reader.place.offset, reader.place.skip
            recording.read_columns = reader.place.columns
            recording.indexed_size = rows.size
            recording.is_indexed = is_ended or rows.size >= INDEX_LIMIT or reader.place.offset >= READ_LIMIT
            recording.save(update_fields=["read_offset", "read_skip", "read_columns", "indexed_size", "is_indexed"])
    except OSError as error:
        logger.warning("recording not indexed", recording=str(recording.pk), error=str(error))
        if is_ended:
            Recording.objects.filter(pk=recording.pk).update(is_indexed=True)


# Checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a check of one recording found."""

    verdict: RecordingVerdict
    #: Whether the record of who did what names the same head.
    is_recorded: bool

    @property
    def is_whole(self) -> bool:
        """Whether every byte is what was written."""
        return self.verdict.fault is None and self.is_recorded


def check_recording(recording: Recording) -> Check:
    """Read the whole recording and compare it with its chain, its row, and the record of who did what."""
    if recording.state == RecordingState.RECORDING:
        return Check(verdict=verify_recording(recording.file), is_recorded=True)
    closings = AuditEvent.objects.filter(action="recording.close", object_id=str(recording.pk))
    heads = set(closings.values_list("details__head", flat=True))
    return Check(
        verdict=verify_recording(recording.file, head=recording.chain_head), is_recorded=heads == {recording.chain_head}
    )


def verify_for(recording: Recording, *, actor: User, origin: Origin) -> Check:
    """Check a recording because ``actor`` asks."""
    found = check_recording(recording)
    _record(
        recording,
        action="recording.verify",
        outcome=Outcome.SUCCEEDED if found.is_whole else Outcome.FAILED,
        actor=actor,
        origin=origin,
        details={"fault": found.verdict.fault.kind.value} if found.verdict.fault else {},
    )
    return found


def note_download(recording: Recording, *, actor: User, origin: Origin) -> None:
    """``actor`` takes the file away."""
    _record(
        recording,
        action="recording.download",
        outcome=Outcome.SUCCEEDED,
        actor=actor,
        origin=origin,
        details={"of": recording.person_name, "bytes": recording.size_bytes},
    )


# Retention


def expire_recordings() -> int:
    """Remove the files and texts of recordings whose time is over; return how many. Their rows stay and say so."""
    over = Recording.objects.filter(keep_until__lt=timezone.now()).exclude(state=RecordingState.EXPIRED)
    expired = 0
    for recording in over.select_related("host").order_by("keep_until")[:BATCH]:
        try:
            for path in (recording.file, chain_path(recording.file)):
                path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("recording not removed", recording=str(recording.pk), error=str(error))
            continue
        with transaction.atomic():
            recording.texts.all().delete()
            if (
                Recording.objects.filter(pk=recording.pk)
                .exclude(state=RecordingState.EXPIRED)
                .update(state=RecordingState.EXPIRED, indexed_size=0)
            ):
                expired += 1
                _record(
                    recording,
                    action="recording.expire",
                    outcome=Outcome.SUCCEEDED,
                    details={"days": recording.keep_days, "head": recording.chain_head, "of": recording.person_name},
                )
    if expired:
        notify("recordings")
    return expired
