"""The end of an API token: revoked, or taken along by a new password or a suspension."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import ApiToken, User
from console.audit.models import AuditEvent
from tests.console.tokens import issue, program

PASSWORD = "correct horse battery"
NEW = "a staple for the paper"
ClientOf = Callable[..., Client]
pytestmark = pytest.mark.django_db


def works(text: str) -> bool:
    return program(text).get("/containers/").status_code != 401


def test_it_works_no_more_at_once_and_the_others_do(alice: User, client_of: ClientOf) -> None:
    gone, kept = issue(alice), issue(alice)
    browser = client_of(alice)
    assert works(gone.text)

    assert browser.post(f"/settings/tokens/{gone.token.pk}/revoke/")["Location"] == "/settings/"

    assert not works(gone.text)
    assert works(kept.text)
    page = browser.get("/settings/").content.decode()
    assert gone.token.prefix not in page
    assert kept.token.prefix in page
    row = AuditEvent.objects.get(action="token.revoke")
    assert (row.actor_name, row.object_name) == ("alice", f"robot ({gone.token.prefix})")


def test_twice_is_once(alice: User, client_of: ClientOf) -> None:
    url = f"/settings/tokens/{issue(alice).token.pk}/revoke/"
    browser = client_of(alice)
    assert [browser.post(url).status_code for _ in range(2)] == [302, 404]
    assert AuditEvent.objects.filter(action="token.revoke").count() == 1


def test_anothers_looks_like_none(alice: User, bob: User, client_of: ClientOf) -> None:
    issued = issue(bob)
    for token_id in (issued.token.pk, "11111111-1111-4111-8111-111111111111"):
        assert client_of(alice).post(f"/settings/tokens/{token_id}/revoke/").status_code == 404
    assert ApiToken.objects.usable().exists()


def test_a_link_revokes_nothing(alice: User, client_of: ClientOf) -> None:
    issued = issue(alice)
    assert client_of(alice).get(f"/settings/tokens/{issued.token.pk}/revoke/").status_code == 405
    assert works(issued.text)


def test_a_new_password_ends_every_one_of_the_persons_own(alice: User, bob: User, client_of: ClientOf) -> None:
    first, second, bobs = issue(alice), issue(alice), issue(bob)
    form = {"current": PASSWORD, "password": NEW, "password_again": NEW}
    assert "every API token ends" in client_of(alice).get("/settings/").content.decode()

    client_of(alice).post("/settings/password/", form)

    assert [works(issued.text) for issued in (first, second, bobs)] == [False, False, True]
    assert AuditEvent.objects.get(action="password.change").details["tokens"] == 2


def test_a_suspension_ends_them_and_letting_in_again_brings_none_back(
    alice: User, bob: User, client_of: ClientOf
) -> None:
    issued = issue(bob)
    client_of(alice).post(f"/people/{bob.pk}/suspend/")
    assert not works(issued.text)
    assert AuditEvent.objects.get(action="person.suspend").details["tokens"] == 1

    client_of(alice).post(f"/people/{bob.pk}/restore/")
    assert not works(issued.text)


def test_it_stops_with_its_owner_however_he_was_shut_out(bob: User) -> None:
    issued = issue(bob)
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert not works(issued.text)


def test_one_that_expired_is_still_listed_and_said_to_be(alice: User, client_of: ClientOf) -> None:
    issued = issue(alice)
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    page = client_of(alice).get("/settings/").content.decode()
    assert issued.token.prefix in page
    assert "Expired" in page
