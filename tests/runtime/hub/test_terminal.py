"""A terminal in the hub: exact bytes for everybody, at the pace of who types, in the size of the smallest."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import NotFound, Unreachable
from runtime.hub.client import HubAway, HubClient, HubRefused
from runtime.hub.messages import (
    WINDOW,
    Dismissed,
    Ended,
    EndInput,
    EndTerminal,
    ForgetTerminal,
    Leave,
    Limits,
    ListTerminals,
    LockTerminal,
    Notice,
    Present,
    Recording,
    Resize,
    SetPerson,
    Size,
    Skipped,
    TellTerminal,
)
from runtime.recordings import FailureCode, verify
from tests.runtime.hub.conftest import ALICE, BOB, Site, eventually, typist

CAT = ("sh", "-c", "stty raw -echo; printf ready; cat")


async def test_what_is_typed_comes_back(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    alice.type(bytes(range(256)))
    assert (await alice.until(bytes(range(200, 256)))).endswith(bytes(range(256)))


async def test_a_watcher_who_comes_late_sees_everything_and_types_nothing(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    bob = await site.join(BOB)
    assert await bob.until(b"ready") == b"ready"
    bob.type(b"rm -rf /\r")
    alice.type(b"hello")
    await alice.until(b"hello")
    assert alice.output == b"readyhello"
    assert await bob.until(b"hello") == b"readyhello"


async def test_input_that_is_not_taken_takes_no_more_room_than_its_bytes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    taken: list[bytes] = []
    goes_on = asyncio.Event()

    async def write(data: bytes) -> None:
        await goes_on.wait()
        taken.append(data)

    async def write_eof() -> None:
        pass

    monkeypatch.setattr(site.held._terminal, "write", write)
    monkeypatch.setattr(site.held._terminal, "write_eof", write_eof)
    for _key in range(1000):
        alice.type(b"x")
        alice.stream.send(EndInput())
    await eventually(lambda: site.held._typed[ALICE.id].received == 1000)
    assert len(site.held._input) <= 3
    goes_on.set()
    await eventually(lambda: b"".join(taken) == b"x" * 1000)


async def test_a_window_that_is_dragged_asks_the_engine_one_thing_at_a_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    sizes: list[tuple[int, int]] = []
    goes_on = asyncio.Event()

    async def resize(*, columns: int, rows: int) -> None:
        sizes.append((columns, rows))
        await goes_on.wait()

    monkeypatch.setattr(site.held._terminal, "resize", resize)
    alice.stream.send(Resize(columns=100, rows=30))
    await eventually(lambda: len(sizes) == 1)
    for columns in range(101, 200):
        alice.stream.send(Resize(columns=columns, rows=30))
    await eventually(lambda: site.held._columns == 199)
    assert len(sizes) == 1
    goes_on.set()
    await eventually(lambda: len(sizes) == 2)
    assert sizes == [(100, 30), (199, 30)]


async def test_a_watcher_who_takes_nothing_slows_nobody(site: Site) -> None:
    alice = await site.open("yes", "0123456789")
    bob = await site.join(BOB)
    while len(alice.output) < 12 * WINDOW:
        await alice.step()
        alice.acknowledge()
    assert await bob.quiet() <= WINDOW


async def test_a_watcher_who_was_too_slow_goes_on_further_down(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    bob = await site.join(BOB)
    await bob.until(b"ready", acknowledge=False)
    site.held._took(b"line\r\n" * 600_000)
    skipped = await bob.told(Skipped)
    assert skipped.lost == skipped.offset - bob.offset > 0
    bob.offset, bob.output = skipped.offset, b""
    bob.acknowledge()
    assert (await bob.until(b"\n")).startswith(b"line\r\n")


async def test_who_types_and_takes_nothing_stops_the_engine(site: Site) -> None:
    alice = await site.open("yes", "0123456789")
    assert await alice.quiet() == pytest.approx(WINDOW, abs=64 * 1024)
    ahead = site.held._ring.end
    await asyncio.sleep(0.05)
    assert site.held._ring.end == ahead


async def test_the_faster_of_two_who_type_sets_the_pace(site: Site) -> None:
    alice = await site.open("yes", "0123456789")
    await site.join(typist("bob"))
    while len(alice.output) < 6 * WINDOW:
        await alice.step()
        alice.acknowledge()


async def test_nobody_being_there_stops_the_engine_only_for_as_long_as_somebody_is_awaited(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await site.open("yes", "0123456789")
    alice.stream.close()
    await eventually(lambda: not site.held._has_room())
    kept = site.held._ring
    assert kept.start == 0, "every byte is there for who comes back"
    site.held._awaited = (0, 0.0)
    await eventually(lambda: kept.start > 0)


async def test_the_pty_has_the_size_of_its_smallest_typist(site: Site) -> None:
    alice = await site.open(*CAT, columns=120, rows=40)
    await alice.told(Size)
    carol = await site.join(typist("carol"), columns=100, rows=50)
    assert await alice.told(Size) == Size(columns=100, rows=40)
    await site.join(BOB, columns=10, rows=5)
    carol.stream.send(Resize(columns=90, rows=30))
    assert await alice.told(Size) == Size(columns=90, rows=30)
    carol.stream.close()
    assert await alice.told(Size) == Size(columns=120, rows=40)


async def test_everybody_is_told_who_is_here(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.told(Present)
    bob = await site.join(BOB)
    present = await alice.told(Present)
    assert [(viewer["name"], viewer["types"], viewer["owns"]) for viewer in present.viewers] == [
        ("alice", True, True),
        ("bob", False, False),
    ]
    bob.stream.close()
    assert [viewer["name"] for viewer in (await alice.told(Present)).viewers] == ["alice"]


async def test_a_guest_may_be_let_type_and_stopped_again(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    bob = await site.join(BOB)
    await bob.until(b"ready")
    await site.client.ask(SetPerson(session=site.session, person="bob", types=True))
    assert (await bob.told(Notice)).text == "types"
    bob.type(b"let me")
    await alice.until(b"let me")
    await site.client.ask(SetPerson(session=site.session, person="bob", types=False))
    assert (await bob.told(Notice)).text == "watches"
    bob.type(b"not me")
    alice.type(b"but me")
    await alice.until(b"but me")
    assert b"not me" not in alice.output


async def test_a_guest_may_be_sent_away(site: Site) -> None:
    await site.open(*CAT)
    bob = await site.join(BOB)
    await site.client.ask(SetPerson(session=site.session, person="bob", views=False))
    assert await bob.told(Dismissed) == Dismissed(reason="removed")
    assert await bob.step() is None


async def test_it_may_be_handed_over(site: Site) -> None:
    alice = await site.open(*CAT)
    bob = await site.join(typist("bob"))
    await site.client.ask(SetPerson(session=site.session, person="bob", types=True, owns=True))
    await site.client.ask(SetPerson(session=site.session, person="alice", types=True, owns=False))
    assert (await bob.told(Notice)).code == "owner"
    alice.stream.send(Leave(how="end"))
    await eventually(lambda: len(site.held._seats) == 1)
    assert site.held.ended is None
    bob.stream.send(Leave(how="end"))
    assert (await bob.told(Ended)).reason == "closed"


async def test_a_locked_terminal_takes_no_input(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    await site.client.ask(LockTerminal(session=site.session, locked=True, by="carol"))
    assert await alice.told(Notice) == Notice(code="locked", by="carol")
    alice.type(b"no")
    await site.client.ask(LockTerminal(session=site.session, locked=False, by="carol"))
    assert await alice.told(Notice) == Notice(code="unlocked", by="carol")
    alice.type(b"yes")
    await alice.until(b"yes")
    assert alice.output == b"readyyes"


async def test_a_message_is_shown_to_everybody(site: Site) -> None:
    alice = await site.open(*CAT)
    await site.client.ask(TellTerminal(session=site.session, text="lunch?", by="carol"))
    assert await alice.told(Notice) == Notice(code="message", by="carol", text="lunch?")


async def test_it_can_be_ended_by_order_and_says_why(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    await site.client.ask(EndTerminal(session=site.session, reason="ended_by_admin", by="carol"))
    ended = await alice.told(Ended)
    assert (ended.reason, ended.by, ended.clean) == ("ended_by_admin", "carol", True)
    assert site.processes() == 0


async def test_the_exit_code_comes_after_the_last_output(site: Site) -> None:
    alice = await site.open("sh", "-c", "echo bye; exit 3")
    ended = await alice.told(Ended)
    assert (ended.reason, ended.exit_code) == ("exited", 3)
    assert b"bye" in alice.output


async def test_what_ended_is_told_until_it_is_forgotten(site: Site) -> None:
    alice = await site.open("sh", "-c", "exit 3")
    await alice.told(Ended)
    (told,) = (await site.client.ask(ListTerminals()))["terminals"]
    assert (told["state"], told["ended"]["exit_code"]) == ("ended", 3)
    await site.client.ask(ForgetTerminal(session=site.session))
    assert (await site.client.ask(ListTerminals()))["terminals"] == []


async def test_an_open_terminal_is_not_forgotten(site: Site) -> None:
    await site.open(*CAT)
    with pytest.raises(HubRefused):
        await site.client.ask(ForgetTerminal(session=site.session))


@pytest.mark.parametrize(
    ("limits", "reason"), [(Limits(idle=1), "idle"), (Limits(age=1), "age"), (Limits(closed=1), "abandoned")]
)
async def test_it_ends_by_itself(site: Site, limits: Limits, reason: str) -> None:
    alice = await site.open(*CAT, limits=limits)
    await alice.until(b"ready")
    if reason == "abandoned":
        alice.stream.send(Leave(how="closed"))
        await eventually(lambda: site.held._alone_until is not None)
    site.held._begun_at -= 2
    site.held._touched_at -= 2
    site.held._alone_until = site.held._alone_until and site.held._alone_until - 2
    await eventually(lambda: site.held.ended is not None)
    assert site.held.ended.reason == reason
    assert site.processes() == 0


async def test_input_keeps_it_from_being_idle(site: Site) -> None:
    alice = await site.open(*CAT, limits=Limits(idle=100))
    await alice.until(b"ready")
    site.held._touched_at -= 50
    alice.type(b"x")
    await alice.until(b"readyx")
    site.held.look(site.held._touched_at + 99)
    assert site.held._ending is None
    assert (await alice.told(Notice)).code == "idle"


async def test_an_engine_that_refuses_is_told_of(site: Site) -> None:
    site.engine.fail_next("open_exec", NotFound("no such container"))
    with pytest.raises(HubRefused) as refused:
        await site.open(*CAT)
    assert isinstance(refused.value.error, NotFound)
    assert refused.value.clean


async def test_an_engine_that_falls_silent_may_have_left_something(site: Site) -> None:
    site.engine.fail_next("open_exec", Unreachable("away"))
    site.engine.fail_next("kill_execs", Unreachable("away"))
    with pytest.raises(HubRefused) as refused:
        await site.open(*CAT)
    assert not refused.value.clean


async def test_an_engine_that_goes_away_ends_it(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    site.held._terminal.cut()
    ended = await alice.told(Ended)
    assert ended.reason == "engine"
    assert ended.error["code"] == "terminated"


async def test_input_from_the_future_ends_the_connection_and_not_the_terminal(site: Site) -> None:
    alice = await site.open(*CAT)
    alice.stream.write(7, b"x")
    assert await alice.told(Dismissed) == Dismissed(reason="flood")
    assert site.held.ended is None


async def test_input_that_came_already_is_not_typed_again(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    for offset, data in ((0, b"abc"), (0, b"abc"), (1, b"bcd"), (4, b"e")):
        alice.stream.write(offset, data)
    assert await alice.until(b"abcde") == b"readyabcde"


async def test_an_acknowledgement_of_what_was_never_sent_ends_the_connection(site: Site) -> None:
    alice = await site.open(*CAT)
    await alice.until(b"ready")
    alice.offset += 1000
    alice.acknowledge()
    assert await alice.told(Dismissed) == Dismissed(reason="flood")


async def test_a_session_is_opened_once(site: Site) -> None:
    await site.open(*CAT)
    with pytest.raises(HubRefused):
        await site.open(*CAT)


async def test_a_terminal_that_nobody_knows_cannot_be_joined(site: Site) -> None:
    with pytest.raises(HubRefused) as refused:
        await site.join(ALICE)
    assert refused.value.code == "unknown_session"


async def test_another_version_is_refused_by_name(site: Site) -> None:
    with pytest.raises(HubRefused) as refused:
        await site.client.ask(replace(ListTerminals(), version=99))
    assert refused.value.code == "version"


async def test_without_a_hub_it_is_said_to_be_away(tmp_path: Path) -> None:
    with pytest.raises(HubAway):
        await HubClient(tmp_path / "none.sock").ask(ListTerminals())


# Recording


def _events(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


async def test_it_is_recorded(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "one.cast"
    alice = await site.open("sh", "-c", "echo bye; exit 3", recording=Recording(path=str(path), title="web"))
    assert alice.opened.recorded
    ended = await alice.told(Ended)
    assert ended.recorded["complete"]
    assert "".join(event[2] for event in _events(path) if event[1] == "o") == "bye\r\n"
    verdict = verify(path, head=ended.recorded["head"])
    assert verdict.fault is None


async def test_without_the_recording_that_is_required_nothing_runs(site: Site, tmp_path: Path) -> None:
    recording = Recording(path=str(tmp_path / "missing" / "one.cast"), required=True)
    with pytest.raises(HubRefused) as refused:
        await site.open(*CAT, recording=recording)
    assert (refused.value.code, refused.value.message) == ("unrecorded", "no_folder")
    assert "open_exec" not in site.engine.calls


async def test_without_a_recording_that_is_only_wanted_it_says_so(site: Site, tmp_path: Path) -> None:
    alice = await site.open(*CAT, recording=Recording(path=str(tmp_path / "missing" / "one.cast")))
    assert not alice.opened.recorded
    assert await alice.told(Notice) == Notice(code="unrecorded", text="no_folder")
    await alice.until(b"ready")


@pytest.mark.parametrize("required", [True, False])
async def test_a_recording_that_breaks_off(site: Site, tmp_path: Path, *, required: bool) -> None:
    alice = await site.open(*CAT, recording=Recording(path=str(tmp_path / "one.cast"), required=required))
    await alice.until(b"ready")
    site.held._recorder._fail(FailureCode.DISK_FULL)
    if required:
        ended = await alice.told(Ended)
        assert (ended.reason, ended.message) == ("unrecorded", "disk_full")
        assert site.processes() == 0
    else:
        assert await alice.told(Notice) == Notice(code="unrecorded", text="disk_full")
        alice.type(b"goes on")
        await alice.until(b"goes on")
        assert not site.held.is_recorded
