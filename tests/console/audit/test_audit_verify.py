"""Checking the record from its page: asked for there, done by a worker, shown there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from console.accounts.models import Role, User
from console.audit import checks
from console.audit.models import AuditCheck, AuditEvent
from console.audit.tasks import verify_audit
from tests.console.people.conftest import rows

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]
URL = "/audit/verify/"


def page_of(browser: Client) -> str:
    return browser.get("/audit/", HTTP_HX_REQUEST="true", HTTP_HX_TARGET="audit-check").content.decode()


def test_a_worker_checks_and_the_page_says_that_all_is_whole(
    ten_rows: list[AuditEvent], alice: User, client_of: ClientOf
) -> None:
    browser = client_of(alice)
    assert "was not checked yet" in page_of(browser)
    assert browser.post(URL)["Location"] == "/audit/"
    assert "is being checked" in page_of(browser)
    verify_audit()
    assert "whole up to row 11" in page_of(browser)
    assert rows("audit.verify") == [("alice", "accepted"), ("alice", "succeeded")]


def test_the_page_names_the_first_bad_row(
    ten_rows: list[AuditEvent], tamper: Callable[..., None], alice: User, client_of: ClientOf
) -> None:
    tamper("UPDATE audit_auditevent SET actor_name = 'mallory' WHERE sequence = 4")
    browser = client_of(alice)
    browser.post(URL)
    verify_audit()
    page = page_of(browser)
    assert "look at row 4" in page
    assert "its content is not what was written" in page
    assert "whole up to" not in page
    assert rows("audit.verify")[-1] == ("alice", "failed")
    assert AuditEvent.objects.order_by("-sequence")[0].details == {"row": 4, "fault": "altered"}


def test_a_check_by_the_command_is_shown_too(ten_rows: list[AuditEvent], alice: User, client_of: ClientOf) -> None:
    call_command("audit", "verify")
    assert "whole up to row 10" in page_of(client_of(alice))


def test_who_asks_twice_gets_one_check(alice: User, client_of: ClientOf) -> None:
    browser = client_of(alice)
    browser.post(URL)
    browser.post(URL)
    verify_audit()
    verify_audit()
    assert AuditCheck.objects.count() == 1


def test_without_being_asked_it_is_checked_once_a_day(ten_rows: list[AuditEvent]) -> None:
    verify_audit()
    verify_audit()
    assert rows("audit.verify") == [("system:audit", "succeeded")]
    AuditCheck.objects.update(ended_at=timezone.now() - checks.CHECK_EVERY)
    verify_audit()
    assert AuditCheck.objects.count() == 2


def test_a_check_that_goes_on_is_left_to_its_worker_until_that_must_be_dead(ten_rows: list[AuditEvent]) -> None:
    now = timezone.now()
    check = AuditCheck.objects.create(asked_at=now, started_at=now)
    verify_audit()
    check.refresh_from_db()
    assert check.ended_at is None
    AuditCheck.objects.update(started_at=now - checks.LONGEST_CHECK - timedelta(seconds=1))
    verify_audit()
    check.refresh_from_db()
    assert check.ended_at is not None


def test_an_auditor_may_and_a_stranger_is_refused(bob: User, client_of: ClientOf) -> None:
    dora = User.objects.create_user("dora", "correct horse battery", role=Role.AUDITOR)
    assert client_of(dora).post(URL).status_code == 302
    assert client_of(bob).post(URL).status_code == 403
    assert rows("audit.verify") == [("dora", "accepted"), ("bob", "denied")]
    assert AuditCheck.objects.count() == 1


def test_a_link_asks_for_nothing(alice: User, client_of: ClientOf) -> None:
    assert client_of(alice).get(URL).status_code == 405
    assert not AuditCheck.objects.exists()


def test_the_start_of_a_day_in_which_nobody_asked_is_no_flood(alice: User) -> None:
    AuditCheck.objects.create(asked_at=timezone.now())
    for _look in range(3):
        verify_audit()
    assert AuditCheck.objects.count() == 1
