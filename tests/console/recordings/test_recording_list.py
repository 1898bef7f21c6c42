"""The list of recordings, and who said what in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import Membership, Role, Team, TeamRole, User
from console.recordings.models import Recording

pytestmark = pytest.mark.django_db

ClientOf = Callable[[User], Client]
Recorded = Callable[..., Recording]


def page(client: Client, query: str = "") -> str:
    answer = client.get(f"/recordings/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_admin_sees_all_newest_first(alice: User, bob: User, client_of: ClientOf, recorded: Recorded) -> None:
    old, new = recorded(bob, container_name="old-one"), recorded(bob, container_name="new-one")
    Recording.objects.filter(pk=old.pk).update(started_at=timezone.now() - timedelta(days=1))
    text = page(client_of(alice))
    assert 0 < text.index(f"recording-{new.pk}") < text.index(f"recording-{old.pk}")


def test_an_auditor_sees_all(charlie: User, bob: User, client_of: ClientOf, recorded: Recorded) -> None:
    charlie.role = Role.AUDITOR
    charlie.save()
    assert str(recorded(bob).pk) in page(client_of(charlie))


def test_everybody_sees_their_own_and_a_team_s_owner_the_team_s(
    bob: User, charlie: User, red: Team, client_of: ClientOf, recorded: Recorded
) -> None:
    theirs, nobodys = recorded(bob), recorded(bob, container_id="d" * 64)
    assert str(theirs.pk) in page(client_of(bob))
    assert str(theirs.pk) not in page(client_of(charlie))
    membership = Membership.objects.create(team=red, person=charlie, role=TeamRole.MEMBER)
    assert str(theirs.pk) not in page(client_of(charlie))
    membership.role = TeamRole.OWNER
    membership.save()
    text = page(client_of(charlie))
    assert str(theirs.pk) in text
    assert str(nobodys.pk) not in text


def test_a_new_team_of_the_same_name_sees_nothing_of_the_old(
    bob: User, charlie: User, red: Team, client_of: ClientOf, recorded: Recorded
) -> None:
    recording = recorded(bob)
    red.ownerships.all().delete()
    red.delete()
    Membership.objects.create(team=Team.objects.create(name="red"), person=charlie, role=TeamRole.OWNER)
    assert str(recording.pk) not in page(client_of(charlie))


def test_what_was_on_the_screen_is_found_with_its_moment(
    alice: User, bob: User, client_of: ClientOf, recorded: Recorded
) -> None:
    dropped = recorded(bob, "db=> DROP TABLE users;\r\nDROP TABLE\r\n")
    other = recorded(bob, "db=> SELECT 1;\r\n")
    text = page(client_of(alice), "?q=drop+table")
    assert str(dropped.pk) in text
    assert str(other.pk) not in text
    assert "db=&gt; <mark>DROP TABLE</mark> users;" in text
    assert f"/recordings/{dropped.pk}/?t=0&amp;q=drop%20table" in text


def test_nobody_finds_words_of_what_they_may_not_watch(
    charlie: User, bob: User, client_of: ClientOf, recorded: Recorded
) -> None:
    recorded(bob, "secret plan\r\n")
    assert "secret plan" not in page(client_of(charlie), "?q=secret").replace('value="secret"', "")


def test_it_is_narrowed_by_person_container_and_time(
    alice: User, bob: User, client_of: ClientOf, recorded: Recorded
) -> None:
    first, second = recorded(bob, container_name="web-1"), recorded(alice, container_name="db-1")
    Recording.objects.filter(pk=first.pk).update(
        started_at=timezone.now() - timedelta(days=40), ended_at=timezone.now() - timedelta(days=39)
    )
    client = client_of(alice)
    month = (timezone.now() - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for query, found in (
        ("?person=Bob", first),
        ("?container=db", second),
        (f"?since={month}", second),
        (f"?until={month}", first),
        (f"?q=root&person=alice&since={month}", second),
    ):
        text = page(client, query)
        assert [str(recording.pk) in text for recording in (first, second)] == [found is first, found is second], query


@pytest.mark.parametrize(
    "query", ["?q=%25", "?q=_", "?q=%22", "?q='%3B--", "?q=a*", "?since=x", "?page=0", "?page=9999"]
)
def test_no_query_breaks_it(query: str, alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recorded(alice)
    page(client_of(alice), query)


def test_text_from_a_terminal_is_text(alice: User, client_of: ClientOf, recorded: Recorded) -> None:
    recorded(alice, "<script>alert(1)</script>\r\n", container_name="<img src=x>")
    text = page(client_of(alice), "?q=alert")
    assert "<script>alert" not in text
    assert "<img src=x>" not in text


def test_pages_follow_each_other(
    alice: User, client_of: ClientOf, plan: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.recordings.queries.PAGE_LENGTH", 2)
    for _ in range(3):
        plan(alice)
    client = client_of(alice)
    first, second = page(client), page(client, "?page=2")
    assert (first.count("data-row"), second.count("data-row")) == (2, 1)
    assert "?page=2" in first
    assert "?page=1" in second


def test_nothing_is_sent_to_it(alice: User, client_of: ClientOf) -> None:
    assert client_of(alice).post("/recordings/").status_code == 405
