"""Who may open which socket: every path there is, times everybody. Refused before the engine hears of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

import pytest
from channels.layers import get_channel_layer
from django.conf import settings

from console.audit.models import AuditEvent
from console.inventory.models import ObservedContainer
from console.lib.live import GROUP
from console.lib.origin import Origin
from console.lib.websocket import BAD_FRAME, REFUSED, UNKNOWN, in_database
from console.routing import websocket_urlpatterns
from console.terminals.services import issue_ticket
from runtime.hub.server import Hub
from tests.console.terminals.conftest import Closed, Viewer, headers_of, opening
from tests.console.world import (
    ANONYMOUS,
    DENY,
    HIDE,
    LOGIN,
    OK,
    PEOPLE,
    Row,
    World,
    build,
    expected,
    one_engine,
    row,
)

# fmt: off
#: By path; what follows it tells two ways to open one apart.
SOCKETS: Final[Mapping[str, Row]] = {
    #                                   anon.  strang viewer member owner  audit. admin  susp.
    "/ws/live/":                    row(LOGIN, OK,    OK,    OK,    OK,    OK,    OK,    LOGIN),
    "/ws/logs/":                    row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    "/ws/stats/":                   row(LOGIN, HIDE,  OK,    OK,    OK,    OK,    OK,    LOGIN),
    # The view refused to give them one, but rights may have gone meanwhile.
    "/ws/terminal/ own ticket":     row(LOGIN, HIDE,  DENY,  OK,    OK,    DENY,  OK,    LOGIN),
    "/ws/terminal/ owner's ticket": row(LOGIN, HIDE,  HIDE,  HIDE,  OK,    HIDE,  HIDE,  LOGIN, of=()),
    "/ws/nothing/":                 row(LOGIN, LOGIN, LOGIN, LOGIN, LOGIN, LOGIN, LOGIN, LOGIN),
}
# fmt: on


def _first_frame(key: str, who: str, *, things: Mapping[str, str], world: World) -> dict[str, Any]:
    """What opens the socket, about the container in ``things``."""
    target = {"type": "open", "host": things["host_id"], "container": things["container_id"]}
    holder = "owner" if "owner's" in key else who
    if not key.startswith("/ws/terminal/") or holder == ANONYMOUS:
        return target
    ticket, _session = issue_ticket(
        actor=world.people[holder],
        session_key=world.sessions[holder],
        container=ObservedContainer.objects.select_related("host").get(container_id=things["container_id"]),
        kind="exec",
        parameters={"command": ["cat"], "user": ""},
        origin=Origin(),
    )
    return opening(ticket)


async def _opening(key: str, who: str, first: dict[str, Any], *, world: World) -> tuple[str, dict[str, Any]]:
    """Open the socket; return what it is answered, in a word of the table and as it was said."""
    viewer = Viewer(key.split()[0], headers=headers_of(world.sessions.get(who, "")))
    try:
        try:
            await viewer.accepted()
        except Closed:
            return LOGIN, {}
        viewer.send(first)
        frame: dict[str, Any] = json.loads((await viewer.next())["text"])
        if frame["type"] != "error":
            return OK, frame
        code, _more = await viewer.ending()
        return {REFUSED: DENY, UNKNOWN: HIDE}.get(code, str(code)), frame
    finally:
        viewer.leave()
        await viewer.task


async def _socket_troubles(key: str, who: str, *, whose: str, world: World) -> list[str]:
    """Open it once; say what is not as it must be."""
    wanted = expected(SOCKETS[key].answers, who, whose=whose)
    first = await in_database(lambda: _first_frame(key, who, things=world.things[whose], world=world))
    world.engine.calls.clear()
    found, said = await _opening(key, who, first, world=world)
    trouble = [] if found == wanted else [f"got {found} instead of {wanted}: {said}"]
    if found != OK and world.engine.calls:
        trouble.append(f"was refused, and yet this reached the engine: {world.engine.calls}")
    last = await in_database(lambda: AuditEvent.objects.order_by("-sequence")[0])
    if found == DENY and (last.actor_name, last.outcome) != (who, "denied"):
        trouble.append("was denied without a row of the record")
    if found == HIDE:
        never = first | (
            {"ticket": secrets.token_urlsafe(32)} if "ticket" in first else {"container": world.never["container_id"]}
        )
        _word, nothing = await _opening(key, who, never, world=world)
        if said != nothing and not key.endswith(" own ticket"):
            trouble.append(f"can tell it from what never was: {said}, {nothing}")
    return trouble


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", SOCKETS)
async def test_every_socket_knows_who_opens_it(key: str) -> None:
    with one_engine() as engine:
        hub = Hub(connect=lambda _endpoint: engine, data_dir=settings.DATA_DIR)
        settings.HUB_SOCKET.parent.mkdir(exist_ok=True)
        await hub.listen(settings.HUB_SOCKET)
        world = await in_database(lambda: build(engine))
        found = []
        for whose in ("red", *(whose for whose in SOCKETS[key].of if whose != "red")):
            for who in PEOPLE:
                found += [
                    f"{who} opened {key} about what is {whose}'s and {trouble}"
                    for trouble in await _socket_troubles(key, who, whose=whose, world=world)
                ]
        await hub.close()
    assert not found, "\n".join(found)


def test_every_socket_is_in_the_table() -> None:
    known = {key.split()[0].strip("/") for key in SOCKETS}
    paths = {str(pattern.pattern).strip("/") for pattern in websocket_urlpatterns}
    # The last pattern takes whatever no other did, and refuses it.
    assert paths - {""} == known - {"ws/nothing"}, "Add to SOCKETS who may open it, or take out what leads nowhere."


@pytest.mark.django_db(transaction=True)
async def test_a_page_hears_of_nothing_that_is_others() -> None:
    with one_engine() as engine:
        world = await in_database(lambda: build(engine))
        viewer = Viewer("/ws/live/", headers=headers_of(world.sessions["stranger"]))
        await viewer.accepted()
        await viewer.control("listening")
        topics = {
            whose: [
                "container:{host_id}:{container_id}".format(**world.things[whose]),
                "operation:{operation_id}".format(**world.things[whose]),
            ]
            for whose in ("red", "nobody", "blue")
        }
        others = ["audit", "people", "hosts", "images", "container:*", "container", "operation:x", "person:1", ":", ""]
        told = [*topics["red"], *others, *topics["nobody"], *topics["blue"]]
        await get_channel_layer().group_send(GROUP, {"type": "changed", "topics": told})
        heard = (await viewer.control("changed"))["topics"]
        assert [topic for topic in heard if ":" in topic] == topics["blue"]
        assert not set(heard) & {"audit", "people", "hosts", "images"}
        # What to hear of is not for the page to say.
        viewer.send({"type": "subscribe", "topics": topics["red"]})
        code, error = await viewer.ending()
        assert (code, error["code"] if error else "") == (BAD_FRAME, "bad_frame")
        await viewer.task
