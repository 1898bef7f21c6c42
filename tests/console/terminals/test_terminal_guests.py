"""Others at a terminal, by real sockets and a real hub: who watches types nothing, and who is put out is out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console import gateway
from console.accounts.models import Membership, Team, TeamRole, User
from console.gateway import HubAway
from console.inventory.models import ObservedContainer
from console.lib.websocket import StreamConsumer, in_database
from console.rbac.models import OwnedKind, Ownership
from console.terminals import services
from console.terminals.approval_services import end_approvals
from console.terminals.models import ShellApproval, TerminalSession
from console.terminals.oversight_services import (
    end_terminal,
    hand_over_terminal,
    lock_terminal,
    message_terminal,
    share_terminal,
    unshare_terminal,
)
from runtime.hub.server import Hub
from runtime.testing import FakeEngine
from tests.console.terminals.conftest import Connect, Viewer, ended_session, opening, ticket_for
from tests.console.terminals.oversight import audrey, bob, mara, olga, red, rows, set_terms, vera

__all__ = ["audrey", "bob", "mara", "olga", "red", "set_terms", "vera"]

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
ECHO = ["sh", "-c", "stty raw; printf ready; cat"]


class Room:
    """Bob's terminal in a container of his team."""

    def __init__(
        self, *, owner: Viewer, bob: User, container: ObservedContainer, connect: Connect, client_of: Any
    ) -> None:
        self.owner = owner
        self.bob = bob
        self.container = container
        self._connect = connect
        self._client_of = client_of
        self._clients: dict[str, Client] = {}

    async def ask(self, person: User) -> tuple[int, dict[str, Any]]:
        """Ask for a ticket as the page does; return the status and what was said."""

        def post() -> tuple[int, dict[str, Any]]:
            browser = self._clients.setdefault(person.username, self._client_of(person))
            browser.get("/jsi18n/")
            session = TerminalSession.objects.get()
            answer = browser.post(
                "/terminals/tickets/", {"session": str(session.pk)}, headers={"Accept": "application/json"}
            )
            return answer.status_code, answer.json()

        return await in_database(post)

    async def join(self, person: User) -> tuple[Viewer, dict[str, Any]]:
        """Be there; return the socket and what it is told."""
        status, said = await self.ask(person)
        assert status == 200, said
        key = self._clients[person.username].session.session_key or ""
        viewer = await self._connect(
            "/ws/terminal/", key, first=opening(said["ticket"], viewer=f"{person.username}-tab-1")
        )
        return viewer, await viewer.control("opened")

    async def do(self, service: Callable[..., Any], actor: User, **more: Any) -> None:
        """Have somebody do something to the terminal."""
        await in_database(
            lambda: service(actor=actor, session=TerminalSession.objects.select_related("host", "person").get(), **more)
        )

    async def typed(self, text: bytes) -> bytes:
        """What the owner sees until what they type arrives."""
        self.owner.send_bytes(text)
        return await self.owner.read_until(text, acknowledge=False)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamConsumer, "lease_interval", 0.05)


@pytest.fixture
async def enter(
    bob: User, red: Team, signed_in: Callable[[User], str], connect: Connect, run: Run, client_of: Any
) -> Callable[[], Awaitable[Room]]:
    """Have bob open his terminal."""

    async def open_it() -> Room:
        container = await run("sleep", "1000")
        await in_database(
            lambda: Ownership.objects.create(
                host=container.host, kind=OwnedKind.CONTAINER, object_id=container.container_id, team=red
            )
        )
        key = await in_database(lambda: signed_in(bob))
        ticket = await ticket_for(container, actor=bob, session_key=key, command=ECHO)
        owner = await connect("/ws/terminal/", key, first=opening(ticket))
        await owner.read_until(b"ready", acknowledge=False)
        return Room(owner=owner, bob=bob, container=container, connect=connect, client_of=client_of)

    return open_it


@pytest.fixture
async def room(enter: Callable[[], Awaitable[Room]]) -> Room:
    return await enter()


async def test_who_only_watches_sees_everything_and_types_nothing(room: Room, mara: User) -> None:
    await room.do(share_terminal, room.bob, person=mara, types=False)
    guest, opened = await room.join(mara)
    assert (opened["types"], opened["owns"]) == (False, False)
    await guest.read_until(b"ready", acknowledge=False)
    guest.send_bytes(b"rm -rf /")
    guest.send({"type": "end"})
    guest.send({"type": "close"})  # only a guest's going
    assert await room.typed(b"mine") == b"mine"


async def test_who_types_does_and_is_cut_off_in_the_middle(
    monkeypatch: pytest.MonkeyPatch, enter: Callable[[], Awaitable[Room]], mara: User
) -> None:
    monkeypatch.setattr(StreamConsumer, "lease_interval", 60.0)
    room = await enter()
    await room.do(share_terminal, room.bob, person=mara, types=True)
    guest, opened = await room.join(mara)
    assert opened["types"] is True
    guest.send_bytes(b"theirs")
    await room.owner.read_until(b"theirs", acknowledge=False)
    await room.do(share_terminal, room.bob, person=mara, types=False)
    notice = await guest.control("notice")
    assert (notice["code"], notice["text"]) == ("rights", "watches")
    guest.send_bytes(b"too late")
    assert await room.typed(b"mine") == b"mine"


async def test_who_is_put_out_is_out_at_once_and_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch, enter: Callable[[], Awaitable[Room]], mara: User
) -> None:
    monkeypatch.setattr(StreamConsumer, "lease_interval", 60.0)
    room = await enter()
    await room.do(share_terminal, room.bob, person=mara, types=True)
    guest, _opened = await room.join(mara)
    _status, spare = await room.ask(mara)
    await room.do(unshare_terminal, room.bob, person=mara)
    assert (await guest.control("dismissed"))["reason"] == "removed"
    await guest.ending()
    assert (await room.ask(mara))[0] == 404
    # A ticket from before opens nothing either: the rights of now decide.
    key = room._clients["mara"].session.session_key or ""
    again = await room._connect("/ws/terminal/", key, first=opening(spare["ticket"], viewer="mara-two"))
    assert (await again.ending())[0] == 4403
    refused = await in_database(lambda: rows("terminal.watch"))
    assert refused[-1] == ("mara", "denied", "web-1")
    assert await room.typed(b"mine") == b"mine"


async def test_who_is_put_out_goes_also_when_the_hub_does_not_hear_of_it(
    room: Room, mara: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_order: object) -> dict[str, Any]:
        raise HubAway("no hub answers")

    await room.do(share_terminal, room.bob, person=mara, types=True)
    guest, _opened = await room.join(mara)
    monkeypatch.setattr(gateway, "ask_hub", away)
    await room.do(unshare_terminal, room.bob, person=mara)
    code, error = await guest.ending()
    assert code in (1000, 4403)
    assert error is None or error["code"] == "revoked"
    assert await room.typed(b"mine") == b"mine"


async def test_a_smaller_role_takes_the_keyboard_away_and_leaves_the_view(room: Room, mara: User) -> None:
    await room.do(share_terminal, room.bob, person=mara, types=True)
    guest, _opened = await room.join(mara)
    await in_database(lambda: Membership.objects.filter(person=mara).update(role=TeamRole.VIEWER))
    assert (await guest.control("notice"))["text"] == "watches"
    guest.send_bytes(b"no more")
    assert await room.typed(b"mine") == b"mine"
    await guest.read_until(b"mine", acknowledge=False)


async def test_guests_go_on_when_the_owner_closes_the_page_and_end_with_the_owners_rights(
    room: Room, mara: User
) -> None:
    await room.do(share_terminal, room.bob, person=mara, types=True)
    guest, _opened = await room.join(mara)
    room.owner.leave()
    await room.owner.task
    guest.send_bytes(b"still here")
    await guest.read_until(b"still here", acknowledge=False)
    await in_database(lambda: Membership.objects.filter(person=room.bob).delete())
    await in_database(services.look_after_terminals)
    assert (await guest.control("exit"))["reason"] == "revoked"


async def test_the_owner_of_the_team_watches_speaks_locks_and_ends(room: Room, olga: User, engine: FakeEngine) -> None:
    watcher, opened = await room.join(olga)
    assert (opened["types"], opened["owns"]) == (False, False)
    watcher.send_bytes(b"not mine to type")
    assert await room.typed(b"mine") == b"mine"

    await room.do(message_terminal, olga, text="<b>Careful</b>")
    notice = await room.owner.control("notice")
    assert (notice["code"], notice["by"], notice["text"]) == ("message", "olga", "<b>Careful</b>")

    await room.do(lock_terminal, olga, locked=True)
    assert (await room.owner.control("notice"))["code"] == "locked"
    room.owner.send_bytes(b"ignored")
    await room.do(lock_terminal, olga, locked=False)
    assert await room.typed(b"again") == b"again"

    await room.do(end_terminal, olga)
    ended = await room.owner.control("exit")
    assert (ended["reason"], ended["by"]) == ("ended_by_admin", "olga")
    session = await ended_session()
    assert (session.end_code, session.ended_by) == ("ended_by_admin", "olga")
    assert len(engine.processes(session.container_id)) == 1


async def test_who_comes_to_look_is_on_record_once(room: Room, olga: User) -> None:
    await room.join(olga)
    await room.ask(olga)
    await room.ask(room.bob)
    assert await in_database(lambda: rows("terminal.watch")) == [("olga", "accepted", "web-1")]


@pytest.mark.parametrize(("who", "status"), [("audrey", 403), ("mara", 404), ("vera", 404), ("charlie", 404)])
async def test_nobody_else_gets_a_ticket(
    who: str, status: int, room: Room, audrey: User, mara: User, vera: User, charlie: User
) -> None:
    person = await in_database(lambda: User.objects.get(username=who))
    assert (await room.ask(person))[0] == status


async def test_it_is_handed_over_with_the_right_to_end_it(room: Room, mara: User) -> None:
    await room.do(share_terminal, room.bob, person=mara, types=True)
    guest, _opened = await room.join(mara)
    await room.do(hand_over_terminal, room.bob, person=mara)
    await guest.control("notice")
    room.owner.send({"type": "close"})  # a guest now: he only goes
    await room.owner.ending()
    guest.send_bytes(b"mine now")
    await guest.read_until(b"mine now", acknowledge=False)
    guest.send({"type": "close"})
    assert (await guest.control("exit"))["reason"] == "closed"


async def test_who_looks_in_does_not_shorten_the_wait_for_the_owner(room: Room, olga: User, hub: Hub) -> None:
    held = next(iter(hub._terminals.values()))
    room.owner.lose()
    await room.owner.task
    watcher, _opened = await room.join(olga)
    assert held._alone_until is None
    watcher.send({"type": "leave"})
    await watcher.ending()
    assert held._alone_until is not None
    held.look(held._alone_until - held.limits.lost + held.limits.closed + 60)
    assert held._ending is None


# Approvals


async def _approve(room: Room, *, minutes: int = 30) -> None:
    def approve() -> None:
        ShellApproval.objects.create(
            team=Team.objects.get(),
            host=room.container.host,
            container_id=room.container.container_id,
            container_name=room.container.name,
            person=room.bob,
            reason="Restore",
            minutes=minutes,
            state="approved",
            until=timezone.now() + timedelta(minutes=minutes),
        )

    await in_database(approve)


async def test_a_shell_ends_with_the_time_it_was_approved_for(
    monkeypatch: pytest.MonkeyPatch,
    enter: Callable[[], Awaitable[Room]],
    set_terms: Callable[..., None],
    engine: FakeEngine,
) -> None:
    # Nobody looks between the end of the time and the worker's look.
    monkeypatch.setattr(StreamConsumer, "lease_interval", 60.0)
    room = await enter()
    await _approve(room)
    await in_database(lambda: set_terms(shell_approval=True))
    assert await room.typed(b"in time") == b"in time"
    await in_database(lambda: ShellApproval.objects.update(until=timezone.now()))
    await in_database(end_approvals)
    assert (await room.owner.control("exit"))["reason"] == "approval_over"
    session = await ended_session()
    assert session.end_code == "approval_over"
    assert len(engine.processes(session.container_id)) == 1


async def test_without_the_worker_the_socket_ends_it(
    room: Room, set_terms: Callable[..., None], engine: FakeEngine
) -> None:
    await in_database(lambda: set_terms(shell_approval=True))
    code, error = await room.owner.ending()
    assert code == 4403
    assert error is not None
    await room.owner.task
    session = await ended_session()
    assert session.end_code == "approval_over"
    assert len(engine.processes(session.container_id)) == 1
