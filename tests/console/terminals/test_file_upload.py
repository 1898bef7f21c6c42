"""A file into a container, from the terminal's place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import AsyncClient

from console.accounts.models import Role, TeamRole, User
from console.gateway import EngineFailure
from console.lib.websocket import in_database
from runtime.testing import FakeEngine
from tests.console.streamed import browser_of
from tests.console.terminals.conftest import untouched
from tests.console.terminals.files import SlowBody, give_to_team, open_session, rows, send, target
from tests.console.tokens import issue

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
WRITE = "container.file_write"
ENGINE_WRITES = {"open_exec", "put_archive"}


async def test_it_arrives_and_is_on_record(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    answer = await send(await browser_of(alice), container, b"text", folder="/home/user", name="가 b.txt")
    assert (answer.status_code, answer.json()) == (201, {"path": "/home/user/가 b.txt", "size_bytes": 4})
    node = engine.files(container.container_id).nodes["/home/user/가 b.txt"]
    assert (node.data, node.mode) == (b"text", 0o644)
    [(first, details), (last, _details)] = await rows(WRITE)
    assert (first, last) == ("accepted", "succeeded")
    assert (details["path"], details["size_bytes"]) == ("/home/user/가 b.txt", 4)


async def test_an_empty_file_is_a_file(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    assert (await send(await browser_of(alice), container, b"")).status_code == 201
    assert engine.files(container.container_id).nodes["/tmp/file"].data == b""


async def test_it_is_the_terminals_user_who_writes(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    session = await open_session(container, alice, user="1000")
    await send(await browser_of(alice), container, b"x", session=str(session.pk))
    assert engine.files(container.container_id).nodes["/tmp/file"].uid == 1000
    assert (await rows(WRITE))[0][1]["user"] == "1000"


async def test_what_exists_is_kept_until_it_may_go(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).add("/tmp/file", b"old")
    client = await browser_of(alice)
    answer = await send(client, container, b"new")
    assert (answer.status_code, answer.json()["code"]) == (409, "path_exists")
    assert "/tmp/file" in answer.json()["message"]
    assert answer.json()["next_step"]
    assert engine.files(container.container_id).nodes["/tmp/file"].data == b"old"
    assert (await send(client, container, b"new", overwrite="1")).status_code == 201
    assert engine.files(container.container_id).nodes["/tmp/file"].data == b"new"
    assert [outcome for outcome, _details in await rows(WRITE)] == ["accepted", "failed", "accepted", "succeeded"]


async def test_what_is_wrong_there_is_said(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).denied.add("/root")
    client = await browser_of(alice)
    for where, code, status in (
        ({"folder": "/nowhere"}, "path_missing", 404),
        ({"folder": "/etc/passwd"}, "not_folder", 409),
        ({"folder": "/home", "name": "user", "overwrite": "1"}, "is_folder", 409),
        ({"folder": "/root"}, "path_denied", 409),
    ):
        answer = await send(client, container, b"x", **where)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert where["folder"] in answer.json()["message"]
        assert answer.json()["next_step"]
        assert (await rows(WRITE))[-1][0] == "failed"


async def test_a_full_disk_and_a_read_only_container_are_told_apart(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    engine.files(container.container_id).free_bytes = 1000
    answer = await send(client, container, b"x" * 100_000)
    assert (answer.status_code, answer.json()["code"]) == (507, "no_space")
    assert "/tmp/file" not in engine.files(container.container_id).nodes
    engine.files(container.container_id).read_only = True
    answer = await send(client, container, b"x")
    assert (answer.status_code, answer.json()["code"]) == (409, "read_only")


NO_NAMES = [
    *("", " ", ".", "..", "../x", "/etc/cron.d/x", "a/b", "..\\..\\x", "C:\\x", "a\0b", "a\nb", "\x1b[2J", "\x7f"),
    *("x" * 256, "가" * 86, "a\u202egnp.exe", "a\u2028b"),
]
ODD_NAMES = ["<img src=x onerror=alert(1)>", "-rf", "$(id)", "CON", ".htaccess", "BZh9", "a'b\"c"]


async def test_what_is_no_name_reaches_nobody(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    for name in NO_NAMES:
        with untouched(engine):
            answer = await send(client, container, b"x", name=name)
        assert (answer.status_code, set(answer.json()["errors"])) == (422, {"name"}), name
    assert await rows(WRITE) == []


async def test_an_odd_name_is_only_a_name(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    for name in ODD_NAMES:
        assert (await send(client, container, b"x", name=name)).status_code == 201, name
        assert engine.files(container.container_id).nodes[f"/tmp/{name}"].data == b"x"


async def test_wrong_parameters_are_named(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    for change in ({"folder": "tmp"}, {"folder": "/a\nb"}, {"container": "web-1"}, {"mode": "4755"}):
        with untouched(engine):
            answer = await send(client, container, b"x", **change)
        assert (answer.status_code, set(answer.json()["errors"])) == (422, set(change))


async def test_what_is_too_large_is_not_begun(alice: User, run: Run, engine: FakeEngine, settings: Any) -> None:
    settings.UPLOAD_LIMIT = 1024 * 1024
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    with untouched(engine):
        answer = await send(client, container, b"x" * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "1 MB" in answer.json()["message"]
    assert (await send(client, container, b"x" * 1024 * 1024)).status_code == 201


async def test_nobody_has_too_many_on_their_way(
    alice: User, run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.terminals.file_services.MOST_AT_ONCE", 0)
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    with untouched(engine):
        assert (await send(client, container, b"x")).status_code == 429


# Who


async def test_a_stranger_does_not_know_of_it(charlie: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(charlie)
    with untouched(engine):
        assert (await send(client, container, b"x")).status_code == 404


async def test_a_viewer_and_an_auditor_are_refused(
    alice: User, bob: User, charlie: User, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    await give_to_team(container, alice=alice, people={bob: TeamRole.VIEWER})
    await in_database(lambda: User.objects.filter(pk=charlie.pk).update(role=Role.AUDITOR))
    for person in (bob, charlie):
        client = await browser_of(person)
        with untouched(engine):
            assert (await send(client, container, b"x")).status_code == 403
    assert [outcome for outcome, _details in await rows(WRITE)] == ["denied", "denied"]


async def test_a_member_does_it_where_the_policy_allows_shells(
    alice: User, bob: User, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    await give_to_team(container, alice=alice, people={bob: TeamRole.MEMBER})
    assert (await send(await browser_of(bob), container, b"x")).status_code == 201


async def test_where_the_policy_closes_shells_it_closes_files(
    alice: User, bob: User, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    await give_to_team(container, alice=alice, people={bob: TeamRole.OWNER}, shells=False)
    client = await browser_of(bob)
    with untouched(engine):
        answer = await send(client, container, b"x")
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.shells")


async def test_no_token_does_it(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    issued = await in_database(lambda: issue(alice))
    client = AsyncClient()
    query = urlencode(target(container, folder="/tmp", name="x"))
    with untouched(engine):
        answer = await client.post(
            f"/terminals/files/upload/?{query}",
            b"x=1",
            content_type="application/x-www-form-urlencoded",
            headers={"Authorization": f"Bearer {issued.text}"},
        )
    assert answer.status_code == 403


async def test_anothers_terminal_lends_nothing(alice: User, bob: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    session = await open_session(container, bob, user="1000")
    client = await browser_of(alice)
    with untouched(engine):
        assert (await send(client, container, b"x", session=str(session.pk))).status_code == 404


async def test_a_link_cannot_do_it(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    with untouched(engine):
        answer = await client.get("/terminals/files/upload/", target(container, folder="/tmp", name="x"))
    assert answer.status_code == 405


# Which way


async def test_what_does_not_run_is_reached_by_a_safe_engine(
    alice: User, bob: User, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    await give_to_team(container, alice=alice, people={bob: TeamRole.MEMBER})
    await engine.stop_container(container.container_id)
    client = await browser_of(bob)
    answer = await send(client, container, b"x")
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.old_engine")
    assert not ENGINE_WRITES & set(engine.calls)
    assert (await rows(WRITE))[-1][0] == "denied"

    def exchange() -> None:
        container.host.info = {"product": "Docker Engine", "version": "29.5.1"}
        container.host.save(update_fields=["info"])

    await in_database(exchange)
    assert (await send(client, container, b"x")).status_code == 201
    assert "put_archive" in engine.calls


async def test_an_admin_owns_the_host_and_may_ask_an_old_engine(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    await engine.pause_container(container.container_id)
    assert (await send(await browser_of(alice), container, b"x")).status_code == 201
    assert "open_exec" not in engine.calls
    assert engine.files(container.container_id).nodes["/tmp/file"].data == b"x"


async def test_an_engine_that_fails_says_so(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.fail_next("open_exec", EngineFailure("the disk burns"))
    answer = await send(await browser_of(alice), container, b"x")
    assert answer.status_code == 502
    assert "the disk burns" in answer.json()["message"]


# While it comes


async def test_no_more_is_taken_than_the_container_takes(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    body = SlowBody([b"x" * 65536] * 64, size=64 * 65536)
    assert await body.post(await browser_of(alice), container) == 201
    assert len(engine.files(container.container_id).nodes["/tmp/file"].data) == body.size


async def test_who_is_refused_sends_nothing_first(charlie: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    body = SlowBody([b"x" * 65536] * 64, size=64 * 65536)
    with untouched(engine):
        assert await body.post(await browser_of(charlie), container) == 404
    assert body.taken == 0


async def test_a_browser_that_goes_leaves_no_half_file(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    body = SlowBody([b"x" * 1000] * 3, size=10_000)
    assert await body.post(await browser_of(alice), container) == 400
    assert "/tmp/file" not in engine.files(container.container_id).nodes
    assert len(engine.processes(container.container_id)) == 1, "nothing of it runs any more"
    outcome, details = (await rows(WRITE))[-1]
    assert (outcome, details["received_bytes"]) == ("cancelled", 3000)


@pytest.mark.parametrize("how", ["suspended", "without rights"])
async def test_it_ends_when_the_rights_do(
    how: str, alice: User, run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.lib.websocket.StreamConsumer.lease_interval", 0.0)
    container = await run("sleep", "1000")

    def revoke(part: int) -> None:
        if part == 3:
            User.objects.update(**({"is_active": False} if how == "suspended" else {"role": Role.USER}))

    body = SlowBody([b"x" * 1000] * 10, size=10_000, before=revoke)
    assert await body.post(await browser_of(alice), container) == 403
    assert body.taken < 10
    assert "/tmp/file" not in engine.files(container.container_id).nodes
    assert (await rows(WRITE))[-1][0] == "denied"


async def test_a_full_disk_ends_it_before_all_has_come(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).free_bytes = 5000
    body = SlowBody([b"x" * 65536] * 100, size=100 * 65536)
    assert await body.post(await browser_of(alice), container) == 507
    assert body.taken < 100


async def test_another_site_cannot_send_one(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    client.handler.enforce_csrf_checks = True
    with untouched(engine):
        assert (await send(client, container, b"x")).status_code == 403
