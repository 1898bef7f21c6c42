"""Where a terminal stands: the folder that files come from and go to."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from console.accounts.models import User
from console.gateway import ContainerSpec, TimedOut
from console.lib.websocket import in_database
from runtime.testing import FakeEngine
from tests.console.streamed import browser_of
from tests.console.terminals.conftest import observe, untouched
from tests.console.terminals.files import open_session

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
URL = "/terminals/files/place/"


async def ask(person: User, session_id: object) -> Any:
    client = await browser_of(person)
    return await client.get(URL, {"session": str(session_id)}, headers={"Accept": "application/json"})


async def test_it_is_where_the_shell_stands(alice: User, run: Run, engine: FakeEngine, settings: Any) -> None:
    settings.UPLOAD_LIMIT = 5 * 1024 * 1024
    container = await run("sleep", "1000")
    engine.files(container.container_id).place = "/home/user"
    answer = await ask(alice, (await open_session(container, alice)).pk)
    assert answer.json() == {"folder": "/home/user", "upload_limit": 5 * 1024 * 1024}


async def test_a_shell_that_says_nothing_sensible_is_not_believed(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    session = await open_session(container, alice)
    for said in ("", "relative", "/a\nb", "/\x1b[2J", "/" + "x" * 5000, "/\u202egnp"):
        engine.files(container.container_id).place = said
        assert (await ask(alice, session.pk)).json()["folder"] == "/", said


async def test_without_a_shell_it_is_where_programs_start(alice: User, host: Any, engine: FakeEngine) -> None:
    spec = ContainerSpec(name="web-1", image="starter:latest", command=("sleep", "9"), working_directory="/srv/app")
    container_id = await engine.create_container(spec)
    container = await in_database(lambda: observe(host, container_id))
    session = await open_session(container, alice, state="ended")
    assert (await ask(alice, session.pk)).json()["folder"] == "/srv/app"
    await engine.start_container(container_id)
    engine.fail_next("run_exec", TimedOut("it hangs"))
    assert (await ask(alice, session.pk)).json()["folder"] == "/srv/app"
    await engine.shut_down()


async def test_anothers_terminal_does_not_exist(alice: User, bob: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    session = await open_session(container, bob)
    with untouched(engine):
        answer = await ask(alice, session.pk)
        nothing = await ask(alice, uuid.uuid4())
    assert (answer.status_code, nothing.status_code) == (404, 404)
    assert answer.json()["message"] == nothing.json()["message"]


async def test_who_lost_the_rights_is_told_no_place(alice: User, bob: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    session = await open_session(container, bob)
    with untouched(engine):
        assert (await ask(bob, session.pk)).status_code == 404


async def test_what_is_no_session_is_named(alice: User, engine: FakeEngine) -> None:
    answer = await ask(alice, "web-1")
    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"session"})


async def test_it_cannot_be_posted(alice: User) -> None:
    client = await browser_of(alice)
    assert (await client.post(URL, {"session": str(uuid.uuid4())})).status_code == 405
