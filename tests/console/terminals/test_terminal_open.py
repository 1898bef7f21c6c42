"""Opening a terminal with its ticket: once, in time, by whom it was issued to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.models import Role, User
from console.gateway import Conflict, ExecSpec, Terminal, Terminated, TimedOut, Unreachable
from console.lib.websocket import in_database
from console.terminals.models import TerminalTicket
from runtime.testing import FakeEngine
from runtime.testing.fake import FakeTerminal
from tests.console.terminals.conftest import (
    Connect,
    audit_rows,
    ended_session,
    opening,
    ticket_for,
    untouched,
)

pytestmark = pytest.mark.django_db(transaction=True)
SignIn = Callable[[User], str]
Run = Callable[..., Any]


async def test_a_shell_is_found_and_marked(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    viewer = await connect(
        "/ws/terminal/", key, first=opening(await ticket_for(container, actor=alice, session_key=key))
    )
    opened = await viewer.control("opened")
    assert opened["tty"] is True
    assert opened["window"] == 256 * 1024
    await viewer.read_until(b"$ ")
    viewer.send_bytes(b"printenv PILOTHOUSE_TERMINAL TERM; printenv TERM; printenv LANG; stty size\r")
    said = await viewer.read_until(b"24 80")
    assert opened["session"].encode() in said
    assert b"xterm-256color" in said
    assert b"C.UTF-8" in said


async def test_command_and_user_are_the_persons_choice(
    alice: User, signed_in: SignIn, connect: Connect, run: Run
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key, command=["id"], user="1000")
    viewer = await connect("/ws/terminal/", key, first=opening(ticket))
    assert b"1000" in await viewer.read_until(b"\n")
    assert (await viewer.control("exit"))["code"] == 0


async def test_a_ticket_opens_once(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key)
    first = await connect("/ws/terminal/", key, first=opening(ticket))
    await first.control("opened")
    with untouched(engine):
        second = await connect("/ws/terminal/", key, first=opening(ticket))
        assert (await second.ending())[0] == 4404
    first.send_bytes(b"echo still here\r")
    await first.read_until(b"still here\r\n")


async def test_an_old_ticket_opens_nothing(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key)
    past = timezone.now() - timedelta(seconds=1)
    await in_database(lambda: TerminalTicket.objects.update(until=past))
    with untouched(engine):
        viewer = await connect("/ws/terminal/", key, first=opening(ticket))
        code, error = await viewer.ending()
    assert code == 4404
    assert error is not None
    assert error["next_step"]


async def test_somebody_elses_ticket_opens_nothing(
    alice: User, bob: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    await in_database(lambda: User.objects.filter(pk=bob.pk).update(role=Role.ADMIN))
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key)
    with untouched(engine):
        viewer = await connect("/ws/terminal/", await in_database(lambda: signed_in(bob)), first=opening(ticket))
        assert (await viewer.ending())[0] == 4404


async def test_a_ticket_of_another_session_of_mine_opens_nothing(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    ticket = await ticket_for(container, actor=alice, session_key=await in_database(lambda: signed_in(alice)))
    with untouched(engine):
        viewer = await connect("/ws/terminal/", await in_database(lambda: signed_in(alice)), first=opening(ticket))
        assert (await viewer.ending())[0] == 4404


async def test_rights_lost_since_the_ticket_open_nothing(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key)
    await in_database(lambda: User.objects.filter(pk=alice.pk).update(role=Role.USER))
    with untouched(engine):
        viewer = await connect("/ws/terminal/", key, first=opening(ticket))
        assert (await viewer.ending())[0] in (4403, 4404)
    await ended_session()
    assert [row.outcome for row in await audit_rows("container.terminal")] in (
        ["accepted", "denied"],
        ["accepted", "failed"],
    ), "nothing says that it succeeded"


@pytest.mark.parametrize(
    "first",
    [
        "",
        "no json",
        "[]",
        "null",
        '"open"',
        "{}",
        '{"type": 1}',
        '{"type": "shell"}',
        '{"type": "open"}',
        '{"type": "ack", "bytes": 0}',
        '{"type": "open", "ticket": "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "columns": 0, "rows": 24}',
        '{"type": "open", "ticket": "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "columns": 10001, "rows": 24}',
        '{"type": "open", "ticket": "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "columns": 80, "rows": 24, "command": ["sh"]}',
        '{"type": "open", "ticket": "' + "\\ud800" * 30 + '", "columns": 80, "rows": 24}',
        "[" * 5000,
        '{"type": "' + "x" * 20_000 + '"}',
    ],
)
async def test_any_other_first_frame_is_refused(
    first: str, alice: User, signed_in: SignIn, connect: Connect, engine: FakeEngine
) -> None:
    viewer = await connect("/ws/terminal/", await in_database(lambda: signed_in(alice)))
    with untouched(engine):
        viewer.send_text(first)
        assert (await viewer.ending())[0] == 4400


async def test_data_before_the_ticket_is_refused(
    alice: User, signed_in: SignIn, connect: Connect, engine: FakeEngine
) -> None:
    viewer = await connect("/ws/terminal/", await in_database(lambda: signed_in(alice)))
    with untouched(engine):
        viewer.send_bytes(b"id\n")
        assert (await viewer.ending())[0] == 4400


async def test_a_browser_that_asks_for_nothing_is_sent_away(
    alice: User, signed_in: SignIn, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.lib.websocket.StreamConsumer.first_frame_timeout", 0.05)
    viewer = await connect("/ws/terminal/", await in_database(lambda: signed_in(alice)))
    assert (await viewer.ending())[0] == 4408


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Unreachable("no connection"), "cannot be reached"),
        (TimedOut("no answer"), "did not answer in time"),
        (Conflict("Container is paused", reason="paused"), "paused"),
        (Conflict("Container is not running", reason="not_running"), "not running"),
    ],
)
async def test_an_engine_in_trouble_is_told_in_words(
    trouble: Exception,
    words: str,
    alice: User,
    signed_in: SignIn,
    connect: Connect,
    run: Run,
    engine: FakeEngine,
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    engine.fail_next("open_exec", trouble)  # type: ignore[arg-type]
    viewer = await connect(
        "/ws/terminal/", key, first=opening(await ticket_for(container, actor=alice, session_key=key))
    )
    code, error = await viewer.ending()
    assert code == 1011
    assert error is not None
    assert words in error["message"]
    assert error["next_step"]
    assert (await ended_session()).end_reason != "the browser went"
    assert [row.outcome for row in await audit_rows("container.terminal")] == ["accepted", "failed"]


async def test_opening_and_ending_are_recorded(alice: User, signed_in: SignIn, connect: Connect, run: Run) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key, command=["sh"])
    viewer = await connect("/ws/terminal/", key, first=opening(ticket))
    await viewer.read_until(b"$ ")
    viewer.send_bytes(b"exit 3\r")
    assert (await viewer.control("exit"))["code"] == 3
    session = await ended_session()
    assert session.exit_code == 3
    rows = await audit_rows("container.terminal")
    assert [row.details["session"] for row in rows] == [str(session.pk)] * len(rows)
    assert rows[0].outcome == "accepted"
    assert rows[-1].outcome == "succeeded"
    assert rows[-1].details["exit_code"] == 3


@pytest.mark.parametrize("trouble", [TimedOut("no answer"), Terminated("the connection broke")])
async def test_a_shell_that_began_without_an_answer_is_ended(
    trouble: Exception,
    alice: User,
    signed_in: SignIn,
    connect: Connect,
    run: Run,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    container = await run("sleep", "1000")
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key, command=["cat"])
    open_exec = engine.open_exec

    async def open_without_an_answer(container_id: str, spec: ExecSpec) -> Terminal:
        await open_exec(container_id, spec)
        assert len(engine.processes(container_id)) == 2
        raise trouble

    monkeypatch.setattr(engine, "open_exec", open_without_an_answer)
    viewer = await connect("/ws/terminal/", key, first=opening(ticket))
    assert (await viewer.ending())[0] == 1011
    await ended_session()
    assert len(engine.processes(container.container_id)) == 1


async def test_a_main_process_whose_size_cannot_be_set_is_shown_all_the_same(
    alice: User, signed_in: SignIn, connect: Connect, run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_terminal: FakeTerminal, *, columns: int, rows: int) -> None:
        raise Conflict("the process is just ending")

    monkeypatch.setattr(FakeTerminal, "resize", fail)
    container = await run("sh", tty=True)
    key = await in_database(lambda: signed_in(alice))
    ticket = await ticket_for(container, actor=alice, session_key=key, kind="attach")
    viewer = await connect("/ws/terminal/", key, first=opening(ticket))
    assert (await viewer.control("opened"))["tty"] is True
