"""A file out of a container, from the terminal's place."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.models import Role, TeamRole, User
from console.inventory.models import ObservedContainer
from console.lib.leases import RightsEnded
from console.lib.websocket import in_database
from console.terminals.models import ApprovalState, ShellApproval
from runtime.testing import FakeEngine
from tests.console.streamed import ENDINGS, browser_of, content, end_rights
from tests.console.terminals.conftest import untouched
from tests.console.terminals.files import JSON, fetch, give_to_team, rows, target

pytestmark = pytest.mark.django_db(transaction=True)
Run = Callable[..., Any]
READ = "container.file_read"
ABOUT = "/terminals/files/about/"


async def test_a_file_comes_as_it_is(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).add("/home/user/데이터 1.txt", b"x" * 200_000)
    answer = await fetch(await browser_of(alice), container, "/home/user/데이터 1.txt")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Length"] == "200000"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename*=utf-8''")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.streaming
    assert await content(answer) == b"x" * 200_000
    [(first, details), (last, sums)] = await rows(READ)
    assert (first, details["path"], details["size_bytes"]) == ("accepted", "/home/user/데이터 1.txt", 200_000)
    assert (last, sums["sent_bytes"]) == ("succeeded", 200_000)


async def test_a_folder_comes_as_a_tar(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).add("/home/user/one", b"1")
    answer = await fetch(await browser_of(alice), container, "/home/user")
    assert 'filename="user.tar"' in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(await content(answer))) as tar:
        assert "user/one" in {name.removeprefix("./") for name in tar.getnames()}


async def test_what_cannot_be_had_is_said(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).denied.add("/root")
    client = await browser_of(alice)
    for path, code in (
        ("/nowhere", "path_missing"),
        ("/", "whole_system"),
        ("/proc", "whole_system"),
        ("/dev/null", "not_regular"),
        ("/root", "path_denied"),
    ):
        answer = await fetch(client, container, path)
        assert answer.json()["code"] == code
        assert path in answer.json()["message"]
        assert answer.json()["next_step"]
    assert [outcome for outcome, _details in await rows(READ)] == ["failed"] * 5


async def test_a_person_without_scripts_sees_a_page_that_says_it(alice: User, run: Run) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    answer = await client.post(
        "/terminals/files/download/", target(container, path="/nowhere"), headers={"Accept": "text/html"}
    )
    assert answer.status_code == 404
    assert "/nowhere" in answer.content.decode()


async def test_a_name_cannot_forge_headers(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    for name in ('a"; filename="x.exe', "<img src=x>", "...", "a;b", "%0d%0aX: y", "-rf", "x" * 255, "가\u200d나"):
        engine.files(container.container_id).add(f"/tmp/{name}", b"x")
        answer = await fetch(client, container, f"/tmp/{name}")
        disposition = answer.headers["Content-Disposition"]
        assert disposition.startswith("attachment; filename"), name
        assert disposition.replace('\\"', "").count('"') in (0, 2)
        assert not {"\r", "\n", "/", "<"} & set(disposition.replace("utf-8''", ""))
        await content(answer)


async def test_wrong_parameters_are_named(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    paths = ("tmp", "", "/a\0b", "/a\u202egnp.exe", "/\x1b[2J")
    for change in (*({"path": path} for path in paths), {"host": "x"}, {"follow": "1"}):
        data = {**target(container, path="/etc/passwd"), **change}
        with untouched(engine):
            for answer in (await client.get(ABOUT, data), await client.post("/terminals/files/download/", data)):
                assert (answer.status_code, set(answer.json()["errors"])) == (422, set(change))


async def test_what_is_there_is_told_before(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).add("/tmp/link", kind="link", target="/etc/passwd")
    client = await browser_of(alice)
    answer = await client.get(ABOUT, target(container, path="/tmp/link"), headers=JSON)
    assert answer.json() == {"name": "link", "kind": "file", "size_bytes": len(_passwd(engine, container))}
    answer = await client.get(ABOUT, target(container, path="/tmp"), headers=JSON)
    assert answer.json()["kind"] == "folder"
    answer = await client.get(ABOUT, target(container, path="/nowhere"), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (404, "path_missing")
    assert await rows(READ) == []


def _passwd(engine: FakeEngine, container: ObservedContainer) -> bytes:
    return engine.files(container.container_id).nodes["/etc/passwd"].data


# Who


async def test_a_stranger_does_not_know_of_it(charlie: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(charlie)
    with untouched(engine):
        assert (await fetch(client, container, "/etc/passwd")).status_code == 404
        answer = await client.get(ABOUT, target(container, path="/etc/passwd"), headers=JSON)
        assert answer.status_code == 404


async def test_a_viewer_and_an_auditor_are_refused(
    alice: User, bob: User, charlie: User, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    await give_to_team(container, alice=alice, people={bob: TeamRole.VIEWER})
    await in_database(lambda: User.objects.filter(pk=charlie.pk).update(role=Role.AUDITOR))
    for person in (bob, charlie):
        client = await browser_of(person)
        with untouched(engine):
            assert (await fetch(client, container, "/etc/passwd")).status_code == 403
    assert [outcome for outcome, _details in await rows(READ)] == ["denied", "denied"]


async def test_where_the_policy_closes_shells_it_closes_files(
    alice: User, bob: User, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    await give_to_team(container, alice=alice, people={bob: TeamRole.OWNER}, shells=False)
    client = await browser_of(bob)
    with untouched(engine):
        answer = await fetch(client, container, "/etc/passwd")
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.shells")


async def test_a_link_cannot_do_it(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    client = await browser_of(alice)
    with untouched(engine):
        answer = await client.get("/terminals/files/download/", target(container, path="/etc/passwd"), headers=JSON)
    assert answer.status_code == 405


# Which way


async def test_a_paused_container_is_reached_by_the_engine(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    await engine.pause_container(container.container_id)
    assert b"root" in await content(await fetch(await browser_of(alice), container, "/etc/passwd"))
    assert "get_archive" in engine.calls


async def test_an_old_engine_is_not_asked_for_a_member(alice: User, bob: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    await give_to_team(container, alice=alice, people={bob: TeamRole.MEMBER})
    await engine.stop_container(container.container_id)
    engine.calls.clear()
    answer = await fetch(await browser_of(bob), container, "/etc/passwd")
    assert (answer.status_code, answer.json()["code"]) == (403, "policy.old_engine")
    assert engine.calls == ["inspect_container"]


# While it goes


@pytest.mark.parametrize("is_begun", [True, False])
async def test_who_reads_no_further_leaves_nothing_behind(
    is_begun: bool, alice: User, run: Run, engine: FakeEngine
) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).add("/tmp/big", b"x" * 3_000_000)
    answer = await fetch(await browser_of(alice), container, "/tmp/big")
    if is_begun:
        await anext(aiter(answer))
    assert len(engine.processes(container.container_id)) == 2
    await in_database(answer.close)
    async with asyncio.timeout(10):
        while len(engine.processes(container.container_id)) > 1:  # noqa: ASYNC110 (a process table has no event)
            await asyncio.sleep(0.01)
        while is_begun and (await rows(READ))[-1][0] != "cancelled":  # noqa: ASYNC110 (nor has a database)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ENDINGS)
async def test_it_ends_when_the_rights_do(
    how: str, alice: User, run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.lib.websocket.StreamConsumer.lease_interval", 0.0)
    container = await run("sleep", "1000")
    engine.files(container.container_id).add("/tmp/big", b"x" * 3_000_000)
    answer: Any = await fetch(await browser_of(alice), container, "/tmp/big")
    parts = aiter(answer)
    await anext(parts)

    await end_rights(how)
    with pytest.raises(RightsEnded):
        # The answer is broken off: a browser knows that it has no whole file.
        await anext(parts)
    assert (await rows(READ))[-1][0] == "denied"


async def test_nobody_has_too_many_on_their_way(alice: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    engine.files(container.container_id).add("/tmp/big", b"x" * 3_000_000)
    client = await browser_of(alice)
    answers = [await fetch(client, container, "/tmp/big") for _number in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert await content(answers[0]) == b"x" * 3_000_000
    again = await fetch(client, container, "/tmp/big")
    assert again.status_code == 200
    for answer in (*answers[1:4], again):
        await content(answer)


# Approvals


async def test_where_shells_are_approved_files_are_too(alice: User, bob: User, run: Run, engine: FakeEngine) -> None:
    container = await run("sleep", "1000")
    team = await give_to_team(container, alice=alice, people={bob: TeamRole.MEMBER}, shell_approval=True)
    client = await browser_of(bob)
    with untouched(engine):
        answer = await fetch(client, container, "/etc/passwd")
    assert (answer.status_code, answer.json()["code"]) == (403, "approval_needed")
    assert "Ask for a shell" in answer.json()["next_step"]

    def approve() -> None:
        ShellApproval.objects.create(
            team=team,
            host=container.host,
            container_id=container.container_id,
            container_name=container.name,
            person=bob,
            minutes=5,
            state=ApprovalState.APPROVED,
            until=timezone.now() + timedelta(minutes=5),
        )

    await in_database(approve)
    assert b"root" in await content(await fetch(client, container, "/etc/passwd"))
