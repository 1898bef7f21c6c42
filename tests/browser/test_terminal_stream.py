"""The browser's end of a terminal's connection, alone with a server that the test plays: every byte once, both ways."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from playwright.sync_api import Page, WebSocketRoute

SESSION: Final = "00000000-0000-4000-8000-000000000001"
RESTART: Final = 1012
WINDOW: Final = 256 * 1024
INPUT_WINDOW: Final = 128 * 1024
#: Milliseconds after which a connection that was lost has been tried again.
RETRIED: Final = 10_000

BEGIN = """async (state) => {
    const { TerminalStream, TicketRefused } = await import("/static/js/terminal-stream.js");
    window.shown = [];
    window.told = [];
    window.tickets = [];
    window.refusal = null;
    window.renders = true;
    window.unrendered = [];
    const issue = async (session) => {
        window.tickets.push(session);
        await window.held;
        if (window.refusal) {
            throw new TicketRefused(...window.refusal);
        }
        return { ticket: "t".repeat(43), session: session ?? "00000000-0000-4000-8000-000000000001" };
    };
    window.stream = new TerminalStream({
        issue,
        columns: 80,
        rows: 24,
        ...state,
        hooks: {
            onState: (name) => window.told.push(["state", name]),
            onOpened: () => window.told.push(["opened"]),
            onReset: ({ lost }) => {
                window.told.push(["reset", lost]);
                window.shown = [];
            },
            onOutput: (bytes, rendered, { isOld }) => {
                window.shown = window.shown.concat(Array.from(bytes));
                window.isOld = isOld;
                if (window.renders) {
                    rendered();
                } else {
                    window.unrendered.push(rendered);
                }
            },
            onFrame: (frame) => window.told.push(["frame", frame.type]),
            onWaiting: (size) => { window.waiting = size; },
            onEnd: (frame) => window.told.push(["end", frame.type, frame.code ?? frame.reason]),
        },
    });
    window.stream.start();
}"""


@dataclass(slots=True)
class Server:
    """The console and the hub behind it, as far as one terminal goes."""

    output: bytes = b""
    taken: bytearray = field(default_factory=bytearray)
    #: What output is no longer kept.
    start: int = 0
    sockets: list[WebSocketRoute] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    answers: bool = True
    #: Whether the present connection is beyond its greeting.
    is_open: bool = False
    #: How much of the output the present connection was sent, and has acknowledged.
    sent: int = 0
    acknowledged: int = 0

    def route(self, page: Page) -> None:
        page.route_web_socket("**/ws/terminal/", lambda socket: self._accept(socket))

    @property
    def socket(self) -> WebSocketRoute:
        return self.sockets[-1]

    def say(self, **frame: Any) -> None:
        self.socket.send(json.dumps(frame))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def _accept(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        self.is_open = False
        socket.on_message(lambda message: self._take(socket, message))

    def _take(self, socket: WebSocketRoute, message: str | bytes) -> None:
        if socket is not self.socket:
            return
        if isinstance(message, bytes):
            self.taken += message
            return
        frame = json.loads(message)
        self.frames.append(frame)
        if not self.answers:
            return
        if frame["type"] == "open":
            self._open(frame)
        elif frame["type"] == "ack":
            assert self.acknowledged <= frame["offset"] <= self.sent
            self.acknowledged = frame["offset"]
        elif frame["type"] == "ping":
            self.say(type="pong", at=frame["at"])

    def _open(self, frame: dict[str, Any]) -> None:
        has = frame["from"]
        goes_on = has is not None and has >= self.start
        self.sent = self.acknowledged = has if goes_on else self.start
        self.say(
            type="opened",
            session=SESSION,
            name="",
            tty=True,
            window=WINDOW,
            offset=self.sent,
            end=len(self.output),
            reset=has is not None and not goes_on,
            lost=0 if goes_on or has is None else self.sent - has,
            preamble="",
            taken=len(self.taken),
            recorded=False,
            locked=False,
            types=True,
            owns=True,
        )
        self.is_open = True

    def feed(self, most: int) -> None:
        """Send some more of the output, as far as the window reaches."""
        size = min(most, WINDOW - (self.sent - self.acknowledged), len(self.output) - self.sent)
        if size > 0 and self.is_open:
            self.socket.send(self.output[self.sent : self.sent + size])
            self.sent += size


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    page = open_page()
    page.goto("/accounts/login/")
    page.clock.install()
    return page


@pytest.fixture
def server(page: Page) -> Server:
    server = Server()
    server.route(page)
    return server


def begin(page: Page, **state: Any) -> None:
    page.evaluate(BEGIN, state)


def settle(page: Page, milliseconds: int = 40) -> None:
    """Let the time pass in the page, and what is on its way arrive: also what is sent because of what arrived."""
    for _ in range(4):
        page.clock.run_for(max(1, milliseconds // 4))
        page.evaluate(
            """() => new Promise((resolve) => {
                const { port1, port2 } = new MessageChannel();
                port1.onmessage = resolve;
                port2.postMessage(0);
            })"""
        )


def shown(page: Page) -> bytes:
    return bytes(page.evaluate("window.shown"))


def test_every_byte_comes_once_and_in_order_both_ways_through_thirty_cuts(page: Page, server: Server) -> None:
    chance = random.Random(41)
    server.output = chance.randbytes(600_000)
    begin(page)
    settle(page, 500)
    typed = b""
    cuts = 0

    for step in range(260):
        deed = chance.choice(["feed", "feed", "type", "paste", "take", "cut"])
        if deed == "feed":
            server.feed(chance.randrange(1, 9000))
        elif deed == "type":
            key = chance.randbytes(chance.randrange(1, 4))
            typed += key
            page.evaluate("(key) => window.stream.write(Uint8Array.from(key))", list(key))
        elif deed == "paste":
            text = chance.randbytes(chance.randrange(1, 40_000))
            if page.evaluate("(text) => window.stream.write(Uint8Array.from(text))", list(text)):
                typed += text
        elif deed == "take" and server.is_open:
            server.say(type="taken", bytes=len(server.taken))
        elif deed == "cut" and cuts < 30:
            cuts += 1
            # What was sent last may or may not have arrived.
            server.socket.close(code=RESTART)
            settle(page, chance.choice([4, RETRIED]))
        if step % 5 == 0:
            settle(page)
    settle(page, RETRIED)
    while server.sent < len(server.output):
        server.feed(64 * 1024)
        settle(page)
    for _ in range(20):
        server.say(type="taken", bytes=len(server.taken))
        settle(page)

    assert cuts == 30
    assert shown(page) == server.output
    assert bytes(server.taken) == typed
    assert {frame["viewer"] for frame in server.of("open")} == {server.of("open")[0]["viewer"]}
    # The process was asked for once; each time after it was come back to.
    assert page.evaluate("window.tickets.filter((session) => session === null).length") == 1


def test_input_keeps_to_its_window_and_goes_on_once_it_was_taken(page: Page, server: Server) -> None:
    begin(page)
    settle(page, 500)
    page.evaluate("window.stream.write(new Uint8Array(300_000))")
    settle(page)
    assert len(server.taken) == INPUT_WINDOW

    server.say(type="taken", bytes=INPUT_WINDOW)
    settle(page)
    assert len(server.taken) == 2 * INPUT_WINDOW


def test_output_is_acknowledged_when_it_is_on_the_screen_and_not_before(page: Page, server: Server) -> None:
    server.output = bytes(200_000)
    begin(page)
    page.evaluate("window.renders = false")
    settle(page, 500)
    server.feed(200_000)
    settle(page)
    assert server.of("ack") == []

    page.evaluate("window.unrendered.forEach((rendered) => rendered())")
    settle(page)
    assert server.of("ack") == [{"type": "ack", "offset": 200_000}]


def test_what_was_typed_without_a_connection_is_kept_and_too_much_is_refused(page: Page, server: Server) -> None:
    begin(page)
    settle(page, 500)
    server.answers = False
    server.socket.close(code=RESTART)
    settle(page, 400)

    assert page.evaluate("window.stream.write('uname -a\\r')") is True
    assert page.evaluate("window.waiting") == 9
    assert page.evaluate("window.stream.write(new Uint8Array(128 * 1024))") is False

    server.answers = True
    settle(page, 30_000)
    assert bytes(server.taken) == b"uname -a\r"
    assert page.evaluate("window.waiting") == 0


def test_a_reload_goes_on_with_input_where_the_page_before_it_stopped(page: Page, server: Server) -> None:
    server.output = b"$ who\r\n"
    server.taken += b"who\r"
    begin(page, session=SESSION, viewer="the-same-tab")
    page.evaluate("window.stream.write('id\\r')")
    settle(page, 500)
    server.feed(100)
    settle(page)

    assert bytes(server.taken) == b"who\rid\r"
    assert shown(page) == server.output
    assert server.of("open")[0]["from"] is None
    assert server.of("open")[0]["viewer"] == "the-same-tab"
    # A program's question of then must not be answered once more.
    assert page.evaluate("window.isOld") is True
    server.output += b"new"
    server.feed(100)
    settle(page)
    assert page.evaluate("window.isOld") is False


def test_output_that_is_no_longer_kept_clears_the_screen_and_is_counted(page: Page, server: Server) -> None:
    server.output = bytes(5000)
    begin(page)
    settle(page, 500)
    server.feed(5000)
    settle(page)
    server.output += b"x" * 5000
    server.start = 8000
    server.socket.close(code=RESTART)
    settle(page, RETRIED)
    server.feed(5000)
    settle(page)

    assert ["reset", 3000] in page.evaluate("window.told")
    assert shown(page) == b"x" * 2000

    server.sent = server.acknowledged = 9500
    server.say(type="skipped", offset=9500, lost=100, preamble="")
    server.feed(5000)
    settle(page)
    assert shown(page) == b"x" * 500


def test_a_connection_that_says_nothing_any_more_is_given_up_for_another(page: Page, server: Server) -> None:
    begin(page)
    settle(page, 500)
    server.answers = False
    settle(page, 11_000)
    assert len(server.sockets) == 1
    server.answers = True
    settle(page, 12_000)

    assert len(server.sockets) > 1
    assert page.evaluate("window.stream.state") == "live"


@pytest.mark.parametrize("news", ["online", "visibilitychange"])
def test_news_of_the_network_bring_it_back_at_once(page: Page, server: Server, news: str) -> None:
    begin(page)
    settle(page, 500)
    server.answers = False
    for _ in range(6):
        server.socket.close(code=RESTART)
        settle(page, RETRIED)
    server.socket.close(code=RESTART)
    settle(page, 4)
    server.answers = True
    before = len(server.sockets)

    page.evaluate("(news) => (news === 'online' ? window : document).dispatchEvent(new Event(news))", news)
    settle(page, 4)

    assert len(server.sockets) == before + 1
    assert page.evaluate("window.stream.state") == "live"


@pytest.mark.parametrize(
    ("frame", "end"),
    [
        ({"type": "exit", "code": 3, "reason": "exited", "by": "", "message": ""}, ["end", "exit", 3]),
        ({"type": "dismissed", "reason": "replaced"}, ["end", "dismissed", "replaced"]),
        ({"type": "error", "code": "revoked", "message": "", "next_step": ""}, ["end", "error", "revoked"]),
    ],
)
def test_what_is_said_to_be_the_end_is_the_end(
    page: Page, server: Server, frame: dict[str, Any], end: list[Any]
) -> None:
    begin(page)
    settle(page, 500)
    server.say(**frame)
    settle(page, RETRIED)

    assert page.evaluate("window.told.at(-1)") == end
    assert len(server.sockets) == 1


def test_an_error_that_passes_is_not_the_end(page: Page, server: Server) -> None:
    begin(page)
    settle(page, 500)
    server.say(type="error", code="lease", message="The database is away.", next_step="")
    settle(page, RETRIED)

    assert len(server.sockets) == 2
    assert page.evaluate("window.stream.state") == "live"


def test_a_ticket_that_is_refused_ends_it_unless_it_may_be_had_later(page: Page, server: Server) -> None:
    begin(page)
    settle(page, 500)
    page.evaluate("window.refusal = ['Sign in again.', { isFinal: false }]")
    server.socket.close(code=RESTART)
    settle(page, 60_000)
    assert page.evaluate("window.stream.state") == "reconnecting"

    page.evaluate("window.refusal = ['It is gone.', { isFinal: true, code: 'gone' }]")
    settle(page, RETRIED)
    assert page.evaluate("window.told.at(-1)") == ["end", "error", "gone"]


def test_who_closes_it_without_a_connection_still_ends_it(page: Page, server: Server) -> None:
    begin(page)
    settle(page, 500)
    server.socket.close(code=RESTART)
    page.evaluate("window.stream.part('close')")
    settle(page, RETRIED)

    assert server.of("close") == [{"type": "close"}]
    settle(page, 60_000)
    assert len(server.sockets) == 2


def test_what_nobody_waited_for_is_not_opened(page: Page, server: Server) -> None:
    page.evaluate("() => { window.held = new Promise((resolve) => { window.release = resolve; }); }")
    begin(page)
    settle(page)
    page.evaluate("window.stream.part('close')")
    page.evaluate("window.release()")
    settle(page, 60_000)

    assert page.evaluate("window.tickets") == [None]
    assert server.frames == []


def test_the_end_of_input_comes_after_what_was_typed_and_again_after_a_loss(page: Page, server: Server) -> None:
    begin(page)
    page.evaluate("window.stream.write('last words'); window.stream.end()")
    settle(page, 500)
    assert server.of("end") == [{"type": "end"}]
    assert bytes(server.taken) == b"last words"

    server.socket.close(code=RESTART)
    settle(page, RETRIED)
    assert len(server.of("end")) == 2
