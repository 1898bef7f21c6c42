"""The page of terminals: who has a shell where, for whoever may know of it; also while the hub is away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import Team, User
from console.hosts.models import Host
from console.inventory.models import ObservedContainer
from console.recordings.models import Recording
from console.terminals.models import TerminalSession, TerminalShare
from console.terminals.oversight_services import share_terminal
from tests.console.terminals.conftest import observe
from tests.console.terminals.oversight import (
    Hub,
    audrey,
    bob,
    container,
    hub,
    mara,
    olga,
    open_terminal,
    page_of,
    red,
    session,
    vera,
)

__all__ = ["audrey", "bob", "container", "hub", "mara", "olga", "page_of", "red", "session", "vera"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]
PageOf = Callable[[User], str]


def seat(person: User, **more: Any) -> dict[str, Any]:
    return {
        "id": "tab",
        "person": str(person.pk),
        "name": person.username,
        "types": True,
        "owns": True,
        "typed": 60.0,
        **more,
    }


def test_it_says_who_is_where_and_who_is_there(
    bob: User, mara: User, session: TerminalSession, hub: Hub, page_of: PageOf
) -> None:
    seats = [seat(bob, typed=1.0), seat(bob), seat(mara, types=False, owns=False, typed=None)]
    hub.hold(session, viewers=seats, recorded=True, locked=True, idle=65.0)
    text = page_of(bob)
    for words in ("web-1", "harbour", "132×43", "1 min 5 s", "recorded", "locked", "types", "watches"):
        assert words in text
    assert text.count("<bdi>mara</bdi>") == 1
    assert text.count('aria-label="may type"') == 1, "a person is there once, in as many tabs as it may be"


def test_without_the_hub_it_shows_what_is_on_record(
    bob: User, session: TerminalSession, hub: Hub, page_of: PageOf
) -> None:
    hub.is_away = True
    text = page_of(bob)
    assert "The stream hub does not answer" in text
    assert str(session.pk) in text
    hub.is_away = False
    assert "The stream hub does not answer" not in page_of(bob)


@pytest.mark.parametrize(
    ("who", "sees"),
    [("bob", True), ("olga", True), ("alice", True), ("audrey", True), ("mara", False), ("vera", False)],
)
def test_who_sees_it(
    who: str,
    sees: bool,
    alice: User,
    olga: User,
    audrey: User,
    mara: User,
    vera: User,
    session: TerminalSession,
    hub: Hub,
    page_of: PageOf,
) -> None:
    hub.hold(session)
    assert (str(session.pk) in page_of(User.objects.get(username=who))) is sees


def test_a_stranger_sees_nothing(charlie: User, session: TerminalSession, hub: Hub, page_of: PageOf) -> None:
    hub.hold(session, viewers=[seat(session.person)] if session.person else [])
    text = page_of(charlie)
    assert "web-1" not in text
    assert "<bdi>bob" not in text


def test_each_is_offered_what_they_may_do(
    bob: User, mara: User, olga: User, audrey: User, session: TerminalSession, hub: Hub, page_of: PageOf
) -> None:
    hub.hold(session)
    share_terminal(actor=bob, session=session, person=mara, types=True)
    offered = {
        "Open here": {"bob"},
        "Join": {"mara"},
        "Watch": {"olga"},
        f"/terminals/{session.pk}/share/": {"bob"},
        f"/terminals/{session.pk}/hand-over/": {"bob"},
        f"/terminals/{session.pk}/lock/": {"olga"},
        f"/terminals/{session.pk}/message/": {"olga"},
        f"/terminals/{session.pk}/end/": {"bob", "olga"},
    }
    pages = {person.username: page_of(person) for person in (bob, mara, olga, audrey)}
    for words, people in offered.items():
        assert {name for name, text in pages.items() if f"> {words}<" in text or f'"{words}"' in text} == people, words


def test_it_is_narrowed_to_ones_own_and_by_words(
    olga: User, bob: User, session: TerminalSession, container: ObservedContainer, hub: Hub, client_of: ClientOf
) -> None:
    mine = open_terminal(olga, container)
    browser = client_of(olga)

    def found(query: str) -> set[str]:
        text = browser.get(f"/terminals/{query}").content.decode()
        return {name for name, one in (("bob", session), ("olga", mine)) if f"terminal-{one.pk}" in text}

    assert found("") == {"bob", "olga"}
    assert found("?who=mine") == {"olga"}
    assert found("?q=BOB") == {"bob"}
    assert found("?q=web") == {"bob", "olga"}
    assert found(f"?q={container.container_id[:12]}") == {"bob", "olga"}
    assert found("?q=nothing") == set()


def test_the_ones_that_ended_lately_say_how(bob: User, container: ObservedContainer, hub: Hub, page_of: PageOf) -> None:
    now = timezone.now()
    endings: dict[str, dict[str, Any]] = {
        "Exit code 3": {"exit_code": 3, "end_code": "exited", "end_reason": "the process ended"},
        "Nobody typed for too long": {"end_code": "idle"},
        "Ended by who oversees it: olga": {"end_code": "ended_by_admin", "ended_by": "olga"},
        "eaten by &lt;b&gt;": {"end_code": "engine", "end_reason": "eaten by <b>"},
    }
    for more in endings.values():
        open_terminal(bob, container, state="ended", ended_at=now, **more)
    open_terminal(bob, container, state="ended", ended_at=now - timedelta(days=8), end_reason="long ago")
    text = page_of(bob)
    for words in endings:
        assert words in text
    assert "long ago" not in text


def test_it_leads_to_the_recording_whoever_may_see_it(
    bob: User, mara: User, red: Team, container: ObservedContainer, hub: Hub, page_of: PageOf
) -> None:
    now = timezone.now()
    session = open_terminal(bob, container, state="ended", ended_at=now, end_code="exited", exit_code=0)
    TerminalShare.objects.create(session=session, person=mara)
    kept = Recording.objects.create(
        session_id=session.pk, person=bob, team=red, path="x", state="complete", started_at=now, keep_days=30
    )
    link = f"/recordings/{kept.pk}/"
    assert link in page_of(bob)
    text = page_of(mara)
    assert str(session.pk) in text
    assert link not in text
    Recording.objects.update(state="expired")
    assert link not in page_of(bob)


def test_hostile_names_stay_text(bob: User, host: Host, session: TerminalSession, hub: Hub, page_of: PageOf) -> None:
    TerminalSession.objects.update(container_name='"><script>alert(1)</script>')
    hub.hold(session, viewers=[seat(bob, name="<img src=x onerror=alert(2)>")])
    text = page_of(bob)
    assert "<script>alert(1)" not in text
    assert "<img src=x" not in text


def test_many_cost_no_more_questions_than_few(
    alice: User,
    bob: User,
    host: Host,
    container: ObservedContainer,
    hub: Hub,
    client_of: ClientOf,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(30):
        hub.hold(open_terminal(bob, observe(host, f"{number:064x}", name=f"web-{number}")))
    browser = client_of(alice)
    browser.get("/terminals/")
    with django_assert_max_num_queries(20):
        browser.get("/terminals/")


def test_who_may_not_watch_it_sees_no_arguments_which_may_hold_a_password(
    bob: User, audrey: User, container: ObservedContainer, hub: Hub, page_of: PageOf
) -> None:
    open_terminal(bob, container, parameters={"command": ["mysql", "-phunter2"]})
    assert "mysql -phunter2" in page_of(bob)
    assert "mysql" in page_of(audrey)
    assert "hunter2" not in page_of(audrey)


def test_programs_read_it_as_json(bob: User, session: TerminalSession, hub: Hub, client_of: ClientOf) -> None:
    hub.hold(session, viewers=[seat(bob)])
    data = client_of(bob).get("/terminals/", headers={"Accept": "application/json"}).json()
    assert data["total"] == 1
    (item,) = data["items"]
    assert (item["person"], item["container"]["name"], item["idle_seconds"]) == ("bob", "web-1", 7)
    assert item["viewers"] == ["bob"]
