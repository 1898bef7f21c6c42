"""A terminal outlives its browser's connection: whoever comes back has every byte once, and types nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from console.accounts.models import User
from console.gateway import hub_client, hub_messages
from console.lib.origin import Origin
from console.lib.websocket import in_database
from console.terminals import services
from console.terminals.models import TerminalSession
from runtime.hub.server import Hub
from runtime.testing import FakeEngine
from tests.console.terminals.conftest import Connect, Viewer, ended_session, opening, ticket_for

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], str]
Run = Callable[..., Any]


class Place:
    """Alice's terminal, and how to be at it."""

    def __init__(self, *, alice: User, key: str, connect: Connect, first: Viewer) -> None:
        self.alice = alice
        self.key = key
        self.connect = connect
        self.first = first

    async def come_back(self, **more: Any) -> tuple[Viewer, dict[str, Any]]:
        """Connect again; return the socket and what the server says of it."""
        ticket = await in_database(self._ticket)
        viewer = await self.connect("/ws/terminal/", self.key, first=opening(ticket, **more))
        return viewer, await viewer.control("opened")

    def _ticket(self) -> str:
        return services.issue_return(
            actor=self.alice,
            session_key=self.key,
            session=TerminalSession.objects.select_related("host").get(),
            origin=Origin(),
        )


@pytest.fixture
async def place(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> Place:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(
        container, actor=alice, session_key=key, command=["sh", "-c", "stty raw; printf ready; cat"]
    )
    viewer = await connect("/ws/terminal/", key, first=opening(ticket))
    await viewer.control("opened")
    await viewer.read_until(b"ready", acknowledge=False)
    return Place(alice=alice, key=key, connect=connect, first=viewer)


async def test_a_reload_shows_everything_again(place: Place) -> None:
    place.first.leave()
    await place.first.task
    again, opened = await place.come_back()
    assert (opened["offset"], opened["reset"]) == (0, False)
    assert await again.read_until(b"ready", acknowledge=False) == b"ready"


async def test_a_lost_network_continues_at_the_byte_it_broke_off_at(place: Place) -> None:
    place.first.send_bytes(b"one")
    await place.first.read_until(b"one", acknowledge=False)
    place.first.lose()
    await place.first.task
    again, opened = await place.come_back(**{"from": 6, "typed": 3})
    assert (opened["offset"], opened["taken"], opened["reset"]) == (6, 3, False)
    assert await again.read_until(b"ne", acknowledge=False) == b"ne"
    again.send_bytes(b"two")
    assert await again.read_until(b"two", acknowledge=False) == b"two"


async def test_what_was_typed_into_the_gap_is_typed_once(place: Place) -> None:
    """The browser did not hear that its input arrived, so it keeps it; the hub says where to go on."""
    place.first.send_bytes(b"abc")
    await place.first.read_until(b"abc", acknowledge=False)
    place.first.lose()
    await place.first.task
    again, opened = await place.come_back(**{"from": 8, "typed": 0})
    assert opened["taken"] == 3
    again.send_bytes(b"def")
    assert await again.read_until(b"def", acknowledge=False) == b"def"


async def test_another_tab_counts_its_own_input(place: Place) -> None:
    place.first.send_bytes(b"abc")
    other, opened = await place.come_back(viewer="another-tab")
    assert opened["taken"] == 0
    other.send_bytes(b"xyz")
    assert (await place.first.read_until(b"xyz", acknowledge=False)).endswith(b"xyz")


async def test_the_same_tab_replaces_its_older_connection(place: Place) -> None:
    again, _opened = await place.come_back()
    assert (await place.first.control("dismissed"))["reason"] == "replaced"
    assert (await place.first.ending())[0] == 1000
    again.send_bytes(b"still here")
    await again.read_until(b"still here", acknowledge=False)


async def test_what_is_older_than_the_ring_is_said_to_be_lost(place: Place, hub: Hub) -> None:
    place.first.leave()
    await place.first.task
    held = next(iter(hub._terminals.values()))
    held._took(b"line\r\n" * 500_000)
    again, opened = await place.come_back(**{"from": 5})
    assert opened["reset"] is True
    assert opened["offset"] - opened["lost"] == 5
    assert (await again.read_until(b"\n", acknowledge=False)).startswith(b"line\r\n")


async def test_closing_the_page_ends_it_when_nobody_comes_back(place: Place, hub: Hub, engine: FakeEngine) -> None:
    held = next(iter(hub._terminals.values()))
    place.first.leave()
    await place.first.task
    await _until(lambda: held._alone_until is not None)
    assert held._alone_until is not None
    held.look(held._alone_until - 1)
    assert held._ending is None
    held.look(held._alone_until)
    assert held._ending is not None
    await held._ending
    await in_database(services.look_after_terminals)
    session = await ended_session()
    assert session.end_reason == "nobody came back to it"
    assert len(engine.processes(session.container_id)) == 1


async def test_a_lost_network_is_waited_for_longer_than_a_closed_page(place: Place, hub: Hub) -> None:
    held = next(iter(hub._terminals.values()))
    limits = held.limits
    assert limits.closed < limits.orphaned < limits.lost
    place.first.lose()
    await place.first.task
    await _until(lambda: held._alone_until is not None)
    held.look((held._alone_until or 0) - limits.lost + limits.closed + 1)
    assert held._ending is None


async def test_what_ended_meanwhile_is_told_with_its_last_words(place: Place) -> None:
    place.first.send_bytes(b"bye")
    await place.first.read_until(b"bye", acknowledge=False)
    place.first.lose()
    await place.first.task
    session = await in_database(TerminalSession.objects.get)
    await hub_client().ask(hub_messages.EndTerminal(session=str(session.pk), reason="ended_by_admin", by="alice"))
    again, _opened = await place.come_back(**{"from": 5})
    assert await again.read_until(b"bye", acknowledge=False) == b"bye"
    ended = await again.control("exit")
    assert (ended["reason"], ended["by"]) == ("ended_by_admin", "alice")


async def test_a_hub_that_ended_took_the_terminal_along(place: Place, hub: Hub) -> None:
    place.first.lose()
    await place.first.task
    hub._terminals.clear()
    ticket = await in_database(place._ticket)
    viewer = await place.connect("/ws/terminal/", place.key, first=opening(ticket))
    code, error = await viewer.ending()
    assert code == 4404
    assert error is not None
    assert error["code"] == "ended"


async def test_without_a_hub_the_person_is_told(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, hub: Hub
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key)
    await hub.close()
    viewer = await connect("/ws/terminal/", key, first=opening(ticket))
    code, error = await viewer.ending()
    assert code == 1011
    assert error is not None
    assert error["code"] == "hub_away"
    assert (await ended_session()).end_reason == "the stream hub did not answer"


async def _until(condition: Callable[[], bool]) -> None:
    for _attempt in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")
