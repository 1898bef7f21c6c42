"""The owner of a terminal makes it somebody else's, who could have opened it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from console.accounts.models import User
from console.accounts.sessions import forget_sessions, is_session_valid
from console.gateway import hub_messages
from console.policies.queries import terms_of
from console.policies.rules import Recorded
from console.recordings.models import Recording
from console.recordings.services import plan_recording
from console.terminals.access import place_of
from console.terminals.models import TerminalSession
from tests.console.terminals.oversight import Hub, bob, container, fresh, hub, mara, olga, red, rows, session, vera

__all__ = ["bob", "container", "hub", "mara", "olga", "red", "session", "vera"]

pytestmark = pytest.mark.django_db
ClientOf = Callable[..., Client]


@pytest.fixture
def url(mara: User, session: TerminalSession, client_of: ClientOf) -> str:
    """Where bob hands it over; mara is signed in."""
    client_of(mara).get("/jsi18n/")
    return f"/terminals/{session.pk}/hand-over/"


def test_it_is_theirs_and_the_old_owner_stays_as_a_guest(
    bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    assert client_of(bob).post(url, {"person": str(mara.pk)}).status_code == 302
    session.refresh_from_db()
    assert session.person == mara
    # Or it would end at once, with a sign-in that is not hers.
    assert is_session_valid(session.session_key, mara.pk)
    assert place_of(fresh(mara), session).owns
    place = place_of(fresh(bob), session)
    assert (place.owns, place.is_guest, place.types) == (False, True, True)
    assert hub.orders == [
        hub_messages.SetPerson(session=str(session.pk), person=str(mara.pk), types=True, owns=True),
        hub_messages.SetPerson(session=str(session.pk), person=str(bob.pk), types=True),
    ]
    assert rows("terminal.hand_over") == [("bob", "succeeded", "web-1")]


def test_the_recording_goes_with_it(
    bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    plan_recording(session, replace(terms_of(None), recording=Recorded.ON))
    assert Recording.objects.visible_to(fresh(bob)).exists()
    client_of(bob).post(url, {"person": str(mara.pk)})
    # What she does in it is not his to watch, whether he is put out of it or out of the team.
    assert not Recording.objects.visible_to(fresh(bob)).exists()
    assert Recording.objects.visible_to(fresh(mara)).exists()


def test_not_to_somebody_who_is_signed_in_nowhere(
    bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    forget_sessions(list(Session.objects.values_list("session_key", flat=True)), user_id=mara.pk)
    answer = client_of(bob).post(url, {"person": str(mara.pk)})
    assert answer.status_code == 422
    assert "not signed in now" in answer.content.decode()
    session.refresh_from_db()
    assert session.person == bob
    assert hub.orders == []


def test_not_to_somebody_who_may_open_no_shell(
    bob: User, vera: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    assert client_of(bob).post(url, {"person": str(vera.pk)}).status_code == 422
    session.refresh_from_db()
    assert session.person == bob


def test_not_once_it_has_ended(
    bob: User, mara: User, session: TerminalSession, url: str, hub: Hub, client_of: ClientOf
) -> None:
    TerminalSession.objects.update(state="ended")
    answer = client_of(bob).post(url, {"person": str(mara.pk)}, headers={"HX-Request": "true"})
    assert "has ended meanwhile" in answer.headers["HX-Trigger"]
    assert hub.orders == []
    assert rows("terminal.hand_over") == []


def test_nobody_else_gives_it_away(
    olga: User, mara: User, charlie: User, url: str, hub: Hub, client_of: ClientOf
) -> None:
    assert client_of(olga).post(url, {"person": str(mara.pk)}).status_code == 403
    assert client_of(charlie).post(url, {"person": str(mara.pk)}).status_code == 404
    assert hub.orders == []
