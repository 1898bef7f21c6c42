"""When kept logs go: as the policy says, on record, and not before."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.models import Team, User
from console.audit.models import AuditEvent
from console.logs import retention
from console.logs.models import KeptLog, KeptState
from tests.console.logs.conftest import MakeLog, keep_for, line

pytestmark = pytest.mark.django_db


Expire = Callable[[], int]


@pytest.fixture
def expire(django_capture_on_commit_callbacks: Any) -> Expire:
    """Look once at what had its time; what is done after the commit is done."""

    def look() -> int:
        with django_capture_on_commit_callbacks(execute=True):
            return retention.expire_logs()

    return look


def test_one_that_had_its_time_goes_and_the_record_says_so(
    expire: Expire, red: Team, make_log: MakeLog, logs_dir: Path
) -> None:
    log = make_log(red, [line(1, "secret words")], keep_until=timezone.now() - timedelta(seconds=1))
    make_log(red, [line(1, "stays")], digit="b")

    assert expire() == 1

    assert KeptLog.objects.get().container_id == "b" * 64
    assert [path.name for path in logs_dir.glob("*/*")] == ["b" * 64]
    event = AuditEvent.objects.get(action="log.expire")
    assert (event.actor_name, event.object_name, event.object_id) == ("system:keeper", "web-1", log.container_id)
    assert event.details["team"] == "red"
    assert "secret" not in repr(event.details)


def test_one_whose_container_is_there_stays(expire: Expire, red: Team, make_log: MakeLog) -> None:
    make_log(red, [line(1, "one")], state=KeptState.KEEPING, keep_until=None, closed_at=None)

    assert expire() == 0
    assert KeptLog.objects.exists()


def test_a_shorter_time_holds_for_what_is_there_already(
    expire: Expire, alice: User, red: Team, make_log: MakeLog
) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    make_log(red, [line(1, "one")], closed_at=long_ago, keep_until=long_ago + timedelta(days=7))
    keep_for(red, days=2, actor=alice)

    assert expire() == 1


def test_a_policy_that_is_switched_off_takes_nothing_away(
    expire: Expire, alice: User, red: Team, make_log: MakeLog
) -> None:
    make_log(red, [line(1, "one")])
    keep_for(red, days=0, actor=alice)

    assert expire() == 0
    assert KeptLog.objects.get().days == 7


def test_those_of_a_team_that_is_gone_go_when_they_were_meant_to(expire: Expire, make_log: MakeLog) -> None:
    make_log(None, [line(1, "one")])
    make_log(None, [line(1, "two")], digit="b", keep_until=timezone.now() - timedelta(seconds=1))

    assert expire() == 1
    assert KeptLog.objects.get().container_id == "a" * 64


def test_a_smaller_size_holds_for_what_is_there_already(
    expire: Expire, alice: User, red: Team, make_log: MakeLog, logs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.kept_logs.SEGMENT_BYTES", 16 * 1024)
    log = make_log(red, [])
    from runtime.kept_logs import LogWriter

    writer = LogWriter(logs_dir / str(log.host_id) / log.container_id, reserve=0)
    for number in range(30_000):
        if number % 100 == 0:
            writer.write([line(n, "x" * 60) for n in range(number, number + 100)])
    writer.seal()
    KeptLog.objects.update(bytes=writer.size)
    keep_for(red, days=7, actor=alice, size_bytes=1024 * 1024)

    expire()

    log.refresh_from_db()
    assert log.is_cut
    assert 900_000 < log.bytes <= 1024 * 1024


def test_files_that_no_row_knows_go_after_an_hour(expire: Expire, red: Team, make_log: MakeLog, logs_dir: Path) -> None:
    make_log(red, [line(1, "one")])
    make_log(red, [line(1, "new")], digit="b")
    KeptLog.objects.all().delete()
    (old,) = logs_dir.glob("*/" + "a" * 64)
    os.utime(old, (0, time.time() - retention.ORPHANS_AFTER - 60))

    expire()

    assert [path.name for path in logs_dir.glob("*/*")] == ["b" * 64]


def test_one_that_is_kept_again_meanwhile_stays(red: Team, make_log: MakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log = make_log(red, [line(1, "one")], keep_until=timezone.now() - timedelta(seconds=1))
    KeptLog.objects.update(state=KeptState.KEEPING, keep_until=None)

    assert not retention._expire(log)
    assert KeptLog.objects.exists()
    assert not AuditEvent.objects.filter(action="log.expire").exists()
